//! Routes outwards: who takes an SMS, which transport sends it, how traffic leaves and comes back.

mod watch;

use std::{cell::Cell, collections::HashMap, time::Duration};

use proptest::prelude::*;
use tokio::time::Instant;
use vumi_kit::{
    address::{Address, Msisdn},
    carries::Carries,
    name::Name,
    outbound::{ChooseTransport, Routable, RouteChoice},
    sms_options::Content,
    transport_board::{Sendability, TransportBoard},
};

use super::{
    FailoverSettings, OutboundProblem, OutboundRoute, OutboundRouter, OutboundTable, Standing, TransportAbilities,
    recovery::Recovery,
};

#[derive(serde::Deserialize)]
struct OutboundList {
    outbound: Vec<OutboundRoute>,
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn built(text: &str) -> Result<OutboundTable, Vec<OutboundProblem>> {
    let routes = toml::from_str::<OutboundList>(text).unwrap().outbound;
    let names = ["clickatell", "opera", "e-scape", "techsys"].map(name);
    let abilities = |name| {
        let (name, carries): (&Name, _) = (name, Carries { flash: true, ..Carries::TEXTS });
        let plain = name.as_str() == "techsys";
        TransportAbilities { name, takes_names: !plain, carries: if plain { Carries::TEXTS } else { carries } }
    };
    let known: Vec<TransportAbilities<'_>> = names.iter().map(abilities).collect();
    OutboundTable::new(&routes, &known)
}

fn table(text: &str) -> OutboundTable {
    built(text).unwrap()
}

struct OneSms {
    account: &'static str,
    transports: Vec<Name>,
    to: Msisdn,
    from: Address,
    text: &'static str,
    content: Content,
    tag: Option<&'static str>,
}

impl OneSms {
    fn to(number: &str) -> Self {
        let (to, from) = (Msisdn::parse(number).unwrap(), Address::sender("38080").unwrap());
        Self { account: "clinic", transports: Vec::new(), to, from, text: "hello", content: Content::Text, tag: None }
    }

    fn routable(&self) -> Routable<'_> {
        let Self { account, transports, to, from, text, content, tag } = self;
        Routable { account, transports, to, from, text, content, tag: *tag }
    }
}

const FAILS: Standing = Standing { works: false, share: 0.0, wants_probe: false, condition: "fails" };

/// With these transports failing, and chance at this number.
fn chosen(table: &OutboundTable, sms: &OneSms, failing: &[&str], chance: f64) -> Option<RouteChoice> {
    let standing = |name: &Name| if failing.contains(&name.as_str()) { FAILS } else { Standing::GOOD };
    table.choose(&sms.routable(), standing, |_| false, || chance)
}

const LINES: &str = r#"
    [[outbound]]
    name = "codes"
    tags = ["otp"]
    transports = [{ name = "opera" }, { name = "clickatell" }]
    [[outbound]]
    name = "school"
    accounts = ["school"]
    prefixes = ["27"]
    transports = [{ name = "e-scape" }]
    [[outbound]]
    name = "vodacom"
    prefixes = ["+2782", "2783"]
    transports = [{ name = "clickatell", weight = 3 }, { name = "opera", weight = 1 }, { name = "e-scape", cost = 0.5 }]
    [[outbound]]
    name = "reminders"
    senders = ["MYCLINIC", "38090"]
    pattern = '(?i)appointment'
    transports = [{ name = "techsys" }, { name = "opera" }]
    [[outbound]]
    name = "south-africa"
    prefixes = ["27"]
    transports = [{ name = "opera" }]
    otherwise = "school"
"#;

#[test]
fn the_first_line_that_takes_an_sms_wins_whatever_stands_behind_it() {
    let table = table(LINES);
    let sender = |text: &str| Address::sender(text).unwrap();
    let plain = |number: &str| OneSms::to(number);
    for (sms, expected) in [
        (OneSms { tag: Some("otp"), ..plain("27831234567") }, Some(("codes", "opera"))),
        (OneSms { account: "school", ..plain("27831234567") }, Some(("school", "e-scape"))),
        (plain("27831234567"), Some(("vodacom", "clickatell"))),
        (
            OneSms { from: sender("38090"), text: "Your Appointment", ..plain("27841234567") },
            Some(("reminders", "techsys")),
        ),
        (
            OneSms { from: sender("MYCLINIC"), text: "appointment", ..plain("27841234567") },
            Some(("reminders", "opera")),
        ),
        (OneSms { from: sender("38090"), text: "other", ..plain("27841234567") }, Some(("south-africa", "opera"))),
        (plain("27841234567"), Some(("south-africa", "opera"))),
        (plain("264811234567"), None),
    ] {
        let choice = chosen(&table, &sms, &[], 0.0);
        let choice = choice.as_ref().map(|choice| (choice.route.as_str(), choice.transport.as_str()));
        assert_eq!(choice, expected, "{:?} {:?}", sms.to, sms.tag);
    }
}

#[test]
fn the_cheapest_that_works_sends_then_the_next_then_the_other_route_and_then_it_waits() {
    let (table, sms) = (table(LINES), OneSms::to("27821234567"));
    let by = |failing: &[&str], chance| chosen(&table, &sms, failing, chance).unwrap().transport.to_string();
    assert_eq!([by(&[], 0.0), by(&[], 0.74), by(&[], 0.76)], ["clickatell", "clickatell", "opera"]);
    assert_eq!([by(&["clickatell"], 0.0), by(&["opera"], 0.99)], ["opera", "clickatell"]);
    assert_eq!(by(&["clickatell", "opera"], 0.5), "e-scape");
    let all = chosen(&table, &sms, &["clickatell", "opera", "e-scape"], 0.5).unwrap();
    assert_eq!(all.transport.as_str(), "clickatell");
    assert!(all.why.contains("where it waits"), "{}", all.why);

    let mtn = chosen(&table, &OneSms::to("27841234567"), &["opera"], 0.5).unwrap();
    assert_eq!((mtn.route.as_str(), mtn.transport.as_str()), ("south-africa", "e-scape"));
    assert_eq!(mtn.why, "route south-africa, line 5: e-scape; passed over: opera (fails)");
}

#[test]
fn a_name_as_sender_or_a_flash_sms_goes_by_no_transport_that_takes_none() {
    let table = table("[[outbound]]\nname = \"all\"\ntransports = [{ name = \"techsys\" }, { name = \"opera\" }]");
    let named = OneSms { from: Address::sender("MYCLINIC").unwrap(), ..OneSms::to("27821234567") };
    assert_eq!(chosen(&table, &named, &[], 0.0).unwrap().transport.as_str(), "opera");
    assert_eq!(chosen(&table, &named, &["opera"], 0.0).unwrap().transport.as_str(), "opera", "it waits there");
    assert_eq!(chosen(&table, &OneSms::to("27821234567"), &[], 0.0).unwrap().transport.as_str(), "techsys");
    let flash = OneSms { content: Content::Flash, ..OneSms::to("27821234567") };
    assert_eq!(chosen(&table, &flash, &[], 0.0).unwrap().transport.as_str(), "opera");
    let allowed = OneSms { transports: vec![name("opera")], ..OneSms::to("27821234567") };
    assert_eq!(chosen(&table, &allowed, &[], 0.0).unwrap().transport.as_str(), "opera", "the account may use no other");
    let binary = OneSms { content: Content::Binary { udh: None }, ..OneSms::to("27821234567") };
    assert_eq!(chosen(&table, &binary, &[], 0.0), None);
}

#[test]
fn a_transport_that_wants_to_try_gets_one_sms() {
    let (table, sms) = (table(LINES), OneSms::to("27841234567"));
    let wanted = Cell::new(true);
    let standing = |name: &Name| {
        if name.as_str() == "opera" { Standing { wants_probe: wanted.get(), ..FAILS } } else { Standing::GOOD }
    };
    let choose = || table.choose(&sms.routable(), standing, |_| wanted.replace(false), || 0.5).unwrap();
    let (first, second) = (choose(), choose());
    assert_eq!((first.transport.as_str(), second.transport.as_str()), ("opera", "e-scape"));
    assert!(first.why.contains("to try"), "{}", first.why);
}

#[test]
fn an_explanation_says_which_line_takes_it_and_why_those_before_do_not() {
    let table = table(LINES);
    let standing = |name: &Name| if name.as_str() == "clickatell" { FAILS } else { Standing::GOOD };
    let explained = table.explain(&OneSms::to("27821234567").routable(), standing);
    assert_eq!(explained.chosen.unwrap().transport.as_str(), "opera");
    let verdicts: Vec<&str> = explained.routes.iter().map(|route| route.verdict.as_str()).collect();
    assert_eq!(
        verdicts,
        [
            "line 1: passed over: the tag is none of otp",
            "line 2: passed over: the account is none of school",
            "line 3: takes it",
            "line 4: passed over: the sender is none of MYCLINIC, 38090",
            "line 5: would take it, and a line before it does",
        ]
    );
    assert_eq!(
        explained.routes[2].transports,
        ["clickatell: 0 % of its group, fails", "opera: 100 % of its group, works", "e-scape: works"]
    );
    assert_eq!(table.explain(&OneSms::to("447700900123").routable(), standing).chosen, None);
}

#[test]
fn lines_that_lead_nowhere_or_in_a_circle_or_that_nothing_reaches_are_refused_all_at_once() {
    let line = |name: &str, rest: &str| format!("[[outbound]]\nname = \"{name}\"\n{rest}\n");
    let opera = "transports = [{ name = \"opera\" }]";
    let two = |a: &str, b: &str| format!("{}{}", line("a", a), line("b", b));
    for (text, expected) in [
        (line("a", "transports = []"), vec![(0, "transports", "leads nowhere")]),
        (line("a", "transports = [{ name = \"oper\" }]"), vec![(0, "transports[0].name", "no transport `oper`")]),
        (
            line("a", "transports = [{ name = \"opera\", weight = 0.0, cost = -1.0 }, { name = \"opera\" }]"),
            vec![
                (0, "transports[0].weight", "expected"),
                (0, "transports[0].cost", "expected"),
                (0, "transports[1].name", "already"),
            ],
        ),
        (
            line("a", &format!("prefixes = [\"27x\", \"083\", \"27\"]\npattern = '('\n{opera}")),
            vec![(0, "prefixes", "`27x`"), (0, "prefixes", "`083`"), (0, "pattern", "regular expression")],
        ),
        (line("a", &format!("otherwise = \"a\"\n{opera}")), vec![(0, "otherwise", "a, then a")]),
        (line("a", &format!("otherwise = \"b\"\n{opera}")), vec![(0, "otherwise", "no route `b`")]),
        (
            two(&format!("prefixes = [\"27\"]\notherwise = \"b\"\n{opera}"), &format!("otherwise = \"a\"\n{opera}")),
            vec![(0, "otherwise", "a, then b, then a"), (1, "otherwise", "b, then a, then b")],
        ),
        (two(opera, &format!("prefixes = [\"27\"]\n{opera}")), vec![(1, "", "takes nothing")]),
        (
            two(&format!("prefixes = [\"27\"]\n{opera}"), &format!("prefixes = [\"2782\"]\ntags = [\"otp\"]\n{opera}")),
            vec![(1, "", "takes nothing")],
        ),
        (
            format!("{}{}", line("a", &format!("tags = [\"x\"]\n{opera}")), line("a", opera)),
            vec![(1, "name", "already")],
        ),
    ] {
        let problems = built(&text).unwrap_err();
        let found: Vec<(usize, &str)> = problems.iter().map(|problem| (problem.route, problem.key.as_str())).collect();
        let wanted: Vec<(usize, &str)> = expected.iter().map(|(route, key, _)| (*route, *key)).collect();
        assert_eq!(found, wanted, "{text}: {problems:?}");
        for (problem, (.., words)) in problems.iter().zip(&expected) {
            assert!(problem.what.contains(words), "{text}: {}", problem.what);
        }
    }
    // Behind another that takes all, and reached from a line whose transports fail.
    let reached = format!(
        "{}{}",
        line("a", &format!("otherwise = \"b\"\n{opera}")),
        line("b", "transports = [{ name = \"e-scape\" }]")
    );
    assert!(built(&reached).is_ok());
}

const RECOVERY: FailoverSettings =
    FailoverSettings { return_after: Duration::from_secs(10), ramp: Duration::from_secs(60) };

#[test]
fn traffic_leaves_at_once_comes_back_slowly_and_leaves_again_at_the_first_sign() {
    let (mut recovery, opera, start) = (Recovery::new(RECOVERY), name("opera"), Instant::now());
    let mut share = |told, after: u64| recovery.standing(&opera, told, false, start + Duration::from_secs(after)).share;
    assert_eq!(share(Sendability::Works, 0), 1.0);
    assert_eq!(share(Sendability::Throttled, 1), 0.0);
    for (after, least, most) in [(2, 0.0, 0.0), (11, 0.0, 0.0), (12, 0.05, 0.06), (42, 0.5, 0.55), (71, 0.95, 0.99)] {
        let now = share(Sendability::Works, after);
        assert!((least..=most).contains(&now), "{after}: {now}");
    }
    assert_eq!(share(Sendability::Unavailable, 71), 0.0);
    assert_eq!([share(Sendability::Works, 72), share(Sendability::Works, 81)], [0.0, 0.0]);
    assert_eq!([share(Sendability::Works, 150), share(Sendability::Works, 150)], [1.0, 1.0]);
}

#[tokio::test(start_paused = true)]
async fn what_a_transport_tells_moves_the_next_sms() {
    let board = TransportBoard::default();
    let text = "[[outbound]]\nname = \"all\"\ntransports = [{ name = \"opera\" }, { name = \"clickatell\" }]";
    let router = OutboundRouter::new(table(text), board.clone(), RECOVERY);
    let sms = OneSms::to("27821234567");
    let by = || router.choose(&sms.routable()).unwrap().transport.to_string();
    let opera = board.of(&name("opera"));
    assert!(opera.is_routed());
    assert_eq!(by(), "opera");
    opera.tell(Sendability::Unavailable, false);
    assert_eq!([by(), by()], ["clickatell", "clickatell"]);
    opera.tell(Sendability::Unavailable, true);
    assert_eq!([by(), by()], ["opera", "clickatell"], "one tries whether it works again");
    opera.tell(Sendability::Works, false);
    assert_eq!(by(), "clickatell");
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!(by(), "clickatell");
    tokio::time::advance(Duration::from_secs(61 + 1)).await;
    assert_eq!(by(), "opera");
}

#[test]
fn what_waits_finds_its_way_out_along_its_own_route() {
    let table = table(LINES);
    let standing = |name: &Name| if name.as_str() == "opera" { FAILS } else { Standing::GOOD };
    let ways = table.ways_out(&name("opera"), standing);
    let ways: Vec<(&str, &str, bool)> =
        ways.iter().map(|way| (way.route.as_str(), way.to.as_str(), way.resend_unknown)).collect();
    assert_eq!(
        ways,
        [
            ("codes", "clickatell", false),
            ("vodacom", "clickatell", false),
            ("reminders", "techsys", false),
            ("south-africa", "e-scape", false)
        ]
    );
    assert_eq!(table.ways_out(&name("opera"), |_| FAILS), []);
}

/// A line with four transports, of these weights and costs.
fn any_line() -> impl Strategy<Value = String> {
    let one = (prop::option::of(1..=9_u8), 0..=1_u8);
    prop::array::uniform4(one).prop_map(|all| {
        let names = ["clickatell", "opera", "e-scape", "techsys"];
        let transports = names.iter().zip(all).map(|(name, (weight, cost))| {
            let weight = weight.map_or_else(String::new, |weight| format!(", weight = {weight}.0"));
            format!("{{ name = \"{name}\", cost = {cost}.0{weight} }}")
        });
        format!("[[outbound]]\nname = \"all\"\ntransports = [{}]", transports.collect::<Vec<_>>().join(", "))
    })
}

proptest! {
    #[test]
    fn a_transport_that_works_is_chosen_wherever_one_does(
        line in any_line(),
        shares in prop::array::uniform4(prop::sample::select(vec![0.0, 0.0, 0.05, 0.7, 1.0])),
        chances in prop::collection::vec(0.0..1.0_f64, 1..8),
    ) {
        let by_name: HashMap<Name, f64> =
            ["clickatell", "opera", "e-scape", "techsys"].into_iter().map(name).zip(shares).collect();
        let standing = |name: &Name| Standing { works: by_name[name] > 0.0, share: by_name[name], ..FAILS };
        let mut chances = chances.into_iter().cycle();
        let sms = OneSms::to("27821234567");
        let choice = table(&line).choose(&sms.routable(), standing, |_| false, || chances.next().unwrap()).unwrap();
        let any_works = shares.iter().any(|share| *share > 0.0);
        prop_assert_eq!(by_name[&choice.transport] > 0.0, any_works, "{} {:?}", choice.why, shares);
    }

    #[test]
    fn weights_hold(weights in prop::array::uniform3(1..=20_u32), failing in 0..4_usize) {
        let names = ["clickatell", "opera", "e-scape"];
        let transports = names.iter().zip(weights).map(|(name, weight)| format!("{{ name = \"{name}\", weight = {weight}.0 }}"));
        let text = format!("[[outbound]]\nname = \"all\"\ntransports = [{}]", transports.collect::<Vec<_>>().join(", "));
        let (table, sms) = (table(&text), OneSms::to("27821234567"));
        let failing: Vec<&str> = names.get(failing).copied().into_iter().collect();
        let total: u32 = names.iter().zip(weights).filter(|(name, _)| !failing.contains(name)).map(|(_, weight)| weight).sum();
        let mut counts: HashMap<String, u32> = HashMap::new();
        // Evenly over all that chance can be: what holds here holds by chance in the long run.
        for step in 0..1_000_u32 {
            let choice = chosen(&table, &sms, &failing, (f64::from(step) + 0.5) / 1_000.0).unwrap();
            *counts.entry(choice.transport.to_string()).or_default() += 1;
        }
        for (name, weight) in names.iter().zip(weights) {
            let expected = if failing.contains(name) { 0 } else { 1_000 * weight / total };
            let counted = counts.get(*name).copied().unwrap_or_default();
            prop_assert!(counted.abs_diff(expected) <= 2, "{}: {} and not {}", name, counted, expected);
        }
    }
}
