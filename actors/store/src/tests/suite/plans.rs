//! What is asked all day finds its rows by an index, however long the tables have grown.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
};

use diesel::{
    Connection,
    connection::{InstrumentationEvent, SimpleConnection},
};
use vumi_kit::{
    account::{BudgetUnit, CountAccountChanges, FindAccount, FindToken, Micros, QuotaCharge, TokenDigest, new_token},
    audit::ListAudit,
    callback::{
        CallbackFormat, CallbackName, ClaimDeliveries, CreateCallback, DeliveryAttempt, DeliveryThen, ListDisabled,
        RecordDeliveryAttempts,
    },
    export::{ExportFilter, ExportReceived, ExportSms, NumberRange},
    ledger::{
        AcceptSms, AcceptWithinQuota, ClaimReceived, ClaimSms, CountBacklog, FindAccepted, FindNearMisses, FindSms,
        IdempotencyKey, KeepReceived, ListReceived, ListSms, ListUnmatchedReceipts, ListUnowned, OpenOutbox, Order,
        Outcome, OwnReceived, RecordOutcomes, RecordReceipts, ReleaseReceived, ReleaseSms, SettleReceived, SmsOwner,
        SmsTimeline, StatusCursor, Then, Which,
    },
    levers::{CancelSms, Lever, PullLever, SearchSms, SmsFilter},
    rerouting::{RerouteSms, WayOut},
    sent_parts::ListSentParts,
    session::{After, CloseSession, CountAnswers, FindAnswers, FindSession, SaveSession, SessionRecord},
    sms::{InboundPart, InboundSms, Receipt, TransportStatus},
    sms_options::SmsOptions,
    subscriber::{FindMentions, FindPerson, MentionTable, PersonKey, PersonTable, Subscriber},
};

use super::{ALICE, BY_ID, COUNTS, FILL, Fixture, START, dialect, msisdn, opera, plan, sms, uses};
use crate::{
    migrate,
    writer::commands::{RetainStep, Sweep},
};
use dialect::queries::{Read, write_alone};

/// A connection, and the statements that went over it.
struct Watched {
    _fixture: Fixture,
    conn: dialect::Conn,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Watched {
    fn new() -> Option<Self> {
        let fixture = Fixture::new()?;
        migrate(&fixture.settings()).unwrap();
        let mut conn = fixture.connect();
        conn.batch_execute(FILL).unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let into = seen.clone();
        conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::StartQuery { query, .. } = event {
                into.lock().unwrap().push(query.to_string());
            }
        });
        Some(Self { _fixture: fixture, conn, seen })
    }

    /// How the database goes about the statements since the last time: all steps, and those that grow with the tables.
    fn plans(&mut self) -> (String, String) {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        assert!(!seen.is_empty());
        let (mut all, mut slow) = (String::new(), String::new());
        // Locks on names are nobody's table.
        for statement in seen.iter().filter(|statement| !statement.contains("pg_advisory")) {
            let statement = statement.split(" -- binds").next().unwrap();
            let (steps, long) = plan(&mut self.conn, statement);
            writeln!(all, "{}", steps.join("\n")).unwrap();
            long.iter().for_each(|step| writeln!(slow, "{step}: {statement}").unwrap());
        }
        self.seen.lock().unwrap().clear();
        (all, slow)
    }

    /// Nothing is read from end to end, and nothing is sorted that an index holds in order.
    fn all_by_index(&mut self) -> String {
        let (all, slow) = self.plans();
        assert!(slow.is_empty(), "{slow}");
        all
    }
}

macro_rules! read {
    ($watched:ident, $ask:expr) => {{
        $ask.read(&mut $watched.conn, START).unwrap();
        $watched.all_by_index()
    }};
}

macro_rules! write {
    ($watched:ident, $ask:expr) => {{
        write_alone($ask, &mut $watched.conn, START).unwrap();
        $watched.all_by_index()
    }};
}

#[test]
fn the_status_of_sms_is_read_by_index() {
    let Some(mut watched) = Watched::new() else { return };
    let (account, transport) = (ALICE, opera());
    let one = read!(watched, FindSms { account, transport: Some(transport.clone()), id: 1 });
    assert!(one.contains(BY_ID), "{one}");
    let accept = AcceptSms { batch: vec![sms("x")], idempotency: None };
    for unit in [None, Some(BudgetUnit::Segments)] {
        let charge = QuotaCharge { unit, of_each: vec![Micros::whole(1)] };
        write!(watched, AcceptWithinQuota { accept: accept.clone(), account, charge });
    }
    let list = |which| ListSms { account, transport: Some(opera()), which, start: 0, limit: 100 };
    let some = read!(watched, list(Which::Ids(vec![3, 4])));
    assert!(some.contains(BY_ID), "{some}");
    let since = |order| Which::Since { at: START, order, after: Some(StatusCursor { updated_at: START, id: 1 }) };
    let newest = read!(watched, list(since(Order::NewestFirst)));
    assert!(uses(&newest, "sms_changed", "account=? AND transport=? AND updated_at>? AND updated_at<?"), "{newest}");
    let oldest = read!(watched, list(since(Order::OldestFirst)));
    assert!(uses(&oldest, "sms_changed", "account=? AND transport=? AND updated_at>?"), "{oldest}");
    let named = read!(watched, list(Which::Reference("order 7".to_owned())));
    assert!(uses(&named, "sms_reference", "account=? AND reference=?"), "{named}");
    let routed = |which| ListSms { account, transport: None, which, start: 0, limit: 100 };
    for order in [Order::NewestFirst, Order::OldestFirst] {
        let by_route = read!(watched, routed(since(order)));
        assert!(by_route.contains("sms_routed"), "{by_route}");
    }
    let key = IdempotencyKey { key: "k".to_owned(), request_digest: Vec::new(), keep_s: 60 };
    write!(watched, AcceptSms { batch: vec![sms("x")], idempotency: Some(key.clone()) });
    let replayed = read!(watched, FindAccepted { account, key });
    assert!(replayed.contains(BY_ID), "{replayed}");
    read!(watched, SmsTimeline { account, transport: Some(transport), id: 1 });
}

#[test]
fn the_outbox_works_by_index() {
    let Some(mut watched) = Watched::new() else { return };
    let transport = opera();
    write!(watched, AcceptSms { batch: vec![sms("x")], idempotency: None });
    CountBacklog.read(&mut watched.conn, START).unwrap();
    let (backlog, slow) = watched.plans();
    // What is scanned are the rows that the bound lets through.
    assert!(slow.lines().all(|step| step.starts_with("SCAN due: ")), "{slow}");
    assert!(
        uses(&backlog, "sms_waiting", "transport=? AND priority=? AND account=? AND next_attempt_at<?"),
        "{backlog}"
    );
    write!(watched, OpenOutbox { transport: transport.clone(), capacity: 1, window: 1 });
    let claim = write!(watched, ClaimSms { transport: transport.clone(), limit: 10, capacity: 10 });
    assert!(uses(&claim, "sms_waiting", "transport=? AND priority=? AND account=? AND next_attempt_at<?"), "{claim}");
    assert!(uses(&claim, "sms_claimed", "transport=? AND next_attempt_at<?"), "{claim}");
    let then = Then::Done { status: TransportStatus::Queued, provider_id: Some("abc".to_owned()) };
    let outcomes = vec![Outcome { id: 1, at: START, attempts: 0, detail: String::new(), then, parts: Vec::new() }];
    let recorded = write!(watched, RecordOutcomes { transport: transport.clone(), outcomes, begin: vec![2] });
    assert!(uses(&recorded, "receipts_unmatched", "transport=? AND provider_id=?"), "{recorded}");
    write_alone(ReleaseSms { transport: transport.clone(), ids: vec![1] }, &mut watched.conn, START).unwrap();
    let way = WayOut { route: transport.clone(), to: transport.clone(), resend_unknown: true };
    let ask = RerouteSms { from: transport, ways: vec![way], because: String::new() };
    write_alone(ask, &mut watched.conn, START).unwrap();
    let (moved, slow) = watched.plans();
    // The accounts are few, and are looked through for those that may not use every transport.
    assert!(slow.lines().all(|step| step.contains("accounts")), "{slow}");
    assert!(moved.contains("sms_routed_waiting"), "{moved}");
    let swept = write!(watched, Sweep);
    assert!(uses(&swept, "sms_held", "give_up_at<?"), "{swept}");
}

#[test]
fn levers_find_their_sms_by_number() {
    let Some(mut watched) = Watched::new() else { return };
    write!(watched, AcceptSms { batch: vec![sms("x")], idempotency: None });
    let (newer, older) = (Some(START), Some(START.plus(std::time::Duration::from_secs(60))));
    let filter = SmsFilter { account: Some(ALICE), transport: Some(opera()), newer, older, ..SmsFilter::default() };
    let found = read!(watched, SearchSms { filter, after: 0, limit: 10 });
    assert!(found.contains(BY_ID), "{found}");
    for lever in [Lever::Hold, Lever::Release, Lever::Cancel, Lever::Resend] {
        write!(watched, PullLever { lever, ids: vec![1], reason: "a test".into() });
    }
    write!(watched, CancelSms { account: ALICE, transport: Some(opera()), id: 1 });
}

#[test]
fn receipts_are_matched_by_index() {
    let Some(mut watched) = Watched::new() else { return };
    let transport = opera();
    write!(watched, AcceptSms { batch: vec![sms("x")], idempotency: None });
    let by = |provider_id: Option<&str>, sms, to: Option<&str>| Receipt {
        provider_id: provider_id.map(str::to_owned),
        sms,
        to: to.map(msisdn),
        ..Receipt::new(TransportStatus::Delivered, Vec::new())
    };
    let receipts = vec![by(Some("abc"), None, None), by(Some("abc"), None, Some("27831234567"))];
    let known = write!(watched, RecordReceipts { transport: transport.clone(), receipts });
    assert!(uses(&known, "sms_provider_id", "transport=? AND provider_id=?"), "{known}");
    let receipts = vec![by(Some("abc"), Some(1), None), by(None, None, None)];
    let named = write!(watched, RecordReceipts { transport, receipts });
    assert!(uses(&named, "receipts_sms", "sms=?"), "{named}");
    assert!(uses(&named, "receipts_unmatched_digest", "transport=? AND digest=?"), "{named}");
}

#[test]
fn received_sms_and_callbacks_are_found_by_index() {
    let Some(mut watched) = Watched::new() else { return };
    let transport = opera();
    let inbound = vec![InboundSms {
        provider_id: Some("mo".to_owned()),
        ..InboundSms::whole(msisdn("27831234567"), msisdn("38080"), "")
    }];
    let parts = |number| InboundSms { part: InboundPart::new("cc", 2, number), ..inbound[0].clone() };
    let parts = vec![parts(2), parts(1)];
    let joined =
        write!(watched, KeepReceived { owner: SmsOwner::Account(ALICE), transport: transport.clone(), inbound: parts });
    assert!(joined.contains("received_parts_set"), "{joined}");
    let kept = write!(watched, KeepReceived { owner: SmsOwner::Account(ALICE), transport, inbound });
    assert!(kept.contains("received_sms_provider_id"), "{kept}");
    let unowned = read!(watched, ListUnowned { after: 1, limit: 10 });
    assert!(uses(&unowned, "received_sms_unowned", "id>?"), "{unowned}");
    write!(watched, OwnReceived { username: "a".to_owned(), ids: vec![1] });
    write!(watched, ClaimReceived { limit: 10 });
    write!(watched, ReleaseReceived { ids: vec![1] });
    write!(
        watched,
        SettleReceived {
            message_id: "x".to_owned(),
            outcome: String::new(),
            reply: None,
            answer_key: None,
            options: SmsOptions::none()
        }
    );
}

#[test]
fn callbacks_and_their_deliveries_are_found_by_index() {
    let Some(mut watched) = Watched::new() else { return };
    let (name, url, format, secret) = (CallbackName::SmsReceived, "u".to_owned(), CallbackFormat::Form, "s".to_owned());
    write!(watched, CreateCallback { account: ALICE, name, url, format, secret });
    let sms = InboundSms::whole(msisdn("27831234567"), msisdn("38080"), "");
    let told =
        write!(watched, KeepReceived { owner: SmsOwner::Account(ALICE), transport: opera(), inbound: vec![sms] });
    assert!(told.contains("callback_deliveries_due"), "{told}");
    let (after, prompt) = (0, Arc::default());
    write!(watched, ClaimDeliveries { after, limit: 10, most_per_callback: 2, prompt, most_of_others: 2, lease_s: 60 });
    let held_until = START.plus(std::time::Duration::from_secs(60));
    let attempt = |then| DeliveryAttempt { delivery: 1, held_until, at: START, http_status: None, error: None, then };
    let attempts = vec![attempt(DeliveryThen::Again(START)), attempt(DeliveryThen::Parked)];
    write!(watched, RecordDeliveryAttempts { attempts, disable_after: std::time::Duration::ZERO });
    write!(
        watched,
        RecordDeliveryAttempts {
            attempts: vec![attempt(DeliveryThen::Gone)],
            disable_after: std::time::Duration::ZERO
        }
    );
    read!(watched, ListDisabled { limit: 10 });
}

#[test]
fn sessions_answers_and_accounts_are_found_by_index() {
    let Some(mut watched) = Watched::new() else { return };
    let (campaign, person) = (opera(), "p".to_owned());
    read!(watched, FindSession { owner: campaign.clone(), person: person.clone() });
    for after in [None, Some("m".to_owned())] {
        let (owner, person) = (campaign.clone(), person.clone());
        write!(watched, CloseSession { owner, person, after, answers: Vec::new(), sms: Vec::new() });
    }
    for after in [After::Nothing, After::Message("m".to_owned())] {
        let session = SessionRecord {
            owner: campaign.clone(),
            person: person.clone(),
            address: String::new(),
            last_message_id: String::new(),
            state: String::new(),
            expires_at: START,
        };
        write!(watched, SaveSession { session, after, answers: Vec::new(), sms: Vec::new() });
    }
    read!(watched, FindAnswers { campaign: campaign.clone(), person });
    read!(watched, FindAccount { username: "alice".to_owned() });
    read!(watched, FindToken { digest: TokenDigest::of(&new_token()).unwrap() });
    read!(watched, CountAccountChanges);
    let after = Some((START, 1));
    for account in [None, Some("alice".to_owned())] {
        read!(watched, ListAudit { since: Some(START), account, after, limit: 10 });
    }
    // Sorting is of the few different answers to one question.
    CountAnswers { campaign, question: "q".to_owned() }.read(&mut watched.conn, START).unwrap();
    let (counted, _) = watched.plans();
    assert!(uses(&counted, COUNTS, "campaign=? AND question=?"), "{counted}");
    ListUnmatchedReceipts { limit: 10 }.read(&mut watched.conn, START).unwrap();
    watched.seen.lock().unwrap().clear();
    read!(watched, ListSentParts { sms: 1 });
    let (ids, to) = (vec!["1".to_owned()], Some(msisdn("27831234567")));
    read!(watched, FindNearMisses { transport: opera(), ids, to, came_at: START });
}

#[test]
fn exports_and_retention_go_along_an_index() {
    let Some(mut watched) = Watched::new() else { return };
    let (range, filter) =
        (NumberRange { after: 0, up_to: 100 }, ExportFilter { account: Some(ALICE), ..ExportFilter::default() });
    let page = read!(watched, ExportSms { range, filter: filter.clone() });
    assert!(page.contains(BY_ID), "{page}");
    read!(watched, ExportReceived { range, filter });
    write!(watched, AcceptSms { batch: vec![sms("x")], idempotency: None });
    let inbound = vec![InboundSms::whole(msisdn("27831234567"), msisdn("38080"), "")];
    write!(watched, KeepReceived { owner: SmsOwner::Account(ALICE), transport: opera(), inbound });
    // Nothing is left to do with them: so one step looks at everything.
    let at_rest = "UPDATE sms SET next_attempt_at = NULL, status = 2, updated_at = 1, text_removed_at = 1; \
         UPDATE received_sms SET route_at = NULL, outcome = 'x', updated_at = 1, text_removed_at = 1";
    watched.conn.batch_execute(at_rest).unwrap();
    watched.seen.lock().unwrap().clear();
    let bounds = "updated_at>? AND updated_at<?";
    for index in ["sms_changed", "received_sms_changed"] {
        let step = write!(watched, RetainStep);
        let keys = if index == "sms_changed" { "account=? AND transport=?" } else { "transport=? AND account=?" };
        assert!(uses(&step, &format!(" {index}"), &format!("{keys} AND {bounds}")), "{index}: {step}");
        // The next one has only the SMS from people before it.
        watched.conn.batch_execute("DELETE FROM sms").unwrap();
        watched.seen.lock().unwrap().clear();
    }
    let (account, transport, after) = (ALICE, opera(), None);
    let list = read!(watched, ListReceived { account, transport, since: START, after, limit: 100 });
    assert!(uses(&list, "received_sms_changed", "transport=? AND account=? AND updated_at>?"), "{list}");
    watched.seen.lock().unwrap().clear();
    let subscriber = Subscriber::parse("27831234567").unwrap();
    for table in [PersonTable::Sessions, PersonTable::Answers] {
        read!(watched, FindPerson { subscriber: subscriber.clone(), table, after: PersonKey::default() });
    }
    for table in MentionTable::ALL {
        let range = NumberRange { after: 0, up_to: 100 };
        let page = read!(watched, FindMentions { subscriber: subscriber.clone(), table, range });
        assert!(page.contains(BY_ID), "{page}");
    }
}
