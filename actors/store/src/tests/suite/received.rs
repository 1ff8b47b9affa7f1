//! SMS from people.

use std::time::Duration;

use vumi_kit::{
    account::{AccountRoles, CreateAccount},
    address::Address,
    audit::AuditActor,
    callback::{CallbackFormat, CallbackName, ClaimDeliveries, CreateCallback},
    ledger::{
        AnswerNotSent, ClaimReceived, HandOver, IdempotencyKey, KeepReceived, ListReceived, ListUnowned, OwnReceived,
        SettleReceived, SmsOwner,
    },
    sms::{InboundPart, InboundSms, Received},
    sms_options::SmsOptions,
};

use super::{ALICE, BOB, StoreHarness, msisdn, opera};

fn inbound(provider_id: Option<&str>) -> InboundSms {
    InboundSms {
        charset: Some("UTF-8".to_owned()),
        provider_id: provider_id.map(str::to_owned),
        ..InboundSms::whole(msisdn("27831234567"), msisdn("38080"), "JOIN the & quiz")
    }
}

async fn keep_for(harness: &StoreHarness, account: i64, inbound: InboundSms) -> Received {
    keep_as(harness, SmsOwner::Account(account), inbound).await
}

async fn keep_as(harness: &StoreHarness, owner: SmsOwner, inbound: InboundSms) -> Received {
    harness.ledger(KeepReceived { owner, transport: opera(), inbound: vec![inbound] }).await.remove(0)
}

async fn keep(harness: &StoreHarness, provider_id: Option<&str>) -> Received {
    keep_for(harness, ALICE, inbound(provider_id)).await
}

fn settle(received: &Received, reply: Option<&str>) -> SettleReceived {
    let (message_id, reply) = (received.message_id.clone(), reply.map(str::to_owned));
    SettleReceived { message_id, outcome: "quiz".to_owned(), reply, answer_key: None, options: SmsOptions::none() }
}

#[actix_rt::test]
async fn a_received_sms_is_handed_over_once_it_is_kept() {
    let Some(mut harness) = StoreHarness::new() else { return };
    let kept = keep(&harness, Some("mo-1")).await;
    let Some(HandOver::Received(batch)) = harness.handed() else { panic!("nothing") };
    assert_eq!(batch, std::slice::from_ref(&kept));
    assert_eq!((kept.sms, kept.repeated), (inbound(Some("mo-1")), false));
}

#[actix_rt::test]
async fn an_sms_from_a_name_is_kept_and_an_answer_to_it_is_not_sent() {
    let Some(mut harness) = StoreHarness::new() else { return };
    let named = InboundSms { from: Address::inbound("INFO SMS").unwrap(), ..inbound(Some("mo-1")) };
    let kept = keep_for(&harness, ALICE, named.clone()).await;
    assert_eq!(kept.sms, named);
    harness.handed();
    let settled = harness.ledger(settle(&kept, Some("hello"))).await.unwrap();
    assert_eq!((settled.received, settled.reply), (kept.id, None));
    assert!(harness.ledger(ClaimReceived { limit: 10 }).await.is_empty(), "it is settled");
}

#[actix_rt::test]
async fn a_repeated_one_is_neither_kept_nor_routed_again() {
    let Some(mut harness) = StoreHarness::new() else { return };
    let first = keep(&harness, Some("mo-1")).await;
    harness.handed();
    harness.advance(5);
    let again = keep(&harness, Some("mo-1")).await;
    assert_eq!(again, Received { repeated: true, ..first });
    assert!(harness.handed().is_none());
    assert!(!keep_for(&harness, BOB, inbound(Some("mo-1"))).await.repeated, "another account's");
}

async fn create_account(harness: &StoreHarness, username: &str) -> i64 {
    let (username, password_hash) = (username.to_owned(), String::new());
    let create = CreateAccount {
        username,
        password_hash,
        sandbox: false,
        roles: AccountRoles::CLIENT,
        by: AuditActor::router(),
    };
    harness.accounts(create).await.unwrap().id
}

fn claim_deliveries() -> ClaimDeliveries {
    let prompt = std::sync::Arc::new((0..100).collect());
    ClaimDeliveries { after: 0, limit: 10, most_per_callback: 10, prompt, most_of_others: 10, lease_s: 60 }
}

async fn unowned(harness: &StoreHarness) -> Vec<Received> {
    harness.ledger(ListUnowned { after: 0, limit: 10 }).await
}

async fn own(harness: &StoreHarness, username: &str, ids: Vec<i64>) -> bool {
    harness.ledger(OwnReceived { username: username.to_owned(), ids }).await
}

#[actix_rt::test]
async fn an_sms_without_an_account_waits_until_it_has_one_and_is_posted_and_routed_then() {
    let Some(mut harness) = StoreHarness::new() else { return };
    let named = keep_as(&harness, SmsOwner::Named("alice".to_owned()), inbound(Some("mo-1"))).await;
    let nobodys = keep_as(&harness, SmsOwner::Nobody, inbound(Some("mo-2"))).await;
    assert_eq!((named.account, nobodys.account), (None, None));
    assert_eq!(unowned(&harness).await, [named.clone(), nobodys.clone()]);
    assert!(harness.handed().is_none());
    harness.advance(3600);
    assert_eq!(harness.ledger(ClaimReceived { limit: 10 }).await, []);
    assert!(!own(&harness, "alice", vec![named.id]).await, "there is no such account");
    assert_eq!(unowned(&harness).await.len(), 2);

    let alice = create_account(&harness, "alice").await;
    let (name, url, secret) = (CallbackName::SmsReceived, "http://a/".to_owned(), "s".to_owned());
    harness.callbacks(CreateCallback { account: alice, name, url, format: CallbackFormat::Form, secret }).await;
    // Its provider repeats it meanwhile.
    let again = keep_as(&harness, SmsOwner::Named("alice".to_owned()), inbound(Some("mo-1"))).await;
    assert_eq!((again.id, again.repeated), (named.id, true));
    assert!(own(&harness, "alice", vec![named.id]).await);
    assert_eq!(unowned(&harness).await, [nobodys]);
    let Some(HandOver::Received(batch)) = harness.handed() else { panic!("nothing") };
    assert_eq!((batch[0].id, batch[0].account), (named.id, Some(alice)));
    assert_eq!(harness.callbacks(claim_deliveries()).await.deliveries.len(), 1);
    // A second process does the same: nothing is passed on twice.
    assert!(own(&harness, "alice", vec![named.id]).await);
    assert!(harness.handed().is_none());
    assert!(keep_for(&harness, alice, inbound(Some("mo-1"))).await.repeated);
}

#[actix_rt::test]
async fn an_sms_belongs_to_the_account_of_the_name_where_there_is_one() {
    let Some(harness) = StoreHarness::new() else { return };
    let alice = create_account(&harness, "alice").await;
    let kept = keep_as(&harness, SmsOwner::Named("alice".to_owned()), inbound(None)).await;
    assert_eq!(kept.account, Some(alice));
    assert_eq!(unowned(&harness).await, []);
}

#[actix_rt::test]
async fn an_id_used_again_for_another_person_or_text_is_another_sms() {
    let Some(harness) = StoreHarness::new() else { return };
    keep(&harness, Some("1")).await;
    let theirs = InboundSms { from: msisdn("27830000009").into(), ..inbound(Some("1")) };
    assert!(!keep_for(&harness, ALICE, theirs).await.repeated);
    let other = InboundSms { message: "something else".to_owned(), ..inbound(Some("1")) };
    assert!(!keep_for(&harness, ALICE, other).await.repeated);
}

#[actix_rt::test]
async fn a_repetition_is_recognised_within_a_day() {
    let Some(harness) = StoreHarness::new() else { return };
    keep(&harness, Some("mo-1")).await;
    harness.advance(23 * 3600);
    assert!(keep(&harness, Some("mo-1")).await.repeated);
    harness.advance(3600);
    assert!(!keep(&harness, Some("mo-1")).await.repeated, "the provider's ids have begun again");
}

#[actix_rt::test]
async fn ids_and_the_name_of_a_character_set_may_be_of_any_length() {
    let Some(harness) = StoreHarness::new() else { return };
    let long = "x".repeat(9000);
    let strange = InboundSms { charset: Some(long.clone()), ..inbound(Some(&long)) };
    let kept = keep_for(&harness, ALICE, strange.clone()).await;
    assert!(kept.sms.provider_id.as_ref().unwrap().starts_with("sha256-"));
    assert!(kept.sms.charset.as_ref().unwrap().len() <= 64);
    assert!(keep_for(&harness, ALICE, strange).await.repeated);
}

fn part(number: u8, text: &str, provider_id: Option<&str>) -> InboundSms {
    InboundSms { message: text.to_owned(), part: InboundPart::new("7", 3, number), ..inbound(provider_id) }
}

/// What the store answers of some parts, one call each, and what it has handed over.
async fn keep_parts(harness: &mut StoreHarness, parts: &[InboundSms]) -> (Vec<Received>, Vec<Received>) {
    let mut answered = Vec::new();
    for part in parts {
        let keep = KeepReceived { owner: SmsOwner::Account(ALICE), transport: opera(), inbound: vec![part.clone()] };
        answered.extend(harness.ledger(keep).await);
    }
    (answered, all_handed(harness))
}

fn all_handed(harness: &mut StoreHarness) -> Vec<Received> {
    let mut handed = Vec::new();
    while let Some(HandOver::Received(batch)) = harness.handed() {
        handed.extend(batch);
    }
    handed
}

#[actix_rt::test]
async fn parts_are_one_sms_in_whatever_order_they_come_and_it_is_handed_over_once() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let Some(mut harness) = StoreHarness::new() else { return };
        let parts = [part(1, "JOIN ", Some("a")), part(2, "the ", Some("b")), part(3, "quiz", Some("c"))];
        let ordered: Vec<_> = order.iter().map(|at| parts[*at].clone()).collect();
        let (answered, handed) = keep_parts(&mut harness, &ordered).await;
        assert_eq!(answered, handed, "{order:?}");
        let [whole] = &handed[..] else { panic!("{handed:?}") };
        assert_eq!((whole.sms.message.as_str(), whole.sms.provider_id.as_deref()), ("JOIN the quiz", Some("a")));
        assert_eq!(whole.sms.part, None);

        // A carrier that got no answer says each of them again.
        harness.advance(3600);
        let (again, handed) = keep_parts(&mut harness, &ordered).await;
        assert_eq!(again, vec![Received { repeated: true, ..whole.clone() }; 3]);
        assert!(handed.is_empty() && harness.rows("received_sms") == 1);
    }
}

#[actix_rt::test]
async fn parts_outlive_the_process_and_a_repeated_one_is_no_other() {
    let Some(mut harness) = StoreHarness::new() else { return };
    assert_eq!(keep_parts(&mut harness, &[part(2, "the ", None), part(2, "the ", None)]).await.0, []);
    let mut harness = harness.restarted().await;
    let (whole, _) = keep_parts(&mut harness, &[part(3, "quiz", None), part(1, "JOIN ", None)]).await;
    assert_eq!(whole[0].sms.message, "JOIN the quiz");
}

#[actix_rt::test]
async fn parts_of_other_people_or_with_another_reference_are_not_of_one_sms() {
    let Some(mut harness) = StoreHarness::new() else { return };
    let others = [
        part(1, "a", None),
        InboundSms { from: msisdn("27830000009").into(), ..part(2, "b", None) },
        InboundSms { to: msisdn("38081").into(), ..part(2, "c", None) },
        InboundSms { part: InboundPart::new("8", 3, 2), ..part(2, "d", None) },
        InboundSms { part: InboundPart::new("7", 2, 2), ..part(2, "e", None) },
        part(3, "f", None),
    ];
    assert_eq!(keep_parts(&mut harness, &others).await, (Vec::new(), Vec::new()));
}

#[actix_rt::test]
async fn a_reference_that_is_used_again_ends_the_sms_whose_parts_did_not_come() {
    let Some(mut harness) = StoreHarness::new() else { return };
    keep_parts(&mut harness, &[part(1, "JOIN ", None), part(2, "the ", None)]).await;
    let (_, handed) = keep_parts(&mut harness, &[part(1, "STOP ", None)]).await;
    assert_eq!((handed[0].sms.message.as_str(), handed[0].incomplete), ("JOIN the ", true));
    let (whole, _) = keep_parts(&mut harness, &[part(2, "it ", None), part(3, "now", None)]).await;
    assert_eq!((whole[0].sms.message.as_str(), whole[0].incomplete), ("STOP it now", false));
}

#[actix_rt::test]
async fn a_transport_may_have_a_time_of_its_own_for_missing_parts_and_clients_are_told_of_what_lacks_some() {
    let Some(mut harness) = StoreHarness::new() else { return };
    let (name, url) = (CallbackName::SmsReceived, "https://client.example/".to_owned());
    harness
        .callbacks(CreateCallback { account: ALICE, name, url, format: CallbackFormat::Form, secret: String::new() })
        .await;
    let waits = Duration::from_secs(30);
    let quick = InboundPart::new("9", 2, 2).map(|part| InboundPart { waits: Some(waits), ..part });
    keep_parts(&mut harness, &[part(1, "JOIN ", None), InboundSms { part: quick, ..part(2, "quiz", None) }]).await;
    harness.advance(29);
    harness.sweep().await;
    assert_eq!(all_handed(&mut harness), []);
    harness.advance(1);
    harness.sweep().await;
    let handed = all_handed(&mut harness);
    assert_eq!(
        handed.iter().map(|sms| (sms.sms.message.as_str(), sms.incomplete)).collect::<Vec<_>>(),
        [("quiz", true)]
    );
    let told = harness.callbacks(claim_deliveries()).await.deliveries.remove(0);
    assert!(told.body.contains("incomplete=true"), "{}", told.body);
    let list =
        ListReceived { account: ALICE, transport: opera(), since: harness.now().minus(waits), after: None, limit: 9 };
    assert_eq!(harness.ledger(list).await, handed, "the mark is kept");
}

#[actix_rt::test]
async fn what_lacks_parts_is_handed_over_as_far_as_it_is_there_after_a_time() {
    let Some(mut harness) = StoreHarness::new() else { return };
    keep_parts(&mut harness, &[part(3, "quiz", None), part(1, "JOIN ", None)]).await;
    harness.advance(599);
    harness.sweep().await;
    assert_eq!(all_handed(&mut harness), []);
    harness.advance(1);
    harness.sweep().await;
    let handed = all_handed(&mut harness);
    let said: Vec<_> = handed.iter().map(|sms| (sms.sms.message.as_str(), sms.incomplete)).collect();
    assert_eq!(said, [("JOIN quiz", true)]);
    harness.sweep().await;
    assert_eq!(all_handed(&mut harness), [], "once");
    harness.advance(24 * 3600);
    harness.sweep().await;
    assert_eq!(harness.rows("received_parts"), 0, "not kept for ever");
}

#[actix_rt::test]
async fn without_a_providers_id_each_one_is_new() {
    let Some(harness) = StoreHarness::new() else { return };
    let (first, second) = (keep(&harness, None).await, keep(&harness, None).await);
    assert_ne!(first.message_id, second.message_id);
    assert!(!second.repeated);
}

#[actix_rt::test]
async fn what_nobody_settled_is_claimed_again_when_its_lease_ends() {
    let Some(harness) = StoreHarness::new() else { return };
    let kept = keep(&harness, None).await;
    assert_eq!(harness.ledger(ClaimReceived { limit: 10 }).await, []);
    harness.advance(29);
    assert_eq!(harness.ledger(ClaimReceived { limit: 10 }).await, []);
    harness.advance(1);
    assert_eq!(harness.ledger(ClaimReceived { limit: 10 }).await, [kept]);
    assert_eq!(harness.ledger(ClaimReceived { limit: 10 }).await, []);
}

#[actix_rt::test]
async fn what_a_dead_process_was_routing_is_due_when_its_successor_starts() {
    let Some(harness) = StoreHarness::new() else { return };
    let kept = keep(&harness, None).await;
    let harness = harness.restarted().await;
    assert_eq!(harness.ledger(ClaimReceived { limit: 10 }).await, [kept]);
}

#[actix_rt::test]
async fn what_the_router_has_no_room_for_is_due_at_once() {
    let Some(harness) = StoreHarness::new() else { return };
    let mut kept = Vec::new();
    for _ in 0..5 {
        kept.push(keep(&harness, None).await);
    }
    assert_eq!(harness.ledger(ClaimReceived { limit: 10 }).await, kept[4..]);
}

#[actix_rt::test]
async fn it_is_settled_once_and_its_answer_is_kept_and_handed_over() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_outbox(10).await;
    let kept = keep(&harness, None).await;
    harness.handed();
    let settled = harness.ledger(settle(&kept, Some("Welcome!"))).await.unwrap();
    let reply = settled.reply.unwrap();
    assert_eq!((settled.received, reply.account, &reply.transport), (kept.id, ALICE, &opera()));
    assert_eq!((&reply.from, &reply.to, reply.message.as_str()), (&kept.sms.to, &msisdn("27831234567"), "Welcome!"));
    assert_eq!(harness.handed_ids(), [reply.id]);

    assert_eq!(harness.ledger(settle(&kept, Some("Welcome!"))).await, None, "nothing is sent twice");
    assert!(harness.handed().is_none());
    harness.advance(1000);
    assert_eq!(harness.ledger(ClaimReceived { limit: 10 }).await, []);
}

#[actix_rt::test]
async fn it_may_be_settled_without_an_answer() {
    let Some(harness) = StoreHarness::new() else { return };
    let kept = keep(&harness, None).await;
    assert_eq!(harness.ledger(settle(&kept, None)).await.unwrap().reply, None);
    assert!(harness.claim(10).await.is_empty());
    let unknown = SettleReceived {
        message_id: "unknown".to_owned(),
        outcome: String::new(),
        reply: None,
        answer_key: None,
        options: SmsOptions::none(),
    };
    assert_eq!(harness.ledger(unknown).await, None);
}

/// An answer that a campaign behind the broker gives by a message of its own.
fn answer_by(received: &Received, message: &str, text: Option<&str>) -> SettleReceived {
    let request_digest = text.unwrap_or_default().as_bytes().to_vec();
    let key = IdempotencyKey { key: message.to_owned(), request_digest, keep_s: 3_600 };
    SettleReceived { answer_key: Some(key), ..settle(received, text) }
}

#[actix_rt::test]
async fn a_second_answer_is_an_sms_of_its_own_and_a_repeated_one_is_not() {
    let Some(harness) = StoreHarness::new() else { return };
    let kept = keep(&harness, None).await;
    let first = harness.ledger(answer_by(&kept, "m1", Some("one"))).await.unwrap().reply.unwrap();
    let second = harness.ledger(answer_by(&kept, "m2", Some("two"))).await.unwrap().reply.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!((second.message.as_str(), &second.to), ("two", &msisdn("27831234567")));
    for (message, text, id) in [("m1", "one", first.id), ("m2", "two", second.id)] {
        let again = harness.ledger(answer_by(&kept, message, Some(text))).await.unwrap();
        assert_eq!(again.reply.map(|sms| sms.id), Some(id), "{message} is known");
    }
    let other = harness.ledger(answer_by(&kept, "m1", Some("another text"))).await.unwrap();
    assert_eq!((other.reply, other.not_sent), (None, Some(AnswerNotSent::KeyReused)));
}

#[actix_rt::test]
async fn an_answer_after_one_without_a_text_is_sent() {
    let Some(harness) = StoreHarness::new() else { return };
    let kept = keep(&harness, None).await;
    assert_eq!(harness.ledger(answer_by(&kept, "m1", None)).await.unwrap().reply, None);
    let reply = harness.ledger(answer_by(&kept, "m2", Some("late"))).await.unwrap().reply.unwrap();
    assert_eq!(reply.message, "late");
    assert_eq!(harness.ledger(answer_by(&kept, "m3", None)).await.unwrap().reply, None, "nothing more to say");
}

#[actix_rt::test]
async fn without_a_key_another_text_is_another_answer() {
    let Some(harness) = StoreHarness::new() else { return };
    let kept = keep(&harness, None).await;
    assert_eq!(harness.ledger(settle(&kept, None)).await.unwrap().reply, None);
    let late = harness.ledger(settle(&kept, Some("late"))).await.unwrap().reply.unwrap();
    assert_eq!(late.message, "late");

    let answered = keep(&harness, Some("mo-2")).await;
    let first = harness.ledger(settle(&answered, Some("one"))).await.unwrap().reply.unwrap();
    let second = harness.ledger(settle(&answered, Some("two"))).await.unwrap().reply.unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!((second.message.as_str(), Some(second.to)), ("two", answered.sms.from.msisdn()));
    for repeated in [Some("one"), None] {
        assert_eq!(harness.ledger(settle(&answered, repeated)).await, None, "{repeated:?}");
    }
}

#[actix_rt::test]
async fn the_accounts_callbacks_are_told_in_the_same_transaction() {
    let Some(harness) = StoreHarness::new() else { return };
    for (account, url) in [(ALICE, "http://a/"), (ALICE, "http://b/"), (BOB, "http://c/")] {
        let (name, url, secret) = (CallbackName::SmsReceived, url.to_owned(), "s".to_owned());
        harness.callbacks(CreateCallback { account, name, url, format: CallbackFormat::Form, secret }).await;
    }
    let kept = keep(&harness, Some("mo-1")).await;
    keep(&harness, Some("mo-1")).await;
    let told = harness.callbacks(claim_deliveries()).await.deliveries;
    assert_eq!(told.iter().map(|delivery| delivery.url.as_str()).collect::<Vec<_>>(), ["http://a/", "http://b/"]);
    let expected = format!(
        "id={}&to_msisdn=38080&from_msisdn=27831234567&message=JOIN+the+%26+quiz&charset=UTF-8&transport_name=opera\
         &transport_msg_id=mo-1&received_at=2027-01-15+08%3A00%3A00&created_at=2027-01-15+08%3A00%3A00\
         &updated_at=2027-01-15+08%3A00%3A00",
        kept.id
    );
    assert_eq!(told[0].body, expected);
    assert_eq!(told[0].name, CallbackName::SmsReceived);
}

#[actix_rt::test]
async fn a_nul_in_what_a_person_writes_or_is_answered_is_kept_as_a_sign_of_it() {
    let Some(harness) = StoreHarness::new() else { return };
    let told = InboundSms {
        message: "h\0i".to_owned(),
        charset: Some("UTF\0".to_owned()),
        provider_id: Some("m\0o".to_owned()),
        ..inbound(None)
    };
    let kept = keep_for(&harness, ALICE, told.clone()).await;
    assert_eq!(kept.sms, told.clone().keepable());
    assert_eq!(kept.sms.message, "h\u{fffd}i");
    assert!(keep_for(&harness, ALICE, told).await.repeated, "it is found as it was kept");
    let settled =
        harness.ledger(SettleReceived { outcome: "no\0body".to_owned(), ..settle(&kept, Some("a\0b")) }).await;
    assert_eq!(settled.unwrap().reply.unwrap().message, "a\u{fffd}b");
}
