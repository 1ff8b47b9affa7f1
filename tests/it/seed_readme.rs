//! The commands of the first Vumi's readme, as they stand there but for host and port, run by a shell with `curl`;
//! the answers are those shown there, ids and times aside.

use std::process::Command;

use serde_json::{Value, json};

use crate::black_box::Harness;

/// Runs a command of the readme, moved to where the router listens, and reads its answer.
fn curl(harness: &Harness, command: &str) -> String {
    assert!(
        Command::new("curl").arg("--version").output().is_ok(),
        "these tests run the readme's own commands: install curl"
    );
    let moved = command.replace("http://localhost:8000", &harness.url("")).replace("curl ", "curl --noproxy '*' -sS ");
    let output = Command::new("sh").arg("-c").arg(&moved).output().unwrap();
    assert!(output.status.success(), "{moved}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// How a value compares with the one that the readme shows.
#[derive(Clone, Copy)]
enum As {
    /// The same value.
    Shown,
    /// Another number.
    Number,
    /// Another time.
    Time,
    /// Another time, or null: an SMS that has not arrived yet has no time of delivery.
    TimeOrNull,
}

fn how(key: &str) -> As {
    match key {
        "id" => As::Number,
        "created_at" | "updated_at" => As::Time,
        "delivered_at" => As::TimeOrNull,
        _ => As::Shown,
    }
}

fn is_time(value: &Value) -> bool {
    let digits = |text: &str| text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>();
    value.as_str().is_some_and(|text| digits(text) == "0000-00-00 00:00:00")
}

/// Every key that the readme shows is there, with that value, or with one of that type where it is an id or a time.
#[track_caller]
fn assert_object(answer: &Value, shown: &Value) {
    for (key, shown_value) in shown.as_object().unwrap() {
        assert!(answer.get(key).is_some(), "no {key}: {answer}");
        let value = &answer[key];
        let good = match how(key) {
            As::Shown => value == shown_value,
            As::Number => value.is_i64(),
            As::Time => is_time(value),
            As::TimeOrNull => value.is_null() || is_time(value),
        };
        assert!(good, "{key} is {value}, the readme shows {shown_value}: {answer}");
    }
}

#[track_caller]
fn assert_list(answer: &str, shown: &Value) -> Vec<i64> {
    let list: Value = serde_json::from_str(answer).unwrap();
    let (list, shown) = (list.as_array().unwrap(), shown.as_array().unwrap());
    assert_eq!(list.len(), shown.len(), "{answer}");
    for (one, shown) in list.iter().zip(shown) {
        assert_object(one, shown);
    }
    list.iter().map(|one| one["id"].as_i64().unwrap()).collect()
}

const SEND: &str = r"curl -u 'username:password' -X POST \
  http://localhost:8000/api/v1/sms/clickatell/send.json \
  -d 'to_msisdn=27123456789' \
  -d 'from_msisdn=27123456789' \
  -d 'message=hello world'";

const BATCH: &str = r"curl -u 'username:password' -X POST \
  http://localhost:8000/api/v1/sms/clickatell/send.json \
  -d 'to_msisdn=27123456780' \
  -d 'to_msisdn=27123456781' \
  -d 'to_msisdn=27123456782' \
  -d 'from_msisdn=27123456789' \
  -d 'message=hello world'";

const PERSONAL: &str = r"curl -u 'username:password' -X POST \
http://localhost:8000/api/v1/sms/clickatell/template_send.json \
-d 'to_msisdn=27123456789' \
-d 'to_msisdn=27123456789' \
-d 'to_msisdn=27123456789' \
-d 'from_msisdn=27123456789' \
-d 'template_name=Simon' \
-d 'template_surname=de Haan' \
-d 'template_name=Jack' \
-d 'template_surname=Jill' \
-d 'template_name=Foo' \
-d 'template_surname=Bar' \
-d 'template=Hello {{name}} {{surname}}'";

fn sent(to: &str, message: &str) -> Value {
    json!({
        "delivered_at": "2010-05-13 11:34:34", "id": 5, "from_msisdn": "27123456789", "to_msisdn": to,
        "transport_status": 0, "message": message,
    })
}

/// As the readme shows it, but for its status: the first Vumi did not tell what its transport has taken (2) from what waits.
fn claimed(id: i64) -> Value {
    json!({
        "delivered_at": null, "created_at": "2010-05-14 16:31:01", "updated_at": "2010-05-14 16:31:01",
        "transport_status_display": "Message queued", "from_msisdn": "27123456789", "id": id, "to_msisdn": "27123456789",
        "message": "testing api", "transport_status": 2,
    })
}

#[test]
fn scheduling_an_sms_a_batch_and_personal_ones_through_every_transport() {
    let harness = Harness::quiet();
    let _router = harness.run();
    for transport in ["clickatell", "opera", "e-scape", "techsys"] {
        // "Just replace '/clickatell/' with '/opera/' or any of the others in the URL."
        let by = |command: &str| curl(&harness, &command.replace("/clickatell/", &format!("/{transport}/")));
        assert_list(&by(SEND), &json!([sent("27123456789", "hello world")]));
        let batch = ["27123456780", "27123456781", "27123456782"].map(|to| sent(to, "hello world"));
        assert_list(&by(BATCH), &json!(batch));
        // The readme's example shows this list the other way round; the answer is in the order of the recipients.
        let personal = ["Hello Simon de Haan", "Hello Jack Jill", "Hello Foo Bar"];
        assert_list(&by(PERSONAL), &json!(personal.map(|message| sent("27123456789", message))));
    }
}

#[test]
fn checking_the_status_of_sent_sms() {
    let harness = Harness::quiet();
    let _router = harness.run();
    for number in 1..=4 {
        assert_eq!(harness.send("clickatell", "27123456789", "testing api"), number);
    }
    let one = curl(
        &harness,
        r"curl -u 'username:password' -X GET \
http://localhost:8000/api/v1/sms/clickatell/status/1.json \
",
    );
    let one: Value = serde_json::from_str(&one).unwrap();
    assert_object(&one, &claimed(1));
    assert_eq!((&one["id"], &one["delivered_at"]), (&json!(1), &Value::Null));

    let since = curl(
        &harness,
        r"curl -u 'username:password' -X GET \
http://localhost:8000/api/v1/sms/clickatell/status.json?since=2009-01-01",
    );
    assert_eq!(assert_list(&since, &json!([4, 3, 2, 1].map(claimed))), [4, 3, 2, 1]);

    let by_id = curl(
        &harness,
        r#"curl -u 'username:password' -X GET \
"http://localhost:8000/api/v1/sms/clickatell/status.json?id=3&id=4""#,
    );
    assert_eq!(assert_list(&by_id, &json!([4, 3].map(claimed))), [4, 3]);
}

#[test]
fn specifying_callbacks() {
    let harness = Harness::quiet();
    let _router = harness.run();
    for (name, url, command) in [
        (
            "sms_received",
            "http://localhost/sms/clickatell/received/callback",
            r"curl -u 'username:password' -X POST \
http://localhost:8000/api/v1/account/callbacks.json \
-d 'name=sms_received' \
-d 'url=http://localhost/sms/clickatell/received/callback'",
        ),
        (
            "sms_receipt",
            "http://localhost/sms/clickatell/receipt/callback",
            r"curl -u 'username:password' -X POST \
http://localhost:8000/api/v1/account/callbacks.json \
-d 'name=sms_receipt' \
-d 'url=http://localhost/sms/clickatell/receipt/callback'",
        ),
    ] {
        let answer: Value = serde_json::from_str(&curl(&harness, command)).unwrap();
        let shown = json!({
            "name": name, "url": url, "created_at": "2010-07-22 21:27:24", "updated_at": "2010-07-22 21:27:24", "id": 3,
        });
        assert_object(&answer, &shown);
    }
}

#[test]
fn accepting_receipts_and_inbound_sms_at_the_urls_it_names() {
    let harness = Harness::quiet();
    let _router = harness.run();
    assert_eq!(harness.send("clickatell", "27123456789", "testing api"), 1);
    let receipt: Value = serde_json::from_str(&curl(
        &harness,
        r"curl -u 'username:password' -X POST \
http://localhost:8000/api/v1/sms/clickatell/receipt.json \
-d 'apiMsgId=abc' -d 'cliMsgId=1' -d 'to=27123456789' -d 'from=27123456789' \
-d 'timestamp=1279835244' -d 'status=003' -d 'charge=0.8'",
    ))
    .unwrap();
    assert_eq!((&receipt["apiMsgId"], &receipt["charge"]), (&json!("abc"), &json!("0.8")));
    assert_eq!(harness.status("clickatell", 1)["transport_status"], 3);

    let received: Value = serde_json::from_str(&curl(
        &harness,
        r"curl -u 'username:password' -X POST \
http://localhost:8000/api/v1/sms/clickatell/receive.json \
-d 'api_id=1234' -d 'moMsgId=m1' -d 'from=27831234567' -d 'to=27123456789' \
-d 'timestamp=2010-07-22 21:27:24' --data-urlencode 'text=hello back'",
    ))
    .unwrap();
    assert_eq!(received["message"], "hello back");

    let opera: Value = serde_json::from_str(&curl(
        &harness,
        r#"curl -u 'username:password' -H 'Content-Type: text/xml' \
http://localhost:8000/api/v1/sms/opera/receipt.json \
-d '<?xml version="1.0"?><!DOCTYPE receipts><receipts></receipts>'"#,
    ))
    .unwrap();
    assert_eq!(opera, json!({ "success": [], "fail": [] }));

    let event = "<bspostevent><field name=\"Local\" type=\"string\">*32323</field>\
                 <field name=\"Remote\" type=\"string\">27831234567</field>\
                 <field name=\"Text\" type=\"string\">hello back</field></bspostevent>";
    let command = "curl -u 'username:password' -H 'Content-Type: text/xml' \
                   http://localhost:8000/api/v1/sms/opera/receive.xml -d 'EVENT'";
    assert_eq!(curl(&harness, &command.replace("EVENT", event)), event);
}

/// As the first Vumi's own test posts it.
#[test]
fn a_conversation_in_yaml_is_created_by_post_and_by_no_other_method() {
    let harness = Harness::new();
    let _router = harness.run();
    let yaml = r"printf -- '- question: How do you get water?\n  options: [tap, tank, river]\n- end: Thank you.\n' | \
curl -u 'username:password' -X POST -w ' %{http_code}' http://localhost:8000/api/v1/conversation.yaml \
-H 'Content-Type: application/x-yaml' --data-binary @-";
    assert_eq!(curl(&harness, yaml), "Created 201");
    let get =
        "curl -u 'username:password' -o /dev/null -w '%{http_code}' http://localhost:8000/api/v1/conversation.yaml";
    assert_eq!(curl(&harness, get), "405");
}
