//! What Opera brings: receipts and SMS from people as XML, plain or in a form.

use std::sync::mpsc;

use reqwest::blocking::Response;
use serde_json::{Value, json};

use crate::{
    black_box::{Harness, eventually},
    listener::CallbackListener,
    webhooks::{assert_names, harness_with, wait_until_submitted},
};

fn opera_answer(identifier: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><methodResponse><params><param><value><struct><member><name>Identifier</name>\
         <value><string>{identifier}</string></value></member></struct></value></param></params></methodResponse>"
    )
}

fn xml(harness: &Harness, path: &str, content_type: &str, body: &str) -> Response {
    harness.post_body(&format!("/api/v1/sms/opera/{path}"), content_type, body.to_owned()).send().unwrap()
}

#[test]
fn a_receipt_before_operas_identifier_is_known_is_kept_and_matched() {
    let (release, wait) = mpsc::channel();
    let (begun, submitted) = mpsc::channel();
    let provider = CallbackListener::new(move |_| {
        begun.send(()).unwrap();
        wait.recv().unwrap();
        (200, opera_answer("op77"))
    });
    let harness = harness_with("opera", &provider);
    let _router = harness.run();
    let id = harness.send("opera", "27123456789", "a");
    submitted.recv().unwrap();
    let receipt = "<receipts><receipt><msgid>1</msgid><reference>op77</reference><msisdn>+27123456789</msisdn>\
                   <status>D</status><timestamp>20100722T21:47:24</timestamp><billed>NO</billed></receipt></receipts>";
    let answer = xml(&harness, "receipt.json", "text/xml", receipt);
    assert_eq!(answer.status(), 201);
    let reply: Value = answer.json().unwrap();
    assert_eq!((reply["success"].as_array().unwrap().len(), reply["fail"].as_array().unwrap().len()), (0, 1));
    assert_eq!(harness.status("opera", id)["transport_status"], 2, "about to be submitted");
    release.send(()).unwrap();
    let sms = harness.wait_for_status("opera", id, 4);
    assert_eq!(sms["delivered_at"], "2010-07-22 21:47:24");
}

#[test]
fn opera_receipts_come_as_xml_or_in_a_form_and_are_answered_with_success_and_fail() {
    let mut number = 0;
    let provider = CallbackListener::new(move |_| {
        number += 1;
        (200, opera_answer(&format!("op{number}")))
    });
    let harness = harness_with("opera", &provider);
    let _router = harness.run();
    let send = || {
        let id = harness.send("opera", "27123456789", "x");
        wait_until_submitted(&harness, "opera", id);
        id
    };
    let receipt = |reference: &str, status: &str| {
        format!(
            "<receipt><msgid>26567958</msgid><reference>{reference}</reference><msisdn>+27123456789</msisdn>\
             <status>{status}</status><timestamp>20080831T15:59:24</timestamp><billed>NO</billed></receipt>"
        )
    };
    let (first, second) = (send(), send());
    let body = format!(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE receipts>\n<receipts>{}{}{}</receipts>",
        receipt("op1", "D"),
        receipt("op99", "D"),
        receipt("op2", "Q")
    );
    let answer = xml(&harness, "receipt.json", "text/xml", &body);
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["content-type"], "application/json");
    let reply: Value = answer.json().unwrap();
    let references = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one["reference"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(references(&reply["success"]), ["op1", "op2"]);
    assert_eq!(references(&reply["fail"]), ["op99"]);
    for (field, value) in [
        ("msgid", "26567958"),
        ("msisdn", "+27123456789"),
        ("status", "D"),
        ("timestamp", "20080831T15:59:24"),
        ("billed", "NO"),
    ] {
        assert_eq!((&reply["success"][0][field], &reply["fail"][0][field]), (&json!(value), &json!(value)));
    }
    let sms = harness.status("opera", first);
    assert_eq!((&sms["transport_status"], &sms["provider_status"]), (&json!(4), &json!("D")));
    assert_eq!(sms["delivered_at"], "2008-08-31 15:59:24");
    assert_eq!(harness.status("opera", second)["transport_status"], 3);

    // In a form; and every letter.
    for (n, (letter, status)) in
        [("d", 4), ("R", 4), ("P", 3), ("B", 3), ("a", 3), ("u", 3), ("F", 7), ("X", 7)].into_iter().enumerate()
    {
        let id = send();
        let body = format!("<receipts>{}</receipts>", receipt(&format!("op{}", n + 3), letter));
        let answer = harness.post("/api/v1/sms/opera/receipt.json", &[("XmlMsg", &body)]).send().unwrap();
        assert_eq!(answer.status(), 201);
        assert_eq!(references(&answer.json::<Value>().unwrap()["success"]).len(), 1, "{letter}");
        assert_eq!(harness.status("opera", id)["transport_status"], status, "{letter}");
    }
    let answer = xml(&harness, "receipt.json", "application/xml", "<receipts/>");
    assert_eq!(answer.json::<Value>().unwrap(), json!({ "success": [], "fail": [] }));
    // Another number than the SMS went to.
    let body = format!("<receipts>{}</receipts>", receipt("op1", "F").replace("27123456789", "27123456780"));
    let reply: Value = xml(&harness, "receipt.json", "text/xml", &body).json().unwrap();
    assert_eq!(references(&reply["fail"]), ["op1"]);
}

#[test]
fn hostile_xml_is_refused_with_400() {
    let harness = Harness::new();
    let _router = harness.run();
    let deep = format!("{}{}", "<receipts>".repeat(5000), "</receipts>".repeat(5000));
    let many = format!("<receipts>{}</receipts>", "<receipt/>".repeat(60_000));
    let large = format!("<receipts><!--{}--></receipts>", "x".repeat(1024 * 1024));
    let hostile = [
        "",
        "hello",
        "<receipts>",
        "<receipts></receipt>",
        "<other></other>",
        "<receipts/><receipts/>",
        "<!DOCTYPE receipts [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><receipts>&e;</receipts>",
        "<!DOCTYPE receipts [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><receipts>&b;</receipts>",
        "<!DOCTYPE receipts SYSTEM \"http://127.0.0.1:1/x.dtd\"><receipts/>",
        "<!DOCTYPE receipts PUBLIC \"-//X//X\" \"http://127.0.0.1:1/x.dtd\"><receipts/>",
        "<receipts>&undeclared;</receipts>",
        "<receipts><receipt><reference>&xxe;</reference></receipt></receipts>",
        deep.as_str(),
        many.as_str(),
        large.as_str(),
    ];
    for document in hostile {
        let shown: String = document.chars().take(80).collect();
        for (path, document) in
            [("receipt.json", document.to_owned()), ("receive.xml", document.replace("receipts", "bspostevent"))]
        {
            for answer in [
                xml(&harness, path, "text/xml", &document),
                harness.post(&format!("/api/v1/sms/opera/{path}"), &[("XmlMsg", &document)]).send().unwrap(),
            ] {
                assert_eq!(answer.status(), 400, "{path} {shown}");
                assert_eq!(answer.headers()["content-type"], "application/problem+json");
                assert!(!answer.text().unwrap().contains("root:"), "{shown}");
            }
        }
    }
    // And it goes on working.
    assert_eq!(xml(&harness, "receipt.json", "text/xml", "<!DOCTYPE receipts><receipts/>").status(), 201);
}

const EVENT: &str = "<?xml version=\"1.0\"?>\n<!DOCTYPE bspostevent>\n<bspostevent>\n\
    <field name=\"MobileNetwork\" type=\"string\">MTNSA</field>\n\
    <field name=\"IsReceipt\" type=\"string\">NO</field>\n\
    <field name=\"Text\" type=\"string\">\n  hello &amp; wörld  \n</field>\n\
    <field name=\"Local\" type=\"string\">*32323</field>\n\
    <field name=\"Remote\" type=\"string\">+27831234567</field>\n\
    <field name=\"ReceiveDate\" type=\"date\">2010-06-04 15:51:25 +0000</field>\n\
    <field name=\"MessageID\" type=\"string\">373736741</field>\n</bspostevent>\n";

#[test]
fn opera_inbound_sms_are_echoed_as_the_very_document() {
    let harness = Harness::new();
    let _router = harness.run();
    let client = CallbackListener::answering(&[200]);
    let url = client.url("/");
    let callback = [("name", "sms_received"), ("url", url.as_str())];
    assert_eq!(harness.post("/api/v1/account/callbacks.json", &callback).send().unwrap().status(), 200);
    for answer in [
        xml(&harness, "receive.xml", "text/xml", EVENT),
        xml(&harness, "receive.xml", "text/plain", EVENT),
        xml(&harness, "receive.xml", "text/xml; charset=utf8", EVENT),
        harness.post("/api/v1/sms/opera/receive.xml", &[("XmlMsg", EVENT)]).send().unwrap(),
    ] {
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/xml; charset=utf8");
        assert_eq!(answer.text().unwrap(), EVENT);
    }
    let heard = eventually("the SMS is posted to the client", || client.heard().first().cloned());
    let form = heard.form();
    for (key, expected) in [
        ("message", "hello & wörld"),
        ("to_msisdn", "32323"),
        ("from_msisdn", "27831234567"),
        ("transport_name", "opera"),
        ("transport_msg_id", "373736741"),
        ("received_at", "2010-06-04 15:51:25"),
    ] {
        assert_eq!(form.iter().find(|(given, _)| given == key).unwrap().1, expected, "{key}");
    }
    for field in ["Local", "Remote", "Text"] {
        let without = EVENT.replace(&format!("name=\"{field}\""), "name=\"Other\"");
        assert_names(xml(&harness, "receive.xml", "text/xml", &without), field);
    }
}
