use proptest::prelude::*;
use serde_json::json;
use vumi_kit::{
    clock::Timestamp,
    sms::{Submission, TransportStatus},
    sms_options::Priority,
    webhook::Webhook,
};

use super::Opera;
use crate::{
    provider::Provider,
    tests::{
        exam::{Exam, Expect, changed, example_webhook, provider, submission},
        fake_provider::{FakeProvider, answers},
        webhooks::{answer, inbound, json, post, post_form, receipts},
    },
};

fn webhooks() -> Vec<Webhook> {
    Opera::webhooks(&changed::<Opera>(Opera::EXAMPLE, &[]))
}

const RECEIPTS: &str = "<?xml version=\"1.0\"?>\n<!DOCTYPE receipts>\n<receipts>
  <receipt><msgid>26567958</msgid><reference>001efc31</reference><msisdn>+27123456789</msisdn><status>D</status>
    <timestamp>20080831T15:59:24</timestamp><billed>NO</billed></receipt>
  <receipt><msgid>26750677</msgid><reference>001f4041</reference><msisdn>+27123456780</msisdn><status>x</status>
    <timestamp>20080907T09:42:28</timestamp><billed>NO</billed></receipt>
</receipts>";
const EVENT: &str = "<?xml version=\"1.0\"?>\n<bspostevent>
  <field name=\"MOReference\" type=\"string\">282341913</field>
  <field name=\"IsReceipt\" type=\"string\">NO</field>
  <field name=\"Local\" type=\"string\"> *32323 </field>
  <field name=\"Remote\" type=\"string\">+27831234567</field>
  <field name=\"Text\" type=\"string\">
    Hello &amp; goodbye é
  </field>
  <field name=\"MessageID\" type=\"string\">373736741</field>
  <field name=\"ReceiveDate\" type=\"date\">2010-06-04 17:51:25 +0200</field>
</bspostevent>";

fn response(value: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><methodResponse><params><param><value>{value}</value></param></params></methodResponse>"
    )
}

#[tokio::test]
async fn it_passes_the_exam() {
    let identifier = |value: &str| {
        response(&format!("<struct><member><name>Identifier</name><value>{value}</value></member></struct>"))
    };
    let fault = "<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>4</int></value>\
                 </member><member><name>faultString</name><value><string>busy</string></value></member></struct>\
                 </value></fault></methodResponse>";
    let deep = response(&format!("{}{}", "<array><data><value>".repeat(5000), "</value></data></array>".repeat(5000)));
    Exam {
        settings: Opera::EXAMPLE,
        answers: vec![
            (answers(200, &identifier("<string>001efc31</string>")), Expect::Accepted(Some("001efc31"))),
            (answers(200, &identifier("001efc31")), Expect::Accepted(Some("001efc31"))),
            (answers(200, &identifier("<int>77</int>")), Expect::Accepted(Some("77"))),
            (answers(200, fault), Expect::Retry),
            (answers(200, &response("<string>what?</string>")), Expect::UnknownOutcome),
            (answers(200, &response("<struct></struct>")), Expect::UnknownOutcome),
            (answers(200, &deep), Expect::UnknownOutcome),
        ],
        texts: vec![
            (
                "hello <world> & more",
                vec![
                    "text/xml",
                    "<methodName>EAPIGateway.SendSMS</methodName>",
                    "<name>Service</name><value><string>12345</string></value>",
                    "<name>Password</name><value><string>password</string></value>",
                    "<name>Channel</name><value><string>111</string></value>",
                    "<name>Numbers</name><value><string>27123456789</string></value>",
                    "<name>SMSText</name><value><string>hello &lt;world&gt; &amp; more</string></value>",
                    "<name>Delivery</name><value><dateTime.iso8601>20100604T15:51:25</dateTime.iso8601></value>",
                    "<name>Expiry</name><value><dateTime.iso8601>20100605T15:51:25</dateTime.iso8601></value>",
                    "<name>Priority</name><value><string>standard</string></value>",
                    "<name>Receipt</name><value><string>Y</string></value>",
                    "<name>MaxSegments</name><value><i4>9</i4></value>",
                ],
            ),
            ("привет", vec!["<name>SMSText</name><value><base64>0L/RgNC40LLQtdGC</base64></value>"]),
            ("a\rb", vec!["<base64>YQ1i</base64>"]),
        ],
    }
    .sit::<Opera>()
    .await;
}

#[tokio::test]
async fn what_remains_of_a_validity_is_its_expiry_and_a_high_priority_is_told() {
    let mut server = FakeProvider::start(answers(200, "")).await;
    // The clock of the exam stands at 15:51:25.
    let give_up_at = Timestamp::parse("2010-06-04 16:01:25").unwrap();
    let asked = Submission { limited: true, give_up_at, priority: Priority::High, ..submission("1234") };
    provider::<Opera>(Opera::EXAMPLE, &server.url).submit(&asked).await;
    let call = server.call().await;
    for piece in ["<name>Expiry</name><value><dateTime.iso8601>20100604T16:01:25<", "<string>high</string>"] {
        assert!(call.contains(piece), "no {piece} in {call}");
    }
}

#[test]
fn receipts_are_read_from_a_body_and_from_a_form() {
    let form = example_webhook::<Opera>("receipt.json");
    let in_form = form_urlencoded::Serializer::new(String::new()).append_pair("XmlMsg", RECEIPTS).finish();
    for request in [post("text/xml", RECEIPTS), post("application/xml", RECEIPTS), post_form(&in_form)] {
        let [delivered, failed] = &receipts(&*form, &request)[..] else { panic!("two receipts") };
        assert_eq!(delivered.provider_id.as_deref(), Some("001efc31"));
        assert_eq!(delivered.to.as_ref().unwrap().as_str(), "27123456789");
        assert_eq!(delivered.status, TransportStatus::Delivered);
        assert_eq!(delivered.at.unwrap().to_seconds_text(), "2008-08-31 15:59:24");
        assert_eq!(failed.status, TransportStatus::DeliveryError);
        let matched = answer(&*form, &request, true);
        assert_eq!(matched.status, 201);
        assert_eq!(json(&matched)["success"][0]["msgid"], "26567958");
        assert_eq!(json(&matched)["fail"], json!([]));
        let unmatched = answer(&*form, &request, false);
        assert_eq!(unmatched.status, 201);
        assert_eq!(json(&unmatched)["fail"][1]["reference"], "001f4041");
    }
    for field in ["reference", "msisdn", "status"] {
        let without = RECEIPTS.replace(&format!("<{field}>"), "<z>").replace(&format!("</{field}>"), "</z>");
        assert_eq!(form.read(&post("text/xml", without)).unwrap_err().field, field);
    }
    assert_eq!(form.read(&post_form("a=b")).unwrap_err().field, "XmlMsg");
}

#[test]
fn every_status_letter_has_its_place() {
    for (letters, status) in [
        ("DdR", TransportStatus::Delivered),
        ("QPBau", TransportStatus::Queued),
        ("xFE", TransportStatus::DeliveryError),
    ] {
        for letter in letters.chars() {
            assert_eq!(super::webhooks::status(&letter.to_string()), status, "{letter}");
        }
    }
}

#[test]
fn an_sms_from_a_person_is_read_and_its_document_comes_back() {
    let form = example_webhook::<Opera>("receive.xml");
    let in_form = form_urlencoded::Serializer::new(String::new()).append_pair("XmlMsg", EVENT).finish();
    for request in [post("text/plain", EVENT), post("text/xml", EVENT), post_form(&in_form)] {
        let sms = inbound(&*form, &request);
        assert_eq!((sms.from.as_str(), sms.to.as_str()), ("27831234567", "32323"));
        assert_eq!(sms.message, "Hello & goodbye é");
        assert_eq!(sms.provider_id.as_deref(), Some("373736741"));
        assert_eq!(sms.at.unwrap().to_seconds_text(), "2010-06-04 15:51:25");
        let answered = answer(&*form, &request, true);
        assert_eq!((answered.status, answered.content_type), (200, Some("text/xml; charset=utf8")));
        assert_eq!(answered.body, EVENT);
    }
    for field in ["Local", "Remote", "Text"] {
        let without = EVENT.replace(&format!("\"{field}\""), "\"Other\"");
        assert_eq!(form.read(&post("text/xml", without)).unwrap_err().field, field);
    }
}

#[test]
fn hostile_xml_is_refused_wherever_it_comes_in() {
    let entity = "<!DOCTYPE receipts [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><receipts>&x;</receipts>";
    let laughs = "<!DOCTYPE receipts [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><receipts>&b;</receipts>";
    let subset = "<!DOCTYPE receipts SYSTEM \"http://127.0.0.1/x.dtd\"><receipts/>";
    let deep = format!("<receipts>{}", "<receipt>".repeat(100_000));
    let large = format!("<receipts>{}</receipts>", " ".repeat(2_000_000));
    for webhook in webhooks() {
        for document in [entity, laughs, subset, &deep, &large] {
            assert_eq!(webhook.form.read(&post("text/xml", document.to_owned())).unwrap_err().field, "XML");
        }
    }
}

proptest! {
    #[test]
    fn no_document_makes_a_reader_panic(
        pieces in proptest::collection::vec(
            prop::sample::select(vec![
                "<receipts>", "</receipts>", "<receipt>", "</receipt>", "<msisdn>", "</msisdn>", "<!DOCTYPE ", "[", "]>",
                "<bspostevent>", "</bspostevent>", "<field name=\"Text\">", "</field>", "&amp;", "&x;", "&#0;", "<![CDATA[",
                "]]>", "<?", "?>", "<!--", "-->", "é", "\0", "=\"", ">", "<",
            ]),
            0..40,
        ),
    ) {
        let document = pieces.concat();
        for webhook in webhooks() {
            let _read_or_refused = webhook.form.read(&post("text/xml", document.clone()));
        }
    }
}
