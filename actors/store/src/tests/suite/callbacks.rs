//! Callbacks and their deliveries.

use std::{sync::Arc, time::Duration};

use vumi_kit::{
    callback::{
        Callback, CallbackDisabled, CallbackFormat, CallbackName, ChangeCallback, ChangedCallback, ClaimDeliveries,
        ClaimedDeliveries, CreateCallback, CreatedCallback, DeleteCallback, Delivery, DeliveryAttempt, DeliveryThen,
        FindCallback, ListCallbacks, ListDisabled, ListParked, MAX_PER_NAME, ParkedSelection, RecordDeliveryAttempts,
        ReplayParked, ReplayedDeliveries,
    },
    ledger::{KeepReceived, SmsOwner},
    sms::InboundSms,
};

use super::{ALICE, BOB, StoreHarness, msisdn, opera};

fn creation(account: i64, url: &str) -> CreateCallback {
    let (name, format, secret) = (CallbackName::SmsReceived, CallbackFormat::Form, "whsec_x".to_owned());
    CreateCallback { account, name, url: url.to_owned(), format, secret }
}

async fn create(harness: &StoreHarness, account: i64, url: &str) -> Callback {
    match harness.callbacks(creation(account, url)).await {
        CreatedCallback::New(callback) => callback,
        other => panic!("{other:?}"),
    }
}

/// A change of nothing.
fn change(account: i64, id: i64) -> ChangeCallback {
    ChangeCallback { account, id, name: None, url: None, format: None }
}

#[track_caller]
fn changed(answer: ChangedCallback) -> Callback {
    match answer {
        ChangedCallback::Changed(callback) => callback,
        other => panic!("{other:?}"),
    }
}

/// An event that the account's callbacks are told of.
async fn event(harness: &StoreHarness, account: i64) {
    let sms = InboundSms::whole(msisdn("27831234567"), msisdn("38080"), "x");
    harness.ledger(KeepReceived { owner: SmsOwner::Account(account), transport: opera(), inbound: vec![sms] }).await;
}

async fn claim(harness: &StoreHarness, limit: usize, most_per_callback: usize) -> Vec<Delivery> {
    // All of them answer promptly.
    let prompt = Arc::new((0..100).collect());
    let claim = ClaimDeliveries { after: 0, limit, most_per_callback, prompt, most_of_others: 0, lease_s: 60 };
    harness.callbacks(claim).await.deliveries
}

/// How long nothing may be delivered before a callback is disabled.
const DISABLE_AFTER: Duration = Duration::from_secs(3 * 24 * 3600);

async fn record(harness: &StoreHarness, delivery: &Delivery, http_status: Option<u16>, then: DeliveryThen) {
    let error = http_status.is_none().then(|| "connection refused".to_owned());
    let (delivery, held_until) = (delivery.id, delivery.lease_until);
    let attempts = vec![DeliveryAttempt { delivery, held_until, at: harness.now(), http_status, error, then }];
    harness.callbacks(RecordDeliveryAttempts { attempts, disable_after: DISABLE_AFTER }).await;
}

async fn replay(harness: &StoreHarness, ids: Vec<i64>) -> ReplayedDeliveries {
    harness.callbacks(ReplayParked { which: ParkedSelection::These(ids) }).await
}

/// Replays everything that is parked, step by step, and adds up what the steps say.
async fn replay_all(harness: &StoreHarness) -> ReplayedDeliveries {
    let mut all = ReplayedDeliveries::default();
    let mut cursor = None;
    loop {
        let step = harness.callbacks(ReplayParked { which: ParkedSelection::All(cursor) }).await;
        assert!(step.due + step.of_disabled <= ReplayParked::MOST);
        all.due += step.due;
        all.of_disabled += step.of_disabled;
        cursor = step.next;
        if cursor.is_none() {
            return all;
        }
    }
}

#[actix_rt::test]
async fn callbacks_are_created_listed_found_changed_and_deleted() {
    let Some(harness) = StoreHarness::new() else { return };
    let (first, second) = (create(&harness, ALICE, "http://a/").await, create(&harness, ALICE, "http://b/").await);
    assert_eq!(harness.callbacks(ListCallbacks { account: ALICE }).await, [first.clone(), second.clone()]);
    assert_eq!(harness.callbacks(FindCallback { account: ALICE, id: first.id }).await, Some(first.clone()));
    harness.advance(1);
    let url = Some("http://c/".to_owned());
    let changed = changed(harness.callbacks(ChangeCallback { url, ..change(ALICE, first.id) }).await);
    assert_eq!(changed, Callback { url: "http://c/".to_owned(), updated_at: harness.now(), ..first.clone() });
    assert!(harness.callbacks(DeleteCallback { account: ALICE, id: second.id }).await);
    assert!(!harness.callbacks(DeleteCallback { account: ALICE, id: second.id }).await);
    assert_eq!(harness.callbacks(ListCallbacks { account: ALICE }).await, [changed]);
}

#[actix_rt::test]
async fn another_accounts_callback_is_not_there() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = create(&harness, ALICE, "http://a/").await.id;
    assert_eq!(harness.callbacks(FindCallback { account: BOB, id }).await, None);
    assert_eq!(harness.callbacks(change(BOB, id)).await, ChangedCallback::NotFound);
    assert!(!harness.callbacks(DeleteCallback { account: BOB, id }).await);
    assert_eq!(harness.callbacks(ListCallbacks { account: BOB }).await, []);
}

#[actix_rt::test]
async fn one_callbacks_long_queue_leaves_room_for_the_others() {
    let Some(harness) = StoreHarness::new() else { return };
    let dead = create(&harness, ALICE, "http://dead/").await.id;
    for _ in 0..10 {
        event(&harness, ALICE).await;
    }
    let alive = create(&harness, BOB, "http://alive/").await.id;
    event(&harness, BOB).await;
    let of = |claimed: Vec<Delivery>| claimed.into_iter().map(|delivery| delivery.callback).collect::<Vec<_>>();
    assert_eq!(of(claim(&harness, 10, 3).await), [dead, dead, dead, alive]);
    event(&harness, BOB).await;
    assert_eq!(of(claim(&harness, 10, 3).await), [alive], "the dead one's three are still out");
    harness.advance(60);
    assert_eq!(of(claim(&harness, 2, 3).await), [dead, dead], "oldest first, as many as asked for");
}

#[actix_rt::test]
async fn callbacks_that_hang_leave_room_for_those_that_answer() {
    let Some(harness) = StoreHarness::new() else { return };
    let mut hanging = Vec::new();
    for n in 0..5 {
        hanging.push(create(&harness, ALICE, &format!("http://hangs/{n}")).await.id);
    }
    event(&harness, ALICE).await;
    event(&harness, ALICE).await;
    let prompt = create(&harness, BOB, "http://answers/").await.id;
    for _ in 0..4 {
        event(&harness, BOB).await;
    }
    let claim = async || {
        let prompt = Arc::new([prompt].into());
        let ask = ClaimDeliveries { after: 0, limit: 6, most_per_callback: 4, prompt, most_of_others: 2, lease_s: 60 };
        harness.callbacks(ask).await.deliveries
    };
    let of = |claimed: &[Delivery]| claimed.iter().map(|delivery| delivery.callback).collect::<Vec<_>>();
    let first = claim().await;
    // One of each, two in all, and four for the one that answers.
    assert_eq!(of(&first), [hanging[0], hanging[1], prompt, prompt, prompt, prompt]);
    assert!(claim().await.is_empty());
    record(&harness, &first[0], None, DeliveryThen::Parked).await;
    assert_eq!(of(&claim().await), [hanging[2]], "the place goes to whose turn it is");
}

#[actix_rt::test]
async fn what_was_claimed_again_since_is_neither_parked_nor_put_off_by_its_first_holder() {
    let Some(harness) = StoreHarness::new() else { return };
    create(&harness, ALICE, "http://a/").await;
    event(&harness, ALICE).await;
    let first = claim(&harness, 10, 10).await.remove(0);
    harness.advance(60);
    let second = claim(&harness, 10, 10).await.remove(0);
    record(&harness, &first, None, DeliveryThen::Parked).await;
    assert_eq!(harness.callbacks(ListParked { limit: 10 }).await.total, 0, "it is with its second holder");
    assert!(claim(&harness, 10, 10).await.is_empty());
    record(&harness, &second, None, DeliveryThen::Again(harness.now())).await;
    let third = claim(&harness, 10, 10).await.remove(0);
    assert_eq!(third.attempts, 2, "both attempts count");
    record(&harness, &second, Some(200), DeliveryThen::Done).await;
    assert!(claim(&harness, 10, 10).await.is_empty(), "it arrived, whoever brought it");
}

#[actix_rt::test]
async fn a_failed_post_is_due_again_then_and_a_success_never() {
    let Some(harness) = StoreHarness::new() else { return };
    create(&harness, ALICE, "http://a/").await;
    event(&harness, ALICE).await;
    let first = claim(&harness, 10, 10).await.remove(0);
    let at = harness.now().plus(std::time::Duration::from_secs(5));
    record(&harness, &first, Some(500), DeliveryThen::Again(at)).await;
    assert!(claim(&harness, 10, 10).await.is_empty());
    harness.advance(5);
    let second = claim(&harness, 10, 10).await.remove(0);
    assert_eq!((second.id, second.attempts, second.created_at), (first.id, 1, first.created_at));
    record(&harness, &second, Some(200), DeliveryThen::Done).await;
    harness.advance(1000);
    assert!(claim(&harness, 10, 10).await.is_empty());
}

#[actix_rt::test]
async fn a_changed_url_holds_for_what_is_still_to_be_posted() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = create(&harness, ALICE, "http://old/").await.id;
    event(&harness, ALICE).await;
    let url = Some("http://new/".to_owned());
    harness.callbacks(ChangeCallback { url, ..change(ALICE, id) }).await;
    assert_eq!(claim(&harness, 10, 10).await[0].url, "http://new/");
}

#[actix_rt::test]
async fn a_deleted_callback_takes_along_what_was_to_be_posted() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = create(&harness, ALICE, "http://a/").await.id;
    event(&harness, ALICE).await;
    event(&harness, ALICE).await;
    let out = claim(&harness, 1, 10).await.remove(0);
    harness.callbacks(DeleteCallback { account: ALICE, id }).await;
    assert!(claim(&harness, 10, 10).await.is_empty());
    // An attempt that was under way meanwhile does no harm.
    record(&harness, &out, Some(200), DeliveryThen::Done).await;
}

#[actix_rt::test]
async fn what_was_given_up_is_parked_seen_and_replayed() {
    let Some(harness) = StoreHarness::new() else { return };
    create(&harness, ALICE, "http://a/").await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        event(&harness, ALICE).await;
        let claimed = claim(&harness, 1, 10).await.remove(0);
        let id = claimed.id;
        record(&harness, &claimed, None, DeliveryThen::Parked).await;
        harness.advance(1);
        ids.push(id);
    }
    assert!(claim(&harness, 10, 10).await.is_empty());
    let parked = harness.callbacks(ListParked { limit: 2 }).await;
    assert_eq!(parked.total, 3);
    let parked = parked.listed;
    assert_eq!(parked.iter().map(|one| one.id).collect::<Vec<_>>(), [ids[2], ids[1]], "newest first");
    assert_eq!((parked[0].error.as_str(), parked[0].attempts), ("connection refused", 1));
    assert_eq!(parked[0].url, "http://a/");

    harness.advance(24 * 3600);
    let all_due = |due| ReplayedDeliveries { due, of_disabled: 0, next: None };
    assert_eq!(replay(&harness, vec![ids[1], 999]).await, all_due(1));
    let replayed = claim(&harness, 10, 10).await.remove(0);
    assert_eq!((replayed.id, replayed.created_at), (ids[1], harness.now()), "its day begins anew");
    assert_eq!(replay_all(&harness).await, all_due(2));
    assert_eq!(claim(&harness, 10, 10).await.len(), 2);
    assert_eq!(harness.callbacks(ListParked { limit: 10 }).await.total, 0);
}

#[actix_rt::test]
async fn what_a_dead_process_was_posting_is_due_when_its_successor_starts() {
    let Some(harness) = StoreHarness::new() else { return };
    create(&harness, ALICE, "http://a/").await;
    event(&harness, ALICE).await;
    let id = claim(&harness, 10, 10).await[0].id;
    let harness = harness.restarted().await;
    assert_eq!(claim(&harness, 10, 10).await[0].id, id);
}

#[actix_rt::test]
async fn an_account_has_ten_callbacks_of_a_name_each_url_once() {
    let Some(harness) = StoreHarness::new() else { return };
    let mut made = Vec::new();
    for n in 0..MAX_PER_NAME {
        made.push(create(&harness, ALICE, &format!("http://client/{n}")).await);
    }
    assert_eq!(harness.callbacks(creation(ALICE, "http://client/10")).await, CreatedCallback::Full);
    let again = harness.callbacks(creation(ALICE, "http://client/3")).await;
    assert_eq!(again, CreatedCallback::Existing(made[3].clone()), "also of a full account");
    assert_eq!(harness.callbacks(ListCallbacks { account: ALICE }).await, made);

    // Another name and another account have bounds of their own.
    let receipts = CreateCallback { name: CallbackName::SmsReceipt, ..creation(ALICE, "http://client/0") };
    let CreatedCallback::New(receipts) = harness.callbacks(receipts).await else { panic!("not new") };
    create(&harness, BOB, "http://client/0").await;

    // A change is held to them, too.
    let name = Some(CallbackName::SmsReceived);
    let taken = harness.callbacks(ChangeCallback { name, ..change(ALICE, receipts.id) }).await;
    assert_eq!(taken, ChangedCallback::Taken(made[0].id));
    let url = Some("http://client/10".to_owned());
    let full = harness.callbacks(ChangeCallback { name, url, ..change(ALICE, receipts.id) }).await;
    assert_eq!(full, ChangedCallback::Full);
    let (name, url) = (Some(CallbackName::SmsReceived), Some("http://client/11".to_owned()));
    changed(harness.callbacks(ChangeCallback { name, url, ..change(ALICE, made[9].id) }).await);
    let url = Some("http://client/0".to_owned());
    let taken = harness.callbacks(ChangeCallback { url, ..change(ALICE, made[1].id) }).await;
    assert_eq!(taken, ChangedCallback::Taken(made[0].id));
    harness.callbacks(DeleteCallback { account: ALICE, id: made[0].id }).await;
    create(&harness, ALICE, "http://client/12").await;
}

#[actix_rt::test]
async fn each_callback_gets_the_event_in_its_format() {
    let Some(harness) = StoreHarness::new() else { return };
    let form = create(&harness, ALICE, "http://form/").await;
    let json = CreateCallback { format: CallbackFormat::Json, ..creation(ALICE, "http://json/") };
    let CreatedCallback::New(json) = harness.callbacks(json).await else { panic!("not new") };
    event(&harness, ALICE).await;
    // What waits keeps the format that it was written in.
    changed(harness.callbacks(ChangeCallback { format: Some(CallbackFormat::Json), ..change(ALICE, form.id) }).await);
    let claimed = claim(&harness, 10, 10).await;
    let of = |id| claimed.iter().find(|delivery| delivery.callback == id).unwrap();
    assert_eq!(of(form.id).format, CallbackFormat::Form);
    assert!(of(form.id).body.contains("&from_msisdn=27831234567&message=x&"), "{}", of(form.id).body);
    assert_eq!(of(json.id).format, CallbackFormat::Json);
    assert!(of(json.id).body.contains(r#","from_msisdn":"27831234567","message":"x","#), "{}", of(json.id).body);
    event(&harness, ALICE).await;
    assert!(claim(&harness, 10, 10).await.iter().all(|delivery| delivery.format == CallbackFormat::Json));
}

#[actix_rt::test]
async fn a_callback_whose_url_is_gone_is_disabled_until_it_is_changed() {
    let Some(harness) = StoreHarness::new() else { return };
    let (gone, other) = (create(&harness, ALICE, "http://gone/").await, create(&harness, ALICE, "http://a/").await);
    for _ in 0..3 {
        event(&harness, ALICE).await;
    }
    let out: Vec<_> = claim(&harness, 10, 2).await.into_iter().filter(|one| one.callback == gone.id).collect();
    harness.advance(1);
    record(&harness, &out[0], Some(410), DeliveryThen::Gone).await;
    let shown = harness.callbacks(FindCallback { account: ALICE, id: gone.id }).await.unwrap();
    let disabled = CallbackDisabled { at: harness.now(), reason: "it wants no more posts".to_owned() };
    assert_eq!(shown, Callback { disabled: Some(disabled), ..gone.clone() });
    assert_eq!(harness.callbacks(ListDisabled { limit: 10 }).await, [shown]);

    // Nothing is posted: neither what waited, nor what was under way, nor what happens now.
    let at = harness.now();
    record(&harness, &out[1], Some(500), DeliveryThen::Again(at)).await;
    event(&harness, ALICE).await;
    harness.advance(3600);
    assert!(claim(&harness, 10, 10).await.iter().all(|delivery| delivery.callback == other.id));
    let parked = harness.callbacks(ListParked { limit: 10 }).await.listed;
    assert_eq!(parked.len(), 3);
    assert!(parked.iter().all(|one| one.url == "http://gone/"));
    let stay = ReplayedDeliveries { due: 0, of_disabled: 3, next: None };
    assert_eq!(replay_all(&harness).await, stay);
    let ids = parked.iter().map(|one| one.id).collect();
    assert_eq!(replay(&harness, ids).await, stay);

    let enabled = changed(harness.callbacks(change(ALICE, gone.id)).await);
    assert_eq!(enabled.disabled, None);
    assert_eq!(harness.callbacks(ListDisabled { limit: 10 }).await, []);
    event(&harness, ALICE).await;
    let claimed = claim(&harness, 10, 10).await;
    assert_eq!(claimed.iter().filter(|delivery| delivery.callback == gone.id).count(), 1, "what happens from now on");
    assert_eq!(replay_all(&harness).await, ReplayedDeliveries { due: 3, of_disabled: 0, next: None });
}

#[actix_rt::test]
async fn an_answer_to_a_post_from_before_the_change_disables_nothing() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = create(&harness, ALICE, "http://gone/").await.id;
    event(&harness, ALICE).await;
    let out = claim(&harness, 10, 10).await.remove(0);
    let posted_at = harness.now();
    harness.advance(1);
    let url = Some("http://new/".to_owned());
    changed(harness.callbacks(ChangeCallback { url, ..change(ALICE, id) }).await);
    let then = DeliveryThen::Gone;
    let late = DeliveryAttempt {
        delivery: out.id,
        held_until: out.lease_until,
        at: posted_at,
        http_status: Some(410),
        error: None,
        then,
    };
    harness.callbacks(RecordDeliveryAttempts { attempts: vec![late], disable_after: DISABLE_AFTER }).await;
    assert_eq!(harness.callbacks(ListDisabled { limit: 10 }).await, []);
}

#[actix_rt::test]
async fn a_callback_that_fails_for_days_is_disabled_when_a_delivery_is_given_up() {
    let Some(harness) = StoreHarness::new() else { return };
    let id = create(&harness, ALICE, "http://a/").await.id;
    let fail = async |then: DeliveryThen| {
        event(&harness, ALICE).await;
        let out = claim(&harness, 10, 10).await.remove(0);
        record(&harness, &out, None, then).await;
    };
    let disabled = async || harness.callbacks(ListDisabled { limit: 10 }).await.len();
    fail(DeliveryThen::Parked).await;
    let since = harness.now();
    harness.advance(DISABLE_AFTER.as_secs() - 1);
    fail(DeliveryThen::Parked).await;
    assert_eq!(disabled().await, 0, "not for days yet");
    // One that arrives begins the time anew.
    fail(DeliveryThen::Done).await;
    harness.advance(1);
    fail(DeliveryThen::Parked).await;
    assert_eq!(disabled().await, 0);
    let since = since.plus(DISABLE_AFTER);
    harness.advance(DISABLE_AFTER.as_secs());
    let later = harness.now().plus(Duration::from_secs(3600));
    fail(DeliveryThen::Again(later)).await;
    assert_eq!(disabled().await, 0, "a failure that will be tried again is no give-up");
    fail(DeliveryThen::Parked).await;
    let shown = harness.callbacks(FindCallback { account: ALICE, id }).await.unwrap().disabled.unwrap();
    let reason = format!("nothing was delivered since {}: connection refused", since.to_seconds_text());
    assert_eq!(shown, CallbackDisabled { at: harness.now(), reason });
    harness.advance(7200);
    assert!(claim(&harness, 10, 10).await.is_empty());
}

#[actix_rt::test]
async fn so_many_deliveries_wait_for_one_callback_and_what_follows_is_parked() {
    let Some(harness) = StoreHarness::with(|settings| settings.waiting_per_callback = 3) else { return };
    create(&harness, ALICE, "http://slow/").await;
    create(&harness, BOB, "http://other/").await;
    for _ in 0..5 {
        event(&harness, ALICE).await;
    }
    event(&harness, BOB).await;
    let parked = harness.callbacks(ListParked { limit: 10 }).await;
    assert_eq!((parked.total, parked.listed[0].error.as_str()), (2, "3 were waiting for this callback"));
    let claimed = claim(&harness, 10, 10).await;
    assert_eq!(claimed.len(), 3 + 1);
    // Those that arrived make room.
    record(&harness, &claimed[0], Some(200), DeliveryThen::Done).await;
    event(&harness, ALICE).await;
    assert_eq!(claim(&harness, 10, 10).await.len(), 1);
    assert_eq!(replay_all(&harness).await.due, 2);
}

#[actix_rt::test]
async fn a_claim_looks_at_a_bounded_number_of_callbacks_and_the_next_goes_on_behind_them() {
    let Some(harness) = StoreHarness::new() else { return };
    for account in 0..25 {
        for n in 0..10 {
            create(&harness, account, &format!("http://client/{n}")).await;
        }
        event(&harness, account).await;
    }
    let (mut after, mut looks, mut claimed) = (0, 0, Vec::new());
    loop {
        let prompt = Arc::new((0..1000).collect());
        let ask = ClaimDeliveries { after, limit: 1000, most_per_callback: 4, prompt, most_of_others: 0, lease_s: 60 };
        let ClaimedDeliveries { deliveries, next } = harness.callbacks(ask).await;
        assert!(deliveries.len() <= 100, "{}", deliveries.len());
        claimed.extend(deliveries.into_iter().map(|delivery| delivery.callback));
        looks += 1;
        match next {
            Some(next) => after = next,
            None => break,
        }
    }
    claimed.sort_unstable();
    claimed.dedup();
    assert_eq!((claimed.len(), looks), (250, 3));
}
