//! The suite on PostgreSQL, a schema for each test; and what several processes do to each other.

#[path = "suite/mod.rs"]
mod suite;

use std::{
    io::Write,
    rc::Rc,
    sync::OnceLock,
    time::{Duration, Instant},
};

use diesel::{Connection, PgConnection, connection::SimpleConnection, sql_types::BigInt};
use futures_util::future::join_all;
use tokio::sync::mpsc;
use vumi_kit::{
    clock::Clock,
    export::{ExportFilter, ExportSms, FindLedgerEnd, NumberRange},
    health::{AskHealth, State},
    ids::message_id,
    ledger::{
        AcceptSms, AcceptedWithinQuota, ClaimReceived, FindSms, IdempotencyKey, KeepReceived, OpenOutbox, Outcome,
        RecordOutcomes, RecordReceipts, ReleaseReceived, ReleaseSms, SmsOwner, Then,
    },
    name::Name,
    session::{After, SaveSession, SessionRecord},
    sms::{InboundSms, Receipt, TransportStatus},
    store::{Ask, StoreError},
};

use super::commit_cutter::{CommitCutter, Cut};
use suite::{ALICE, StoreHarness, opera, quotas, sms};

use crate::dialect::postgres as dialect;
use crate::{CopyError, OpenError, StoreSettings, copy, open};

/// Where the tests' PostgreSQL is.
const VARIABLE: &str = "VUMI_TEST_POSTGRES";

/// Holds off all others that write, until COMMIT.
const HOLD: &str = "BEGIN; LOCK TABLE sms IN EXCLUSIVE MODE";

/// Random histories that are played.
const HISTORIES: u32 = 12;

/// Lets neither SMS be kept nor what the writer finds a refusing database by.
const REFUSE: &str = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ \
     BEGIN RAISE EXCEPTION 'the disk is on fire'; END $$; \
     CREATE TRIGGER refuse BEFORE INSERT ON sms FOR EACH ROW EXECUTE FUNCTION refuse(); \
     CREATE TRIGGER refuse BEFORE INSERT ON idempotency_keys FOR EACH ROW EXECUTE FUNCTION refuse()";

/// Lets them be kept again.
const ALLOW: &str = "DROP TRIGGER refuse ON sms; DROP TRIGGER refuse ON idempotency_keys";

/// The server. Without [`VARIABLE`] this machine's own, and where none answers its tests are left out, which is said once.
fn server() -> Option<&'static str> {
    static SERVER: OnceLock<Option<String>> = OnceLock::new();
    SERVER.get_or_init(|| find_server(std::env::var(VARIABLE).ok())).as_deref()
}

fn find_server(named: Option<String>) -> Option<String> {
    let own = "postgres://postgres@127.0.0.1:5432/postgres?connect_timeout=2";
    let url = named.as_deref().unwrap_or(own);
    match PgConnection::establish(url) {
        Ok(_) => Some(url.to_owned()),
        Err(error) => {
            assert!(named.is_none(), "the server that {VARIABLE} names does not answer: {error}");
            // Past the test runner, which would keep it to itself.
            let left_out = format!(
                "left out: the store's tests on PostgreSQL ({error}); {VARIABLE}=postgres://user@host/database names one"
            );
            let _nobody_reads = writeln!(std::io::stderr(), "{left_out}");
            None
        }
    }
}

#[test]
#[should_panic(expected = "VUMI_TEST_POSTGRES names does not answer")]
fn a_server_that_is_named_and_down_fails_the_tests() {
    find_server(Some("postgres://postgres@127.0.0.1:1/postgres?connect_timeout=2".to_owned()));
}

/// A schema of a test's own, dropped at its end.
struct Fixture {
    server: &'static str,
    schema: String,
    /// Whether it is entered as a role of its own, which can be shut out.
    role: bool,
}

impl Fixture {
    fn new() -> Option<Self> {
        let server = server()?;
        let fixture = Self { server, schema: format!("t{}", message_id()), role: false };
        PgConnection::establish(server).unwrap().batch_execute(&format!("CREATE SCHEMA {}", fixture.schema)).unwrap();
        Some(fixture)
    }

    fn settings(&self) -> StoreSettings {
        let joint = if self.server.contains('?') { '&' } else { '?' };
        let login = if self.role { format!("user={0}&password={0}&", self.schema) } else { String::new() };
        let url = format!(
            "{}{joint}{login}application_name={}&options=-csearch_path%3D{}",
            self.server, self.schema, self.schema
        );
        StoreSettings { url, node: Some("local".to_owned().try_into().unwrap()), ..StoreSettings::default() }
    }

    /// Another program's connection.
    fn connect(&self) -> dialect::Conn {
        let settings = self.settings();
        dialect::connect(&settings.url, settings.synchronous).unwrap()
    }
}

impl Fixture {
    fn with_role() -> Option<Self> {
        let mut fixture = Self::new()?;
        fixture.role = true;
        fixture
            .as_owner(&format!("CREATE ROLE {0} LOGIN PASSWORD '{0}'; ALTER SCHEMA {0} OWNER TO {0}", fixture.schema));
        Some(fixture)
    }

    fn as_owner(&self, statements: &str) {
        PgConnection::establish(self.server).unwrap().batch_execute(statements).unwrap();
    }

    /// Ends all connections of the test's store, as a restart of the server would.
    fn cut_all(&self) {
        self.as_owner(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{}'",
            self.schema
        ));
    }
}

/// For as long as it is held, the server does not let the test's store in.
struct Away<'a>(&'a Fixture);

impl<'a> Away<'a> {
    fn begin(fixture: &'a Fixture) -> Self {
        fixture.as_owner(&format!("ALTER ROLE {} NOLOGIN", fixture.schema));
        fixture.cut_all();
        Self(fixture)
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        self.0.as_owner(&format!("ALTER ROLE {} LOGIN", self.0.schema));
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Ok(mut conn) = PgConnection::establish(self.server) {
            let drop = format!("SET lock_timeout = '5s'; DROP SCHEMA {} CASCADE", self.schema);
            let _left_behind = conn.batch_execute(&drop);
            if self.role {
                let _left_behind = conn.batch_execute(&format!("DROP ROLE {}", self.schema));
            }
        }
    }
}

/// How the database goes about a statement: what reads a table from end to end, or sorts it, is in the second list.
/// The tables are empty, and a small one is best read whole: so that is what it is told not to do.
fn plan(conn: &mut dialect::Conn, statement: &str) -> (Vec<String>, Vec<String>) {
    #[derive(diesel::QueryableByName)]
    struct Step {
        #[diesel(sql_type = diesel::sql_types::Text, column_name = "QUERY PLAN")]
        detail: String,
    }
    let parameters = (1..).take_while(|n| statement.contains(&format!("${n}"))).count();
    let nulls = vec!["NULL"; parameters].join(", ");
    let arguments = if parameters == 0 { String::new() } else { format!("({nulls})") };
    let prepare = format!(
        "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off; \
         PREPARE looked_at AS {statement}"
    );
    conn.batch_execute(&prepare).unwrap();
    let explain = diesel::sql_query(format!("EXPLAIN EXECUTE looked_at{arguments}"));
    let steps: Vec<Step> = diesel::RunQueryDsl::load(explain, conn).unwrap();
    conn.batch_execute("DEALLOCATE looked_at").unwrap();
    let steps: Vec<String> = steps.into_iter().map(|step| step.detail).collect();
    // Rows that come in order, but for those that are equal, are sorted a handful at a time.
    let sorts = |step: &&String| step.contains("Sort  (") && !step.contains("Incremental Sort");
    let slow = steps.iter().filter(|step| step.contains("Seq Scan") || sorts(step));
    (steps.clone(), slow.cloned().collect())
}

/// The columns as migrated: table, name, type, whether it may be NULL, its position in the primary key.
const COLUMNS: &str = "SELECT c.relname::text AS table_name, a.attname::text AS name, \
     format_type(a.atttypid, a.atttypmod) AS type, NOT a.attnotnull AS nullable, \
     coalesce(array_position(i.indkey::smallint[], a.attnum) + 1, 0)::integer AS key \
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
     LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary \
     WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped";

/// The index that rows are found by their number with, and that of the counts.
const BY_ID: &str = "_pkey";
const COUNTS: &str = "answer_counts_pkey";

/// Which of two indexes is the better one depends on what the tables hold.
const FILL: &str = "INSERT INTO sms (account, transport, recipient, sender, message, status, attempts, created_at, \
     updated_at, give_up_at, unsure) SELECT n % 5, 'opera', '27831234567', '38080', 'x', 4, 1, n, n, n, 0 \
     FROM generate_series(1, 10000) AS n; \
     INSERT INTO receipts (transport, provider_id, status, fields, received_at, digest) \
     SELECT 'opera', 'p' || n, 4, '', n, 'd' || n FROM generate_series(1, 10000) AS n; \
     INSERT INTO received_sms (account, transport, message_id, sender, recipient, message, provider_id, outcome, created_at, \
     updated_at) SELECT 1 + n % 5, 'opera', 'm' || n, '27831234567', '38080', 'x', 'r' || n, 'x', n, n \
     FROM generate_series(1, 10000) AS n; ANALYZE sms, receipts, received_sms";

/// Whether rows are found by an index with these bounds.
fn uses(plan: &str, index: &str, bounds: &str) -> bool {
    let bounded = |column: &str| plan.lines().any(|step| step.contains("Index Cond") && step.contains(column));
    plan.contains(index) && bounds.split(" AND ").all(|bound| bounded(bound.trim_end_matches(['=', '<', '>', '?'])))
}

/// Of three requests at once the second can't be kept: it alone is refused, and the store is well.
async fn refused_alone(harness: &StoreHarness, bad: AcceptSms) {
    let good = || AcceptSms { batch: vec![sms("good")], idempotency: None };
    let ledger = harness.store.store.ledger.clone();
    let (first, refused, last) = tokio::join!(ledger.ask(good()), ledger.ask(bad.clone()), ledger.ask(good()));
    assert!(matches!(refused, Err(StoreError::Rejected(_))), "{refused:?}");
    assert!(first.is_ok() && last.is_ok());
    let refused = ledger.ask(bad).await;
    assert!(matches!(refused, Err(StoreError::Rejected(_))), "by itself: {refused:?}");
    let health = harness.store.health().send(AskHealth).await.unwrap();
    assert_eq!(health.state, State::Up, "{}", health.detail);
}

#[actix_rt::test]
async fn a_text_that_postgresql_cannot_keep_is_refused_and_harms_no_other() {
    let Some(harness) = StoreHarness::new() else { return };
    refused_alone(&harness, AcceptSms { batch: vec![sms("NUL \0")], idempotency: None }).await;
}

#[actix_rt::test]
async fn a_key_that_is_too_large_for_its_index_is_refused_and_harms_no_other() {
    let Some(harness) = StoreHarness::new() else { return };
    // Too random to be compressed below the index's third of a page.
    let key = (0..300).map(|_| vumi_kit::ids::secret()).collect();
    let idempotency = Some(IdempotencyKey { key, request_digest: vec![1], keep_s: 60 });
    refused_alone(&harness, AcceptSms { batch: vec![sms("x")], idempotency }).await;
}

#[actix_rt::test]
async fn when_the_connection_is_cut_the_work_goes_on_over_another() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.accept(1).await;
    harness.fixture.cut_all();
    assert_eq!(harness.accept(1).await.len(), 1);
}

/// A store whose connections can be lost with a commit.
fn with_cutter() -> Option<(StoreHarness, CommitCutter)> {
    let fixture = Fixture::new()?;
    let cutter = CommitCutter::start(fixture.server);
    let by_cutter = |settings: &mut StoreSettings| settings.url = cutter.url(&settings.url);
    Some((StoreHarness::at(Rc::new(fixture), Clock::held(suite::START), by_cutter), cutter))
}

#[actix_rt::test]
async fn what_became_of_a_commit_that_was_cut_is_asked_and_answered() {
    for cut in [Cut::BeforeTheServer, Cut::AfterTheServer] {
        let Some((mut harness, cutter)) = with_cutter() else { return };
        harness.open_outbox(10).await;
        cutter.cut(cut);
        let kept = harness.accept(2).await;
        assert_eq!(harness.sms_rows("claimed_by IS NOT NULL"), 2, "{cut:?}: kept once");
        assert_eq!(harness.handed_ids(), [kept[0].id, kept[1].id], "{cut:?}");
    }
}

#[actix_rt::test]
async fn where_nothing_tells_what_became_of_a_commit_that_is_said() {
    let Some((harness, cutter)) = with_cutter() else { return };
    harness.open_outbox(10).await;
    let ids = harness.accept(1).await.iter().map(|sms| sms.id).collect();
    cutter.cut(Cut::AfterTheServer);
    let released = harness.store.store.ledger.ask(ReleaseSms { transport: opera(), ids }).await;
    assert!(matches!(released, Err(StoreError::Unconfirmed(_))), "{released:?}");
    harness.accept(1).await;
}

#[actix_rt::test]
async fn a_received_sms_that_another_process_routes_is_not_released() {
    let Some(first) = StoreHarness::new() else { return };
    let second = beside(&first);
    let inbound = vec![InboundSms {
        from: sms("").to.into(),
        to: sms("").from,
        message: String::new(),
        charset: None,
        provider_id: None,
        at: None,
        part: None,
    }];
    let kept = first.ledger(KeepReceived { owner: SmsOwner::Account(ALICE), transport: opera(), inbound }).await;
    first.clock.advance(Duration::from_secs(30));
    assert_eq!(second.ledger(ClaimReceived { limit: 10 }).await.len(), 1);
    first.ledger(ReleaseReceived { ids: vec![kept[0].id] }).await;
    assert_eq!(first.ledger(ClaimReceived { limit: 10 }).await, []);
}

/// Another process on the same database.
fn beside(harness: &StoreHarness) -> StoreHarness {
    StoreHarness::at(harness.fixture.clone(), harness.clock.clone(), |settings| {
        settings.node = Name::parse("other").ok()
    })
}

/// Two transactions wait for each other; the store's is the one that PostgreSQL ends.
async fn deadlock(harness: StoreHarness) {
    harness.open_outbox(0).await;
    harness.accept(2).await;
    let ids = harness.claimed_ids(2).await;
    let schema = &harness.fixture.schema;
    let touch = |id: i64| format!("UPDATE {schema}.sms SET status = status WHERE id = {id}");
    let mut other = PgConnection::establish(harness.fixture.server).unwrap();
    // This one looks for a deadlock later than the store's connection does, a second after it began to wait.
    other.batch_execute(&format!("SET deadlock_timeout = '30s'; BEGIN; {}", touch(ids[1]))).unwrap();
    let (ledger, release) = (harness.store.store.ledger.clone(), ReleaseSms { transport: opera(), ids: ids.clone() });
    let released = actix_rt::spawn(async move { ledger.ask(release).await });
    let mut watch = PgConnection::establish(harness.fixture.server).unwrap();
    let waits = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{schema}' AND wait_event_type = 'Lock'"
    );
    while diesel::RunQueryDsl::get_result::<i64>(diesel::dsl::sql::<BigInt>(&waits), &mut watch).unwrap() == 0 {
        assert!(!released.is_finished(), "it did not wait");
        tokio::task::yield_now().await;
    }
    other.batch_execute(&format!("{}; COMMIT", touch(ids[0]))).unwrap();
    released.await.unwrap().unwrap();
    assert_eq!(harness.sms_rows("claimed_by IS NOT NULL"), 0);
}

#[actix_rt::test]
async fn a_transaction_that_deadlocks_with_another_program_is_done_all_the_same() {
    let Some(harness) = StoreHarness::new() else { return };
    deadlock(harness).await;
}

/// A database that speaks German to its role; none where the server has no such locale.
fn german() -> Option<Fixture> {
    let database = Fixture::with_role()?;
    let german = format!("ALTER ROLE {} SET lc_messages = 'de_DE.UTF-8'", database.schema);
    let mut owner = PgConnection::establish(database.server).unwrap();
    if let Err(error) = owner.batch_execute(&german) {
        // Past the test runner, which would keep it to itself.
        let left_out = format!("left out: the store on a PostgreSQL that speaks German ({error})");
        let _nobody_reads = writeln!(std::io::stderr(), "{left_out}");
        return None;
    }
    let refused = database.connect().batch_execute("SELECT 1 / 0").unwrap_err().to_string();
    assert_eq!(refused, "Division durch Null");
    Some(database)
}

#[actix_rt::test]
async fn no_error_is_known_by_its_english_words() {
    let Some(database) = german() else { return };
    let first = StoreHarness::at(Rc::new(database), Clock::held(suite::START), |_| {});
    let again = open(first.fixture.settings(), first.clock.clone(), mpsc::channel(1).0);
    assert!(matches!(again, Err(OpenError::NodeTaken(_))), "{again:?}");
    let accept = |text: &str| AcceptSms { batch: vec![sms(text)], idempotency: None };
    let ledger = first.store.store.ledger.clone();
    let (refused, kept) = tokio::join!(ledger.ask(accept("NUL \0")), ledger.ask(accept("b")));
    assert!(matches!(refused, Err(StoreError::Rejected(_))), "{refused:?}");
    kept.unwrap();
    deadlock(first).await;
}

#[actix_rt::test]
async fn two_processes_share_the_work_and_never_the_same_sms() {
    let Some(first) = StoreHarness::new() else { return };
    let second = beside(&first);
    first.open_outbox(0).await;
    second.open_outbox(0).await;
    first.accept(40).await;
    let (mut one, mut two) = (Vec::new(), Vec::new());
    while one.len() + two.len() < 40 {
        let (a, b) = tokio::join!(first.claimed_ids(3), second.claimed_ids(3));
        assert!(!a.is_empty() || !b.is_empty(), "some are left");
        one.extend(a);
        two.extend(b);
    }
    let mut all: Vec<_> = one.iter().chain(&two).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 40, "{one:?} {two:?}");
    assert!(!one.is_empty() && !two.is_empty(), "both had work");
}

#[actix_rt::test]
async fn two_processes_of_one_name_are_refused() {
    let Some(first) = StoreHarness::new() else { return };
    let again = open(first.fixture.settings(), first.clock.clone(), mpsc::channel(1).0);
    let refused = again.unwrap_err();
    assert!(matches!(&refused, OpenError::NodeTaken(node) if node == "local"), "{refused}");
}

#[actix_rt::test]
async fn a_receipt_and_the_answer_it_belongs_to_meet_whichever_process_has_which() {
    let Some(first) = StoreHarness::new() else { return };
    let second = beside(&first);
    first.open_outbox(0).await;
    let kept = first.accept(30).await;
    first.claimed_ids(30).await;
    for sms in &kept {
        let id = format!("p{}", sms.id);
        let then = Then::Done { status: TransportStatus::Queued, provider_id: Some(id.clone()) };
        let outcomes = vec![Outcome { id: sms.id, at: first.now(), attempts: 0, detail: String::new(), then, parts: Vec::new() }];
        let receipt = Receipt { provider_id: Some(id), ..Receipt::new(TransportStatus::Delivered, Vec::new()) };
        let told = RecordReceipts { transport: opera(), receipts: vec![receipt] };
        tokio::join!(
            first.ledger(RecordOutcomes { transport: opera(), outcomes, begin: Vec::new() }),
            second.ledger(told)
        );
        assert_eq!(first.find(sms.id).await.status, TransportStatus::Delivered);
    }
}

#[actix_rt::test]
async fn a_transaction_with_thousands_of_ids_takes_few_of_the_servers_locks() {
    #[derive(diesel::QueryableByName)]
    struct Held {
        #[diesel(sql_type = BigInt)]
        held: i64,
    }
    let Some(fixture) = Fixture::new() else { return };
    let mut conn = fixture.connect();
    let ask = "SELECT count(*) AS held FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()";
    for (names, expected) in [(1, 2), (400, 401), (20_000, 1)] {
        conn.batch_execute("BEGIN").unwrap();
        let names = (0..names).map(|n| format!("opera {n}")).collect::<Vec<_>>();
        dialect::alone(&mut conn, || names).unwrap();
        let held: Held = diesel::RunQueryDsl::get_result(diesel::sql_query(ask), &mut conn).unwrap();
        conn.batch_execute("ROLLBACK").unwrap();
        assert_eq!(held.held, expected);
    }
}

#[actix_rt::test]
async fn who_has_thousands_of_ids_waits_for_who_has_one() {
    let Some(fixture) = Fixture::new() else { return };
    let (mut one, mut all) = (fixture.connect(), fixture.connect());
    one.batch_execute("BEGIN").unwrap();
    all.batch_execute("SET lock_timeout = '100ms'; BEGIN").unwrap();
    dialect::alone(&mut one, || vec!["opera 1".to_owned()]).unwrap();
    let thousands = || (0..20_000).map(|n| format!("opera {n}")).collect();
    assert!(dialect::alone(&mut all, thousands).is_err(), "it does not wait");
    all.batch_execute("ROLLBACK; BEGIN").unwrap();
    one.batch_execute("COMMIT").unwrap();
    dialect::alone(&mut all, thousands).unwrap();
}

#[actix_rt::test]
async fn of_two_processes_that_take_a_session_further_at_once_one_does() {
    let Some(first) = StoreHarness::new() else { return };
    let second = beside(&first);
    let save = |after: &After, id: String| SaveSession {
        session: SessionRecord {
            owner: Name::parse("quiz").unwrap(),
            person: "p".to_owned(),
            address: String::new(),
            last_message_id: id,
            state: String::new(),
            expires_at: first.now().plus(Duration::from_secs(60)),
        },
        after: after.clone(),
        answers: Vec::new(),
    };
    let mut after = After::Nothing;
    for turn in 0..20 {
        let (one, two) = (format!("one {turn}"), format!("two {turn}"));
        let applied =
            tokio::join!(first.sessions(save(&after, one.clone())), second.sessions(save(&after, two.clone())));
        assert!(applied.0 != applied.1, "turn {turn}: {applied:?}");
        after = After::Message(if applied.0 { one } else { two });
    }
}

#[actix_rt::test]
async fn everything_moves_up_from_sqlite_and_goes_on_there() {
    let Some(fixture) = Fixture::new() else { return };
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("vumi.db").display());
    let from = StoreSettings { url, ..StoreSettings::default() };
    let clock = Clock::held(suite::START);
    let odd = "tab\t back\\slash \\N \\t line\nreturn\r quote' \u{0} äé漢字😀 ";
    let before = open(from.clone(), clock.clone(), mpsc::channel(4).0).unwrap();
    let ledger = &before.store.ledger;
    ledger.ask(OpenOutbox { transport: opera(), capacity: 1, window: 1 }).await.unwrap();
    let batch = vec![sms(odd), sms(""), sms("plain")];
    ledger.ask(AcceptSms { batch, idempotency: None }).await.unwrap();
    assert!(matches!(copy(&from, &fixture.settings(), |_| {}), Err(CopyError::Open(OpenError::Locked(_)))));
    before.close().await;

    let mut told = Vec::new();
    let copied = copy(&from, &fixture.settings(), |progress| told.push((progress.table, progress.rows))).unwrap();
    assert_eq!((copied, told.contains(&("sms", 3)), told.len()), (3, true, 19));
    let again = copy(&from, &fixture.settings(), |_| {}).unwrap_err();
    assert!(matches!(again, CopyError::NotEmpty { table: "sms", .. }), "{again}");

    let after = StoreHarness::at(Rc::new(fixture), clock, |_| {});
    let moved = after.find(1).await;
    assert_eq!((moved.message, moved.to), (odd.replace('\0', "\u{FFFD}"), sms("").to));
    assert_eq!(after.find(2).await.message, "");
    assert_eq!(after.accept(1).await[0].id, 4, "numbers go on");
    after.open_outbox(0).await;
    assert_eq!(after.claimed_ids(10).await.len(), 4, "what the old router held is due");
}

#[actix_rt::test]
async fn while_the_database_is_away_all_are_refused_soon_and_then_it_goes_on_by_itself() {
    let Some(fixture) = Fixture::with_role() else { return };
    let harness = StoreHarness::at(Rc::new(fixture), Clock::held(suite::START), |_| {});
    let kept = harness.accept(1).await[0].id;
    let database = Away::begin(&harness.fixture);
    let refused = harness.store.store.ledger.ask(AcceptSms { batch: vec![sms("x")], idempotency: None }).await;
    assert!(matches!(&refused, Err(StoreError::Unavailable(why)) if !why.contains('\n')), "{refused:?}");
    let health = harness.store.health().send(AskHealth).await.unwrap();
    assert_eq!(health.state, State::Away, "{}", health.detail);
    let find = || FindSms { account: ALICE, transport: Some(opera()), id: kept };
    let started = Instant::now();
    for _ in 0..20 {
        assert!(harness.store.store.ledger.ask(find()).await.is_err());
    }
    assert!(started.elapsed() < Duration::from_secs(15), "each waited for itself");
    drop(database);
    let deadline = Instant::now() + Duration::from_secs(20);
    while harness.store.store.ledger.ask(AcceptSms { batch: vec![sms("x")], idempotency: None }).await.is_err() {
        assert!(Instant::now() < deadline, "it does not come back");
    }
    while harness.store.store.ledger.ask(find()).await.is_err() {
        assert!(Instant::now() < deadline, "reads do not come back");
    }
    assert_eq!(harness.store.health().send(AskHealth).await.unwrap().state, State::Up);
}

#[actix_rt::test]
async fn what_another_process_has_taken_over_is_not_given_away_by_the_one_that_was_late() {
    let Some(late) = StoreHarness::new() else { return };
    let other = beside(&late);
    late.open_outbox(5).await;
    other.open_outbox(0).await;
    let id = late.accept(1).await[0].id;
    late.clock.advance(Duration::from_secs(121));
    assert_eq!(other.claimed_ids(10).await, [id]);
    let then = Then::Again { at: late.now(), unknown_outcome: true };
    let outcomes = vec![Outcome { id, at: late.now(), attempts: 0, detail: "503".to_owned(), then, parts: Vec::new() }];
    late.ledger(RecordOutcomes { transport: opera(), outcomes, begin: Vec::new() }).await;
    assert!(late.claimed_ids(10).await.is_empty(), "the other one has it in hand");
}

#[actix_rt::test]
async fn a_key_that_two_processes_are_given_at_once_is_kept_once() {
    let Some(first) = StoreHarness::new() else { return };
    let second = beside(&first);
    let ask = |n: usize| {
        let key = IdempotencyKey { key: n.to_string(), request_digest: vec![1], keep_s: 60 };
        AcceptSms { batch: vec![sms(&n.to_string())], idempotency: Some(key) }
    };
    for round in 0..20 {
        let there = join_all((0..30).map(|n| first.store.store.ledger.ask_waiting(ask(round * 30 + n))));
        let back = join_all((0..30).rev().map(|n| second.store.store.ledger.ask_waiting(ask(round * 30 + n))));
        let (there, back) = tokio::join!(there, back);
        there.into_iter().chain(back).for_each(|answer| drop(answer.unwrap()));
    }
    assert_eq!(first.sms_rows("true"), 600, "each key once");
}

#[actix_rt::test]
async fn two_processes_never_take_more_of_a_budget_than_there_is() {
    let Some(first) = quotas::harness(vec![quotas::budget(20)]).await else { return };
    let second = beside(&first);
    first.open_outbox(0).await;
    let calls = |harness: &StoreHarness| {
        let ledger = harness.store.store.ledger.clone();
        join_all((0..20).map(move |_| {
            let ledger = ledger.clone();
            async move { ledger.ask_waiting(quotas::batch(1, None, quotas::segments(1))).await.unwrap() }
        }))
    };
    let (ours, theirs) = tokio::join!(calls(&first), calls(&second));
    let kept = ours.iter().chain(&theirs).filter(|answer| matches!(answer, AcceptedWithinQuota::Accepted(_))).count();
    assert_eq!((kept, first.sms_rows("true")), (10, 10));
    assert_eq!(quotas::state(&first).await, (10, 0, 20));
}

#[actix_rt::test]
async fn an_end_of_the_ledger_has_nothing_behind_it_that_comes_later() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.accept(1).await;
    // Has taken its number, and is committed after one with a higher number.
    let mut slow = harness.fixture.connect();
    slow.batch_execute(
        "BEGIN; INSERT INTO sms (account, transport, recipient, sender, message, status, attempts, created_at, updated_at, \
         give_up_at, unsure) VALUES (1, 'opera', '27831234567', '38080', 'late', 0, 0, 0, 0, 0, 0)",
    )
    .unwrap();
    harness.accept(1).await;
    let mut end = Box::pin(harness.ledger(FindLedgerEnd));
    assert!(tokio::time::timeout(Duration::from_millis(500), &mut end).await.is_err(), "it does not wait");
    slow.batch_execute("COMMIT").unwrap();
    let range = NumberRange { after: 0, up_to: end.await.sms };
    let page = harness.ledger(ExportSms { range, filter: ExportFilter::default() }).await;
    let texts: Vec<&str> = page.rows.iter().map(|sms| sms.message.as_str()).collect();
    assert_eq!(texts, ["message 0", "late", "message 0"]);
}
