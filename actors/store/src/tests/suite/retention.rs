//! What the settings do not keep any longer goes, and nothing else.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use tokio::sync::oneshot;
use vumi_kit::{
    address::Address,
    callback::{CallbackFormat, CallbackName, CreateCallback},
    ledger::{ClaimReceived, KeepReceived, RecordReceipts, SettleReceived, SmsOwner, Then},
    sms::{InboundSms, Receipt, SmsId, TransportStatus},
    store::Request,
};

use super::{ALICE, StoreHarness, opera};
use crate::{
    OldTexts,
    writer::commands::{RetainStep, RetainedStep},
};

const DAY: u64 = 24 * 3600;

fn days(count: u64) -> Duration {
    Duration::from_secs(count * DAY)
}

impl StoreHarness {
    /// Keeps texts for 30 days and rows for 400.
    fn retaining(old_texts: OldTexts) -> Option<Self> {
        Self::with(|settings| {
            (settings.keep_texts, settings.keep_rows) = (Some(days(30)), Some(days(400)));
            settings.old_texts = old_texts;
        })
    }

    /// A whole run of retention: texts, rows, steps.
    async fn retain(&self) -> (usize, usize, usize) {
        let (mut texts, mut rows, mut steps) = (0, 0, 0);
        loop {
            let (reply, answer) = oneshot::channel();
            self.store.enqueue(Request::new(RetainStep, reply).into()).await;
            let step: RetainedStep = answer.await.unwrap().unwrap();
            (texts, rows, steps) = (texts + step.texts, rows + step.rows, steps + 1);
            assert!(steps < 1000, "it never ends");
            if step.whole {
                return (texts, rows, steps);
            }
        }
    }

    async fn ended(&self, id: SmsId) {
        self.outcome(id, "OK", Then::Done { status: TransportStatus::Queued, provider_id: Some(format!("p{id}")) })
            .await;
    }

    /// So many SMS that have been submitted.
    async fn sent(&self, count: usize) -> Vec<SmsId> {
        let ids: Vec<SmsId> = self.accept(count).await.into_iter().map(|sms| sms.id).collect();
        for id in &ids {
            self.ended(*id).await;
        }
        ids
    }

    async fn receive(&self, message: &str) -> i64 {
        let inbound = vec![InboundSms::whole(
            Address::inbound("27831234567").unwrap(),
            Address::inbound("38080").unwrap(),
            message,
        )];
        let keep = KeepReceived { owner: SmsOwner::Account(ALICE), transport: opera(), inbound };
        let kept = self.ledger(keep).await.remove(0);
        self.ledger(SettleReceived::by_campaign(kept.message_id, None, None)).await;
        kept.id
    }

    fn texts_of(&self, table: &str) -> Vec<String> {
        #[derive(diesel::QueryableByName)]
        struct Text {
            #[diesel(sql_type = diesel::sql_types::Text)]
            message: String,
        }
        let query = diesel::sql_query(format!("SELECT message FROM {table} ORDER BY id"));
        let texts: Vec<Text> = diesel::RunQueryDsl::load(query, &mut self.fixture.connect()).unwrap();
        texts.into_iter().map(|text| text.message).collect()
    }
}

fn receipt(id: SmsId) -> Receipt {
    Receipt {
        provider_id: Some(format!("p{id}")),
        sms: Some(id),
        spellings: None,
        both_ids: false,
        part: None,
        to: None,
        status: TransportStatus::Delivered,
        provider_status: Some("DELIVRD".to_owned()),
        at: None,
        fields: vec![("text".to_owned(), "message 0".to_owned())],
    }
}

#[actix_rt::test]
async fn texts_go_after_their_days_and_what_is_not_at_rest_keeps_its_own() {
    let Some(harness) = StoreHarness::retaining(OldTexts::Remove) else { return };
    let ids = harness.sent(2).await;
    harness.ledger(RecordReceipts { transport: opera(), receipts: vec![receipt(ids[0])] }).await;
    let waiting = harness.accept(1).await[0].id;
    harness.receive("from a person").await;
    harness.advance(30 * DAY - 1);
    assert_eq!(harness.retain().await, (0, 0, 1));
    harness.advance(2);
    let (texts, rows, _) = harness.retain().await;
    assert_eq!((texts, rows), (3, 0));
    assert_eq!(harness.texts_of("sms"), ["", "", "message 0"]);
    assert_eq!(harness.texts_of("received_sms"), [""]);
    assert_eq!(harness.rows("receipts WHERE fields = ''"), 1);
    assert_eq!(harness.find(ids[0]).await.status, TransportStatus::Delivered);
    assert_eq!(harness.retain().await.0, 0, "each text goes once");
    // It comes to rest behind the others.
    harness.ended(waiting).await;
    harness.advance(31 * DAY);
    assert_eq!(harness.retain().await.0, 1);
    assert_eq!(harness.sms_rows("text_removed_at IS NULL"), 0);
}

#[actix_rt::test]
async fn a_masked_text_keeps_its_length_and_nothing_else() {
    let Some(harness) = StoreHarness::retaining(OldTexts::Mask) else { return };
    harness.sent(1).await;
    harness.receive("Zoë, 27").await;
    harness.advance(31 * DAY);
    harness.retain().await;
    assert_eq!(harness.texts_of("sms"), ["xxxxxxx 0"]);
    assert_eq!(harness.texts_of("received_sms"), ["xxx, 00"]);
}

#[actix_rt::test]
async fn rows_go_with_all_that_belongs_to_them_in_small_steps_and_numbers_never_come_again() {
    let Some(harness) = StoreHarness::retaining(OldTexts::Remove) else { return };
    let create = CreateCallback {
        account: ALICE,
        name: CallbackName::SmsReceipt,
        url: "http://client.example/".to_owned(),
        secret: "s".to_owned(),
        format: CallbackFormat::Form,
    };
    harness.callbacks(create).await;
    let ids = harness.sent(450).await;
    let receipts = ids.iter().take(100).map(|id| receipt(*id)).collect();
    harness.ledger(RecordReceipts { transport: opera(), receipts }).await;
    let received = harness.receive("from a person").await;
    let posted = "UPDATE callback_deliveries SET next_attempt_at = NULL WHERE id <> (SELECT max(id) FROM callback_deliveries); \
         INSERT INTO callback_attempts SELECT id, 1, created_at, 200, NULL FROM callback_deliveries";
    harness.fixture.connect().batch_execute(posted).unwrap();
    assert_eq!(harness.rows("callback_deliveries"), 100);
    harness.advance(400 * DAY + 1);
    let recent = harness.sent(1).await[0];
    let (texts, rows, steps) = harness.retain().await;
    assert_eq!((texts, rows), (451, 450), "the last SMS from a person stays, for its number");
    assert!(steps >= 450 / 200 * 2, "{steps} steps");
    for table in ["sms_attempts", "receipts", "sms_parts", "sms_events"] {
        assert_eq!(harness.rows(&format!("{table} WHERE sms <> {recent}")), 0, "{table}");
    }
    assert_eq!(harness.rows("sms"), 1);
    assert_eq!(harness.rows("callback_deliveries"), 1, "that which still waits");
    assert_eq!(harness.rows("callback_attempts"), 1);
    harness.advance(401 * DAY);
    assert_eq!(harness.retain().await.1, 0, "the last one of each is what the next is counted from");
    let restarted = harness.restarted().await;
    assert_eq!(restarted.accept(1).await[0].id, recent + 1);
    assert!(restarted.receive("x").await > received);
    assert_eq!(restarted.ledger(ClaimReceived { limit: 10 }).await, []);
}

#[actix_rt::test]
async fn everything_is_kept_unless_the_settings_say_otherwise() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.sent(3).await;
    harness.advance(10_000 * DAY);
    assert_eq!(harness.retain().await, (0, 0, 1));
    assert_eq!(harness.texts_of("sms"), ["message 0", "message 1", "message 2"]);
}

#[actix_rt::test]
async fn what_is_held_or_waits_for_an_account_is_not_at_rest() {
    let Some(harness) = StoreHarness::retaining(OldTexts::Remove) else { return };
    harness.accept(1).await;
    let hold = "UPDATE sms SET next_attempt_at = NULL, held_at = 1, held_because = 'by an operator'";
    harness.fixture.connect().batch_execute(hold).unwrap();
    let inbound = vec![InboundSms::whole(
        Address::inbound("27831234567").unwrap(),
        Address::inbound("38080").unwrap(),
        "whose am I?",
    )];
    harness.ledger(KeepReceived { owner: SmsOwner::Nobody, transport: opera(), inbound }).await;
    harness.advance(1000 * DAY);
    assert_eq!(harness.retain().await.0, 0);
    assert_eq!(harness.texts_of("received_sms"), ["whose am I?"]);
}
