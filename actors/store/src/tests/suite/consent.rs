//! Consent: who is out gets nothing that has not begun, whoever sends it.

use std::sync::Arc;

use vumi_kit::{
    address::Address,
    audit::AuditActor,
    consent::{
        ConsentChange, ConsentDone, ConsentNotice, ConsentScope, ConsentState, ExportConsent, FindConsent, OPTED_OUT,
        OptOutScope, SetConsent,
    },
    ledger::{AcceptSms, Accepted, KeepReceived, SettleReceived, SmsOwner, Then},
    life::SmsState,
    sms::{InboundPart, InboundSms, NewSms, Received, Sms, TransportStatus},
    sms_options::SmsOptions,
};

use super::{ALICE, BOB, START, StoreHarness, msisdn, opera, sms};

/// The person of [`sms`], and another one.
const PERSON: &str = "27831234567";
const OTHER: &str = "27837654321";

fn to(person: &str) -> NewSms {
    NewSms { to: msisdn(person), ..sms("news") }
}

fn from(sender: &str) -> NewSms {
    NewSms { from: Address::sender(sender).unwrap(), ..sms("news") }
}

impl StoreHarness {
    /// The person writes this to 38080.
    async fn hear(&self, text: &str) -> Received {
        let inbound = vec![InboundSms::whole(msisdn(PERSON), msisdn("38080"), text)];
        let owner = SmsOwner::Account(ALICE);
        self.ledger(KeepReceived { owner, transport: opera(), inbound }).await.remove(0)
    }

    async fn accept_all(&self, batch: Vec<NewSms>) -> Vec<Sms> {
        let Accepted::Now(kept) = self.ledger(AcceptSms { batch, idempotency: None }).await else { panic!("not now") };
        kept.to_vec()
    }

    async fn answer(&self, received: &Received, text: &str) -> Sms {
        let settle = SettleReceived::by_campaign(received.message_id.clone(), Some(text.to_owned()), None);
        self.ledger(settle).await.unwrap().reply.unwrap()
    }

    async fn set(&self, state: ConsentState, scope: ConsentScope) -> ConsentDone {
        let change = ConsentChange { msisdn: msisdn(PERSON), scope, state, at: None, words: "by post".to_owned() };
        self.ledger(SetConsent { changes: vec![change], by: AuditActor::operator(Some("root")), account: None }).await
    }

    async fn assert_opted_out(&self, id: i64) {
        let sms = self.find(id).await;
        let seen = (sms.state, i16::from(sms.shown_status()), sms.provider_response.as_deref(), sms.attempts);
        assert_eq!(seen, (SmsState::Failed, 7, Some(OPTED_OUT), 0));
    }
}

#[actix_rt::test]
async fn an_sms_to_somebody_who_is_out_is_kept_and_ends_at_once_and_the_others_of_its_batch_go() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_outbox(10).await;
    assert_eq!(harness.hear("“Stop”.").await.consent, Some(ConsentNotice::Out));
    let _received = harness.handed();
    let kept = harness.accept_all(vec![to(PERSON), to(OTHER), NewSms { account: BOB, ..to(PERSON) }]).await;
    assert!(kept.iter().all(|sms| sms.state == SmsState::Accepted), "the answer says what was accepted");
    assert_eq!(harness.handed_ids(), [kept[1].id]);
    harness.assert_opted_out(kept[0].id).await;
    assert_eq!(harness.sms_rows("status = 7 AND next_attempt_at IS NULL AND claimed_by IS NULL"), 2);
    assert_eq!(harness.rows("sms_events WHERE what = 'not sent' AND detail = 'opted out'"), 2);
    assert_eq!(harness.claimed_ids(10).await, Vec::<i64>::new());
}

#[actix_rt::test]
async fn a_stop_takes_back_what_is_claimed_and_not_begun_and_nothing_of_it_begins_afterwards() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_window(3, 1).await;
    let kept = harness.accept_all(vec![to(PERSON), to(PERSON), to(OTHER), to(PERSON), to(OTHER)]).await;
    let ids: Vec<i64> = kept.iter().map(|sms| sms.id).collect();
    assert_eq!(harness.handed_submissions().unwrap().len(), 3, "the others wait");
    harness.hear("stop").await;
    harness.assert_opted_out(ids[1]).await;
    assert_eq!(harness.find(ids[0]).await.state, SmsState::Claimed, "what has begun goes out");
    // It frees its place: of what waits, one is claimed, and it is not the person's.
    assert_eq!(harness.claimed_ids(1).await, [ids[4]]);
    harness.done(ids[0], "p1").await;
    let begun = harness.begin(&[ids[1]]).await;
    assert_eq!((begun.begun, begun.gone), (vec![], vec![ids[1]]));
    assert_eq!(harness.begin(&[ids[2]]).await.begun, [ids[2]]);
    assert_eq!(harness.claimed_ids(10).await, Vec::<i64>::new());
    harness.assert_opted_out(ids[3]).await;
}

#[actix_rt::test]
async fn what_is_to_be_tried_again_and_what_is_scheduled_ends_when_it_is_due() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_outbox(10).await;
    let later = Some(START.plus(std::time::Duration::from_secs(600)));
    let scheduled = NewSms { options: Arc::new(SmsOptions { send_at: later, ..SmsOptions::default() }), ..to(PERSON) };
    let ids: Vec<i64> = harness.accept_all(vec![to(PERSON), scheduled]).await.iter().map(|sms| sms.id).collect();
    assert_eq!(harness.handed_ids(), [ids[0]]);
    harness.hear("STOP").await;
    harness.outcome(ids[0], "503", Then::Again { at: harness.now(), unknown_outcome: false }).await;
    assert_eq!(harness.claimed_ids(10).await, Vec::<i64>::new());
    assert_eq!(harness.find(ids[0]).await.provider_response.as_deref(), Some(OPTED_OUT));
    assert_eq!(harness.find(ids[1]).await.state, SmsState::Scheduled);
    harness.advance(601);
    assert_eq!(harness.claimed_ids(10).await, Vec::<i64>::new());
    harness.assert_opted_out(ids[1]).await;
}

#[actix_rt::test]
async fn the_confirmation_and_the_answer_to_a_call_for_help_go_out_and_no_other_answer_does() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_outbox(10).await;
    let mut answers = Vec::new();
    for (text, notice, goes) in [
        ("STOP", Some(ConsentNotice::Out), true),
        ("stop!", Some(ConsentNotice::OutBefore), false),
        ("help", Some(ConsentNotice::Help), true),
        ("balance", None, false),
        ("START", Some(ConsentNotice::In), true),
        ("start", None, true),
        ("balance", None, true),
    ] {
        let received = harness.hear(text).await;
        let _received = harness.handed();
        assert_eq!(received.consent, notice, "{text}");
        let answer = harness.answer(&received, "an answer").await.id;
        assert_eq!(harness.handed_ids(), if goes { vec![answer] } else { vec![] }, "{text}");
        answers.push((answer, goes));
    }
    for (answer, goes) in answers {
        if goes {
            assert_eq!(harness.find(answer).await.state, SmsState::Claimed);
        } else {
            harness.assert_opted_out(answer).await;
        }
    }
}

#[actix_rt::test]
async fn a_second_answer_to_an_opt_out_does_not_go_out() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_outbox(10).await;
    let received = harness.hear("STOP").await;
    let _received = harness.handed();
    let first = harness.answer(&received, "You are out.").await.id;
    assert_eq!(harness.handed_ids(), [first]);
    let second = harness.answer(&received, "By the way, buy this!").await.id;
    harness.assert_opted_out(second).await;
}

#[actix_rt::test]
async fn an_opt_out_counts_for_all_senders_or_for_the_one_that_was_written_to() {
    for (scope, words, out) in [
        (OptOutScope::All, vec!["STOP"], [true, true]),
        (OptOutScope::Sender, vec!["STOP"], [true, false]),
        (OptOutScope::Sender, vec!["STOPALL"], [true, true]),
        (OptOutScope::Sender, vec!["STOPALL", "START"], [false, true]),
        (OptOutScope::Sender, vec!["START", "STOPALL"], [true, true]),
        (OptOutScope::All, vec!["STOP", "START"], [false, false]),
    ] {
        let Some(harness) = StoreHarness::with(|settings| settings.consent.scope = scope) else { return };
        harness.open_outbox(0).await;
        for word in &words {
            harness.hear(word).await;
        }
        let kept = harness.accept_all(vec![from("38080"), from("CLINIC")]).await;
        let claimed = harness.claimed_ids(10).await;
        let is_out = [&kept[0], &kept[1]].map(|sms| !claimed.contains(&sms.id));
        assert_eq!(is_out, out, "{scope:?} {words:?}");
        // What was accepted before says the same where it is claimed.
        assert_eq!(harness.sms_rows("status = 7"), i64::try_from(out.iter().filter(|out| **out).count()).unwrap());
    }
}

#[actix_rt::test]
async fn a_word_that_answers_other_questions_too_counts_only_from_somebody_who_is_out() {
    let Some(harness) = StoreHarness::with(|settings| settings.consent.words.in_if_out = vec!["YES".to_owned()]) else {
        return;
    };
    assert_eq!((harness.hear("yes").await.consent, harness.rows("consent")), (None, 0));
    harness.hear("STOP").await;
    assert_eq!(harness.hear("Yes!").await.consent, Some(ConsentNotice::In));
    assert_eq!(harness.hear("yes").await.consent, None);
    assert_eq!(harness.rows("consent"), 2);
}

#[actix_rt::test]
async fn a_word_that_comes_in_parts_or_twice_is_written_down_once() {
    let Some(harness) = StoreHarness::new() else { return };
    let part = |number, text: &str| InboundSms {
        part: InboundPart::new("cc", 2, number),
        provider_id: Some(format!("p{number}")),
        ..InboundSms::whole(msisdn(PERSON), msisdn("38080"), text)
    };
    for inbound in [vec![part(2, "ALL")], vec![part(1, "STOP ")], vec![part(1, "STOP ")]] {
        let owner = SmsOwner::Nobody;
        harness.ledger(KeepReceived { owner, transport: opera(), inbound }).await;
    }
    let known = harness.ledger(FindConsent { msisdn: msisdn(PERSON) }).await;
    assert_eq!(known.history.len(), 1, "also where nobody owns the SMS yet");
    let entry = &known.current[0];
    assert_eq!((entry.state, &entry.scope, entry.words.as_str()), (ConsentState::Out, &ConsentScope::All, "STOP ALL"));
    assert!(entry.by.0.starts_with("SMS "), "{entry:?}");
}

#[actix_rt::test]
async fn consent_is_set_found_and_exported_and_its_ledger_only_grows() {
    let Some(mut harness) = StoreHarness::new() else { return };
    harness.open_window(2, 1).await;
    let ids: Vec<i64> = harness.accept_all(vec![to(PERSON), to(PERSON)]).await.iter().map(|sms| sms.id).collect();
    assert_eq!(harness.handed_ids(), ids);
    let sender = || ConsentScope::Sender(Address::sender("38080").unwrap());
    let done = |changed, unchanged, taken_back| ConsentDone { changed, unchanged, taken_back };
    assert_eq!(harness.set(ConsentState::Out, ConsentScope::All).await, done(1, 0, 1));
    harness.assert_opted_out(ids[1]).await;
    assert_eq!(harness.set(ConsentState::Out, ConsentScope::All).await, done(0, 1, 0));
    assert_eq!(harness.set(ConsentState::Out, sender()).await, done(0, 1, 0), "it is so already");
    assert_eq!(harness.set(ConsentState::In, sender()).await, done(1, 0, 0));
    let known = harness.ledger(FindConsent { msisdn: msisdn(PERSON) }).await;
    let states: Vec<_> = known.history.iter().map(|entry| (entry.state, entry.scope.clone())).collect();
    assert_eq!(states, [(ConsentState::In, sender()), (ConsentState::Out, ConsentScope::All)]);
    assert_eq!(known.current.len(), 2);
    assert_eq!(harness.set(ConsentState::In, ConsentScope::All).await, done(1, 0, 0), "what is said of all is newer");
    let current = harness.ledger(ExportConsent { after: 0, current: true }).await;
    assert_eq!(current.records.iter().map(|entry| entry.state).collect::<Vec<_>>(), [ConsentState::In]);
    assert_eq!(harness.ledger(ExportConsent { after: 0, current: false }).await.records.len(), 3);
    assert_eq!(harness.rows("audit WHERE event = 'consent changed' AND actor = 'operator root'"), 3);
    // A file from elsewhere does not undo what is newer.
    let old = Some(START.minus(std::time::Duration::from_secs(1)));
    let change = ConsentChange {
        msisdn: msisdn(PERSON),
        scope: ConsentScope::All,
        state: ConsentState::Out,
        at: old,
        words: String::new(),
    };
    let import = SetConsent { changes: vec![change], by: AuditActor::operator(None), account: None };
    assert_eq!(harness.ledger(import).await, done(0, 1, 0));
}

#[actix_rt::test]
async fn so_many_sms_to_people_who_are_out_end_with_one_claim_and_those_of_others_are_claimed() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.open_outbox(0).await;
    let mut batch: Vec<NewSms> = (0..120).map(|_| to(PERSON)).collect();
    batch.push(NewSms { account: BOB, ..to(OTHER) });
    harness.accept_all(batch).await;
    harness.hear("STOP").await;
    let mut claimed = 0;
    for _ in 0..4 {
        claimed += harness.claimed_ids(10).await.len();
    }
    assert_eq!((claimed, harness.sms_rows("status = 7")), (1, 120));
}

#[actix_rt::test]
async fn a_receipt_still_says_that_an_sms_arrived_whose_person_opted_out_meanwhile() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.open_outbox(10).await;
    let id = harness.accept_all(vec![to(PERSON)]).await[0].id;
    harness.hear("STOP").await;
    let provider_id = Some("p".to_owned());
    harness.outcome(id, "ID: p", Then::Done { status: TransportStatus::Queued, provider_id }).await;
    assert_eq!(harness.find(id).await.state, SmsState::Submitted);
}
