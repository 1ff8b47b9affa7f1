//! Every call of the HTTP API's table, through every transport: sending, batches, templates, status, pages, and what
//! one account sees of another.

use reqwest::blocking::Response;
use serde_json::{Value, json};

use crate::{black_box::Harness, clinic::Clinic};

/// Each transport, and the status of an SMS that its sandbox has taken (and told of, where it can).
const TRANSPORTS: [(&str, i64); 4] = [("clickatell", 4), ("opera", 4), ("e-scape", 3), ("techsys", 3)];

fn json_body(harness: &Harness, path: &str, body: &Value) -> Response {
    harness.post_body(path, "application/json", body.to_string()).send().unwrap()
}

pub(crate) fn list(answer: Response) -> Vec<Value> {
    assert_eq!(answer.status(), 200, "{}", answer.text().unwrap());
    assert_eq!(answer.headers()["content-type"], "application/json");
    answer.json().unwrap()
}

pub(crate) fn ids(list: &[Value]) -> Vec<i64> {
    list.iter().map(|sms| sms["id"].as_i64().unwrap()).collect()
}

#[track_caller]
pub(crate) fn assert_problem(answer: &Response, status: u16) {
    assert_eq!(answer.status(), status);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
}

#[test]
fn every_transport_sends_batches_and_templates_and_tells_what_became_of_them() {
    let harness = Harness::new();
    let _router = harness.run();
    for (transport, taken) in TRANSPORTS {
        let path = |rest: &str| format!("/api/v1/sms/{transport}/{rest}");
        let to = [("to_msisdn", "27123456780"), ("to_msisdn", "+27123456781"), ("to_msisdn", "27123456780")];
        let rest = [("from_msisdn", "27123456789"), ("message", "hello world")];
        let batch = list(harness.post(&path("send.json"), &[&to[..], &rest].concat()).send().unwrap());
        let numbers: Vec<&str> = batch.iter().map(|sms| sms["to_msisdn"].as_str().unwrap()).collect();
        assert_eq!(numbers, ["27123456780", "27123456781", "27123456780"], "in the order given");
        for sms in &batch {
            assert_eq!((&sms["transport_status"], &sms["transport_status_display"]), (&json!(0), &json!("")));
            assert_eq!((&sms["message"], &sms["delivered_at"]), (&json!("hello world"), &Value::Null));
            assert_eq!((&sms["encoding"], &sms["segments"]), (&json!("GSM 03.38"), &json!(1)));
        }
        let template = [
            ("template_name", "Simon"),
            ("template_name", "Zoë & Co <x>"),
            ("template_name", ""),
            ("template_extra", "1"),
            ("template_extra", "2"),
            ("template_extra", "3"),
            ("from_msisdn", "27123456789"),
            ("template", "Hello {{name}}{{#extra}}, {{extra}}{{/extra}}!"),
        ];
        let personal = list(harness.post(&path("template_send.json"), &[&to[..], &template].concat()).send().unwrap());
        let texts: Vec<&str> = personal.iter().map(|sms| sms["message"].as_str().unwrap()).collect();
        assert_eq!(texts, ["Hello Simon, 1!", "Hello Zoë & Co <x>, 2!", "Hello , 3!"]);

        let mut all = ids(&batch);
        all.extend(ids(&personal));
        for id in &all {
            let sms = harness.wait_for_status(transport, *id, taken);
            assert_eq!(sms["delivered_at"].is_string(), taken == 4, "{sms}");
        }
        all.sort_unstable_by(|a, b| b.cmp(a));
        let by_id = format!("status.json?id={}&id={}&id=999999", all[5], all[0]);
        assert_eq!(ids(&list(harness.get(&path(&by_id)).send().unwrap())), [all[0], all[5]], "newest first");
        assert_eq!(ids(&list(harness.get(&path("status.json?since=2009-01-01")).send().unwrap())).len(), 6);
        assert_eq!(list(harness.get(&path("status.json?since=2999-01-01")).send().unwrap()), Vec::<Value>::new());
        assert_eq!(harness.seen(transport)["submissions"], 6, "{transport}");

        // An SMS is found under the transport it was sent by, and no other.
        let other = if transport == "opera" { "clickatell" } else { "opera" };
        for path in [format!("status/{}.json", all[0]), format!("status/{}/events.json", all[0])] {
            assert_problem(&harness.get(&format!("/api/v1/sms/{other}/{path}")).send().unwrap(), 404);
        }
        assert_eq!(
            list(harness.get(&format!("/api/v1/sms/{other}/status.json?id={}", all[0])).send().unwrap()),
            [] as [Value; 0]
        );
    }
}

#[test]
fn json_bodies_say_the_same_with_arrays() {
    let harness = Harness::quiet();
    let _router = harness.run();
    for (transport, _) in TRANSPORTS {
        let path = |rest: &str| format!("/api/v1/sms/{transport}/{rest}");
        let one = json!({ "to_msisdn": "27123456780", "from_msisdn": 27_123_456_789_i64, "message": "a=b&c\n" });
        let sent = list(json_body(&harness, &path("send.json"), &one));
        assert_eq!((&sent[0]["from_msisdn"], &sent[0]["message"]), (&json!("27123456789"), &json!("a=b&c\n")));
        let two = json!({
            "to_msisdn": ["27123456780", 27_123_456_781_i64], "from_msisdn": "27123456789",
            "template": "Hi {{name}}", "template_name": ["A", "B"],
        });
        let sent = list(json_body(&harness, &path("template_send.json"), &two));
        let shown: Vec<_> = sent.iter().map(|sms| (&sms["to_msisdn"], &sms["message"])).collect();
        assert_eq!(shown, [(&json!("27123456780"), &json!("Hi A")), (&json!("27123456781"), &json!("Hi B"))]);
    }
}

#[test]
fn ten_thousand_recipients_are_accepted_in_one_call() {
    let harness = Harness::quiet();
    let _router = harness.run();
    let to: Vec<String> = (0..10_000).map(|n| format!("2712{n:07}")).collect();
    let form: String = to.iter().map(|to| format!("to_msisdn={to}&")).collect();
    let form = form + "from_msisdn=27123456789&message=hello";
    let request = harness.post_body("/api/v1/sms/opera/send.json", "application/x-www-form-urlencoded", form);
    let sent = list(request.send().unwrap());
    let numbers: Vec<&str> = sent.iter().map(|sms| sms["to_msisdn"].as_str().unwrap()).collect();
    assert_eq!(numbers, to);
    let ids = ids(&sent);
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(harness.status("opera", ids[9_999])["to_msisdn"], "27120009999");
}

#[test]
fn a_long_list_comes_in_pages_of_100_with_a_link_to_the_next() {
    let harness = Harness::new();
    let _router = harness.run();
    let to = vec!["27123456789"; 250];
    let sent = list(json_body(
        &harness,
        "/api/v1/sms/techsys/send.json",
        &json!({ "to_msisdn": to, "from_msisdn": "271", "message": "x" }),
    ));
    let mut sent = ids(&sent);
    // A status that changes moves its SMS to the front: the pages stand still once the provider has them all.
    for id in &sent {
        harness.wait_for_status("techsys", *id, 3);
    }
    let mut next = Some(harness.url("/api/v1/sms/techsys/status.json?since=2009-01-01+00:00:00"));
    let (mut pages, mut newest_first, mut changed) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(url) = next {
        let answer = harness.client().get(&url).basic_auth("username", Some("password")).send().unwrap();
        next = answer.headers().get("link").map(|link| {
            let link = link.to_str().unwrap();
            assert!(link.starts_with('<') && link.ends_with(">; rel=\"next\""), "{link}");
            link.trim_start_matches('<').split('>').next().unwrap().to_owned()
        });
        let page = list(answer);
        pages.push(page.len());
        newest_first.extend(ids(&page));
        changed.extend(page.iter().map(|sms| sms["updated_at"].as_str().unwrap().to_owned()));
    }
    assert_eq!(pages, [100, 100, 50]);
    assert!(changed.is_sorted_by(|newer, older| newer >= older), "{changed:?}");
    let mut seen = newest_first.clone();
    seen.sort_unstable();
    sent.sort_unstable();
    assert_eq!(seen, sent);
    let from = |start: usize| {
        let path = format!("/api/v1/sms/techsys/status.json?since=2009-01-01&start={start}");
        ids(&list(harness.get(&path).send().unwrap()))
    };
    assert_eq!(from(249), newest_first[249..]);
    assert_eq!(from(250), [] as [i64; 0]);
    assert_eq!(from(10_000), [] as [i64; 0]);
    let beyond = harness.get("/api/v1/sms/techsys/status.json?since=2009-01-01&start=10001").send().unwrap();
    assert_problem(&beyond, 400);
    let many: String = newest_first.iter().map(|id| format!("&id={id}")).collect();
    let answer = harness.get(&format!("/api/v1/sms/techsys/status.json?{}", &many[1..])).send().unwrap();
    assert!(answer.headers().contains_key("link"));
    assert_eq!(list(answer).len(), 100);
}

#[test]
fn an_accounts_sms_are_nobody_elses() {
    let harness = Harness::quiet();
    let _router = harness.run();
    let clinic = Clinic::new(&harness);
    for (transport, _) in TRANSPORTS {
        let path = |rest: &str| format!("/api/v1/sms/{transport}/{rest}");
        let ours = harness.send(transport, "27123456789", "ours");
        let form = [("to_msisdn", "27123456789"), ("from_msisdn", "27123456780"), ("message", "theirs")];
        let theirs = ids(&list(clinic.post(&path("send.json"), &form).send().unwrap()))[0];
        assert_problem(&clinic.get(&path(&format!("status/{ours}.json"))).send().unwrap(), 404);
        assert_problem(&clinic.get(&path(&format!("status/{ours}/events.json"))).send().unwrap(), 404);
        assert_problem(&harness.get(&path(&format!("status/{theirs}.json"))).send().unwrap(), 404);
        let both = path(&format!("status.json?id={ours}&id={theirs}"));
        assert_eq!(ids(&list(clinic.get(&both).send().unwrap())), [theirs]);
        assert_eq!(ids(&list(harness.get(&both).send().unwrap())), [ours]);
        let since = path("status.json?since=2009-01-01");
        assert_eq!(ids(&list(clinic.get(&since).send().unwrap())), [theirs]);
        assert_eq!(ids(&list(harness.get(&since).send().unwrap())), [ours]);
    }
}

#[test]
fn a_preview_tells_alphabet_and_parts_and_sends_nothing() {
    let harness = Harness::new();
    let _router = harness.run();
    let preview = |message: &str| {
        let answer = harness.post("/api/v1/sms/preview.json", &[("message", message)]).send().unwrap();
        assert_eq!(answer.status(), 200);
        answer.json::<Value>().unwrap()
    };
    for (message, encoding, segments) in [
        ("a".repeat(160), "GSM 03.38", 1),
        ("a".repeat(161), "GSM 03.38", 2),
        ("a".repeat(306), "GSM 03.38", 2),
        ("a".repeat(307), "GSM 03.38", 3),
        // A character of the extension table takes two places.
        ("€".repeat(80), "GSM 03.38", 1),
        ("€".repeat(81), "GSM 03.38", 2),
        ("ж".repeat(70), "UCS-2", 1),
        ("ж".repeat(71), "UCS-2", 2),
        ("ж".repeat(135), "UCS-2", 3),
        ("😀".repeat(35), "UCS-2", 1),
    ] {
        let shown = preview(&message);
        assert_eq!((&shown["encoding"], &shown["segments"]), (&json!(encoding), &json!(segments)), "{message}");
    }
    let shown = preview("It’s “on”");
    assert_eq!(shown["forced_ucs2"], json!(["’", "“", "”"]));
    assert_eq!(shown["transliterated"]["message"], "It's \"on\"");
    assert_eq!(shown["transliterated"]["encoding"], "GSM 03.38");
    assert_eq!(preview("plain")["transliterated"], Value::Null);
    assert_eq!(harness.seen("clickatell")["submissions"], 0);
}

#[test]
fn the_api_describes_itself_and_the_page_needs_no_internet() {
    let harness = Harness::new();
    let _router = harness.run();
    let described: Value = harness.get_open("/api/v1/openapi.json").unwrap().json().unwrap();
    assert_eq!(described["openapi"], "3.1.0");
    let paths = described["paths"].as_object().unwrap();
    for (path, methods) in [
        ("/api/v1/sms/{transport}/send.json", &["post"][..]),
        ("/api/v1/sms/{transport}/template_send.json", &["post"]),
        ("/api/v1/sms/{transport}/status/{id}.json", &["get"]),
        ("/api/v1/sms/{transport}/status/{id}/events.json", &["get"]),
        ("/api/v1/sms/{transport}/status.json", &["get"]),
        ("/api/v1/sms/preview.json", &["post"]),
        ("/api/v1/account/callbacks.json", &["get", "post"]),
        ("/api/v1/account/callbacks/{id}.json", &["get", "put", "delete"]),
        ("/api/v1/sms/{transport}/receipt.json", &["get", "post"]),
        ("/api/v1/sms/{transport}/receive.json", &["get", "post"]),
        ("/api/v1/sms/{transport}/receive.xml", &["get", "post"]),
    ] {
        for method in methods {
            assert!(paths[path].get(method).is_some(), "{method} {path}");
        }
    }
    let transport = &paths["/api/v1/sms/{transport}/send.json"]["post"]["parameters"][0];
    assert_eq!(
        transport["schema"]["enum"],
        json!(["africas-talking-ussd", "clickatell", "e-scape", "opera", "smsc", "techsys", "truteq"])
    );

    let page = harness.get_open("/api/docs/").unwrap();
    assert_eq!(page.status(), 200);
    let page = page.text().unwrap();
    let attributes = page.split("src=\"").skip(1).chain(page.split("href=\"").skip(1));
    for file in attributes.map(|rest| rest.split('"').next().unwrap()) {
        assert!(!file.contains("//"), "{file} is elsewhere");
        let path = format!("/api/docs/{}", file.trim_start_matches("./"));
        assert_eq!(harness.get_open(&path).unwrap().status(), 200, "{path}");
    }
}
