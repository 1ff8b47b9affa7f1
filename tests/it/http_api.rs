//! Every call of the HTTP API's table, through every transport: sending, batches, templates, status, pages, repeated
//! requests, limits, and what one account sees of another.

use reqwest::blocking::{Body, Response};
use serde_json::{Value, json};

use crate::{
    black_box::{Site, eventually},
    clinic::Clinic,
};

/// Each transport, and the status of an SMS that its sandbox has taken (and told of, where it can).
const TRANSPORTS: [(&str, i64); 4] = [("clickatell", 4), ("opera", 4), ("e-scape", 2), ("techsys", 2)];

/// Carriers that can't be reached, so that SMS stay as they are.
fn quiet_site() -> Site {
    let site = Site::new();
    site.edit(|text| text.replace(&format!("http://127.0.0.1:{}/", site.carriers), "http://127.0.0.1:1/"));
    site
}

fn json_body(site: &Site, path: &str, body: &Value) -> Response {
    site.post_body(path, "application/json", body.to_string()).send().unwrap()
}

fn list(answer: Response) -> Vec<Value> {
    assert_eq!(answer.status(), 200, "{}", answer.text().unwrap());
    assert_eq!(answer.headers()["content-type"], "application/json");
    answer.json().unwrap()
}

fn ids(list: &[Value]) -> Vec<i64> {
    list.iter().map(|sms| sms["id"].as_i64().unwrap()).collect()
}

#[track_caller]
fn assert_problem(answer: &Response, status: u16) {
    assert_eq!(answer.status(), status);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
}

#[test]
fn every_transport_sends_batches_and_templates_and_tells_what_became_of_them() {
    let site = Site::new();
    let _router = site.run();
    for (transport, taken) in TRANSPORTS {
        let path = |rest: &str| format!("/api/v1/sms/{transport}/{rest}");
        let to = [("to_msisdn", "27123456780"), ("to_msisdn", "+27123456781"), ("to_msisdn", "27123456780")];
        let rest = [("from_msisdn", "27123456789"), ("message", "hello world")];
        let batch = list(site.post(&path("send.json"), &[&to[..], &rest].concat()).send().unwrap());
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
        let personal = list(site.post(&path("template_send.json"), &[&to[..], &template].concat()).send().unwrap());
        let texts: Vec<&str> = personal.iter().map(|sms| sms["message"].as_str().unwrap()).collect();
        assert_eq!(texts, ["Hello Simon, 1!", "Hello Zoë & Co <x>, 2!", "Hello , 3!"]);

        let mut all = ids(&batch);
        all.extend(ids(&personal));
        for id in &all {
            let sms = site.wait_for_status(transport, *id, taken);
            assert_eq!(sms["delivered_at"].is_string(), taken == 4, "{sms}");
        }
        all.sort_unstable_by(|a, b| b.cmp(a));
        let by_id = format!("status.json?id={}&id={}&id=999999", all[5], all[0]);
        assert_eq!(ids(&list(site.get(&path(&by_id)).send().unwrap())), [all[0], all[5]], "newest first");
        assert_eq!(ids(&list(site.get(&path("status.json?since=2009-01-01")).send().unwrap())).len(), 6);
        assert_eq!(list(site.get(&path("status.json?since=2999-01-01")).send().unwrap()), Vec::<Value>::new());
        assert_eq!(site.seen(transport)["submissions"], 6, "{transport}");

        // An SMS is found under the transport it was sent by, and no other.
        let other = if transport == "opera" { "clickatell" } else { "opera" };
        for path in [format!("status/{}.json", all[0]), format!("status/{}/events.json", all[0])] {
            assert_problem(&site.get(&format!("/api/v1/sms/{other}/{path}")).send().unwrap(), 404);
        }
        assert_eq!(
            list(site.get(&format!("/api/v1/sms/{other}/status.json?id={}", all[0])).send().unwrap()),
            [] as [Value; 0]
        );
    }
}

#[test]
fn json_bodies_say_the_same_with_arrays() {
    let site = quiet_site();
    let _router = site.run();
    for (transport, _) in TRANSPORTS {
        let path = |rest: &str| format!("/api/v1/sms/{transport}/{rest}");
        let one = json!({ "to_msisdn": "27123456780", "from_msisdn": 27_123_456_789_i64, "message": "a=b&c\n" });
        let sent = list(json_body(&site, &path("send.json"), &one));
        assert_eq!((&sent[0]["from_msisdn"], &sent[0]["message"]), (&json!("27123456789"), &json!("a=b&c\n")));
        let two = json!({
            "to_msisdn": ["27123456780", 27_123_456_781_i64], "from_msisdn": "27123456789",
            "template": "Hi {{name}}", "template_name": ["A", "B"],
        });
        let sent = list(json_body(&site, &path("template_send.json"), &two));
        let shown: Vec<_> = sent.iter().map(|sms| (&sms["to_msisdn"], &sms["message"])).collect();
        assert_eq!(shown, [(&json!("27123456780"), &json!("Hi A")), (&json!("27123456781"), &json!("Hi B"))]);
    }
}

#[test]
fn ten_thousand_recipients_are_accepted_in_one_call() {
    let site = quiet_site();
    let _router = site.run();
    let to: Vec<String> = (0..10_000).map(|n| format!("2712{n:07}")).collect();
    let form: String = to.iter().map(|to| format!("to_msisdn={to}&")).collect();
    let form = form + "from_msisdn=27123456789&message=hello";
    let request = site.post_body("/api/v1/sms/opera/send.json", "application/x-www-form-urlencoded", form);
    let sent = list(request.send().unwrap());
    let numbers: Vec<&str> = sent.iter().map(|sms| sms["to_msisdn"].as_str().unwrap()).collect();
    assert_eq!(numbers, to);
    let ids = ids(&sent);
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(site.status("opera", ids[9_999])["to_msisdn"], "27120009999");
}

#[test]
fn a_long_list_comes_in_pages_of_100_with_a_link_to_the_next() {
    let site = quiet_site();
    let _router = site.run();
    let to = vec!["27123456789"; 250];
    let sent = list(json_body(
        &site,
        "/api/v1/sms/techsys/send.json",
        &json!({ "to_msisdn": to, "from_msisdn": "271", "message": "x" }),
    ));
    let mut newest_first = ids(&sent);
    newest_first.reverse();
    let mut next = Some(site.url("/api/v1/sms/techsys/status.json?since=2009-01-01+00:00:00"));
    let (mut pages, mut seen) = (Vec::new(), Vec::new());
    while let Some(url) = next {
        let answer = site.client().get(&url).basic_auth("username", Some("password")).send().unwrap();
        next = answer.headers().get("link").map(|link| {
            let link = link.to_str().unwrap();
            assert!(link.starts_with('<') && link.ends_with(">; rel=\"next\""), "{link}");
            link.trim_start_matches('<').split('>').next().unwrap().to_owned()
        });
        let page = ids(&list(answer));
        pages.push(page.len());
        seen.extend(page);
    }
    assert_eq!(pages, [100, 100, 50]);
    assert_eq!(seen, newest_first);
    let from = |start: usize| {
        let path = format!("/api/v1/sms/techsys/status.json?since=2009-01-01&start={start}");
        ids(&list(site.get(&path).send().unwrap()))
    };
    assert_eq!(from(249), newest_first[249..]);
    assert_eq!(from(250), [] as [i64; 0]);
    assert_eq!(from(usize::MAX), [] as [i64; 0]);
    let many: String = newest_first.iter().map(|id| format!("&id={id}")).collect();
    let answer = site.get(&format!("/api/v1/sms/techsys/status.json?{}", &many[1..])).send().unwrap();
    assert!(answer.headers().contains_key("link"));
    assert_eq!(ids(&list(answer)), newest_first[..100]);
}

#[test]
fn a_repeated_request_with_the_same_key_gives_the_first_answer_and_sends_nothing_twice() {
    let site = Site::new();
    let router = site.run();
    let clinic = Clinic::new(&site);
    let path = "/api/v1/sms/clickatell/send.json";
    let form = [("to_msisdn", "27123456789"), ("from_msisdn", "27123456780"), ("message", "once")];
    let first = site.post(path, &form).header("idempotency-key", "k1").send().unwrap();
    assert_eq!(first.headers().get("idempotency-replayed"), None);
    let first = list(first);
    site.wait_for_status("clickatell", first[0]["id"].as_i64().unwrap(), 4);
    let again = site.post(path, &form).header("idempotency-key", "k1").send().unwrap();
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(list(again), first, "the first answer, though the SMS has arrived since");

    // Another body, or another call, with the same key.
    let other = [("to_msisdn", "27123456789"), ("from_msisdn", "27123456780"), ("message", "twice")];
    assert_problem(&site.post(path, &other).header("idempotency-key", "k1").send().unwrap(), 409);
    let elsewhere = site.post("/api/v1/sms/opera/send.json", &form).header("idempotency-key", "k1");
    assert_problem(&elsewhere.send().unwrap(), 409);

    // Another key, or another account with this one, is another request.
    let second = list(site.post(path, &form).header("idempotency-key", "k2").send().unwrap());
    assert_ne!(second[0]["id"], first[0]["id"]);
    let theirs = clinic.post(path, &form).header("idempotency-key", "k1").send().unwrap();
    assert_eq!(theirs.headers().get("idempotency-replayed"), None);
    assert_ne!(list(theirs)[0]["id"], first[0]["id"]);

    // A refused request leaves its key free.
    let wrong = [("to_msisdn", "no"), ("from_msisdn", "27123456780"), ("message", "x")];
    assert_problem(&site.post(path, &wrong).header("idempotency-key", "k3").send().unwrap(), 400);
    list(site.post(path, &form).header("idempotency-key", "k3").send().unwrap());
    assert_problem(&site.post(path, &form).header("idempotency-key", "k".repeat(256)).send().unwrap(), 400);

    // The key outlives the process.
    assert_eq!(router.stop(), 0);
    let _router = site.run();
    assert_eq!(list(site.post(path, &form).header("idempotency-key", "k1").send().unwrap()), first);
}

#[test]
fn requests_with_one_key_at_the_same_time_send_once() {
    let site = quiet_site();
    let _router = site.run();
    let to = vec!["27123456789"; 2_000];
    let body = json!({ "to_msisdn": to, "from_msisdn": "271", "message": "x" });
    let answers: Vec<Response> = std::thread::scope(|scope| {
        let send = || {
            let request = site.post_body("/api/v1/sms/opera/send.json", "application/json", body.to_string());
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
    let all = list(site.get("/api/v1/sms/opera/status.json?since=2009-01-01&start=1999").send().unwrap());
    assert_eq!(all.len(), 1, "2,000 in all");
}

#[test]
fn too_many_calls_of_one_class_are_429_for_that_account_and_class() {
    let site = Site::new();
    for (class, calls) in [("sending", 3), ("receipts", 2), ("inbound", 2), ("reading", 4), ("callbacks", 2)] {
        site.edit(|text| text.replace(&format!("\n{class} = 0"), &format!("\n{class} = {calls}")));
    }
    let _router = site.run();
    let clinic = Clinic::new(&site);
    let sms = [("to_msisdn", "27123456789"), ("from_msisdn", "27123456780"), ("message", "x")];
    let send = || site.post("/api/v1/sms/clickatell/send.json", &sms).send().unwrap();
    let receipt = || site.get("/api/v1/sms/clickatell/receipt.json").send().unwrap();
    let inbound = || site.post("/api/v1/sms/opera/receive.xml", &[]).send().unwrap();
    let read = || site.get("/api/v1/sms/clickatell/status.json?id=1").send().unwrap();
    let callbacks = || site.get("/api/v1/account/callbacks.json").send().unwrap();
    let calls: [(&str, u64, &dyn Fn() -> Response); 5] = [
        ("sending", 3, &send),
        ("receipts", 2, &receipt),
        ("inbound", 2, &inbound),
        ("reading", 4, &read),
        ("callbacks", 2, &callbacks),
    ];
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
    assert_eq!(site.get_open("/health/").unwrap().status(), 200);
    // What was refused was not sent.
    eventually("the four SMS are submitted", || (site.seen("clickatell")["submissions"] == 4).then_some(()));
}

#[test]
fn without_the_right_password_there_is_401_everywhere_under_the_api() {
    let site = quiet_site();
    site.add_to("http", "wrong_passwords = 3");
    let _router = site.run();
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
        "openapi.json",
        "nothing/here",
    ];
    for path in every {
        let url = site.url(&format!("/api/v1/{path}"));
        for method in [reqwest::Method::GET, reqwest::Method::POST, reqwest::Method::DELETE] {
            let answer = site.client().request(method, &url).send().unwrap();
            assert_problem(&answer, 401);
            assert!(answer.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic realm=\"Vumi\""));
        }
    }
    let with = |user: &str, password: &str| {
        site.client().get(site.url("/api/v1/account/callbacks.json")).basic_auth(user, Some(password)).send().unwrap()
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
    let site = quiet_site();
    let _router = site.run();
    for (path, allow) in [
        ("/api/v1/sms/clickatell/send.json", "POST"),
        ("/api/v1/sms/clickatell/template_send.json", "POST"),
        ("/api/v1/sms/preview.json", "POST"),
        ("/api/v1/sms/clickatell/status/1.json", "GET"),
        ("/api/v1/sms/clickatell/status/1/events.json", "GET"),
        ("/api/v1/sms/clickatell/status.json", "GET"),
        ("/api/v1/account/callbacks.json", "GET, POST"),
        ("/api/v1/account/callbacks/1.json", "GET, PUT, DELETE"),
        ("/api/v1/openapi.json", "GET"),
        ("/health/", "GET, HEAD"),
        ("/health/ready", "GET, HEAD"),
    ] {
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"] {
            if allow.split(", ").any(|allowed| allowed == method) {
                continue;
            }
            let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
            let answer = site.client().request(method.clone(), site.url(path));
            let answer = answer.basic_auth("username", Some("password")).send().unwrap();
            assert_eq!(answer.status(), 405, "{method} {path}");
            assert_eq!(answer.headers()["allow"], allow, "{method} {path}");
            assert_problem(&answer, 405);
        }
    }
}

#[test]
fn bodies_that_are_too_large_or_of_another_type_are_413_and_415() {
    let site = quiet_site();
    site.add_to("http", "max_body = 1000");
    let _router = site.run();
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
        assert_problem(&site.post(path, &sms).send().unwrap(), 413);
        // In pieces, without a length announced.
        let pieces = Body::new(std::io::Cursor::new(format!("message={large}")));
        let request = site.post_body(path, "application/x-www-form-urlencoded", pieces);
        assert_problem(&request.send().unwrap(), 413);
    }
    for path in [
        "/api/v1/sms/clickatell/send.json",
        "/api/v1/sms/clickatell/template_send.json",
        "/api/v1/sms/preview.json",
        "/api/v1/account/callbacks.json",
    ] {
        let body = "to_msisdn=271&from_msisdn=272&message=x";
        for content_type in ["text/plain", "application/xml", "multipart/form-data; boundary=x", "nonsense"] {
            assert_problem(&site.post_body(path, content_type, body).send().unwrap(), 415);
        }
        let packed = site.post_body(path, "application/x-www-form-urlencoded", body).header("content-encoding", "gzip");
        assert_problem(&packed.send().unwrap(), 415);
    }
    let kept = list(site.get("/api/v1/sms/clickatell/status.json?since=2009-01-01").send().unwrap());
    assert_eq!(kept, [] as [Value; 0]);
}

#[test]
fn an_accounts_sms_are_nobody_elses() {
    let site = quiet_site();
    let _router = site.run();
    let clinic = Clinic::new(&site);
    for (transport, _) in TRANSPORTS {
        let path = |rest: &str| format!("/api/v1/sms/{transport}/{rest}");
        let ours = site.send(transport, "27123456789", "ours");
        let form = [("to_msisdn", "27123456789"), ("from_msisdn", "27123456780"), ("message", "theirs")];
        let theirs = ids(&list(clinic.post(&path("send.json"), &form).send().unwrap()))[0];
        assert_problem(&clinic.get(&path(&format!("status/{ours}.json"))).send().unwrap(), 404);
        assert_problem(&clinic.get(&path(&format!("status/{ours}/events.json"))).send().unwrap(), 404);
        assert_problem(&site.get(&path(&format!("status/{theirs}.json"))).send().unwrap(), 404);
        let both = path(&format!("status.json?id={ours}&id={theirs}"));
        assert_eq!(ids(&list(clinic.get(&both).send().unwrap())), [theirs]);
        assert_eq!(ids(&list(site.get(&both).send().unwrap())), [ours]);
        let since = path("status.json?since=2009-01-01");
        assert_eq!(ids(&list(clinic.get(&since).send().unwrap())), [theirs]);
        assert_eq!(ids(&list(site.get(&since).send().unwrap())), [ours]);
    }
}

#[test]
fn a_preview_tells_alphabet_and_parts_and_sends_nothing() {
    let site = Site::new();
    let _router = site.run();
    let preview = |message: &str| {
        let answer = site.post("/api/v1/sms/preview.json", &[("message", message)]).send().unwrap();
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
    assert_eq!(site.seen("clickatell")["submissions"], 0);
}

#[test]
fn the_api_describes_itself_and_the_page_needs_no_internet() {
    let site = Site::new();
    let _router = site.run();
    let described: Value = site.get("/api/v1/openapi.json").send().unwrap().json().unwrap();
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
    assert_eq!(transport["schema"]["enum"], json!(["clickatell", "e-scape", "opera", "techsys", "truteq"]));

    let page = site.get_open("/api/docs/").unwrap();
    assert_eq!(page.status(), 200);
    let page = page.text().unwrap();
    let attributes = page.split("src=\"").skip(1).chain(page.split("href=\"").skip(1));
    for file in attributes.map(|rest| rest.split('"').next().unwrap()) {
        assert!(!file.contains("//"), "{file} is elsewhere");
        let path = format!("/api/docs/{}", file.trim_start_matches("./"));
        assert_eq!(site.get_open(&path).unwrap().status(), 200, "{path}");
    }
}
