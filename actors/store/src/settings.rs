//! `[store]`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vumi_kit::{
    consent::ConsentSettings, kind::Problem, name::Name, settings_schema::HumanDuration, sms_fields::SmsTimes,
};

/// Where everything is kept, and how: `[store]`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSettings {
    /// The database: `sqlite://` and a path, relative to the working directory or absolute, or
    /// `postgres://user:password@host:port/database`, which several processes may share.
    pub url: String,
    /// What an answered request survives.
    pub synchronous: Synchronous,
    /// Requests that may wait for the writer, of each of three sorts: sessions and single SMS; outboxes; batches. Further
    /// calls over HTTP are refused, components wait.
    pub queue: usize,
    /// How long a call over HTTP may wait for the writer before it is refused with 503 and `Retry-After`. Once the oldest has
    /// waited for half of it, new ones are refused at once.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub max_wait: Duration,
    /// Requests that may wait in the mailbox of each of the store's actors.
    pub mailbox: usize,
    /// Rows that share a transaction at the most; a single larger batch has one of its own. A USSD screen waits for one
    /// such transaction at the most.
    pub most_per_commit: usize,
    /// Bytes that stay free where an SQLite file is: with less, no SMS is accepted, and what is under way can still be
    /// recorded.
    #[schemars(extend("unit" = "bytes"))]
    pub min_free_space: u64,
    /// How long a transport may hold an SMS before it counts as lost and is given out again: three times and more what a
    /// call to its provider may take.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub lease: Duration,
    /// How long an SMS is tried before it ends as expired. Default 24h.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub give_up_after: Duration,
    /// How far ahead the `send_at` of an SMS may lie. Default 30d.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub schedule_within: Duration,
    /// How long a receipt that matches no SMS is kept. Default 7d.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub keep_unmatched_receipts: Duration,
    /// How long the parts of an SMS from a person wait for those that are missing; then it is handed on as far as it is
    /// there. Default 10m.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub join_parts_within: Duration,
    /// How long an entry of the audit trail is kept (`vumi audit list`). Default 365d.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub keep_audit: Duration,
    /// For how long after its last state the text of an SMS is kept, of one to a person as of one from a person; also what its
    /// receipts and callbacks said of it. A day or more. If left out, as long as the row.
    #[serde(with = "humantime_serde::option")]
    #[schemars(with = "Option<HumanDuration>", example = &"30d")]
    pub keep_texts: Option<Duration>,
    /// For how long after its last state an SMS is kept at all, with its attempts, receipts, events and callbacks. A day or
    /// more, and no less than `keep_texts`. If left out, for ever. Its number is never given to another one.
    #[serde(with = "humantime_serde::option")]
    #[schemars(with = "Option<HumanDuration>", example = &"400d")]
    pub keep_rows: Option<Duration>,
    /// What becomes of a text that is not kept any longer. Default `remove`.
    pub old_texts: OldTexts,
    /// How many deliveries may wait for one callback, and how many may be parked. What happens while so many wait is parked
    /// at once: `vumi callbacks list` shows it, `vumi callbacks replay` posts it. Once more are parked, the oldest of them
    /// are deleted, and counted in the list. Default 10000.
    pub waiting_per_callback: usize,
    /// Connections that read, beside the one that writes and one for log-ins and sessions.
    pub readers: u32,
    /// How long a query may take before it is given up: while it runs, SQLite's log of changes can only grow.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub read_limit: Duration,
    /// The name of this process in claims; processes that share a database need one each. One that starts again under its
    /// name goes on at once with what it held; without a name that waits for the lease's end. Default on SQLite
    /// `local`, on PostgreSQL a new one at each start.
    #[schemars(example = &"machine1-transports")]
    pub node: Option<Name>,
    /// `[consent]`, a table of its own: its words are read in the transaction that keeps an SMS from a person.
    #[serde(skip)]
    pub consent: ConsentSettings,
}

/// What an answered request survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Synchronous {
    /// A power cut: every commit is on the disk before its answer.
    Full,
    /// A crash of the process, not of the machine.
    Normal,
}

/// What becomes of a text that is not kept any longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OldTexts {
    /// It is empty from then on.
    #[default]
    Remove,
    /// Each letter becomes an `x` and each digit a `0`: its length can still be seen.
    Mask,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            url: "sqlite://vumi.db".to_owned(),
            synchronous: Synchronous::Full,
            queue: 10_000,
            max_wait: Duration::from_millis(1500),
            mailbox: 1024,
            most_per_commit: 512,
            min_free_space: 64 << 20,
            lease: Duration::from_secs(120),
            give_up_after: Duration::from_secs(24 * 60 * 60),
            schedule_within: Duration::from_secs(30 * 24 * 60 * 60),
            keep_unmatched_receipts: Duration::from_secs(7 * 24 * 60 * 60),
            join_parts_within: Duration::from_secs(10 * 60),
            keep_audit: Duration::from_secs(365 * 24 * 60 * 60),
            keep_texts: None,
            keep_rows: None,
            old_texts: OldTexts::Remove,
            waiting_per_callback: 10_000,
            readers: 2,
            read_limit: Duration::from_secs(5),
            node: None,
            consent: ConsentSettings::default(),
        }
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Connected {
    /// The one that writes.
    Writer(Synchronous),
    /// One of those that read.
    Reader {
        /// How long a query may take.
        limit: Duration,
    },
}

/// Which database a URL means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database<'a> {
    /// The path of SQLite's file.
    Sqlite(&'a str),
    /// PostgreSQL's whole URL.
    Postgres(&'a str),
}

impl StoreSettings {
    /// How long SMS may wait.
    #[must_use]
    pub const fn sms_times(&self) -> SmsTimes {
        SmsTimes::new(self.give_up_after, self.schedule_within)
    }

    /// What is wrong with them, without touching the database; keys as below `[store]`.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut expect = |good: bool, key: &str, what: &str| {
            if !good {
                problems.push(Problem::new(key, what));
            }
        };
        expect(self.database().is_some(), "url", URL_EXPECTED);
        let authority =
            self.url.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?']).next().unwrap_or(rest));
        expect(authority.matches('@').count() <= 1, "url", "expected a `@` in a user or password to be written %40");
        expect((1..=1_000_000).contains(&self.queue), "queue", "expected 1 to 1000000 requests");
        expect((1..=100_000).contains(&self.mailbox), "mailbox", "expected 1 to 100000 requests");
        let (least, most) = (Duration::from_millis(100), Duration::from_secs(60));
        expect((least..=most).contains(&self.max_wait), "max_wait", "expected 100ms to 60s");
        expect((1..=100_000).contains(&self.most_per_commit), "most_per_commit", "expected 1 to 100000 rows");
        expect((1..=64).contains(&self.readers), "readers", "expected 1 to 64 connections");
        expect((least..=most * 10).contains(&self.read_limit), "read_limit", "expected 100ms to 10m");
        expect(self.lease >= Duration::from_secs(1), "lease", "expected a second or more, such as `2m`");
        expect(
            (1..=1_000_000).contains(&self.waiting_per_callback),
            "waiting_per_callback",
            "expected 1 to 1000000 deliveries",
        );
        let day = Duration::from_secs(24 * 60 * 60);
        expect(self.keep_audit >= day, "keep_audit", "expected a day or more, such as `365d`");
        expect(!self.give_up_after.is_zero(), "give_up_after", "expected a time above zero, such as `24h`");
        let most = Duration::from_secs(366 * 24 * 3600);
        let ahead = (Duration::from_secs(1)..=most).contains(&self.schedule_within);
        expect(ahead, "schedule_within", "expected 1s to 366d, such as `30d`");
        let kept = self.keep_unmatched_receipts;
        // A receipt may come before the provider's answer to the submission does.
        expect(kept >= Duration::from_secs(60), "keep_unmatched_receipts", "expected a minute or more, such as `7d`");
        expect(!self.join_parts_within.is_zero(), "join_parts_within", "expected a time above zero, such as `10m`");
        // A repeated call and a repeated SMS are known by their texts for so long.
        let day = Duration::from_secs(24 * 60 * 60);
        let (texts, rows) = (self.keep_texts, self.keep_rows);
        expect(texts.is_none_or(|kept| kept >= day), "keep_texts", "expected a day or more, such as `30d`");
        expect(rows.is_none_or(|kept| kept >= day), "keep_rows", "expected a day or more, such as `400d`");
        let in_order = texts.zip(rows).is_none_or(|(texts, rows)| texts <= rows);
        expect(in_order, "keep_rows", "expected no less than `keep_texts`: a text goes with its row");
        problems
    }

    /// Whether other processes may use the same database.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.database(), Some(Database::Postgres(_)))
    }

    /// The database; none: the URL is of nothing we know.
    pub(crate) fn database(&self) -> Option<Database<'_>> {
        if let Some(path) = self.url.strip_prefix("sqlite://") {
            // SQLite reads these as databases in memory or with options of their own.
            let is_file = !path.is_empty() && !path.starts_with(':') && !path.contains('?');
            return is_file.then_some(Database::Sqlite(path));
        }
        let rest = ["postgres://", "postgresql://"].iter().find_map(|scheme| self.url.strip_prefix(scheme))?;
        (!rest.is_empty()).then_some(Database::Postgres(&self.url))
    }

    /// The URL without its password.
    #[must_use]
    pub fn shown_url(&self) -> String {
        let Some((scheme, rest)) = self.url.split_once("://") else { return self.url.clone() };
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        // A password that holds a `@`, which should have been `%40`, is one all the same.
        let shown = match rest.rsplit_once('@').map(|(user, host)| (user.split_once(':'), host)) {
            Some((Some((name, _)), host)) => format!("{scheme}://{name}:***@{host}"),
            _ => format!("{scheme}://{rest}"),
        };
        let masked = |pair: &str| match pair.split_once('=') {
            Some((key, _)) if key.ends_with("password") => format!("{key}=***"),
            _ => pair.to_owned(),
        };
        let query = query.map(|query| query.split('&').map(masked).collect::<Vec<_>>().join("&"));
        query.map_or_else(|| shown.clone(), |query| format!("{shown}?{query}"))
    }

    /// What this process signs its claims with.
    pub(crate) fn signature(&self) -> String {
        match (&self.node, self.database()) {
            (Some(node), _) => node.to_string(),
            (None, Some(Database::Postgres(_))) => format!("{}-{}", std::process::id(), vumi_kit::ids::message_id()),
            (None, _) => "local".to_owned(),
        }
    }
}

/// What a database's URL looks like.
pub(crate) const URL_EXPECTED: &str = "expected `sqlite://` and the path of a file, such as `sqlite://vumi.db` or \
     `sqlite:///var/lib/vumi/vumi.db`, or `postgres://user:password@host/database`";

#[cfg(test)]
mod tests {
    use super::StoreSettings;

    #[test]
    fn the_defaults_pass_their_own_check() {
        assert_eq!(StoreSettings::default().check(), []);
    }

    #[test]
    fn nonsense_is_named_by_its_key() {
        let nonsense = r#"{"url": "mysql://x", "queue": 0, "mailbox": 0, "most_per_commit": 0, "readers": 0,
            "max_wait": "1ms", "read_limit": "1ms", "lease": "0s", "waiting_per_callback": 0, "give_up_after": "0s",
            "schedule_within": "0s", "keep_unmatched_receipts": "0s", "join_parts_within": "0s", "keep_audit": "0s",
            "keep_texts": "23h", "keep_rows": "1h"}"#;
        let settings: StoreSettings = serde_json::from_str(nonsense).unwrap();
        let keys: Vec<_> = settings.check().into_iter().map(|problem| problem.key).collect();
        let numbers = ["url", "queue", "mailbox", "max_wait", "most_per_commit", "readers", "read_limit"];
        let times = [
            "lease",
            "waiting_per_callback",
            "keep_audit",
            "give_up_after",
            "schedule_within",
            "keep_unmatched_receipts",
            "join_parts_within",
        ];
        let kept = ["keep_texts", "keep_rows", "keep_rows"];
        assert_eq!(keys, [&numbers[..], &times, &kept].concat());
    }

    #[test]
    fn unknown_keys_and_impossible_nodes_are_refused() {
        assert!(serde_json::from_str::<StoreSettings>(r#"{"ur": "sqlite://x"}"#).is_err());
        assert!(serde_json::from_str::<StoreSettings>(r#"{"node": "a/b"}"#).is_err());
    }

    #[test]
    fn a_password_is_not_shown() {
        let of = |url: &str| StoreSettings { url: url.to_owned(), ..StoreSettings::default() }.shown_url();
        assert_eq!(of("postgres://vumi:secret@db:5432/vumi"), "postgres://vumi:***@db:5432/vumi");
        assert_eq!(of("postgres://vumi:se@cret@db/vumi"), "postgres://vumi:***@db/vumi");
        assert_eq!(of("postgres://db/vumi?password=secret&user=x"), "postgres://db/vumi?password=***&user=x");
        assert_eq!(of("postgres://vumi@db/vumi"), "postgres://vumi@db/vumi");
        assert_eq!(of("sqlite://vumi.db"), "sqlite://vumi.db");
    }

    #[test]
    fn processes_on_one_postgresql_sign_with_names_of_their_own() {
        let settings = StoreSettings { url: "postgres://db/vumi".to_owned(), ..StoreSettings::default() };
        assert_ne!(settings.signature(), settings.signature());
        assert_eq!(StoreSettings::default().signature(), "local");
    }

    #[test]
    fn a_database_in_memory_is_refused_since_it_keeps_nothing() {
        for url in ["sqlite://:memory:", "sqlite::memory:", "sqlite://", "sqlite://a?mode=memory", "vumi.db"] {
            assert_eq!(StoreSettings { url: url.to_owned(), ..StoreSettings::default() }.database(), None, "{url}");
        }
    }
}
