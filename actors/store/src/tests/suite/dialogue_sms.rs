//! SMS of a campaign's dialogue: kept with the turn that sends them, or not at all.

use std::time::Duration;

use vumi_kit::{
    account::{AccountChange, QuotaCharge},
    campaign_sms::{DialogueSms, PreparedSms},
    name::Name,
    session::{After, CloseSession, SaveSession, SessionRecord},
};

use super::{StoreHarness, quotas, sms};

fn form() -> Name {
    Name::parse("form").unwrap()
}

fn of_turn(message_id: &str, step: &str, charge: Option<QuotaCharge>) -> DialogueSms {
    DialogueSms::of_turn(&form(), message_id, step, PreparedSms { sms: sms(step), charge })
}

/// A turn that answers a message after another one.
async fn turn(harness: &StoreHarness, message_id: &str, after: After, sms: Vec<DialogueSms>) -> bool {
    let session = SessionRecord {
        owner: form(),
        person: "p".to_owned(),
        address: "*120#".to_owned(),
        last_message_id: message_id.to_owned(),
        state: "{}".to_owned(),
        expires_at: harness.now().plus(Duration::from_secs(60)),
    };
    harness.sessions(SaveSession { session, after, answers: Vec::new(), sms }).await
}

#[actix_rt::test]
async fn an_sms_of_a_turn_is_kept_with_it_and_not_where_the_turn_does_not_apply() {
    let Some(harness) = StoreHarness::new() else { return };
    let both = || vec![of_turn("m1", "now", None), of_turn("m1", "later", None)];
    assert!(turn(&harness, "m1", After::Nothing, both()).await);
    assert_eq!(harness.rows("sms"), 2);
    assert!(!turn(&harness, "m1", After::Nothing, both()).await, "another process took the same turn");
    assert!(!turn(&harness, "m2", After::Message("other".to_owned()), vec![of_turn("m2", "now", None)]).await);
    assert_eq!(harness.rows("sms"), 2);
    assert!(turn(&harness, "m2", After::Message("m1".to_owned()), vec![of_turn("m2", "now", None)]).await);
    assert_eq!(harness.rows("sms"), 3);
}

#[actix_rt::test]
async fn a_message_that_is_answered_again_after_its_session_expired_sends_nothing_twice() {
    let Some(harness) = StoreHarness::new() else { return };
    assert!(turn(&harness, "m1", After::Nothing, vec![of_turn("m1", "now", None)]).await);
    harness.advance(3_600);
    assert!(turn(&harness, "m1", After::Nothing, vec![of_turn("m1", "now", None)]).await);
    assert_eq!(harness.rows("sms"), 1);
    let (owner, person) = (form(), "p".to_owned());
    let close = CloseSession { owner, person, after: None, answers: Vec::new(), sms: vec![of_turn("m9", "bye", None)] };
    assert!(harness.sessions(close).await);
    assert_eq!(harness.rows("sms"), 2, "the end of a dialogue sends, too");
}

#[actix_rt::test]
async fn a_turn_is_kept_though_its_account_may_send_no_more() {
    let Some(harness) = quotas::harness(vec![quotas::budget(3)]).await else { return };
    let paid = |message_id: &str, step: &str| of_turn(message_id, step, Some(quotas::segments(1)));
    assert!(turn(&harness, "m1", After::Nothing, vec![paid("m1", "a"), paid("m1", "b")]).await);
    assert_eq!((harness.rows("sms"), quotas::state(&harness).await), (1, (1, 1, 2)));
    let Some(stopped) = quotas::harness(vec![AccountChange::Stop]).await else { return };
    assert!(turn(&stopped, "m1", After::Nothing, vec![of_turn("m1", "now", None)]).await);
    assert_eq!(stopped.rows("sms"), 0);
}
