//! Wrong input: a 400 that names every wrong field and value, and nothing of it is done.

use reqwest::blocking::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::black_box::Harness;

const TRANSPORTS: [&str; 4] = ["clickatell", "opera", "e-scape", "techsys"];

/// Checks that the answer is a 400 as RFC 9457 has it, naming exactly these fields and values.
#[track_caller]
fn assert_names(what: &str, answer: Response, expected: &[(&str, &str)]) {
    assert_eq!(answer.status(), 400, "{what}: {}", answer.text().unwrap());
    assert_eq!(answer.headers()["content-type"], "application/problem+json", "{what}");
    let problem: Value = answer.json().unwrap();
    assert_eq!(problem["status"], 400, "{what}");
    let errors = problem["errors"].as_array().unwrap_or_else(|| unreachable!("{what}: {problem}"));
    let named: Vec<(&str, &str)> =
        errors.iter().map(|e| (e["field"].as_str().unwrap(), e["value"].as_str().unwrap())).collect();
    assert_eq!(named, expected, "{what}: {problem}");
    for error in errors {
        assert!(!error["detail"].as_str().unwrap().is_empty(), "{what}: {problem}");
    }
}

fn form(harness: &Harness, path: &str, body: &str) -> RequestBuilder {
    harness.post_body(path, "application/x-www-form-urlencoded", body.to_owned())
}

/// Nothing was scheduled, and no provider heard of anything.
fn assert_nothing_kept(harness: &Harness) {
    for transport in TRANSPORTS {
        let list = harness.get(&format!("/api/v1/sms/{transport}/status.json?since=2009-01-01")).send().unwrap();
        assert_eq!(list.json::<Value>().unwrap(), json!([]), "{transport}");
        assert_eq!(harness.seen(transport)["submissions"], 0, "{transport}");
    }
}

#[test]
fn a_wrong_sms_or_batch_is_refused_as_a_whole_by_every_transport() {
    let harness = Harness::new();
    let _router = harness.run();
    let long = "a".repeat(9 * 153 + 1);
    let long_wide = "ж".repeat(9 * 67 + 1);
    let shown = |text: &str| format!("{}…", text.chars().take(100).collect::<String>());
    let (long_shown, long_wide_shown) = (shown(&long), shown(&long_wide));
    let cases: Vec<(String, Vec<(&str, &str)>)> = vec![
        (String::new(), vec![("to_msisdn", ""), ("from_msisdn", ""), ("message", "")]),
        ("from_msisdn=27123456789&message=x".into(), vec![("to_msisdn", "")]),
        ("to_msisdn=&from_msisdn=27123456789&message=x".into(), vec![("to_msisdn", "")]),
        ("to_msisdn=27123456789&message=x".into(), vec![("from_msisdn", "")]),
        ("to_msisdn=12&from_msisdn=27123456789&message=x".into(), vec![("to_msisdn", "12")]),
        ("to_msisdn=1234567890123456&from_msisdn=271&message=x".into(), vec![("to_msisdn", "1234567890123456")]),
        ("to_msisdn=%2B%2B27123&from_msisdn=271&message=x".into(), vec![("to_msisdn", "++27123")]),
        ("to_msisdn=27-12&from_msisdn=2-10&message=x".into(), vec![("to_msisdn", "27-12"), ("from_msisdn", "2-10")]),
        (
            "to_msisdn=0831234567&from_msisdn=TWELVELETTER&message=x".into(),
            vec![("to_msisdn", "0831234567"), ("from_msisdn", "TWELVELETTER")],
        ),
        (
            "to_msisdn=0027831234567&from_msisdn=7&message=x".into(),
            vec![("to_msisdn", "0027831234567"), ("from_msisdn", "7")],
        ),
        // Arabic-Indic digits are digits to Unicode, not to a network.
        ("to_msisdn=%D9%A1%D9%A2%D9%A3&from_msisdn=271&message=x".into(), vec![("to_msisdn", "١٢٣")]),
        ("to_msisdn=271&from_msisdn=272&message=".into(), vec![("message", "")]),
        ("to_msisdn=271&from_msisdn=272&message=+%0A+".into(), vec![("message", " \n ")]),
        (format!("to_msisdn=271&from_msisdn=272&message={long}"), vec![("message", &long_shown)]),
        (format!("to_msisdn=271&from_msisdn=272&message={long_wide}"), vec![("message", &long_wide_shown)]),
        ("to_msisdn=271&from_msisdn=272&message=x&message=y".into(), vec![("message", "y")]),
        ("to_msisdn=271&from_msisdn=272&message=%FF".into(), vec![("message", "%FF")]),
        // The second and fourth of a batch.
        (
            "to_msisdn=27123456780&to_msisdn=no&to_msisdn=27123456782&to_msisdn=1&from_msisdn=272&message=x".into(),
            vec![("to_msisdn", "no"), ("to_msisdn", "1")],
        ),
    ];
    for transport in TRANSPORTS {
        let path = format!("/api/v1/sms/{transport}/send.json");
        for (body, expected) in &cases {
            assert_names(body, form(&harness, &path, body).send().unwrap(), expected);
        }
        let too_many = vec!["27123456789"; 10_001];
        let body = json!({ "to_msisdn": too_many, "from_msisdn": "271", "message": "x" });
        let answer = harness.post_body(&path, "application/json", body.to_string());
        assert_names("a batch of 10,001", answer.send().unwrap(), &[("to_msisdn", "10001")]);
    }
    assert_nothing_kept(&harness);
}

#[test]
fn a_wrong_template_or_count_of_values_is_refused_by_every_transport() {
    let harness = Harness::new();
    let _router = harness.run();
    let two = "to_msisdn=271&to_msisdn=272&from_msisdn=273";
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("template_name=A&template_name=B", &[("template", "")]),
        ("template_name=A&template_name=B&template=Hi+{{name", &[("template", "Hi {{name")]),
        ("template_name=A&template_name=B&template={{%23name}}x", &[("template", "{{#name}}x")]),
        ("template_name=A&template_name=B&template={{surname}}", &[("template", "{{surname}}")]),
        ("template_name=A&template={{name}}", &[("template_name", "1")]),
        ("template_name=A&template_name=B&template_name=C&template={{name}}", &[("template_name", "3")]),
        ("template_a=1&template_a=2&template_b=1&template={{a}}{{b}}", &[("template_b", "1")]),
        ("template_name=A&template_name=&template={{name}}", &[("template", "")]),
    ];
    for transport in TRANSPORTS {
        let path = format!("/api/v1/sms/{transport}/template_send.json");
        for (body, expected) in cases {
            assert_names(body, form(&harness, &path, &format!("{two}&{body}")).send().unwrap(), expected);
        }
    }
    assert_nothing_kept(&harness);
}

#[test]
fn wrong_json_is_refused_and_named() {
    let harness = Harness::new();
    let _router = harness.run();
    let json = |path: &str, body: &str| harness.post_body(path, "application/json", body.to_owned()).send().unwrap();
    let send = "/api/v1/sms/clickatell/send.json";
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("{}", &[("to_msisdn", ""), ("from_msisdn", ""), ("message", "")]),
        (r#"{"to_msisdn": [], "from_msisdn": "271", "message": "x"}"#, &[("to_msisdn", "")]),
        (r#"{"to_msisdn": ["271", null], "from_msisdn": "271", "message": "x"}"#, &[("to_msisdn", "null")]),
        (r#"{"to_msisdn": {"a": 1}, "from_msisdn": "271", "message": "x"}"#, &[("to_msisdn", "{…}")]),
        (r#"{"to_msisdn": "271", "from_msisdn": "271", "message": 1.5}"#, &[("message", "1.5")]),
        (r#"{"to_msisdn": "271", "from_msisdn": "271", "message": true}"#, &[("message", "true")]),
    ];
    for (body, expected) in cases {
        assert_names(body, json(send, body), expected);
    }
    for body in ["", "{", "[]", "\"x\"", "null", "{\"to_msisdn\": \"271\"} x"] {
        let answer = json(send, body);
        assert_eq!(answer.status(), 400, "{body}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert!(answer.json::<Value>().unwrap()["detail"].as_str().unwrap().contains("JSON"), "{body}");
    }
    assert_nothing_kept(&harness);
}

#[test]
fn wrong_dates_ids_and_pages_are_named() {
    let harness = Harness::new();
    let _router = harness.run();
    for transport in TRANSPORTS {
        for (query, expected) in [
            ("", ("since", "")),
            ("?since=yesterday", ("since", "yesterday")),
            ("?since=2009-13-01", ("since", "2009-13-01")),
            ("?since=2009-02-30", ("since", "2009-02-30")),
            ("?since=", ("since", "")),
            ("?id=x", ("id", "x")),
            ("?id=3&id=", ("id", "")),
            ("?id=99999999999999999999", ("id", "99999999999999999999")),
            ("?since=2009-01-01&start=-1", ("start", "-1")),
            ("?since=2009-01-01&start=x", ("start", "x")),
            ("?since=2009-01-01&id=3", ("since", "2009-01-01")),
        ] {
            let answer = harness.get(&format!("/api/v1/sms/{transport}/status.json{query}")).send().unwrap();
            assert_names(query, answer, &[expected]);
        }
        for (id, shown) in [("x", "x"), ("-1", "-1"), ("+1", "+1"), ("1.0", "1.0"), ("%20", " ")] {
            for path in [format!("status/{id}.json"), format!("status/{id}/events.json")] {
                let answer = harness.get(&format!("/api/v1/sms/{transport}/{path}")).send().unwrap();
                assert_names(&path, answer, &[("id", shown)]);
            }
        }
    }
    for method in [reqwest::Method::GET, reqwest::Method::PUT, reqwest::Method::DELETE] {
        let url = harness.url("/api/v1/account/callbacks/first.json");
        let answer = harness.client().request(method, url).basic_auth("username", Some("password")).send().unwrap();
        assert_names("callback", answer, &[("id", "first")]);
    }
}

#[test]
fn a_wrong_callback_is_refused_and_nothing_is_changed() {
    let harness = Harness::new();
    let _router = harness.run();
    let all = "/api/v1/account/callbacks.json";
    let good = [("name", "sms_received"), ("url", "https://client.example/in")];
    let callback: Value = harness.post(all, &good).send().unwrap().json().unwrap();
    let one = format!("/api/v1/account/callbacks/{}.json", callback["id"]);
    let before: Value = harness.get(&one).send().unwrap().json().unwrap();
    for (body, expected) in [
        ("name=sms_sent&url=http://a.example/", vec![("name", "sms_sent")]),
        ("name=sms_receipt&url=ftp://a.example/", vec![("url", "ftp://a.example/")]),
        ("name=sms_receipt&url=a.example/in", vec![("url", "a.example/in")]),
        ("name=sms_receipt&url=http://", vec![("url", "http://")]),
        ("name=sms_receipt&url=javascript:alert(1)", vec![("url", "javascript:alert(1)")]),
        ("name=&url=", vec![("name", ""), ("url", "")]),
    ] {
        assert_names(body, form(&harness, all, body).send().unwrap(), &expected);
        let put = harness.client().put(harness.url(&one)).basic_auth("username", Some("password"));
        let put = put.header("content-type", "application/x-www-form-urlencoded").body(body);
        assert_names(body, put.send().unwrap(), &expected);
    }
    assert_names("nothing", form(&harness, all, "").send().unwrap(), &[("name", ""), ("url", "")]);
    assert_eq!(harness.get(&one).send().unwrap().json::<Value>().unwrap(), before);
    assert_eq!(harness.get(all).send().unwrap().json::<Value>().unwrap(), json!([before]));
}

#[test]
fn an_unknown_transport_is_404_and_the_error_names_those_there_are() {
    let harness = Harness::new();
    let _router = harness.run();
    let sms = [("to_msisdn", "271"), ("from_msisdn", "272"), ("message", "x")];
    for answer in [
        harness.post("/api/v1/sms/vodacom/send.json", &sms),
        harness.post("/api/v1/sms/vodacom/template_send.json", &sms),
        harness.get("/api/v1/sms/vodacom/status/1.json"),
        harness.get("/api/v1/sms/vodacom/status.json?id=1"),
        harness.get("/api/v1/sms/vodacom/receipt.json"),
        harness.post("/api/v1/sms/vodacom/receive.json", &[]),
        harness.post("/api/v1/sms/vodacom/receive.xml", &[]),
    ] {
        let answer = answer.send().unwrap();
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let detail = answer.json::<Value>().unwrap()["detail"].to_string();
        for name in TRANSPORTS.iter().chain(&["vodacom"]) {
            assert!(detail.contains(name), "{name} in {detail}");
        }
    }
}
