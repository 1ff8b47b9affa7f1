//! What the carriers bring: receipts and SMS from people, each in the carrier's form and with the answer it expects.

use std::sync::mpsc;

use reqwest::blocking::Response;
use serde_json::{Value, json};

use crate::{
    black_box::{Site, eventually},
    clinic::Clinic,
    listener::Listener,
};

/// A Clickatell whose id for SMS 7 is `api7`, and that sends no receipts of its own.
fn clickatell() -> Listener {
    Listener::new(|heard| {
        let form = heard.form();
        let id = form.iter().find(|(key, _)| key == "climsgid").map_or("", |(_, value)| value.as_str());
        (200, format!("ID: api{id}"))
    })
}

fn opera_answer(identifier: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><methodResponse><params><param><value><struct><member><name>Identifier</name>\
         <value><string>{identifier}</string></value></member></struct></value></param></params></methodResponse>"
    )
}

/// Settings in which a transport's carrier is this listener.
fn site_with(transport: &str, carrier: &Listener) -> Site {
    let site = Site::new();
    site.edit(|text| {
        let theirs = format!("127.0.0.1:{}/{transport}", site.carriers);
        assert!(text.contains(&theirs));
        text.replace(&theirs, &format!("127.0.0.1:{}", carrier.port))
    });
    site
}

fn wait_until_submitted(site: &Site, transport: &str, id: i64) {
    eventually("the provider's answer is recorded", || {
        (site.status(transport, id)["transport_status"] != 0).then_some(())
    });
}

fn clickatell_receipt(site: &Site, api: &str, cli: &str, status: &str) -> Response {
    let fields = [("apiMsgId", api), ("cliMsgId", cli), ("to", "27123456789"), ("from", "27123456780")];
    let rest = [("timestamp", "1279835244"), ("status", status), ("charge", "0.800000")];
    site.post("/api/v1/sms/clickatell/receipt.json", &[&fields[..], &rest].concat()).send().unwrap()
}

fn xml(site: &Site, path: &str, content_type: &str, body: &str) -> Response {
    site.post_body(&format!("/api/v1/sms/opera/{path}"), content_type, body.to_owned()).send().unwrap()
}

#[track_caller]
fn assert_names(answer: Response, field: &str) {
    assert_eq!(answer.status(), 400, "{field}: {}", answer.text().unwrap());
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Value = answer.json().unwrap();
    assert_eq!(problem["errors"][0]["field"], field, "{problem}");
}

#[test]
fn clickatell_receipts_come_by_get_and_post_and_must_match_both_ids() {
    let carrier = clickatell();
    let site = site_with("clickatell", &carrier);
    let _router = site.run();
    let (id, other) = (site.send("clickatell", "27123456789", "a"), site.send("clickatell", "27123456789", "b"));
    wait_until_submitted(&site, "clickatell", id);
    wait_until_submitted(&site, "clickatell", other);
    let (api, api_other) = (format!("api{id}"), format!("api{other}"));

    let query = format!("apiMsgId={api}&cliMsgId={id}&to=27123456789&from=27123456780&timestamp=1279835200&status=003");
    let answer = site.get(&format!("/api/v1/sms/clickatell/receipt.json?{query}")).send().unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["content-type"], "application/json");
    let shown: Value = answer.json().unwrap();
    assert_eq!(shown["apiMsgId"], api.as_str());
    assert_eq!((&shown["id"], &shown["transport_status"]), (&json!(id), &json!(3)));
    let sms = site.status("clickatell", id);
    assert_eq!((&sms["transport_status"], &sms["delivered_at"]), (&json!(3), &Value::Null));
    assert_eq!(sms["transport_status_display"], "Delivered to gateway");

    assert_eq!(clickatell_receipt(&site, &api, &id.to_string(), "004").status(), 201);
    let sms = site.status("clickatell", id);
    assert_eq!((&sms["transport_status"], &sms["provider_status"]), (&json!(4), &json!("004")));
    assert_eq!(sms["delivered_at"], "2010-07-22 21:47:24");

    // A repeated one, and an old one that comes late, change nothing.
    let events = site.get(&format!("/api/v1/sms/clickatell/status/{id}/events.json"));
    let events: Value = events.send().unwrap().json().unwrap();
    assert_eq!(clickatell_receipt(&site, &api, &id.to_string(), "004").status(), 201);
    let again = site.get(&format!("/api/v1/sms/clickatell/status/{id}/events.json"));
    assert_eq!(again.send().unwrap().json::<Value>().unwrap(), events);
    assert_eq!(site.status("clickatell", id), sms);
    assert_eq!(clickatell_receipt(&site, &api, &id.to_string(), "003").status(), 201);
    assert_eq!(site.status("clickatell", id), sms);

    // Ids that do not belong together, or to nothing.
    let before = site.status("clickatell", other);
    for (api, cli) in [
        (api.as_str(), other.to_string()),
        (api_other.as_str(), id.to_string()),
        ("api0", other.to_string()),
        (api_other.as_str(), "999999".to_owned()),
    ] {
        let answer = clickatell_receipt(&site, api, &cli, "005");
        assert_eq!(answer.status(), 404, "{api} {cli}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    assert_eq!(site.status("clickatell", other), before);
    assert_eq!(site.status("clickatell", id), sms);
}

#[test]
fn clickatell_receipts_that_can_not_be_read_are_400_and_name_the_field() {
    let carrier = clickatell();
    let site = site_with("clickatell", &carrier);
    let _router = site.run();
    let url = "/api/v1/sms/clickatell/receipt.json";
    for (query, field) in [
        ("cliMsgId=1&status=004", "apiMsgId"),
        ("apiMsgId=a&status=004", "cliMsgId"),
        ("apiMsgId=a&cliMsgId=1", "status"),
        ("apiMsgId=a&cliMsgId=x&status=004", "cliMsgId"),
        ("apiMsgId=a&cliMsgId=1&status=99", "status"),
        ("apiMsgId=a&cliMsgId=1&status=OK", "status"),
    ] {
        assert_names(site.get(&format!("{url}?{query}")).send().unwrap(), field);
        let post = site.post_body(url, "application/x-www-form-urlencoded", query);
        assert_names(post.send().unwrap(), field);
    }
}

#[test]
fn clickatell_statuses_with_and_without_zeros_are_one_scale() {
    let carrier = clickatell();
    let site = site_with("clickatell", &carrier);
    let _router = site.run();
    for (code, status, display) in [
        ("3", 3, "Delivered to gateway"),
        ("004", 4, "Received by recipient"),
        ("5", 5, "Error with message"),
        ("007", 7, "Error delivering message"),
        ("9", 9, "Routing error"),
        ("010", 10, "Message expired"),
        ("12", 12, "Out of credit"),
    ] {
        let id = site.send("clickatell", "27123456789", "x");
        wait_until_submitted(&site, "clickatell", id);
        assert_eq!(clickatell_receipt(&site, &format!("api{id}"), &id.to_string(), code).status(), 201);
        let sms = site.status("clickatell", id);
        assert_eq!((&sms["transport_status"], &sms["transport_status_display"]), (&json!(status), &json!(display)));
        assert_eq!(sms["provider_status"], code, "as it said it");
        assert_eq!(sms["delivered_at"].is_string(), status == 4);
    }
}

#[test]
fn a_receipt_may_be_there_before_clickatells_answer_to_the_submission() {
    let (release, wait) = mpsc::channel();
    let (begun, submitted) = mpsc::channel();
    let carrier = Listener::new(move |heard| {
        let form = heard.form();
        let id = form.iter().find(|(key, _)| key == "climsgid").map_or("", |(_, value)| value.as_str());
        begun.send(()).unwrap();
        wait.recv().unwrap();
        (200, format!("ID: api{id}"))
    });
    let site = site_with("clickatell", &carrier);
    let _router = site.run();
    let id = site.send("clickatell", "27123456789", "a");
    submitted.recv().unwrap();
    clickatell_receipt(&site, &format!("api{id}"), &id.to_string(), "004");
    release.send(()).unwrap();
    let sms = site.wait_for_status("clickatell", id, 4);
    assert_eq!(sms["delivered_at"], "2010-07-22 21:47:24");

    // The answer that came later did not take it back: with the next SMS dealt with, this one is as it was.
    release.send(()).unwrap();
    let next = site.send("clickatell", "27123456789", "b");
    wait_until_submitted(&site, "clickatell", next);
    assert_eq!(site.status("clickatell", id)["transport_status"], 4);
    assert_eq!(carrier.heard().len(), 2, "nothing is submitted twice");
}

#[test]
fn a_receipt_before_operas_identifier_is_known_is_kept_and_matched() {
    let (release, wait) = mpsc::channel();
    let (begun, submitted) = mpsc::channel();
    let carrier = Listener::new(move |_| {
        begun.send(()).unwrap();
        wait.recv().unwrap();
        (200, opera_answer("op77"))
    });
    let site = site_with("opera", &carrier);
    let _router = site.run();
    let id = site.send("opera", "27123456789", "a");
    submitted.recv().unwrap();
    let receipt = "<receipts><receipt><msgid>1</msgid><reference>op77</reference><msisdn>+27123456789</msisdn>\
                   <status>D</status><timestamp>20100722T21:47:24</timestamp><billed>NO</billed></receipt></receipts>";
    let answer = xml(&site, "receipt.json", "text/xml", receipt);
    assert_eq!(answer.status(), 201);
    let told: Value = answer.json().unwrap();
    assert_eq!((told["success"].as_array().unwrap().len(), told["fail"].as_array().unwrap().len()), (0, 1));
    assert_eq!(site.status("opera", id)["transport_status"], 0);
    release.send(()).unwrap();
    let sms = site.wait_for_status("opera", id, 4);
    assert_eq!(sms["delivered_at"], "2010-07-22 21:47:24");
}

#[test]
fn clickatell_inbound_sms_by_get_and_post_are_answered_as_json() {
    let site = Site::new();
    let _router = site.run();
    let url = "/api/v1/sms/clickatell/receive.json";
    let query =
        "api_id=1234&moMsgId=m1&from=%2B27831234567&to=27123456789&timestamp=2010-07-22+21:27:24&text=hi+%26+hi";
    let answer = site.get(&format!("{url}?{query}")).send().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/json");
    let got: Value = answer.json().unwrap();
    let expected = json!({
        "id": got["id"], "to_msisdn": "27123456789", "from_msisdn": "27831234567", "message": "hi & hi",
        "charset": null, "transport_name": "clickatell", "transport_msg_id": "m1",
        "received_at": "2010-07-22 21:27:24", "created_at": got["created_at"], "updated_at": got["updated_at"],
    });
    assert_eq!(got, expected);
    assert!(got["id"].is_i64() && got["created_at"].is_string() && got["updated_at"].is_string());

    // Brought again, by the other method: the same SMS.
    let form = |body: &'static str| site.post_body(url, "application/x-www-form-urlencoded", body).send().unwrap();
    assert_eq!(form(query).json::<Value>().unwrap(), got);

    let wide =
        form("api_id=1234&moMsgId=m2&from=27831234567&to=32323&text=%04%1F%04%40&charset=UTF-16BE&udh=&network=x");
    let wide: Value = wide.json().unwrap();
    assert_eq!((&wide["message"], &wide["charset"]), (&json!("Пр"), &json!("UTF-16BE")));
    assert_ne!(wide["id"], got["id"]);

    for (body, field) in [
        ("moMsgId=m3&from=271&to=272&text=x", "api_id"),
        ("api_id=4321&moMsgId=m3&from=271&to=272&text=x", "api_id"),
        ("api_id=1234&from=271&to=272&text=x", "moMsgId"),
        ("api_id=1234&moMsgId=m3&to=272&text=x", "from"),
        ("api_id=1234&moMsgId=m3&from=271&text=x", "to"),
        ("api_id=1234&moMsgId=m3&from=271&to=272", "text"),
    ] {
        assert_names(form(body), field);
    }
}

#[test]
fn opera_receipts_come_as_xml_or_in_a_form_and_are_answered_with_success_and_fail() {
    let mut number = 0;
    let carrier = Listener::new(move |_| {
        number += 1;
        (200, opera_answer(&format!("op{number}")))
    });
    let site = site_with("opera", &carrier);
    let _router = site.run();
    let send = || {
        let id = site.send("opera", "27123456789", "x");
        wait_until_submitted(&site, "opera", id);
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
    let answer = xml(&site, "receipt.json", "text/xml", &body);
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["content-type"], "application/json");
    let told: Value = answer.json().unwrap();
    let references = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one["reference"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(references(&told["success"]), ["op1", "op2"]);
    assert_eq!(references(&told["fail"]), ["op99"]);
    for (field, value) in [
        ("msgid", "26567958"),
        ("msisdn", "+27123456789"),
        ("status", "D"),
        ("timestamp", "20080831T15:59:24"),
        ("billed", "NO"),
    ] {
        assert_eq!((&told["success"][0][field], &told["fail"][0][field]), (&json!(value), &json!(value)));
    }
    let sms = site.status("opera", first);
    assert_eq!((&sms["transport_status"], &sms["provider_status"]), (&json!(4), &json!("D")));
    assert_eq!(sms["delivered_at"], "2008-08-31 15:59:24");
    assert_eq!(site.status("opera", second)["transport_status"], 2);

    // In a form; and every letter.
    for (n, (letter, status)) in
        [("d", 4), ("R", 4), ("P", 2), ("B", 2), ("a", 2), ("u", 2), ("F", 7), ("X", 7)].into_iter().enumerate()
    {
        let id = send();
        let body = format!("<receipts>{}</receipts>", receipt(&format!("op{}", n + 3), letter));
        let answer = site.post("/api/v1/sms/opera/receipt.json", &[("XmlMsg", &body)]).send().unwrap();
        assert_eq!(answer.status(), 201);
        assert_eq!(references(&answer.json::<Value>().unwrap()["success"]).len(), 1, "{letter}");
        assert_eq!(site.status("opera", id)["transport_status"], status, "{letter}");
    }
    let answer = xml(&site, "receipt.json", "application/xml", "<receipts/>");
    assert_eq!(answer.json::<Value>().unwrap(), json!({ "success": [], "fail": [] }));
    // Another number than the SMS went to.
    let body = format!("<receipts>{}</receipts>", receipt("op1", "F").replace("27123456789", "27123456780"));
    let told: Value = xml(&site, "receipt.json", "text/xml", &body).json().unwrap();
    assert_eq!(references(&told["fail"]), ["op1"]);
}

#[test]
fn hostile_xml_is_refused_with_400() {
    let site = Site::new();
    let _router = site.run();
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
                xml(&site, path, "text/xml", &document),
                site.post(&format!("/api/v1/sms/opera/{path}"), &[("XmlMsg", &document)]).send().unwrap(),
            ] {
                assert_eq!(answer.status(), 400, "{path} {shown}");
                assert_eq!(answer.headers()["content-type"], "application/problem+json");
                assert!(!answer.text().unwrap().contains("root:"), "{shown}");
            }
        }
    }
    // And it goes on working.
    assert_eq!(xml(&site, "receipt.json", "text/xml", "<!DOCTYPE receipts><receipts/>").status(), 201);
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
    let site = Site::new();
    let _router = site.run();
    let client = Listener::answering(&[200]);
    let url = client.url("/");
    let callback = [("name", "sms_received"), ("url", url.as_str())];
    assert_eq!(site.post("/api/v1/account/callbacks.json", &callback).send().unwrap().status(), 200);
    for answer in [
        xml(&site, "receive.xml", "text/xml", EVENT),
        xml(&site, "receive.xml", "text/plain", EVENT),
        xml(&site, "receive.xml", "text/xml; charset=utf8", EVENT),
        site.post("/api/v1/sms/opera/receive.xml", &[("XmlMsg", EVENT)]).send().unwrap(),
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
        assert_names(xml(&site, "receive.xml", "text/xml", &without), field);
    }
}

#[test]
fn e_scape_inbound_sms_get_an_answer_that_no_person_would_receive() {
    let site = Site::new();
    let _router = site.run();
    let url = "/api/v1/sms/e-scape/receive.json";
    let answer = site.get(&format!("{url}?smsc=vumi&svc=1&s=%2B27831234567&r=32323&text=hello")).send().unwrap();
    assert_eq!(answer.status(), 200);
    let headers = answer.headers().clone();
    assert!(!headers.keys().any(|name| name.as_str().starts_with("x-kannel")), "{headers:?}");
    assert_eq!(headers.get("content-type"), None);
    assert_eq!(headers["content-length"], "0");
    assert_eq!(answer.text().unwrap(), "");
    // It was kept, and the campaign answered it by the same transport.
    let reply = eventually("the campaign's answer", || {
        let list = site.get("/api/v1/sms/e-scape/status.json?since=2009-01-01").send().unwrap();
        list.json::<Value>().unwrap().as_array()?.first().cloned()
    });
    assert_eq!((&reply["to_msisdn"], &reply["from_msisdn"]), (&json!("27831234567"), &json!("32323")));
    for (query, field) in [("r=32323&text=x", "s"), ("s=271&text=x", "r"), ("s=271&r=272", "text")] {
        assert_names(site.get(&format!("{url}?{query}")).send().unwrap(), field);
    }
}

#[test]
fn a_function_that_a_provider_lacks_is_405_with_allow() {
    let site = Site::new();
    let _router = site.run();
    for (transport, path, allow) in [
        ("clickatell", "receipt.json", "GET, POST"),
        ("clickatell", "receive.json", "GET, POST"),
        ("clickatell", "receive.xml", ""),
        ("opera", "receipt.json", "POST"),
        ("opera", "receive.json", ""),
        ("opera", "receive.xml", "POST"),
        ("e-scape", "receipt.json", ""),
        ("e-scape", "receive.json", "GET"),
        ("e-scape", "receive.xml", ""),
        ("techsys", "receipt.json", ""),
        ("techsys", "receive.json", ""),
        ("techsys", "receive.xml", ""),
    ] {
        let url = site.url(&format!("/api/v1/sms/{transport}/{path}"));
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
            if allow.split(", ").any(|allowed| allowed == method) {
                continue;
            }
            let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
            let answer = site.client().request(method.clone(), &url).basic_auth("username", Some("password"));
            let answer = answer.send().unwrap();
            assert_eq!(answer.status(), 405, "{method} {transport}/{path}");
            assert_eq!(answer.headers()["allow"], allow, "{method} {transport}/{path}");
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
        }
    }
}

#[test]
fn another_accounts_receipts_and_inbound_sms_are_never_matched_or_told() {
    let carrier = clickatell();
    let site = site_with("clickatell", &carrier);
    let _router = site.run();
    let clinic = Clinic::new(&site);
    let client = Listener::answering(&[200]);
    let url = client.url("/");
    for name in ["sms_received", "sms_receipt"] {
        let answer = site.post("/api/v1/account/callbacks.json", &[("name", name), ("url", &url)]).send().unwrap();
        assert_eq!(answer.status(), 200);
    }
    let id = site.send("clickatell", "27123456789", "a");
    wait_until_submitted(&site, "clickatell", id);
    let before = site.status("clickatell", id);
    let (api, cli) = (format!("api{id}"), id.to_string());
    let receipt = [("apiMsgId", api.as_str()), ("cliMsgId", cli.as_str()), ("status", "005")];
    let answer = clinic.post("/api/v1/sms/clickatell/receipt.json", &receipt).send().unwrap();
    assert_eq!(answer.status(), 404);
    assert_eq!(site.status("clickatell", id), before);
    let inbound =
        [("api_id", "1234"), ("moMsgId", "m1"), ("from", "27831234567"), ("to", "32323"), ("text", "the clinic's")];
    let theirs: Value = clinic.post("/api/v1/sms/clickatell/receive.json", &inbound).send().unwrap().json().unwrap();
    // The same provider's id for another account is another SMS.
    let ours: Value = site.post("/api/v1/sms/clickatell/receive.json", &inbound).send().unwrap().json().unwrap();
    assert_ne!(ours["id"], theirs["id"]);
    let heard = eventually("our SMS is told", || client.heard().first().cloned());
    assert_eq!(heard.form()[0], ("id".to_owned(), ours["id"].to_string()));

    // The answer to each goes out in the name of the account that received it.
    let list =
        || site.get("/api/v1/sms/clickatell/status.json?since=2009-01-01").send().unwrap().json::<Value>().unwrap();
    eventually("both answers are kept", || {
        let theirs = clinic.get("/api/v1/sms/clickatell/status.json?since=2009-01-01").send().unwrap();
        let theirs = theirs.json::<Value>().unwrap();
        (theirs.as_array()?.len() == 1 && list().as_array()?.len() == 2).then_some(())
    });
    assert_eq!(client.heard().len(), 1);
}
