//! Who may call, how often, with which methods and bodies, and what a repeated call does.

use reqwest::blocking::{Body, Response};
use serde_json::{Value, json};

use crate::{
    black_box::{Harness, eventually, words},
    clinic::Clinic,
    http_api::{assert_problem, ids, list},
};

#[test]
fn a_repeated_request_with_the_same_key_gives_the_first_answer_and_sends_nothing_twice() {
    let harness = Harness::new();
    let router = harness.run();
    let clinic = Clinic::new(&harness);
    let path = "/api/v1/sms/clickatell/send.json";
    let form = [("to_msisdn", "27123456789"), ("from_msisdn", "27123456780"), ("message", "once")];
    let first = harness.post(path, &form).header("idempotency-key", "k1").send().unwrap();
    assert_eq!(first.headers().get("idempotency-replayed"), None);
    let first = list(first);
    harness.wait_for_status("clickatell", first[0]["id"].as_i64().unwrap(), 4);
    let again = harness.post(path, &form).header("idempotency-key", "k1").send().unwrap();
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(list(again), first, "the first answer, though the SMS has arrived since");

    // Another body, or another call, with the same key.
    let other = [("to_msisdn", "27123456789"), ("from_msisdn", "27123456780"), ("message", "twice")];
    assert_problem(&harness.post(path, &other).header("idempotency-key", "k1").send().unwrap(), 422);
    let elsewhere = harness.post("/api/v1/sms/opera/send.json", &form).header("idempotency-key", "k1");
    assert_problem(&elsewhere.send().unwrap(), 422);

    // Another key, or another account with this one, is another request.
    let second = list(harness.post(path, &form).header("idempotency-key", "k2").send().unwrap());
    assert_ne!(second[0]["id"], first[0]["id"]);
    let theirs = clinic.post(path, &form).header("idempotency-key", "k1").send().unwrap();
    assert_eq!(theirs.headers().get("idempotency-replayed"), None);
    assert_ne!(list(theirs)[0]["id"], first[0]["id"]);

    // A refused request leaves its key free.
    let wrong = [("to_msisdn", "no"), ("from_msisdn", "27123456780"), ("message", "x")];
    assert_problem(&harness.post(path, &wrong).header("idempotency-key", "k3").send().unwrap(), 400);
    list(harness.post(path, &form).header("idempotency-key", "k3").send().unwrap());
    assert_problem(&harness.post(path, &form).header("idempotency-key", "k".repeat(256)).send().unwrap(), 400);

    // The key outlives the process.
    assert_eq!(router.stop(), 0);
    let _router = harness.run();
    assert_eq!(list(harness.post(path, &form).header("idempotency-key", "k1").send().unwrap()), first);
}

#[test]
fn requests_with_one_key_at_the_same_time_send_once() {
    let harness = Harness::quiet();
    let _router = harness.run();
    let to = vec!["27123456789"; 2_000];
    let body = json!({ "to_msisdn": to, "from_msisdn": "271", "message": "x" });
    let answers: Vec<Response> = std::thread::scope(|scope| {
        let send = || {
            let request = harness.post_body("/api/v1/sms/opera/send.json", "application/json", body.to_string());
            request.header("idempotency-key", "k").send().unwrap()
        };
        let requests: Vec<_> = (0..6).map(|_| scope.spawn(send)).collect();
        requests.into_iter().map(|request| request.join().unwrap()).collect()
    });
    let mut first = Vec::new();
    for answer in answers {
        if answer.status() == 409 {
            assert_problem(&answer, 409);
            assert!(answer.headers().contains_key("retry-after"), "still in progress: ask again");
        } else {
            first.push(ids(&list(answer)));
        }
    }
    assert!(!first.is_empty());
    assert!(first.iter().all(|ids| *ids == first[0]));
    let all = list(harness.get("/api/v1/sms/opera/status.json?since=2009-01-01&start=1999").send().unwrap());
    assert_eq!(all.len(), 1, "2,000 in all");
}

#[test]
fn too_many_calls_of_one_class_are_429_for_that_account_and_class() {
    let harness = Harness::new();
    for (class, calls) in [("sending", 3), ("receipts", 2), ("inbound", 2), ("reading", 4), ("callbacks", 2)] {
        harness.edit(|text| text.replace(&format!("\n{class} = 0"), &format!("\n{class} = {calls}")));
    }
    let _router = harness.run();
    let clinic = Clinic::new(&harness);
    let sms = [("to_msisdn", "27123456789"), ("from_msisdn", "27123456780"), ("message", "x")];
    let send = || harness.post("/api/v1/sms/clickatell/send.json", &sms).send().unwrap();
    let receipt = || harness.get("/api/v1/sms/clickatell/receipt.json").send().unwrap();
    let inbound = || harness.post("/api/v1/sms/opera/receive.xml", &[]).send().unwrap();
    let read = || harness.get("/api/v1/sms/clickatell/status.json?id=1").send().unwrap();
    let callbacks = || harness.get("/api/v1/account/callbacks.json").send().unwrap();
    // A rate that older settings have means nothing for what providers bring.
    for bring in [&receipt as &dyn Fn() -> Response, &inbound] {
        assert!((0..10).all(|_| bring().status() == 400));
    }
    let calls: [(&str, u64, &dyn Fn() -> Response); 3] =
        [("sending", 3, &send), ("reading", 4, &read), ("callbacks", 2, &callbacks)];
    for (class, limit, call) in calls {
        let mut left = limit;
        let refused = eventually("the limit is reached", || {
            let answer = call();
            let limits = answer.headers()["ratelimit"].to_str().unwrap().to_owned();
            assert_eq!(answer.headers()["ratelimit-policy"], format!("\"{class}\";q={limit};w=60"));
            assert!(limits.starts_with(&format!("\"{class}\";r=")), "{limits}");
            if answer.status() == 429 {
                return Some(answer);
            }
            assert!(left > 0, "{class}: more than {limit} calls went through");
            left -= 1;
            None
        });
        assert_eq!(left, 0, "{class}: all {limit} calls went through first");
        assert_problem(&refused, 429);
        let wait_s: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait_s), "{class}: {wait_s}");
    }
    // Nobody else's, and nothing without a limit, is refused.
    assert_eq!(clinic.post("/api/v1/sms/clickatell/send.json", &sms).send().unwrap().status(), 200);
    assert_eq!(harness.get_open("/health/").unwrap().status(), 200);
    // What was refused was not sent.
    eventually("the four SMS are submitted", || (harness.seen("clickatell")["submissions"] == 4).then_some(()));
}

#[test]
fn without_the_right_password_there_is_401_everywhere_under_the_api() {
    let harness = Harness::quiet();
    harness.add_to("http", "wrong_passwords = 3");
    let _router = harness.run();
    let every = [
        "sms/clickatell/send.json",
        "sms/clickatell/template_send.json",
        "sms/clickatell/status/1.json",
        "sms/clickatell/status/1/events.json",
        "sms/clickatell/status.json",
        "sms/clickatell/receipt.json",
        "sms/clickatell/receive.json",
        "sms/opera/receive.xml",
        "sms/vodacom/send.json",
        "sms/preview.json",
        "account/callbacks.json",
        "account/callbacks/1.json",
        "nothing/here",
    ];
    for path in every {
        let url = harness.url(&format!("/api/v1/{path}"));
        for method in [reqwest::Method::GET, reqwest::Method::POST, reqwest::Method::DELETE] {
            let answer = harness.client().request(method, &url).send().unwrap();
            assert_problem(&answer, 401);
            assert!(answer.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic realm=\"Vumi\""));
        }
    }
    let with = |user: &str, password: &str| {
        harness
            .client()
            .get(harness.url("/api/v1/account/callbacks.json"))
            .basic_auth(user, Some(password))
            .send()
            .unwrap()
    };
    for (user, password) in [("username", "wrong"), ("nobody", "password"), ("", ""), ("username", "")] {
        assert_problem(&with(user, password), 401);
    }
    assert_eq!(with("username", "password").status(), 200);
    // Guessing has an end, for that name.
    let guesses: Vec<u16> = (0..4).map(|n| with("guessed", &n.to_string()).status().as_u16()).collect();
    assert_eq!(guesses, [401, 401, 401, 429]);
    assert!(with("guessed", "x").headers().contains_key("retry-after"));
    assert_eq!(with("username", "password").status(), 200);
}

#[test]
fn other_methods_are_405_with_allow() {
    let harness = Harness::quiet();
    let _router = harness.run();
    for (path, allow) in [
        ("/api/v1/sms/clickatell/send.json", "POST"),
        ("/api/v1/sms/clickatell/template_send.json", "POST"),
        ("/api/v1/sms/preview.json", "POST"),
        ("/api/v1/sms/clickatell/status/1.json", "GET, DELETE"),
        ("/api/v1/sms/clickatell/status/1/events.json", "GET"),
        ("/api/v1/sms/clickatell/status.json", "GET"),
        ("/api/v1/account/callbacks.json", "GET, POST"),
        ("/api/v1/account/callbacks/1.json", "GET, PUT, DELETE"),
        ("/api/v1/openapi.json", "GET, HEAD"),
        ("/health/", "GET, HEAD"),
        ("/health/ready", "GET, HEAD"),
    ] {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
            if allow.split(", ").any(|allowed| allowed == method) {
                continue;
            }
            let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
            let answer = harness.client().request(method.clone(), harness.url(path));
            let answer = answer.basic_auth("username", Some("password")).send().unwrap();
            assert_eq!(answer.status(), 405, "{method} {path}");
            assert_eq!(answer.headers()["allow"], allow, "{method} {path}");
            assert_problem(&answer, 405);
        }
    }
}

#[test]
fn bodies_that_are_too_large_or_of_another_type_are_413_and_415() {
    let harness = Harness::quiet();
    harness.add_to("http", "max_body = 1000");
    let _router = harness.run();
    let large = "x".repeat(1001);
    let sms = [("to_msisdn", "27123456789"), ("from_msisdn", "27123456780"), ("message", large.as_str())];
    for path in [
        "/api/v1/sms/clickatell/send.json",
        "/api/v1/sms/clickatell/template_send.json",
        "/api/v1/sms/preview.json",
        "/api/v1/account/callbacks.json",
        "/api/v1/sms/clickatell/receipt.json",
        "/api/v1/sms/clickatell/receive.json",
        "/api/v1/sms/opera/receive.xml",
    ] {
        assert_problem(&harness.post(path, &sms).send().unwrap(), 413);
        // In pieces, without a length announced.
        let pieces = Body::new(std::io::Cursor::new(format!("message={large}")));
        let request = harness.post_body(path, "application/x-www-form-urlencoded", pieces);
        assert_problem(&request.send().unwrap(), 413);
    }
    for path in [
        "/api/v1/sms/clickatell/send.json",
        "/api/v1/sms/clickatell/template_send.json",
        "/api/v1/sms/preview.json",
        "/api/v1/account/callbacks.json",
    ] {
        let body = "to_msisdn=271&from_msisdn=272&message=x";
        for content_type in ["text/plain", "application/xml", "multipart/mixed; boundary=x", "nonsense"] {
            assert_problem(&harness.post_body(path, content_type, body).send().unwrap(), 415);
        }
        let packed =
            harness.post_body(path, "application/x-www-form-urlencoded", body).header("content-encoding", "gzip");
        assert_problem(&packed.send().unwrap(), 415);
    }
    let kept = list(harness.get("/api/v1/sms/clickatell/status.json?since=2009-01-01").send().unwrap());
    assert_eq!(kept, [] as [Value; 0]);
}

#[test]
fn following_an_sms_waits_where_the_router_is_asked_too_often() {
    let harness = Harness::new();
    harness.edit(|text| text.replace("\nreading = 0", "\nreading = 20"));
    let _router = harness.run();
    eventually("the limit is reached", || {
        let answer = harness.get("/api/v1/sms/clickatell/status.json?id=1").send().unwrap();
        (answer.status() == 429).then_some(())
    });
    let send = |more: &[&str]| {
        let sms = ["send", "--to", "27831234567", "--from", "38080", "--wait"];
        harness.vumi(&[&sms, more, &["hello"]].concat())
    };
    let short = send(&["--limit", "0"]);
    assert!(!short.status.success() && words(&short).contains("within 0 s"), "{}", words(&short));
    let followed = send(&[]);
    assert!(followed.status.success(), "{}", words(&followed));
}
