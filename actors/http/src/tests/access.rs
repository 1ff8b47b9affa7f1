//! Log-in, rates and connections; health, start and stop.

use actix::Recipient;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use vumi_kit::{
    component::Drain,
    health::{AskHealth, State},
    store::StoreError,
};

use super::{
    assert_problem, harness,
    harness::{HttpHarness, part},
    header,
};
use crate::{HttpSettings, RateSettings};

/// Longer than any step takes.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(20);

#[actix_web::test]
async fn many_first_requests_at_once_cost_one_check_of_the_password() {
    // With one wrong password allowed, a second check would be refused.
    let harness = HttpHarness::start(HttpSettings { wrong_passwords: 1, ..HttpSettings::default() }).await;
    let all = futures_util::future::join_all((0..20).map(|_| harness.send().send())).await;
    let statuses: Vec<u16> = all.into_iter().map(|response| response.unwrap().status().as_u16()).collect();
    assert_eq!(statuses, [200; 20]);
    assert_eq!(harness.stored().lookups, 1);
}

#[actix_web::test]
async fn the_unauthenticated_are_asked_for_a_password_whatever_the_path() {
    let harness = harness().await;
    for path in ["sms/clickatell/send.json", "sms/clickatell/status.json", "account/callbacks.json", "nothing"] {
        for (user, password) in [("username", "wrong"), ("nobody", "password"), ("username", "")] {
            let request = harness.client.get(harness.url(&format!("/api/v1/{path}"))).basic_auth(user, Some(password));
            let response = request.send().await.unwrap();
            assert_problem(&response, 401);
            assert!(header(&response, "www-authenticate").starts_with("Basic realm=\"Vumi\""));
        }
        assert_problem(&harness.client.get(harness.url(&format!("/api/v1/{path}"))).send().await.unwrap(), 401);
    }
}

async fn try_in(harness: &HttpHarness, user: &str, password: &str, forwarded_for: &str) -> u16 {
    let url = harness.url("/api/v1/sms/clickatell/status/1.json");
    let request = harness.client.get(url).basic_auth(user, Some(password)).header("x-forwarded-for", forwarded_for);
    request.send().await.unwrap().status().as_u16()
}

#[actix_web::test]
async fn wrong_passwords_are_bounded_and_say_when_to_come_back() {
    let harness = HttpHarness::start(HttpSettings { wrong_passwords: 2, ..HttpSettings::default() }).await;
    let mut statuses = vec![];
    for guess in ["a", "b", "c"] {
        let url = harness.url("/api/v1/sms/clickatell/status/1.json");
        let response = harness.client.get(&url).basic_auth("username", Some(guess)).send().await.unwrap();
        statuses.push((response.status().as_u16(), header(&response, "retry-after").to_owned()));
    }
    assert_eq!(statuses, [(401, String::new()), (401, String::new()), (429, "30".to_owned())]);
    assert_eq!(try_in(&harness, "other", "secret", "").await, 404);
}

#[actix_web::test]
async fn a_client_that_logged_in_before_is_not_locked_out_by_wrong_passwords_of_others() {
    // A right password is forgotten at once, so that each call needs a check.
    let settings = HttpSettings {
        wrong_passwords: 2,
        password_ttl: std::time::Duration::from_nanos(1),
        ..HttpSettings::default()
    };
    let harness = HttpHarness::start(settings).await;
    assert_eq!(harness.send().send().await.unwrap().status(), StatusCode::OK);
    let mut guesses = vec![];
    for guess in ["a", "b", "c"] {
        guesses.push(try_in(&harness, "username", guess, "").await);
    }
    assert_eq!(guesses, [401, 429, 429]);
    for _ in 0..3 {
        assert_eq!(harness.send().send().await.unwrap().status(), StatusCode::OK);
    }
}

#[actix_web::test]
async fn however_many_addresses_guess_at_a_name_its_client_gets_in_the_first_time() {
    let proxies = serde_json::from_value(json!(["127.0.0.0/8"])).unwrap();
    let settings = HttpSettings { wrong_passwords: 2, trusted_proxies: proxies, ..HttpSettings::default() };
    let harness = HttpHarness::start(settings).await;
    let guess = async |n: u8| try_in(&harness, "other", &format!("guess{n}"), &format!("198.51.100.{n}")).await;
    for n in 0..60 {
        assert_eq!(guess(n).await, 401, "{n}");
    }
    // Those that have tried are told to wait; the client has not.
    assert_eq!(guess(7).await, 401, "that was wrong before and is not checked again");
    assert_eq!(try_in(&harness, "other", "another guess", "198.51.100.7").await, 429);
    assert_eq!(try_in(&harness, "other", "secret", "203.0.113.5").await, 404);
    // From then on it has tries of its own.
    assert_eq!(try_in(&harness, "other", "mistyped", "203.0.113.5").await, 401);
    assert_eq!(try_in(&harness, "other", "secret", "203.0.113.5").await, 404);
}

#[actix_web::test]
async fn a_program_that_keeps_sending_one_wrong_password_uses_up_one_try() {
    let harness = HttpHarness::start(HttpSettings { wrong_passwords: 2, ..HttpSettings::default() }).await;
    for _ in 0..5 {
        assert_eq!(try_in(&harness, "username", "old password", "").await, 401);
    }
    assert_eq!(harness.send().send().await.unwrap().status(), StatusCode::OK);
}

#[actix_web::test]
async fn behind_a_trusted_proxy_each_client_has_tries_of_its_own() {
    let proxies = serde_json::from_value(json!(["127.0.0.0/8"])).unwrap();
    let settings = HttpSettings { wrong_passwords: 1, trusted_proxies: proxies, ..HttpSettings::default() };
    let harness = HttpHarness::start(settings).await;
    assert_eq!(try_in(&harness, "username", "a", "203.0.113.9").await, 401);
    // An address that the client wrote itself, before the proxy's, is ignored.
    assert_eq!(try_in(&harness, "username", "b", "198.51.100.1, 203.0.113.9").await, 429);
    assert_eq!(try_in(&harness, "username", "password", "198.51.100.1").await, 404);
}

#[actix_web::test]
async fn without_a_trusted_proxy_the_header_is_ignored() {
    let harness = HttpHarness::start(HttpSettings { wrong_passwords: 1, ..HttpSettings::default() }).await;
    assert_eq!(try_in(&harness, "username", "a", "203.0.113.9").await, 401);
    assert_eq!(try_in(&harness, "username", "b", "198.51.100.1").await, 429);
}

#[actix_web::test]
async fn an_account_that_is_cached_is_not_looked_up_again() {
    let harness = harness().await;
    for _ in 0..5 {
        assert_eq!(harness.send().send().await.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(harness.stored().lookups, 1);
}

#[actix_web::test]
async fn a_changed_password_takes_effect_once_the_account_is_read_again() {
    let no_time = HttpSettings { account_ttl: std::time::Duration::from_nanos(1), ..HttpSettings::default() };
    let harness = HttpHarness::start(no_time).await;
    assert_eq!(harness.send().send().await.unwrap().status(), StatusCode::OK);
    let hash = vumi_front_kit::password::hash_password("another").unwrap();
    harness.stored().accounts[0].password_hash = hash;
    assert_problem(&harness.send().send().await.unwrap(), 401);
    harness.stored().accounts.clear();
    let response = harness.get("sms/clickatell/status/1.json").basic_auth("username", Some("another")).send().await;
    assert_problem(&response.unwrap(), 401);
}

#[actix_web::test]
async fn a_store_that_is_busy_or_away_is_a_503_that_says_when_to_come_back_whatever_is_asked() {
    let harness = harness().await;
    harness.send().send().await.unwrap();
    let callback = [("name", "sms_received"), ("url", "http://localhost/received")];
    let template = [("to_msisdn", "27123"), ("from_msisdn", "27124"), ("template", "hi")];
    let calls = || {
        vec![
            harness.send(),
            harness.post("sms/clickatell/template_send.json", &template),
            harness.get("sms/clickatell/status/1.json"),
            harness.get("sms/clickatell/status/1/events.json"),
            harness.get("sms/clickatell/status.json?since=2009-01-01"),
            harness.get("sms/clickatell/status.json?id=1"),
            harness.post("sms/clickatell/receipt.json", &[("id", "1")]),
            harness.post("sms/opera/receive.xml", &[("text", "hi"), ("from", "+27123")]),
            harness.get("account/callbacks.json"),
            harness.post("account/callbacks.json", &callback),
            harness.get("account/callbacks/3.json"),
            harness.call(Method::PUT, "account/callbacks/3.json").form(&callback),
            harness.call(Method::DELETE, "account/callbacks/3.json"),
            // An account that is not cached yet.
            harness.get("sms/clickatell/status/1.json").basic_auth("other", Some("secret")),
        ]
    };
    for (failure, wait) in
        [(StoreError::Busy, "1"), (StoreError::Unavailable("away".into()), "5"), (StoreError::Stopped, "5")]
    {
        harness.stored().failure = Some(failure);
        for call in calls() {
            let response = call.send().await.unwrap();
            assert_problem(&response, 503);
            assert_eq!(header(&response, "retry-after"), wait, "{}", response.url());
        }
    }
}

#[actix_web::test]
async fn a_user_name_with_a_nul_is_unknown() {
    let harness = harness().await;
    assert_eq!(try_in(&harness, "user\0name", "password", "").await, 401);
    assert_eq!(harness.stored().lookups, 0);
}

#[actix_web::test]
async fn too_many_calls_are_a_429_with_the_headers_that_say_so() {
    let rates = RateSettings { sending: 2, ..RateSettings::default() };
    let harness = HttpHarness::start(HttpSettings { rates, ..HttpSettings::default() }).await;
    for left in ["\"sending\";r=1;t=30", "\"sending\";r=0;t=60"] {
        let response = harness.send().send().await.unwrap();
        assert_eq!((response.status(), header(&response, "ratelimit")), (StatusCode::OK, left));
    }
    let response = harness.send().send().await.unwrap();
    assert_problem(&response, 429);
    assert_ne!(header(&response, "retry-after"), "");
    assert_eq!(harness.get("sms/clickatell/status.json?id=1").send().await.unwrap().status(), StatusCode::OK);
}

/// The text that a stranger reads, once the answer of a moment ago is forgotten.
async fn strangers_page(harness: &HttpHarness, expected: (u16, &str)) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let ready = harness.get_public("/health/ready").send().await.unwrap();
        let shown = (ready.status().as_u16(), ready.text().await.unwrap());
        if (shown.0, shown.1.as_str()) == expected {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{shown:?}");
    }
}

#[actix_web::test]
async fn health_needs_no_password_and_tells_strangers_names_and_states_alone() {
    let harness = harness().await;
    let alive = harness.get_public("/health/").send().await.unwrap();
    assert_eq!((alive.status().as_u16(), alive.text().await.unwrap().as_str()), (200, "OK"));
    strangers_page(&harness, (200, "store (store): up\nclickatell (transport): degraded\n")).await;
    harness.parts().push(part("opera", State::Failed));
    strangers_page(&harness, (503, "store (store): up\nclickatell (transport): degraded\nopera (transport): failed\n"))
        .await;
    let shown = harness.get_public("/health/ready").header("accept", "application/json").send().await.unwrap();
    let shown: Value = shown.json().await.unwrap();
    let failed = json!({"name": "opera", "role": "transport", "state": "failed"});
    assert_eq!((&shown["ready"], &shown["parts"][2]), (&json!(false), &failed));
}

#[actix_web::test]
async fn who_logs_in_sees_the_details_and_a_wrong_password_is_refused() {
    let harness = harness().await;
    let ready = |password| harness.get_public("/health/ready").basic_auth("username", Some(password));
    let shown = ready("password").send().await.unwrap();
    let lines = "store (store): up, as expected\nclickatell (transport): degraded, as expected\n";
    assert_eq!((shown.status().as_u16(), shown.text().await.unwrap().as_str()), (200, lines));
    let shown: Value =
        ready("password").header("accept", "application/json").send().await.unwrap().json().await.unwrap();
    assert_eq!(shown["parts"][1]["detail"], "as expected");
    assert_problem(&ready("wrong").send().await.unwrap(), 401);
    // While nobody can be let in, the answer is about the store.
    harness.stored().failure = Some(StoreError::Unavailable("away".into()));
    let stranger = harness.get_public("/health/ready").basic_auth("other", Some("secret")).send().await.unwrap();
    assert_eq!(stranger.text().await.unwrap(), "store (store): up\nclickatell (transport): degraded\n");
}

#[actix_web::test]
async fn the_supervisor_is_asked_once_a_second_however_many_ask() {
    let harness = harness().await;
    let began = tokio::time::Instant::now();
    for _ in 0..200 {
        assert_eq!(harness.get_public("/health/ready").send().await.unwrap().status(), StatusCode::OK);
    }
    let asked = harness.times_asked();
    assert!(asked as f64 <= began.elapsed().as_secs_f64() + 1.0, "{asked}");
}

#[actix_web::test]
async fn a_store_that_is_not_up_makes_the_router_not_ready() {
    for state in [State::Starting, State::Degraded, State::Restarting, State::Failed, State::Stopping] {
        let harness = harness().await;
        harness.parts()[0].state = state;
        let page = format!("store (store): {}\nclickatell (transport): degraded\n", state.as_str());
        strangers_page(&harness, (503, &page)).await;
    }
}

#[actix_web::test]
async fn names_that_no_account_has_cost_no_more_reads_than_tries() {
    let settings = HttpSettings { wrong_passwords: 2, account_ttl: 10 * DEADLINE, ..HttpSettings::default() };
    let harness = HttpHarness::start(settings).await;
    let mut statuses = vec![];
    for n in 0..60 {
        statuses.push(try_in(&harness, &format!("name{n}"), "x", "").await);
    }
    // Twenty tries a minute from one address; one comes back in three seconds.
    let lookups = harness.stored().lookups;
    assert!((20..30).contains(&lookups), "{lookups}");
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), lookups);
    for _ in 0..3 {
        assert_eq!(try_in(&harness, "name0", "x", "").await, 401, "a repeated one is known");
    }
    assert_eq!(harness.stored().lookups, lookups, "and read once");
}

#[actix_web::test]
async fn a_page_of_another_site_can_call_nothing_that_changes_anything() {
    let harness = harness().await;
    let foreign =
        [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "http://evil.example")];
    for (name, value) in foreign {
        let calls = [
            harness.send(),
            harness.post("sms/preview.json", &[("message", "x")]),
            harness.post("account/callbacks.json", &[("name", "sms_received"), ("url", "http://evil.example/")]),
            harness.call(Method::DELETE, "account/callbacks/3.json"),
            // An image's address is called with the browser's password, too.
            harness.get("sms/clickatell/receipt.json?id=1"),
        ];
        for call in calls {
            assert_problem(&call.header(name, value).send().await.unwrap(), 403);
        }
        let link = harness.get("sms/clickatell/status.json?id=1").header(name, value).send().await.unwrap();
        assert_eq!(link.status(), StatusCode::OK, "a link may lead to what only reads");
    }
    {
        let stored = harness.stored();
        assert_eq!((stored.sms.len(), stored.callbacks.len()), (0, 0));
    }
    let own = harness.url("");
    for (name, value) in [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none"), ("origin", own.as_str())] {
        assert_eq!(
            harness.send().header(name, value).send().await.unwrap().status(),
            StatusCode::OK,
            "{name}: {value}"
        );
    }
}

#[actix_web::test]
async fn a_port_in_use_is_a_start_error_that_says_what_to_do() {
    let harness = harness().await;
    let settings = HttpSettings { bind: harness.component.address, ..HttpSettings::default() };
    let error = crate::start(harness.context(), settings).unwrap_err().to_string();
    assert!(error.contains("another program listens there") && error.contains("`bind`"), "{error}");
}

#[actix_web::test]
async fn draining_answers_requests_under_way_and_accepts_no_more() {
    let harness = harness().await;
    harness.stored().waiting = Some(vec![]);
    let under_way = actix_web::rt::spawn(harness.send().send());
    harness.until_accepting().await;
    let drain: Recipient<Drain> = harness.component.drain.clone();
    let drained = actix_web::rt::spawn(async move { drain.send(Drain).await });
    while harness.component.health.send(AskHealth).await.unwrap().state != State::Stopping {
        tokio::task::yield_now().await;
    }
    harness.stored().accept_waiting();
    assert_eq!(under_way.await.unwrap().unwrap().status(), StatusCode::OK);
    drained.await.unwrap().unwrap();
    assert!(harness.client.get(harness.url("/health/")).send().await.is_err());
    harness.component.ended.wait().await;
}

async fn connect(harness: &HttpHarness) -> TcpStream {
    TcpStream::connect(harness.component.address).await.unwrap()
}

/// What the server sends until it closes.
async fn rest_of(mut stream: TcpStream) -> String {
    let mut received = Vec::new();
    // A reset after the answer is a close too.
    let _end = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut received)).await.expect("it closes");
    String::from_utf8(received).unwrap()
}

#[actix_web::test]
async fn connections_of_one_address_are_limited_and_a_closed_one_is_given_back() {
    let harness = HttpHarness::start(HttpSettings { connections_per_address: 2, ..HttpSettings::default() }).await;
    let (mut first, mut second) = (connect(&harness).await, connect(&harness).await);
    assert!(alive(&mut first).await && alive(&mut second).await);
    let refused = rest_of(connect(&harness).await).await;
    assert!(refused.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{refused}");
    assert!(refused.contains("retry-after: 5\r\n") && refused.contains("application/problem+json"), "{refused}");
    let (_, body) = refused.split_once("\r\n\r\n").unwrap();
    let problem: Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["detail"], json!("too many connections from one address: try again in 5 s"));
    // A closed connection is given back as soon as the server has noticed.
    drop(first);
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let mut third = connect(&harness).await;
        if alive(&mut third).await {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the connection was not given back");
    }
}

async fn alive(stream: &mut TcpStream) -> bool {
    let mut some = [0; 12];
    let asked = stream.write_all(b"GET /health/ HTTP/1.1\r\nhost: a\r\n\r\n").await;
    asked.is_ok() && stream.read_exact(&mut some).await.is_ok() && some == *b"HTTP/1.1 200"
}

#[actix_web::test]
async fn a_trusted_proxy_holds_as_many_connections_as_it_needs() {
    let trusted_proxies = serde_json::from_value(json!(["127.0.0.1"])).unwrap();
    let settings = HttpSettings { connections_per_address: 1, trusted_proxies, ..HttpSettings::default() };
    let harness = HttpHarness::start(settings).await;
    let mut held = vec![];
    for _ in 0..5 {
        let mut stream = connect(&harness).await;
        assert!(alive(&mut stream).await);
        held.push(stream);
    }
}
