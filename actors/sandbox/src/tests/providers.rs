//! Each provider's own forms.

use actix_web::http::Method;
use base64::Engine as _;
use secrecy::SecretString;
use serde_json::json;

use super::harness::SandboxHarness;
use crate::{
    ClickatellPlatformSettings, ClickatellSettings, EScapeSettings, OperaSettings, SandboxSettings, TechsysSettings,
};

const SMS: [(&str, &str); 11] = [
    ("user", "u"),
    ("password", "p"),
    ("api_id", "42"),
    ("to", "27831234567"),
    ("text", "hello"),
    ("from", "27820000000"),
    ("climsgid", "7"),
    ("callback", "7"),
    ("deliv_ack", "1"),
    ("req_feat", "8224"),
    ("msg_type", "SMS_TEXT"),
];

fn clickatell() -> SandboxSettings {
    let clickatell = ClickatellSettings {
        user: Some("u".to_owned()),
        password: Some(SecretString::from("p")),
        api_id: Some("42".to_owned()),
        ..ClickatellSettings::default()
    };
    SandboxSettings { clickatell, ..SandboxSettings::default() }
}

/// The form with some fields changed, added (or, if empty, emptied).
fn changed<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = SMS.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    kept.chain(changes).copied().collect()
}

#[tokio::test]
async fn clickatell_takes_an_sms_and_posts_its_receipt_as_a_form() {
    let mut harness = SandboxHarness::start(clickatell(), &[]).await;
    let (status, body) = harness.form("clickatell/http/sendmsg", &SMS).await;
    let id = body.strip_prefix("ID: ").unwrap();
    assert!(status == 200 && id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{status} {body}");

    let receipt = harness.called().await;
    assert_eq!((receipt.method, receipt.path.as_str()), (Method::POST, "/api/v1/sms/clickatell/receipt.json"));
    assert_eq!(receipt.content_type, "application/x-www-form-urlencoded");
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("username:password"));
    assert_eq!(receipt.authorization, basic);
    let (front, rest) = receipt.body.split_once("&timestamp=").unwrap();
    assert_eq!(front, format!("apiMsgId={id}&cliMsgId=7&to=27831234567&from=27820000000"));
    let (seconds, back) = rest.split_once('&').unwrap();
    assert_eq!((seconds.len(), back), (10, "status=004&charge=0.300000"));
}

#[tokio::test]
async fn clickatell_answers_several_recipients_a_line_each() {
    let harness = SandboxHarness::start(clickatell(), &[]).await;
    let (_, body) = harness.form("clickatell/http/sendmsg", &changed(&[("to", "27831234567,0,27831234568")])).await;
    let lines: Vec<_> = body.lines().collect();
    assert!(lines[0].starts_with("ID: ") && lines[0].ends_with(" To: 27831234567"), "{body}");
    assert_eq!(lines[1], "ERR: 105, Invalid destination address To: 0");
    assert!(lines[2].ends_with(" To: 27831234568") && lines.len() == 3, "{body}");
}

#[tokio::test]
async fn clickatell_refuses_with_its_own_codes_and_status_200() {
    let harness = SandboxHarness::start(clickatell(), &[]).await;
    let long = "x".repeat(161);
    for (change, answer) in [
        (("user", "other"), "ERR: 001, Authentication failed"),
        (("password", ""), "ERR: 001, Authentication failed"),
        (("api_id", "43"), "ERR: 108, Invalid or missing API ID"),
        (("to", "+27831234567"), "ERR: 105, Invalid destination address"),
        (("text", ""), "ERR: 107, Empty message"),
        (("msg_type", "SMS_PICTURE"), "ERR: 112, Invalid message type"),
        (("data", ""), "ERR: 107, Empty message"),
        (("data", long.as_str()), "ERR: 107, Empty message"),
        (("text", long.as_str()), "ERR: 113, Maximum message parts exceeded"),
        (("unicode", "1"), "ERR: 116, Invalid Unicode data"),
    ] {
        let (status, body) = harness.form("clickatell/http/sendmsg", &changed(&[change])).await;
        assert_eq!((status, body.as_str()), (200, answer), "{change:?}");
    }
    assert_eq!(
        (harness.count("clickatell", "refused").await, harness.count("clickatell", "submissions").await),
        (10, 0)
    );
    for good in [
        changed(&[("text", &long), ("concat", "2")]),
        changed(&[("text", "0439"), ("unicode", "1")]),
        changed(&[("msg_type", "SMS_FLASH")]),
        changed(&[("data", "48ff"), ("udh", "0500")]),
    ] {
        let (_, body) = harness.form("clickatell/http/sendmsg", &good).await;
        assert!(body.starts_with("ID: "), "{body}");
    }
}

#[tokio::test]
async fn clickatell_answers_a_query_by_either_id() {
    let harness = SandboxHarness::start(clickatell(), &[]).await;
    harness.misbehave("clickatell", json!({"receipts": "none"})).await;
    let (_, sent) = harness.form("clickatell/http/sendmsg", &SMS).await;
    let id = sent.strip_prefix("ID: ").unwrap();
    let known = format!("{sent} Status: 003");
    for (name, value, answer) in [
        ("climsgid", "7", known.as_str()),
        ("apimsgid", id, known.as_str()),
        ("climsgid", "8", "ERR: 104, Unknown client message ID"),
        ("apimsgid", "0123456789abcdef0123456789abcdef", "ERR: 103, Unknown API message ID"),
        ("apimsgid", "é", "ERR: 103, Unknown API message ID"),
        ("apimsgid", "", "ERR: 109, Missing message ID"),
    ] {
        let form = [("user", "u"), ("password", "p"), ("api_id", "42"), (name, value)];
        assert_eq!(harness.form("clickatell/http/querymsg", &form).await, (200, answer.to_owned()));
    }
    harness.misbehave("clickatell", json!({"receipt_delay": "0s"})).await;
    let form = [("user", "u"), ("password", "p"), ("api_id", "42"), ("climsgid", "7")];
    assert_eq!(harness.form("clickatell/http/querymsg", &form).await.1, format!("{sent} Status: 004"));
}

#[tokio::test]
async fn clickatell_delivers_inbound_sms_by_post_or_get_and_passes_the_routers_answer_on() {
    let mut harness = SandboxHarness::start(clickatell(), &[200, 404]).await;
    for (method, answer) in [("POST", 200), ("GET", 404)] {
        let order = json!({"from": "27831234567", "to": "27820000000", "text": "né & co", "method": method});
        let call = harness.client.post(harness.url("inbound/clickatell")).body(order.to_string()).send().await.unwrap();
        assert_eq!((call.status().as_u16(), call.text().await.unwrap().as_str()), (answer, "the router's words"));
        let got = harness.called().await;
        assert_eq!(got.method.as_str(), method);
        let (path, query) = got.path.split_once('?').unwrap_or((&got.path, &got.body));
        assert_eq!(path, "/api/v1/sms/clickatell/receive.json");
        let fields: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["api_id", "moMsgId", "from", "to", "timestamp", "text", "charset"]);
        assert_eq!((fields[5].1.as_str(), fields[4].1.len()), ("né & co", 19));
    }
}

#[tokio::test]
async fn clickatells_platform_answers_each_recipient_and_posts_a_json_receipt() {
    let clickatell_platform =
        ClickatellPlatformSettings { api_key: Some(SecretString::from("key==")), ..Default::default() };
    let mut harness = SandboxHarness::start(SandboxSettings { clickatell_platform, ..Default::default() }, &[]).await;
    let url = harness.url("clickatell-platform/messages");
    let sms = json!({"content": "hello", "to": ["27831234567", "x"], "clientMessageId": "7"});
    let refused = harness.client.post(&url).header("authorization", "other").json(&sms).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    let words = r#"{"error":"Invalid or missing integration API key.","messages":[]}"#;
    assert_eq!(refused.text().await.unwrap(), words);

    let taken = harness.client.post(&url).header("authorization", "key==").json(&sms).send().await.unwrap();
    assert_eq!(taken.status(), 207);
    let answer: serde_json::Value = serde_json::from_str(&taken.text().await.unwrap()).unwrap();
    let id = answer["messages"][0]["apiMessageId"].as_str().unwrap();
    assert_eq!(
        answer,
        json!({"error": null, "messages": [
            {"apiMessageId": id, "accepted": true, "to": "27831234567", "error": null},
            {"apiMessageId": null, "accepted": false, "to": "x", "error": "Invalid destination address."},
        ]})
    );
    let receipt = harness.called().await;
    assert_eq!(receipt.path, "/api/v1/sms/clickatell-platform/receipt.json");
    assert_eq!(receipt.content_type, "application/json");
    let receipt: serde_json::Value = serde_json::from_str(&receipt.body).unwrap();
    assert_eq!((&receipt["messageId"], &receipt["statusCode"]), (&json!(id), &json!(4)));
    assert!(receipt["timestamp"].as_i64().unwrap() > 1_000_000_000_000);
}

/// A call as a client would write it; `{name}` stands for the value of a field.
fn opera_call(password: &str, text: &str) -> String {
    let members = [
        ("Service", "<string>s</string>".to_owned()),
        ("Password", format!("<string>{password}</string>")),
        ("Channel", "<string>c</string>".to_owned()),
        ("Numbers", "<string>27831234567,27831234568</string>".to_owned()),
        ("SMSText", text.to_owned()),
        ("Delivery", "<dateTime.iso8601>20261123T10:00:00</dateTime.iso8601>".to_owned()),
        ("Expiry", "<dateTime.iso8601>20261124T10:00:00</dateTime.iso8601>".to_owned()),
        ("Priority", "<string>standard</string>".to_owned()),
        ("Receipt", "<string>Y</string>".to_owned()),
        ("MaxSegments", "<int>9</int>".to_owned()),
    ]
    .map(|(name, value)| format!("<member><name>{name}</name><value>{value}</value></member>"));
    format!(
        "<?xml version='1.0'?><methodCall><methodName>EAPIGateway.SendSMS</methodName><params><param><value>\
         <struct>{}</struct></value></param></params></methodCall>",
        members.concat()
    )
}

#[tokio::test]
async fn opera_answers_with_an_identifier_and_posts_a_receipt_for_each_number() {
    let opera = OperaSettings { password: Some(SecretString::from("p")), ..OperaSettings::default() };
    let mut harness = SandboxHarness::start(SandboxSettings { opera, ..Default::default() }, &[]).await;
    let call = opera_call("p", "<base64>bsOp</base64>");
    let answer = harness.client.post(harness.url("opera")).body(call).send().await.unwrap().text().await.unwrap();
    let (front, rest) = answer.split_once("<name>Identifier</name><value><string>").unwrap();
    assert!(front.ends_with("<methodResponse><params><param><value><struct><member>"), "{answer}");
    let (identifier, _) = rest.split_once("</string></value></member></struct>").unwrap();

    let mut numbers = Vec::new();
    for _ in 0..2 {
        let receipt = harness.called().await;
        assert_eq!(
            (receipt.path.as_str(), receipt.content_type.as_str()),
            ("/api/v1/sms/opera/receipt.json", "text/xml")
        );
        let begins = "<?xml version=\"1.0\"?>\n<!DOCTYPE receipts>\n<receipts><receipt><msgid>";
        assert!(receipt.body.starts_with(begins), "{}", receipt.body);
        let (_, rest) = receipt.body.split_once(&format!("<reference>{identifier}</reference><msisdn>+")).unwrap();
        let (number, rest) = rest.split_once("</msisdn><status>D</status><timestamp>").unwrap();
        let (timestamp, end) = rest.split_once("</timestamp>").unwrap();
        assert_eq!((timestamp.len(), &timestamp[8..9]), (17, "T"));
        assert_eq!(end, "<billed>NO</billed></receipt></receipts>\n");
        numbers.push(number.to_owned());
    }
    numbers.sort();
    assert_eq!(numbers, ["27831234567", "27831234568"]);
    assert_eq!(harness.seen("opera").await["ids"].as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn opera_refuses_by_a_fault() {
    let opera = OperaSettings { password: Some(SecretString::from("p")), ..OperaSettings::default() };
    let harness = SandboxHarness::start(SandboxSettings { opera, ..Default::default() }, &[]).await;
    for (call, words) in [
        (opera_call("other", "<string>a</string>"), "Authentication failed"),
        (opera_call("p", "<string>é</string>"), "SMSText with a character above 127 has to be base64"),
        (opera_call("p", "<string>a</string>").replace("SendSMS", "Send"), "there is no method EAPIGateway.Send"),
        (opera_call("p", "<string>a</string>").replace("20261124", "20261122"), "Expiry has to be after Delivery"),
        ("garbage".to_owned(), "the call is no XML-RPC"),
    ] {
        let answer = harness.client.post(harness.url("opera")).body(call).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let body = answer.text().await.unwrap();
        assert!(body.contains("<fault>") && body.contains(&format!("<string>{words}</string>")), "{body}");
    }
}

#[tokio::test]
async fn opera_delivers_inbound_sms_as_xml() {
    let mut harness = SandboxHarness::start(SandboxSettings::default(), &[200]).await;
    let order = json!({"from": "+27831234567", "to": "*32323", "text": "a < b"});
    harness.client.post(harness.url("inbound/opera")).body(order.to_string()).send().await.unwrap();
    let got = harness.called().await;
    assert_eq!((got.path.as_str(), got.content_type.as_str()), ("/api/v1/sms/opera/receive.xml", "text/xml"));
    for field in [
        "<bspostevent>\n",
        "<field name=\"Local\" type=\"string\">*32323</field>",
        "<field name=\"Remote\" type=\"string\">+27831234567</field>",
        "<field name=\"Text\" type=\"string\">a &lt; b</field>",
        "<field name=\"IsReceipt\" type=\"string\">NO</field>",
        " +0000</field>",
    ] {
        assert!(got.body.contains(field), "{field} in {}", got.body);
    }
}

#[tokio::test]
async fn e_scape_answers_a_table_with_a_row_for_each_recipient() {
    let e_scape = EScapeSettings { api_id: Some(SecretString::from("k")), ..EScapeSettings::default() };
    let mut harness = SandboxHarness::start(SandboxSettings { e_scape, ..Default::default() }, &[200]).await;
    let sms = |api_id, send| {
        [
            ("s", "082"),
            ("r", "+27831234567,27831234568"),
            ("text", "<b>"),
            ("smsc", "S"),
            ("api_id", api_id),
            ("send", send),
        ]
    };
    let (status, page) = harness.form("e-scape", &sms("k", "go")).await;
    let rows = "<tbody>\n\
        <tr><td>082</td><td>+27831234567</td><td>S</td><td>0: Accepted for delivery</td><td>&lt;b&gt;</td></tr>\n\
        <tr><td>082</td><td>27831234568</td><td>S</td><td>2: Invalid recipient</td><td>&lt;b&gt;</td></tr>\n</tbody>";
    assert!(status == 200 && page.contains(rows), "{page}");
    assert!(harness.form("e-scape", &sms("x", "go")).await.1.contains("<td>1: Authorization failed</td>"));
    assert!(harness.form("e-scape", &sms("k", "")).await.1.contains("<tbody>\n</tbody>"));
    assert_eq!(harness.seen("e-scape").await["ids"], json!({"+27831234567 <b>": 1}));

    let order = json!({"from": "27831234567", "to": "32323", "text": "a b"});
    harness.client.post(harness.url("inbound/e-scape")).body(order.to_string()).send().await.unwrap();
    let got = harness.called().await;
    let query = "smsc=SANDBOX&svc=sms&s=27831234567&r=32323&text=a+b";
    assert_eq!((got.method, got.path), (Method::GET, format!("/api/v1/sms/e-scape/receive.json?{query}")));
}

#[tokio::test]
async fn techsys_answers_one_sentence_and_delivers_nothing() {
    let techsys = TechsysSettings { bind: Some(SecretString::from("b")), ..TechsysSettings::default() };
    let harness = SandboxHarness::start(SandboxSettings { techsys, ..Default::default() }, &[]).await;
    for (bind, to, answer) in [
        ("b", "27831234567", "Message queued successfully"),
        ("x", "27831234567", "Invalid bind"),
        ("b", "x", "Invalid msisdn"),
    ] {
        let (status, body) = harness.form("techsys", &[("bind", bind), ("msisdn", to), ("text", "hi")]).await;
        assert_eq!((status, body.as_str()), (200, answer));
    }
    let (status, problem) =
        harness.json("inbound/techsys", json!({"from": "27831234567", "to": "1", "text": "a"})).await;
    assert_eq!((status, &problem["detail"]), (404, &json!("techsys delivers no inbound SMS")));
}
