//! The transports of a line, and which of them an SMS goes by.
//!
//! They stand in groups: those of the same cost, the cheapest first; of the same cost those with a weight, which share the
//! traffic, before those without, which follow one by one. The first group in which a transport works gets the SMS. While a
//! transport comes back, its group gets as large a part of the traffic as the transport may have.

use vumi_kit::{carries::Carries, name::Name, outbound::Routable};

use super::{settings::RouteTransport, table::StandingOf};

/// How a transport stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Its provider takes SMS, as far as is known.
    pub works: bool,
    /// The part of its usual traffic that it gets: 0 while it fails, 1 as usual.
    pub share: f64,
    /// It waits for an SMS to try with.
    pub wants_probe: bool,
    /// Why, in words for the timeline and `vumi route explain`.
    pub condition: &'static str,
}

impl Standing {
    /// A transport that works and gets all of its usual traffic.
    pub const GOOD: Self = Self { works: true, share: 1.0, wants_probe: false, condition: "works" };
}

/// The transports of a line, in groups in the order in which they are tried.
#[derive(Clone, Debug)]
pub(super) struct Candidates(Vec<Vec<Candidate>>);

#[derive(Clone, Debug)]
struct Candidate {
    name: Name,
    weight: f64,
    takes_names: bool,
    carries: Carries,
}

impl Candidate {
    /// Whether it can carry an SMS, and the account may send over it, whatever its provider does now.
    fn can_carry(&self, sms: &Routable<'_>) -> bool {
        let allowed = sms.transports.is_empty() || sms.transports.contains(&self.name);
        allowed && (self.takes_names || sms.from.is_number()) && self.carries.takes(sms.content)
    }
}

/// A transport that was chosen.
pub(super) struct Chosen<'c> {
    pub(super) name: &'c Name,
    pub(super) why: String,
}

impl Candidates {
    pub(super) fn new(transports: &[RouteTransport], abilities: impl Fn(&Name) -> (bool, Carries)) -> Self {
        let mut by_cost: Vec<&RouteTransport> = transports.iter().collect();
        // Stable: those of the same cost stay in the order written, those with a weight before them.
        by_cost.sort_by(|a, b| a.cost.total_cmp(&b.cost).then(a.weight.is_none().cmp(&b.weight.is_none())));
        let mut groups: Vec<Vec<Candidate>> = Vec::new();
        let mut last: Option<&RouteTransport> = None;
        for transport in by_cost {
            let weight = transport.weight.unwrap_or(1.0);
            let (takes_names, carries) = abilities(&transport.name);
            let candidate = Candidate { name: transport.name.clone(), weight, takes_names, carries };
            let beside = |last: &RouteTransport| {
                last.cost.total_cmp(&transport.cost).is_eq() && last.weight.is_some() && transport.weight.is_some()
            };
            match groups.last_mut().filter(|_| last.is_some_and(beside)) {
                Some(group) => group.push(candidate),
                None => groups.push(vec![candidate]),
            }
            last = Some(transport);
        }
        Self(groups)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.0.iter().flatten().map(|candidate| &candidate.name)
    }

    pub(super) fn any_can_carry(&self, sms: &Routable<'_>) -> bool {
        self.0.iter().flatten().any(|candidate| candidate.can_carry(sms))
    }

    /// Those that get traffic, the first first.
    pub(super) fn working<'c>(&'c self, standing: &'c impl StandingOf) -> impl Iterator<Item = &'c Name> {
        self.names().filter(|name| standing(name).share > 0.0)
    }

    /// The one that an SMS goes by; none: all fail.
    pub(super) fn choose(
        &self,
        sms: &Routable<'_>,
        standing: &impl StandingOf,
        take_probe: &impl Fn(&Name) -> bool,
        chance: &mut impl FnMut() -> f64,
    ) -> Option<Chosen<'_>> {
        let mut coming_back = None;
        for group in &self.0 {
            let able = || group.iter().filter(|one| one.can_carry(sms));
            if let Some(probe) = able().find(|one| standing(&one.name).wants_probe && take_probe(&one.name)) {
                let why = format!("{}, to try whether it works again", probe.name);
                return Some(Chosen { name: &probe.name, why });
            }
            let shares: Vec<(&Candidate, f64)> = able().map(|one| (one, standing(&one.name).share)).collect();
            let most = shares.iter().map(|(_, share)| *share).fold(0.0, f64::max);
            if most <= 0.0 {
                continue;
            }
            if most >= 1.0 || chance() < most {
                return pick(&shares, chance());
            }
            coming_back = coming_back.or(Some(shares));
        }
        // Nothing else works: what comes back gets all of it.
        pick(&coming_back?, chance())
    }

    /// Those that can send an SMS at all, the first first.
    pub(super) fn able<'c>(&'c self, sms: &Routable<'_>) -> Vec<&'c Name> {
        self.0.iter().flatten().filter(|one| one.can_carry(sms)).map(|one| &one.name).collect()
    }

    /// The others that do not get all of their traffic.
    pub(super) fn passed_over<'c>(
        &'c self,
        chosen: &'c Name,
        standing: &'c impl StandingOf,
    ) -> impl Iterator<Item = String> + 'c {
        let others = self.names().filter(move |name| *name != chosen);
        others.filter_map(|name| {
            let Standing { share, condition, .. } = standing(name);
            (share < 1.0).then(|| format!("{name} ({condition})"))
        })
    }

    /// Each with its condition.
    pub(super) fn described<'c>(&'c self, standing: &'c impl StandingOf) -> impl Iterator<Item = String> + 'c {
        self.0.iter().flat_map(move |group| {
            let total: f64 = group.iter().map(|one| one.weight * standing(&one.name).share).sum();
            group.iter().map(move |one| {
                let Standing { share, condition, .. } = standing(&one.name);
                let part = if total > 0.0 { 100.0 * one.weight * share / total } else { 0.0 };
                let of_group = if group.len() > 1 { format!("{part:.0} % of its group, ") } else { String::new() };
                format!("{}: {of_group}{condition}", one.name)
            })
        })
    }
}

/// One by weight and share; none only where all shares are 0.
fn pick<'c>(shares: &[(&'c Candidate, f64)], chance: f64) -> Option<Chosen<'c>> {
    let weighted = || shares.iter().map(|(one, share)| (*one, one.weight * share)).filter(|(_, part)| *part > 0.0);
    let total: f64 = weighted().map(|(_, part)| part).sum();
    let mut left = chance * total;
    let fits = |(_, part): &(&Candidate, f64)| {
        left -= part;
        left < 0.0
    };
    let (chosen, part) = weighted().find(fits).or_else(|| weighted().next_back())?;
    let why = if shares.len() > 1 {
        format!("{}, {:.0} % by weight", chosen.name, 100.0 * part / total)
    } else {
        chosen.name.to_string()
    };
    Some(Chosen { name: &chosen.name, why })
}
