use vumi_kit::sms::{Decision, InboundPart, TransportStatus};

use super::{Clickatell, read_queried};
use crate::{
    outbox::LookUp,
    provider::Provider,
    tests::{
        exam::{Exam, Expect, example_webhook, provider, submission},
        fake_provider::{FakeProvider, answers},
        webhooks::{answer, get, inbound, json, names_missing_fields, post_form, receipts},
    },
};

const RECEIPT: &str =
    "apiMsgId=abc&cliMsgId=42&to=27123456789&from=27123456780&timestamp=1275666685&status=004&charge=0.3";
const INBOUND: &str =
    "api_id=123456&moMsgId=m9&from=27123456789&to=38080&timestamp=2010-06-04+15%3A51%3A25&text=hi+there";

#[tokio::test]
async fn it_passes_the_exam() {
    let failed = |code| Expect::Rejected(TransportStatus::from(code));
    Exam {
        settings: Clickatell::EXAMPLE,
        answers: vec![
            (answers(200, "ID: abc"), Expect::Accepted(Some("abc"))),
            (answers(200, "ID: abc To: 27123456789\n"), Expect::Accepted(Some("abc"))),
            (answers(200, "ERR: 001, Authentication failed"), Expect::Misconfigured),
            (answers(200, "ERR: 007, IP lockdown violation"), Expect::Misconfigured),
            (answers(200, "ERR: 301, No credit left"), Expect::Misconfigured),
            (answers(200, "ERR: 105, Invalid destination address"), failed(9)),
            (answers(200, "ERR: 113, Maximum message parts exceeded"), failed(5)),
            (answers(200, "ERR: 115, Message expired"), failed(10)),
            (answers(200, "ERR: 122, Destination mobile opted out"), failed(7)),
            (answers(200, "ERR: 130, Maximum MT limit exceeded until 2010-06-05"), Expect::Throttled(None)),
            (answers(200, "ERR: 901, Internal error"), Expect::UnknownOutcome),
            (answers(200, "ERR: 777, Never heard of"), Expect::UnknownOutcome),
            (answers(200, "ERR:"), Expect::UnknownOutcome),
            (answers(200, "ID:"), Expect::UnknownOutcome),
        ],
        texts: vec![
            (
                "hello & [world]",
                vec![
                    "POST /http/sendmsg ",
                    "user=username&password=password&api_id=123456&to=27123456789&from=27123456780&climsgid=42",
                    "callback=7&deliv_ack=1&req_feat=8224&msg_type=SMS_TEXT",
                    "text=hello+%26+%5Bworld%5D",
                ],
            ),
            ("привет 😀", vec!["unicode=1&text=043f04400438043204350442", "0020d83dde00"]),
            (LONG, vec!["concat=2"]),
        ],
    }
    .sit::<Clickatell>()
    .await;
}

const LONG: &str = "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 \
                    0123456789 0123456789 0123456789 0123456789 0123456789 0123456789";

#[tokio::test]
async fn a_lost_answer_is_asked_for_by_our_own_id() {
    let mut server = FakeProvider::start(answers(200, "ID: abc Status: 004")).await;
    let known = provider::<Clickatell>(Clickatell::EXAMPLE, &server.url).look_up(&submission("hello")).await;
    let LookUp::Decided(Decision::Accepted { provider_id: Some(id), .. }) = known else { panic!("{known:?}") };
    assert_eq!(id, "abc");
    let call = server.call().await;
    assert!(call.starts_with("POST /http/querymsg "), "{call}");
    assert!(call.ends_with("user=username&password=password&api_id=123456&climsgid=42"), "{call}");
}

#[test]
fn a_query_tells_what_became_of_a_submission() {
    assert_eq!(read_queried("ERR: 104, Unknown client message id"), LookUp::NotFound);
    assert_eq!(read_queried("ID: abc Status: 001"), LookUp::NotFound);
    assert!(matches!(read_queried("ID: abc Status: 002"), LookUp::Decided(Decision::Accepted { .. })));
    assert!(matches!(
        read_queried("ID: abc Status: 10"),
        LookUp::Decided(Decision::Rejected { status: TransportStatus::Expired, .. })
    ));
    assert!(matches!(read_queried("ERR: 002, Unknown user"), LookUp::Decided(Decision::Misconfigured { .. })));
    assert!(matches!(read_queried("<html>"), LookUp::Decided(Decision::Retry { unknown_outcome: true, .. })));
}

#[test]
fn a_receipt_is_read_from_get_and_post_alike() {
    let form = example_webhook::<Clickatell>("receipt.json");
    for request in [get(RECEIPT), post_form(RECEIPT)] {
        let [receipt] = &receipts(&*form, &request)[..] else { panic!("one receipt") };
        assert_eq!(receipt.provider_id.as_deref(), Some("abc"));
        assert_eq!(receipt.sms, Some(42));
        assert_eq!(receipt.status, TransportStatus::Delivered);
        assert_eq!(receipt.at.unwrap().to_seconds_text(), "2010-06-04 15:51:25");
        assert_eq!(receipt.fields.len(), 7);
        let matched = answer(&*form, &request, true);
        assert_eq!(matched.status, 201);
        assert_eq!(json(&matched)["id"], 42);
        assert_eq!(json(&matched)["apiMsgId"], "abc");
        assert_eq!(json(&matched)["transport_status_display"], "Received by recipient");
        assert_eq!(answer(&*form, &request, false).status, 404);
    }
    let two = receipts(&*form, &get("apiMsgId=a&cliMsgId=1&status=003&apiMsgId=b&cliMsgId=2&status=004"));
    assert_eq!(two.iter().map(|receipt| receipt.sms).collect::<Vec<_>>(), [Some(1), Some(2)]);
    names_missing_fields(&*form, RECEIPT, &["apiMsgId", "cliMsgId", "status"]);
    assert_eq!(form.read(&get("apiMsgId=a&cliMsgId=x&status=4")).unwrap_err().field, "cliMsgId");
    assert_eq!(form.read(&get("apiMsgId=a&cliMsgId=1&status=99")).unwrap_err().field, "status");
}

#[test]
fn an_sms_from_a_person_is_read_and_answered_as_json() {
    let form = example_webhook::<Clickatell>("receive.json");
    for request in [get(INBOUND), post_form(INBOUND)] {
        let sms = inbound(&*form, &request);
        assert_eq!((sms.from.as_str(), sms.to.as_str()), ("27123456789", "38080"));
        assert_eq!(sms.message, "hi there");
        assert_eq!(sms.provider_id.as_deref(), Some("m9"));
        let answered = answer(&*form, &request, true);
        assert_eq!(answered.status, 200);
        assert_eq!(json(&answered)["message"], "hi there");
        assert_eq!(json(&answered)["transport_msg_id"], "m9");
        assert_eq!(json(&answered)["received_at"], "2010-06-04 15:51:25");
    }
    names_missing_fields(&*form, INBOUND, &["moMsgId", "from", "to", "text"]);
    // Two-way numbers hang on other ids than the one the account sends with.
    let another = INBOUND.replace("123456", "654321");
    assert_eq!(inbound(&*form, &get(&another)).message, "hi there");
    let utf16 = format!("{}%04%1F&charset=UTF-16BE", INBOUND.trim_end_matches("hi+there"));
    assert_eq!(inbound(&*form, &get(&utf16)).message, "П");
    let part = inbound(&*form, &get(&format!("{INBOUND}&udh=050003CC0201"))).part;
    assert_eq!(part, InboundPart::new("cc", 2, 1));
}
