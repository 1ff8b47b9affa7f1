//! A person is found wherever they are, and taken out so that counts stay whole.

use std::sync::Arc;

use diesel::connection::SimpleConnection;
use vumi_kit::{
    address::{Address, Msisdn},
    callback::{CallbackFormat, CallbackName, CreateCallback},
    export::{ExportFilter, ExportReceived, ExportSms, NumberRange},
    ledger::{AcceptSms, Accepted, KeepReceived, RecordReceipts, SmsOwner, Then},
    name::Name,
    session::{After, Answer, CountAnswers, SaveSession, SessionRecord},
    sms::{InboundSms, NewSms, Receipt, SmsId, TransportStatus},
    sms_options::SmsOptions,
    subscriber::{
        ErasePerson, ErasedRows, FindMentions, FindPerson, MentionTable, PersonKey, PersonRows, PersonTable, Subscriber,
    },
};

use super::{ALICE, StoreHarness, msisdn, opera, sms};

const NUMBER: &str = "27831234567";

fn quiz() -> Name {
    Name::parse("quiz").unwrap()
}

impl StoreHarness {
    async fn sent_to(&self, number: &str) -> SmsId {
        let options = SmsOptions { reference: Some(format!("order of {number}")), ..SmsOptions::default() };
        let to = Msisdn::parse(number).unwrap();
        let new = NewSms { to, options: Arc::new(options), ..sms(&format!("hello {number}")) };
        let Accepted::Now(kept) = self.ledger(AcceptSms { batch: vec![new], idempotency: None }).await else {
            panic!("not now")
        };
        let said = format!("ID: 7 To:{number}");
        self.outcome(kept[0].id, &said, Then::Done { status: TransportStatus::Queued, provider_id: None }).await;
        kept[0].id
    }

    async fn received_from(&self, owner: SmsOwner, number: &str) {
        let inbound = vec![InboundSms::whole(
            Address::inbound(number).unwrap(),
            Address::inbound("38080").unwrap(),
            format!("I am {number}"),
        )];
        self.ledger(KeepReceived { owner, transport: opera(), inbound }).await;
    }

    async fn answered(&self, number: &str, answer: &str) {
        let person = format!("opera/{number}");
        let session = SessionRecord {
            owner: quiz(),
            person: person.clone(),
            address: "*120#".to_owned(),
            last_message_id: "m".to_owned(),
            state: "{}".to_owned(),
            expires_at: self.now().plus(std::time::Duration::from_secs(60)),
        };
        let answers = vec![Answer { campaign: quiz(), person, question: "who".to_owned(), answer: answer.to_owned() }];
        self.sessions(SaveSession { session, after: After::Anything, answers, sms: Vec::new() }).await;
    }

    async fn erase(&self, subscriber: &Subscriber, rows: PersonRows) -> ErasedRows {
        self.ledger(ErasePerson { subscriber: subscriber.clone(), rows }).await
    }

    /// Every place of the database in which a text stands.
    fn places_of(&self, text: &str) -> Vec<String> {
        let columns = [
            ("sms", "recipient"),
            ("sms", "sender"),
            ("sms", "message"),
            ("sms", "provider_said"),
            ("sms", "callback_url"),
            ("sms", "reference"),
            ("sms", "held_because"),
            ("sms_attempts", "said"),
            ("sms_events", "detail"),
            ("receipts", "recipient"),
            ("receipts", "fields"),
            ("received_sms", "sender"),
            ("received_sms", "recipient"),
            ("received_sms", "message"),
            ("received_parts", "sender"),
            ("received_parts", "message"),
            ("callback_deliveries", "body"),
            ("sessions", "person"),
            ("answers", "person"),
            ("answers", "answer"),
            ("answer_counts", "answer"),
        ];
        let stands = |(table, column): &(&str, &str)| self.rows(&format!("{table} WHERE {column} LIKE '%{text}%'")) > 0;
        columns.iter().filter(|place| stands(place)).map(|(table, column)| format!("{table}.{column}")).collect()
    }
}

#[actix_rt::test]
async fn a_person_is_found_in_every_table_and_taken_out_of_all_and_counts_stay() {
    let Some(harness) = StoreHarness::new() else { return };
    for name in CallbackName::ALL {
        let (url, secret, format) = ("http://client.example/".to_owned(), "s".to_owned(), CallbackFormat::Json);
        harness.callbacks(CreateCallback { account: ALICE, name, url, format, secret }).await;
    }
    let (theirs, others) = (harness.sent_to(NUMBER).await, harness.sent_to("27831234568").await);
    let receipt = |sms| Receipt {
        provider_id: Some("7".to_owned()),
        sms,
        spellings: None,
        both_ids: false,
        part: None,
        to: Some(msisdn(NUMBER)),
        status: TransportStatus::Delivered,
        provider_status: None,
        at: None,
        fields: vec![("to".to_owned(), NUMBER.to_owned())],
    };
    let receipts = vec![receipt(Some(theirs)), receipt(None)];
    harness.ledger(RecordReceipts { transport: opera(), receipts }).await;
    harness.received_from(SmsOwner::Account(ALICE), NUMBER).await;
    harness.received_from(SmsOwner::Nobody, NUMBER).await;
    harness.received_from(SmsOwner::Account(ALICE), "27831234568").await;
    harness.answered(NUMBER, "Thandi Nkosi").await;
    harness.answered("27831234568", "nobody").await;
    harness.answered("27831234569", "nobody").await;
    harness.ledger(AcceptSms { batch: vec![sms("waits")], idempotency: None }).await;

    let subscriber = Subscriber::parse("+27 83 123 4567").unwrap();
    let filter = ExportFilter { numbers: subscriber.numbers.clone(), ..ExportFilter::default() };
    let range = NumberRange { after: 0, up_to: i64::MAX };
    let ids: Vec<i64> =
        harness.ledger(ExportSms { range, filter: filter.clone() }).await.rows.iter().map(|sms| sms.id).collect();
    assert!(ids.contains(&theirs) && !ids.contains(&others) && ids.len() == 2, "{ids:?}");
    let received: Vec<i64> =
        harness.ledger(ExportReceived { range, filter }).await.rows.iter().map(|one| one.id).collect();
    assert_eq!(received.len(), 2);
    let find = |table| FindPerson { subscriber: subscriber.clone(), table, after: PersonKey::default() };
    let sessions = harness.ledger(find(PersonTable::Sessions)).await.sessions;
    let answers = harness.ledger(find(PersonTable::Answers)).await.answers;
    assert_eq!((sessions.len(), answers.len(), answers[0].answer.as_str()), (1, 1, "Thandi Nkosi"));

    let done = harness.erase(&subscriber, PersonRows::Sms(ids)).await;
    assert_eq!(done, ErasedRows { erased: 1, under_way: 1 }, "what waits is left until it is cancelled");
    harness
        .fixture
        .connect()
        .batch_execute("UPDATE sms SET next_attempt_at = NULL, status = 6 WHERE message = 'waits'")
        .unwrap();
    let waited = NumberRange { after: others, up_to: i64::MAX };
    let waited = harness.ledger(ExportSms { range: waited, filter: ExportFilter::default() }).await.rows[0].id;
    harness.erase(&subscriber, PersonRows::Sms(vec![waited])).await;
    assert_eq!(harness.erase(&subscriber, PersonRows::Received(received)).await.erased, 2);
    let key = sessions.into_iter().map(|one| (one.owner.to_string(), one.person)).collect();
    assert_eq!(harness.erase(&subscriber, PersonRows::Sessions(key)).await.erased, 1);
    let keys = answers.into_iter().map(|one| one.key).collect();
    assert_eq!(harness.erase(&subscriber, PersonRows::Answers(keys)).await.erased, 1);
    for table in MentionTable::ALL {
        let find = FindMentions { subscriber: subscriber.clone(), table, range };
        let rows = harness.ledger(find).await.rows;
        harness.erase(&subscriber, PersonRows::Mentions(table, rows)).await;
    }

    assert_eq!(harness.places_of(NUMBER), Vec::<String>::new());
    assert_eq!(harness.places_of("Thandi"), ["answer_counts.answer"], "with a count of 0");
    assert_eq!(harness.rows("answer_counts WHERE answer = 'Thandi Nkosi' AND count > 0"), 0);
    let count = CountAnswers { campaign: quiz(), question: "who".to_owned() };
    assert_eq!(harness.sessions(count).await, [("nobody".to_owned(), 2), ("erased".to_owned(), 1)]);
    let pseudonym = subscriber.pseudonym.as_str();
    assert_eq!(harness.sms_rows(&format!("recipient = '{pseudonym}' AND message = ''")), 2);
    assert_eq!((harness.rows("sms"), harness.rows("received_sms"), harness.rows("answers")), (3, 3, 3));
    assert_eq!(harness.find(theirs).await.to.as_str(), pseudonym);
    let other = harness.find(others).await;
    assert_eq!((&*other.message, other.reference.as_deref()), ("hello 27831234568", Some("order of 27831234568")));
    // Nobody gets it any more: neither a campaign nor an account that is named later.
    assert_eq!(harness.ledger(vumi_kit::ledger::ListUnowned { after: 0, limit: 10 }).await, []);
}
