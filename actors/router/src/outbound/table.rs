//! The lines of `[[outbound]]`, checked: which of them takes an SMS.

use std::collections::BTreeSet;

use regex::Regex;
use vumi_kit::{
    carries::Carries,
    name::Name,
    outbound::{Routable, RouteChoice, RouteExplanation, RouteVerdict},
    rerouting::WayOut,
};

use super::{
    choice::{Candidates, Chosen, Standing},
    settings::{OutboundProblem, OutboundRoute, digits},
};

/// Tells how a transport stands. It may be asked more than once for a choice.
pub(super) trait StandingOf: Fn(&Name) -> Standing {}
impl<F: Fn(&Name) -> Standing> StandingOf for F {}

/// A transport of the settings, and what it can carry.
#[derive(Clone, Copy, Debug)]
pub struct TransportAbilities<'a> {
    /// The `NAME` of `[transports.NAME]`.
    pub name: &'a Name,
    /// Whether senders may be names.
    pub takes_names: bool,
    /// What it carries beside texts.
    pub carries: Carries,
}

/// The lines, in the order of the settings.
#[derive(Clone, Debug, Default)]
pub struct OutboundTable {
    routes: Vec<CheckedRoute>,
}

/// A line that leads somewhere.
#[derive(Clone, Debug)]
struct CheckedRoute {
    name: Name,
    /// The beginnings of numbers in digits alone, without `+`; none: any number.
    prefixes: Vec<String>,
    accounts: Vec<String>,
    senders: Vec<String>,
    pattern: Option<Regex>,
    tags: Vec<String>,
    candidates: Candidates,
    /// The position of the line whose transports are tried then.
    otherwise: Option<usize>,
    resend_unknown: bool,
}

impl OutboundTable {
    /// Builds the table, or returns every problem. `transports`: those of the settings.
    pub fn new(routes: &[OutboundRoute], transports: &[TransportAbilities<'_>]) -> Result<Self, Vec<OutboundProblem>> {
        let known: Vec<&Name> = transports.iter().map(|one| one.name).collect();
        let mut problems = Vec::new();
        for (index, route) in routes.iter().enumerate() {
            let own = route.check(&known).into_iter();
            let joint = check_beside(routes, index, route);
            problems.extend(own.chain(joint).map(|(key, what)| OutboundProblem { route: index, key, what }));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let abilities = |name: &Name| {
            let found = transports.iter().find(|one| one.name == name);
            found.map_or((true, Carries::TEXTS), |one| (one.takes_names, one.carries))
        };
        let checked = |route: &OutboundRoute| CheckedRoute {
            name: route.name.clone(),
            prefixes: route.prefixes.iter().filter_map(|prefix| digits(prefix)).map(str::to_owned).collect(),
            accounts: route.accounts.clone(),
            senders: route.senders.iter().map(ToString::to_string).collect(),
            pattern: route.pattern.as_deref().and_then(|pattern| Regex::new(pattern).ok()),
            tags: route.tags.clone(),
            candidates: Candidates::new(&route.transports, abilities),
            otherwise: position(routes, route.otherwise.as_ref()),
            resend_unknown: route.resend_unknown,
        };
        Ok(Self { routes: routes.iter().map(checked).collect() })
    }

    /// Whether there are no routes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// The transports that a route leads to, each once.
    pub fn transports(&self) -> impl Iterator<Item = &Name> {
        let all: BTreeSet<&Name> = self.routes.iter().flat_map(|route| route.candidates.names()).collect();
        all.into_iter()
    }

    /// Chooses the transport of an SMS; none: no line takes it. `take_probe` is asked before an SMS is sent to a transport only to
    /// find out whether it works again; `chance` answers numbers from 0 to 1, without 1.
    pub fn choose(
        &self,
        sms: &Routable<'_>,
        standing: impl Fn(&Name) -> Standing,
        take_probe: impl Fn(&Name) -> bool,
        mut chance: impl FnMut() -> f64,
    ) -> Option<RouteChoice> {
        let (line, route) = self.routes.iter().enumerate().find(|(_, route)| route.passed_over(sms).is_none())?;
        let chosen = self
            .in_order(route)
            .find_map(|(_, own)| own.candidates.choose(sms, &standing, &take_probe, &mut chance))
            .or_else(|| self.least_bad(route, sms, &standing))?;
        let others = self.in_order(route).flat_map(|(_, own)| own.candidates.passed_over(chosen.name, &standing));
        let others: Vec<String> = others.collect();
        let mut why = format!("route {}, line {}: {}", route.name, line + 1, chosen.why);
        if !others.is_empty() {
            why.push_str(&format!("; passed over: {}", others.join(", ")));
        }
        Some(RouteChoice { route: route.name.clone(), transport: chosen.name.clone(), why })
    }

    /// Which line takes an SMS, and why the others before it do not.
    pub fn explain(&self, sms: &Routable<'_>, standing: impl Fn(&Name) -> Standing) -> RouteExplanation {
        // Nothing is sent, so nobody tries a transport; and the middle of chance shows the usual one.
        let chosen = self.choose(sms, &standing, |_| false, || 0.5);
        let mut taken = false;
        let verdict = |(index, route): (usize, &CheckedRoute)| {
            let passed_over = route.passed_over(sms);
            let verdict = match &passed_over {
                Some(why) => format!("line {}: passed over: {why}", index + 1),
                None if taken => format!("line {}: would take it, and a line before it does", index + 1),
                None => format!("line {}: takes it", index + 1),
            };
            let takes = passed_over.is_none() && !taken;
            taken |= takes;
            let transports = if takes {
                self.in_order(route).flat_map(|(_, own)| own.candidates.described(&standing)).collect()
            } else {
                Vec::new()
            };
            RouteVerdict { route: route.name.clone(), verdict, transports }
        };
        RouteExplanation { chosen, routes: self.routes.iter().enumerate().map(verdict).collect() }
    }

    /// Where all fail: one whose provider works again and that is only held back, else the first. The SMS waits there.
    fn least_bad<'t>(
        &'t self,
        route: &'t CheckedRoute,
        sms: &Routable<'_>,
        standing: &impl StandingOf,
    ) -> Option<Chosen<'t>> {
        let able = || self.in_order(route).flat_map(|(_, own)| own.candidates.able(sms));
        let name = able().find(|name| standing(name).works).or_else(|| able().next())?;
        let why =
            format!("{name}, where it waits: no transport of the route works; {name} {}", standing(name).condition);
        Some(Chosen { name, why })
    }

    /// A line, and those that it leads to where its own transports fail. No line comes twice: loops are refused.
    fn in_order<'t>(&'t self, route: &'t CheckedRoute) -> impl Iterator<Item = (usize, &'t CheckedRoute)> {
        let next = |(count, route): &(usize, &'t CheckedRoute)| {
            let otherwise = route.otherwise.and_then(|index| self.routes.get(index))?;
            (*count < self.routes.len()).then_some((count + 1, otherwise))
        };
        std::iter::successors(Some((0, route)), next)
    }

    /// Each line that leads to a transport, with the transport that its waiting SMS can go to instead, and whether SMS of
    /// unknown outcome may. For a transport that fails.
    pub fn ways_out(&self, from: &Name, standing: impl Fn(&Name) -> Standing) -> Vec<WayOut> {
        let leads = |route: &&CheckedRoute| {
            self.in_order(route).any(|(_, own)| own.candidates.names().any(|name| name == from))
        };
        let routes = self.routes.iter().filter(leads);
        let way_out = |route: &CheckedRoute| {
            let mut working = self.in_order(route).flat_map(|(_, own)| own.candidates.working(&standing));
            let to = working.find(|name| *name != from)?;
            Some(WayOut { route: route.name.clone(), to: to.clone(), resend_unknown: route.resend_unknown })
        };
        routes.filter_map(way_out).collect()
    }
}

impl CheckedRoute {
    /// Why the line does not take an SMS; none: it does.
    fn passed_over(&self, sms: &Routable<'_>) -> Option<String> {
        let differs = |list: &[String], value: &str| !list.is_empty() && !list.iter().any(|one| one == value);
        let one_of = |list: &[String]| list.join(", ");
        if !self.prefixes.is_empty() && !self.prefixes.iter().any(|prefix| sms.to.as_str().starts_with(prefix.as_str()))
        {
            return Some(format!("the recipient begins with none of {}", one_of(&self.prefixes)));
        }
        if differs(&self.accounts, sms.account) {
            return Some(format!("the account is none of {}", one_of(&self.accounts)));
        }
        if differs(&self.senders, sms.from.as_str()) {
            return Some(format!("the sender is none of {}", one_of(&self.senders)));
        }
        if differs(&self.tags, sms.tag.unwrap_or_default()) {
            return Some(format!("the tag is none of {}", one_of(&self.tags)));
        }
        if self.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(sms.text)) {
            return Some("the text does not match `pattern`".to_owned());
        }
        let carried = self.candidates.any_can_carry(sms);
        (!carried).then(|| {
            "none of its transports carries it (a name as sender, flash, binary), or the account may send over none"
                .to_owned()
        })
    }
}

fn position(routes: &[OutboundRoute], name: Option<&Name>) -> Option<usize> {
    name.and_then(|name| routes.iter().position(|route| route.name == *name))
}

/// What is wrong with a line beside the others.
fn check_beside(routes: &[OutboundRoute], index: usize, route: &OutboundRoute) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    let before = routes.get(..index).unwrap_or_default();
    if before.iter().any(|other| other.name == route.name) {
        problems.push(("name".to_owned(), format!("there is a route `{}` already", route.name)));
    }
    let led_to = routes.iter().any(|other| other.otherwise.as_ref() == Some(&route.name));
    if let Some(wider) = before.iter().find(|other| other.takes_all_of(route)).filter(|_| !led_to) {
        let what = format!("takes nothing: `{}` stands before it and takes all of it; change their order", wider.name);
        problems.push((String::new(), what));
    }
    if let Some(otherwise) = &route.otherwise {
        let key = "otherwise".to_owned();
        match position(routes, Some(otherwise)) {
            None => problems.push((key, format!("leads nowhere: there is no route `{otherwise}`"))),
            Some(first) => problems.extend(loops(routes, index, first).map(|way| (key, way))),
        }
    }
    problems
}

/// The loop that a line closes, if it leads back to itself.
fn loops(routes: &[OutboundRoute], index: usize, first: usize) -> Option<String> {
    let (mut way, mut at) = (vec![index], Some(first));
    while let Some(next) = at.filter(|_| way.len() <= routes.len()) {
        way.push(next);
        if next == index {
            let names: Vec<&str> = way.iter().filter_map(|at| Some(routes.get(*at)?.name.as_str())).collect();
            return Some(format!("goes in a circle: {}", names.join(", then ")));
        }
        at = position(routes, routes.get(next).and_then(|route| route.otherwise.as_ref()));
    }
    None
}
