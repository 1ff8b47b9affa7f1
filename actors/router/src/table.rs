//! The routing table: which campaign serves an address.
//!
//! The most specific route wins: an exact code before a prefix, a longer prefix before a shorter one, a prefix before a
//! pattern, patterns in the order written. A code also serves what is dialled beyond it (`*120*663*79*1*2#` where
//! `*120*663*79#` is a route), after a prefix that is as long and before a shorter one. A short code with a keyword before a keyword alone, that before a short code
//! alone; the default last.

use std::collections::HashMap;

use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use vumi_kit::{
    address::{Address, UssdCode},
    conversation::{ConversationCode, PostedRoutes},
    keyword,
    name::Name,
};

/// The longest code that may have a route, in bytes.
const LONGEST_CODE: usize = 100;

/// One of `[[routes]]` in the settings: exactly one way to match, and the campaign it leads to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// A USSD code, whole: `*120*663*79#`.
    pub ussd: Option<UssdCode>,
    /// The beginning of USSD codes: `*120*663*`.
    #[schemars(example = "*120*663*")]
    pub ussd_prefix: Option<String>,
    /// A regular expression for USSD codes, matched against the whole code.
    #[schemars(example = r"\*120\*\d+#")]
    pub ussd_pattern: Option<String>,
    /// The number that people write SMS to.
    #[schemars(example = &"38080")]
    pub short_code: Option<Address>,
    /// The first word of an SMS, in any case and with any punctuation around it; alone, or together with `short_code`.
    pub keyword: Option<String>,
    /// `true`: everything that no other route takes.
    #[serde(default)]
    pub default: bool,
    /// The campaign.
    pub campaign: Name,
    /// The account that SMS of this route belong to; none: the transport's. Not for USSD, which belongs to nobody.
    #[schemars(example = &"clinic")]
    pub account: Option<String>,
}

/// What is wrong with a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteProblem {
    /// Its position in the list, counted from 0.
    pub route: usize,
    /// What is wrong and what was expected.
    pub what: String,
}

/// The routes by address.
#[derive(Clone, Debug, Default)]
pub struct RoutingTable {
    codes: HashMap<String, Name>,
    /// Longest first.
    prefixes: Vec<(String, Name)>,
    patterns: Vec<(Regex, Name)>,
    /// Short code (or any) and normalized keyword (or any).
    sms: HashMap<(Option<String>, Option<String>), SmsRoute>,
    default: Option<SmsRoute>,
    /// The codes of conversations, and the component that runs them.
    posted: Option<(PostedRoutes, Name)>,
    /// The accounts of the transports that name one.
    accounts: HashMap<Name, String>,
}

/// Where SMS of a route go, and whose they are.
#[derive(Clone, Debug)]
struct SmsRoute {
    campaign: Name,
    account: Option<String>,
}

/// What takes an SMS: a route, or a conversation of this account.
enum SmsMatch<'t> {
    Route(&'t SmsRoute),
    Posted(String),
}

impl RoutingTable {
    /// Builds the table, or returns every problem.
    pub fn new(routes: &[Route]) -> Result<Self, Vec<RouteProblem>> {
        let mut table = Self::default();
        let mut problems = Vec::new();
        for (index, route) in routes.iter().enumerate() {
            if let Err(what) = table.add(route) {
                problems.push(RouteProblem { route: index, what });
            }
        }
        table.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        if problems.is_empty() { Ok(table) } else { Err(problems) }
    }

    fn add(&mut self, route: &Route) -> Result<(), String> {
        let campaign = route.campaign.clone();
        if route.account.is_some() && route.short_code.is_none() && route.keyword.is_none() && !route.default {
            return Err("`account` is for SMS: with `short_code`, `keyword` or `default = true`".to_owned());
        }
        let sms = SmsRoute { campaign: campaign.clone(), account: route.account.clone() };
        match route {
            Route {
                ussd: Some(code),
                ussd_prefix: None,
                ussd_pattern: None,
                short_code: None,
                keyword: None,
                default: false,
                ..
            } => taken(self.codes.insert(code.to_string(), campaign), || format!("the code {code}")),
            Route {
                ussd: None,
                ussd_prefix: Some(prefix),
                ussd_pattern: None,
                short_code: None,
                keyword: None,
                default: false,
                ..
            } => self.add_prefix(prefix, campaign),
            Route {
                ussd: None,
                ussd_prefix: None,
                ussd_pattern: Some(pattern),
                short_code: None,
                keyword: None,
                default: false,
                ..
            } => self.add_pattern(pattern, campaign),
            Route {
                ussd: None, ussd_prefix: None, ussd_pattern: None, short_code, keyword, default: false, ..
            } if short_code.is_some() || keyword.is_some() => {
                self.add_sms(short_code.as_ref(), keyword.as_deref(), sms)
            }
            Route {
                ussd: None,
                ussd_prefix: None,
                ussd_pattern: None,
                short_code: None,
                keyword: None,
                default: true,
                ..
            } => taken(self.default.replace(sms).map(|before| before.campaign), || "the default".to_owned()),
            _ => {
                Err("say one of `ussd`, `ussd_prefix`, `ussd_pattern`, `short_code` and/or `keyword`, `default = true`"
                    .to_owned())
            }
        }
    }

    fn add_prefix(&mut self, prefix: &str, campaign: Name) -> Result<(), String> {
        let good = prefix.starts_with('*') && prefix.bytes().all(|b| b.is_ascii_digit() || b == b'*');
        if !good {
            return Err(format!("`{prefix}` is not the beginning of a USSD code, such as *120*663*"));
        }
        let before = self.prefixes.iter().find(|(known, _)| known == prefix).map(|(_, campaign)| campaign.clone());
        self.prefixes.push((prefix.to_owned(), campaign));
        taken(before, || format!("the prefix {prefix}"))
    }

    fn add_pattern(&mut self, pattern: &str, campaign: Name) -> Result<(), String> {
        let whole = format!("^(?:{pattern})$");
        let regex = Regex::new(&whole).map_err(|wrong| format!("`{pattern}` is not a regular expression: {wrong}"))?;
        let before = self.patterns.iter().find(|(known, _)| known.as_str() == whole).map(|(_, name)| name.clone());
        self.patterns.push((regex, campaign));
        taken(before, || format!("the pattern {pattern}"))
    }

    fn add_sms(&mut self, code: Option<&Address>, keyword: Option<&str>, route: SmsRoute) -> Result<(), String> {
        let keyword = keyword.map(str::trim);
        if keyword.is_some_and(|word| word.is_empty() || word.contains(char::is_whitespace)) {
            return Err("a keyword is one word".to_owned());
        }
        let key = (code.map(ToString::to_string), keyword.map(keyword::normalized));
        taken(self.sms.insert(key, route).map(|before| before.campaign), || match (code, keyword) {
            (Some(code), Some(word)) => format!("the keyword {word} on {code}"),
            (Some(code), None) => format!("the short code {code}"),
            (None, word) => format!("the keyword {}", word.unwrap_or_default()),
        })
    }

    /// The campaign that serves a USSD code.
    #[must_use]
    pub fn ussd(&self, code: &str) -> Option<&Name> {
        self.ussd_route(code).map(|(campaign, _)| campaign)
    }

    /// The campaign that serves a USSD code, and what is dialled beyond the code of its route: `1*2` of
    /// `*120*663*79*1*2#` where `*120*663*79#` is the route; empty for any other way to match.
    pub(crate) fn ussd_route<'d>(&self, dialled: &'d str) -> Option<(&Name, &'d str)> {
        let prefix = || self.prefixes.iter().find(|(prefix, _)| dialled.starts_with(prefix.as_str()));
        let pattern = || self.patterns.iter().find(|(pattern, _)| pattern.is_match(dialled)).map(|(_, name)| name);
        let beyond = |length, name| {
            let rest = dialled.get(length..).unwrap_or_default();
            (name, rest.strip_suffix('#').unwrap_or(rest))
        };
        let whole = |name| (name, "");
        self.codes
            .get(dialled)
            .map(whole)
            .or_else(|| {
                self.posted_ussd(dialled)
                    .map(|(length, name)| length.map_or_else(|| whole(name), |length| beyond(length, name)))
            })
            .or_else(|| match (prefix(), self.code_beyond(dialled)) {
                (Some((prefix, _)), Some((length, name))) if length > prefix.len() => Some(beyond(length, name)),
                (Some((_, name)), _) => Some(whole(name)),
                (None, Some((length, name))) => Some(pattern().map_or_else(|| beyond(length, name), whole)),
                (None, None) => pattern().map(whole),
            })
            .or(self.default.as_ref().map(|default| whole(&default.campaign)))
    }

    /// The conversations, where one has this code, or a longer one than any route beyond which the person has dialled; then
    /// with its length.
    fn posted_ussd(&self, dialled: &str) -> Option<(Option<usize>, &Name)> {
        let (posted, conversations) = self.posted.as_ref()?;
        if posted.has_ussd(dialled) {
            return Some((None, conversations));
        }
        let of_routes = self.code_beyond(dialled).map_or(0, |(length, _)| length);
        let mut stars = dialled.rmatch_indices('*').map(|(at, _)| at).filter(|at| *at <= LONGEST_CODE);
        let length = stars.find(|at| dialled.get(..*at).is_some_and(|code| posted.has_ussd(&format!("{code}#"))))? + 1;
        (length > of_routes).then_some((Some(length), conversations))
    }

    /// The same table, with the codes of conversations and the component that runs them.
    #[must_use]
    pub fn with_posted(mut self, posted: PostedRoutes, conversations: Name) -> Self {
        self.posted = Some((posted, conversations));
        self
    }

    /// The campaign that a route leads exactly this code to: no conversation can have it then.
    #[must_use]
    pub fn has_route(&self, code: &ConversationCode) -> Option<&Name> {
        let sms = |key| self.sms.get(&key).map(|route: &SmsRoute| &route.campaign);
        match code {
            ConversationCode::Ussd(code) => self.codes.get(code.as_str()),
            ConversationCode::ShortCode(number) => sms((Some(number.clone()), None)),
            ConversationCode::Keyword(word) => sms((None, Some(keyword::normalized(word)))),
        }
    }

    /// The longest code of a route beyond which a person has dialled, up to its `*`, with its length.
    fn code_beyond(&self, dialled: &str) -> Option<(usize, &Name)> {
        // A peer's message may hold anything; the code of a route has 100 characters at the most.
        let mut stars = dialled.rmatch_indices('*').map(|(at, _)| at).filter(|at| *at <= LONGEST_CODE);
        stars.find_map(|at| {
            let code = format!("{}#", dialled.get(..at)?);
            Some((at + 1, self.codes.get(&code)?))
        })
    }

    /// The campaign that serves an SMS to `short_code`.
    #[must_use]
    pub fn sms(&self, short_code: &str, text: &str) -> Option<&Name> {
        match self.sms_route(short_code, text)? {
            SmsMatch::Route(route) => Some(&route.campaign),
            SmsMatch::Posted(_) => self.posted.as_ref().map(|(_, conversations)| conversations),
        }
    }

    /// The account that an SMS to `short_code` belongs to, unless a client brought it itself: its route's, else its
    /// transport's.
    #[must_use]
    pub fn account(&self, transport: &Name, short_code: &str, text: &str) -> Option<String> {
        let of_route = match self.sms_route(short_code, text) {
            Some(SmsMatch::Posted(account)) => Some(account),
            Some(SmsMatch::Route(route)) => route.account.clone(),
            None => None,
        };
        of_route.or_else(|| self.accounts.get(transport).cloned())
    }

    /// The same table, with the accounts of transports.
    #[must_use]
    pub fn with_accounts(mut self, accounts: impl IntoIterator<Item = (Name, String)>) -> Self {
        self.accounts = accounts.into_iter().collect();
        self
    }

    /// Whether every SMS over a transport belongs to an account.
    #[must_use]
    pub fn names_all_accounts(&self, transport: &Name) -> bool {
        let routes = self.sms.values().chain(&self.default);
        let all_routes = self.default.is_some() && routes.into_iter().all(|route| route.account.is_some());
        all_routes || self.accounts.contains_key(transport)
    }

    /// Whether a route names the keyword of an SMS to `short_code`.
    pub(crate) fn has_keyword(&self, short_code: &str, text: &str) -> bool {
        self.keyword_route(short_code, text).is_some()
    }

    fn keyword_route(&self, short_code: &str, text: &str) -> Option<&SmsRoute> {
        keyword::candidates(text).find_map(|word| {
            let both = (Some(short_code.to_owned()), Some(word));
            self.sms.get(&both).or_else(|| self.sms.get(&(None, both.1)))
        })
    }

    /// A keyword of a route before one of a conversation, that before a short code of a route, that before one of a
    /// conversation; the default last.
    fn sms_route(&self, short_code: &str, text: &str) -> Option<SmsMatch<'_>> {
        let code = Some(short_code.to_owned());
        let posted = self.posted.as_ref().map(|(posted, _)| posted);
        let posted_account = |code: &str| posted.and_then(|posted| posted.sms_account(code)).map(SmsMatch::Posted);
        let by_word = self.keyword_route(short_code, text).map(SmsMatch::Route);
        by_word
            .or_else(|| keyword::candidates(text).find_map(|word| posted_account(&word)))
            .or_else(|| self.sms.get(&(code, None)).map(SmsMatch::Route))
            .or_else(|| posted_account(short_code))
            .or_else(|| self.default.as_ref().map(SmsMatch::Route))
    }

    /// Whether a route leads SMS to any campaign; conversations aside.
    pub(crate) fn serves_sms(&self) -> bool {
        self.default.is_some() || !self.sms.is_empty()
    }

    /// The component that runs conversations.
    pub(crate) fn conversations(&self) -> Option<&Name> {
        self.posted.as_ref().map(|(_, conversations)| conversations)
    }

    /// Every campaign that a route leads to, with the route's position in the list.
    pub fn campaigns(routes: &[Route]) -> impl Iterator<Item = (usize, &Name)> {
        routes.iter().enumerate().map(|(index, route)| (index, &route.campaign))
    }
}

fn taken(before: Option<Name>, what: impl FnOnce() -> String) -> Result<(), String> {
    match before {
        None => Ok(()),
        Some(campaign) => {
            Err(format!("{} leads to `{campaign}` already: only one of the two can be meant, remove the other", what()))
        }
    }
}

#[cfg(test)]
mod tests {
    use vumi_kit::conversation::{PostedRoutes, PostedTable};

    use super::{Route, RoutingTable};

    #[derive(serde::Deserialize)]
    struct Routes {
        routes: Vec<Route>,
    }

    fn routes(text: &str) -> Vec<Route> {
        toml::from_str::<Routes>(text).unwrap().routes
    }

    const ALL: &str = r#"
        [[routes]]
        ussd = "*120*663*79#"
        campaign = "quiz"
        [[routes]]
        ussd_prefix = "*120*663*"
        campaign = "menu"
        [[routes]]
        ussd_prefix = "*120*663*8"
        campaign = "eight"
        [[routes]]
        ussd_pattern = '\*130\*\d+#'
        campaign = "any130"
        [[routes]]
        short_code = "38080"
        campaign = "clinic"
        [[routes]]
        short_code = "38080"
        keyword = "quiz"
        campaign = "quiz"
        [[routes]]
        keyword = "STOP"
        campaign = "optout"
        [[routes]]
        default = true
        campaign = "echo"
    "#;

    #[test]
    fn the_most_exact_route_wins() {
        let table = RoutingTable::new(&routes(ALL)).unwrap();
        for (code, campaign) in [
            ("*120*663*79#", "quiz"),
            ("*120*663*79*1*2#", "quiz"),
            ("*120*663*79*#", "quiz"),
            ("*120*663*791#", "menu"),
            ("*120*663*7*9#", "menu"),
            ("*120*663*7#", "menu"),
            ("*120*663*81#", "eight"),
            ("*130*5#", "any130"),
            ("*130*x#", "echo"),
            ("*999#", "echo"),
        ] {
            assert_eq!(table.ussd(code).unwrap().as_str(), campaign, "{code}");
        }
        for (code, text, campaign) in [
            ("38080", "Quiz me", "quiz"),
            ("38080", "hello", "clinic"),
            ("38080", "stop", "optout"),
            ("40000", "stop now", "optout"),
            ("40000", "", "echo"),
        ] {
            assert_eq!(table.sms(code, text).unwrap().as_str(), campaign, "{code} {text}");
        }
    }

    #[test]
    fn a_code_serves_what_is_dialled_beyond_it_unless_a_route_says_more() {
        let table = RoutingTable::new(&routes(
            r#"
            [[routes]]
            ussd = "*120*663*79#"
            campaign = "quiz"
            [[routes]]
            ussd = "*120*663*79*1#"
            campaign = "first"
            [[routes]]
            ussd_prefix = "*120*663*79*5*"
            campaign = "five"
            [[routes]]
            ussd_pattern = '\*120\*663\*79\*6\d#'
            campaign = "sixties"
            [[routes]]
            ussd = "*130#"
            campaign = "short"
        "#,
        ))
        .unwrap();
        for (code, campaign) in [
            ("*120*663*79*2#", Some("quiz")),
            ("*120*663*79*1*2#", Some("first")),
            ("*120*663*79*5*1#", Some("five")),
            ("*120*663*79*61#", Some("sixties")),
            ("*120*663*79*7#", Some("quiz")),
            ("*130*1#", Some("short")),
            ("*1301#", None),
            ("*120*663*7#", None),
        ] {
            assert_eq!(table.ussd(code).map(|name| name.as_str()), campaign, "{code}");
        }
    }

    #[test]
    fn what_is_dialled_beyond_a_route_is_told_and_nothing_where_a_route_says_more() {
        let table = RoutingTable::new(&routes(ALL)).unwrap();
        for (dialled, campaign, beyond) in [
            ("*120*663*79#", "quiz", ""),
            ("*120*663*79*1*2#", "quiz", "1*2"),
            ("*120*663*79*#", "quiz", ""),
            ("*120*663*79**2#", "quiz", "*2"),
            ("*120*663*81*4#", "eight", ""),
            ("*130*5#", "any130", ""),
            ("*999*1#", "echo", ""),
        ] {
            let found = table.ussd_route(dialled).map(|(name, beyond)| (name.as_str(), beyond));
            assert_eq!(found, Some((campaign, beyond)), "{dialled}");
        }
    }

    #[test]
    fn without_a_default_an_unknown_address_has_no_campaign() {
        let table = RoutingTable::new(&[]).unwrap();
        assert_eq!(table.ussd("*120#"), None);
        assert_eq!(table.sms("38080", "hi"), None);
    }

    #[test]
    fn the_code_of_a_conversation_leads_to_it_unless_a_route_has_it() {
        let (posted, mut codes) = (PostedRoutes::default(), PostedTable::default());
        let conversations = vumi_kit::name::Name::parse("conversations").unwrap();
        let table = RoutingTable::new(&routes(ALL)).unwrap().with_posted(posted.clone(), conversations);
        assert_eq!(table.ussd("*120*663*82#").unwrap().as_str(), "eight");
        for code in ["*120*663*79#", "*120*663*79*5#", "*120*663*82#", "WATER", "STOP", "38080", "40001"] {
            codes.insert(&code.parse().unwrap(), "school");
        }
        posted.set(codes);
        for (dialled, campaign, beyond) in [
            ("*120*663*79#", "quiz", ""),
            ("*120*663*79*4#", "quiz", "4"),
            ("*120*663*79*5*1#", "conversations", "1"),
            ("*120*663*82#", "conversations", ""),
            ("*120*663*82*1*2#", "conversations", "1*2"),
            ("*120*663*83#", "eight", ""),
        ] {
            let found = table.ussd_route(dialled).map(|(name, beyond)| (name.as_str(), beyond));
            assert_eq!(found, Some((campaign, beyond)), "{dialled}");
        }
        let opera = vumi_kit::name::Name::parse("opera").unwrap();
        for (to, text, campaign, account) in [
            ("38080", "water, please", "conversations", Some("school")),
            ("38080", "stop", "optout", None),
            ("38080", "hello", "clinic", None),
            ("40001", "hello", "conversations", Some("school")),
            ("40002", "hello", "echo", None),
        ] {
            assert_eq!(table.sms(to, text).unwrap().as_str(), campaign, "{to} {text}");
            assert_eq!(table.account(&opera, to, text).as_deref(), account, "{to} {text}");
        }
        let has = |code: &str| table.has_route(&code.parse().unwrap()).map(|name| name.as_str());
        assert_eq!(
            [has("*120*663*79#"), has("stop"), has("38080"), has("WATER")],
            [Some("quiz"), Some("optout"), Some("clinic"), None]
        );
    }

    #[test]
    fn an_sms_belongs_to_the_account_of_its_route_else_of_its_transport() {
        let text = r#"
            [[routes]]
            short_code = "38080"
            keyword = "quiz"
            campaign = "quiz"
            account = "school"
            [[routes]]
            default = true
            campaign = "echo"
        "#;
        let name = |name: &str| vumi_kit::name::Name::parse(name).unwrap();
        let table = RoutingTable::new(&routes(text)).unwrap();
        let table = table.with_accounts([(name("opera"), "clinic".to_owned())]);
        for (transport, code, text, account) in [
            ("opera", "38080", "quiz", Some("school")),
            ("opera", "38080", "hello", Some("clinic")),
            ("clickatell", "38080", "Quiz!", Some("school")),
            ("clickatell", "38080", "hello", None),
        ] {
            assert_eq!(table.account(&name(transport), code, text).as_deref(), account, "{transport} {code} {text}");
        }
        assert_eq!(
            [table.names_all_accounts(&name("opera")), table.names_all_accounts(&name("clickatell"))],
            [true, false]
        );
        let all = text.replace("campaign = \"echo\"", "campaign = \"echo\"\naccount = \"clinic\"");
        assert!(RoutingTable::new(&routes(&all)).unwrap().names_all_accounts(&name("clickatell")));
        assert!(!RoutingTable::new(&[]).unwrap().names_all_accounts(&name("clickatell")));
        let ussd = "[[routes]]\nussd = \"*120#\"\ncampaign = \"quiz\"\naccount = \"clinic\"";
        let refused = RoutingTable::new(&routes(ussd)).unwrap_err();
        assert!(refused[0].what.contains("is for SMS"), "{}", refused[0].what);
    }

    #[test]
    fn two_routes_that_cannot_both_be_meant_are_an_error_that_names_both() {
        let twice = format!("{ALL}\n[[routes]]\nussd = \"*120*663*79\"\ncampaign = \"echo\"");
        let problems = RoutingTable::new(&routes(&twice)).unwrap_err();
        assert_eq!(problems[0].route, 8);
        assert!(problems[0].what.contains("`quiz` already"), "{}", problems[0].what);
        for again in [
            "keyword = \"stop\"",
            "short_code = \"+38080\"",
            "default = true",
            "ussd_prefix = \"*120*663*\"",
            "ussd_pattern = '\\*130\\*\\d+#'",
        ] {
            let text = format!("{ALL}\n[[routes]]\n{again}\ncampaign = \"other\"");
            assert_eq!(RoutingTable::new(&routes(&text)).unwrap_err().len(), 1, "{again}");
        }
    }

    #[test]
    fn a_route_that_says_nothing_or_too_much_is_an_error() {
        for bad in [
            "",
            "ussd = \"*1#\"\nkeyword = \"a\"",
            "ussd_pattern = '('",
            "ussd_prefix = \"120\"",
            "keyword = \"two words\"",
        ] {
            let text = format!("[[routes]]\n{bad}\ncampaign = \"other\"");
            assert!(RoutingTable::new(&routes(&text)).is_err(), "{bad}");
        }
    }
}
