//! Posts, retries, bounds, and how the actor waits for the store.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use vumi_kit::{
    callback::{CallbackFormat, CallbackName, Delivery, DeliveryAttempt, DeliveryThen},
    clock::{Clock, Timestamp},
    component::{Component, Drain},
    health::{AskHealth, State},
    start_token::StartToken,
};

use super::{
    client_server::{CERTIFICATE, ClientServer, DEADLINE, TlsClientServer},
    delivery_store::DeliveryStore,
};
use vumi_kit::webhook_signature::sign;

use crate::{guard::SystemResolver, poster::open, settings::CallbackSettings};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn clock() -> Clock {
    Clock::held(Timestamp::parse("2026-11-22 10:00:00").unwrap())
}

/// Polls often, so that tests need not wait, and posts to loopback.
fn settings() -> CallbackSettings {
    CallbackSettings {
        poll: Duration::from_millis(5),
        limit: Duration::from_secs(30),
        allow_internal: true,
        ..CallbackSettings::default()
    }
}

fn delivery(id: i64, url: &str, clock: &Clock) -> Delivery {
    Delivery {
        id,
        callback: id / 100,
        name: CallbackName::SmsReceived,
        url: url.to_owned(),
        secret: SECRET.to_owned(),
        format: CallbackFormat::Form,
        body: "message=hello+there&id=7".to_owned(),
        attempts: 0,
        created_at: clock.now(),
        lease_until: clock.now(),
    }
}

fn start(store: &DeliveryStore, settings: CallbackSettings) -> Component {
    open(store.address(), store.clock.clone(), settings, Arc::new(SystemResolver)).unwrap()
}

fn again_after(attempt: &DeliveryAttempt) -> Duration {
    match attempt.then {
        DeliveryThen::Again(at) => at.since(attempt.at),
        other => panic!("{other:?}: {attempt:?}"),
    }
}

#[actix_rt::test]
async fn an_event_is_posted_once_with_a_valid_signature() {
    let (mut client, mut store) = (ClientServer::new().await, DeliveryStore::new(clock()));
    let _component = start(&store, settings());
    store.add(delivery(123, &client.url("/events?k=1"), &store.clock));

    let request = client.next().await;
    assert_eq!(request.line, "POST /events?k=1 HTTP/1.1");
    assert_eq!(request.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(request.body, "message=hello+there&id=7");
    assert_eq!(request.header("webhook-id"), "msg_123");
    let at_s: i64 = request.header("webhook-timestamp").parse().unwrap();
    assert_eq!(Timestamp::from_seconds(at_s), store.clock.now());
    let expected = sign(SECRET, "msg_123", at_s, &request.body).unwrap();
    assert_eq!(request.header("webhook-signature"), expected);
    request.answer("204 No Content", &[]);

    let attempt = store.recorded().await;
    assert_eq!(
        (attempt.delivery, attempt.http_status, attempt.error, attempt.then),
        (123, Some(204), None, DeliveryThen::Done)
    );
    assert_eq!(store.waiting(), 0);
}

#[actix_rt::test]
async fn a_failure_is_tried_again_later_and_later_under_the_same_id_until_it_arrives() {
    let (mut client, mut store) = (ClientServer::new().await, DeliveryStore::new(clock()));
    let _component = start(&store, settings());
    store.add(delivery(123, &client.url("/"), &store.clock));

    for whole_s in [5, 10, 20] {
        let request = client.next().await;
        assert_eq!(request.header("webhook-id"), "msg_123");
        request.answer("500 Internal Server Error", &[]);
        let attempt = store.recorded().await;
        assert_eq!(attempt.error.as_deref(), Some("answered 500"));
        let (wait, whole) = (again_after(&attempt), Duration::from_secs(whole_s));
        assert!(wait >= whole / 2 && wait <= whole, "{wait:?}");
        // Claims go on, but it is not due before its time.
        store.clock.advance(wait - Duration::from_secs(1));
        store.next_claims(2).await;
        assert_eq!(store.waiting(), 1);
        assert!(client.has_none());
        store.clock.advance(Duration::from_secs(1));
    }
    client.next().await.answer("200 OK", &[]);
    assert_eq!(store.recorded().await.then, DeliveryThen::Done);
}

#[actix_rt::test]
async fn a_post_in_json_says_so_and_its_signature_is_of_the_json() {
    let (mut client, mut store) = (ClientServer::new().await, DeliveryStore::new(clock()));
    let _component = start(&store, settings());
    let body = r#"{"message":"hello there","id":"7"}"#.to_owned();
    let json = Delivery { format: CallbackFormat::Json, body, ..delivery(123, &client.url("/"), &store.clock) };
    store.add(json.clone());
    let request = client.next().await;
    assert_eq!((request.header("content-type"), &request.body), ("application/json", &json.body));
    let at_s: i64 = request.header("webhook-timestamp").parse().unwrap();
    assert_eq!(request.header("webhook-signature"), sign(SECRET, "msg_123", at_s, &json.body).unwrap());
    request.answer("200 OK", &[]);
    assert_eq!(store.recorded().await.then, DeliveryThen::Done);
}

#[actix_rt::test]
async fn claims_go_on_until_every_callback_was_looked_at() {
    let (mut client, mut store) = (ClientServer::new().await, DeliveryStore::new(clock()));
    store.step_claims(1);
    for id in [100, 200, 300] {
        store.add(delivery(id, &client.url("/"), &store.clock));
    }
    // Nothing but the first claim and what follows from it: the next poll is an hour away.
    let _component = start(&store, CallbackSettings { poll: Duration::from_secs(3600), ..settings() });
    // None is answered before all are posted: a recorded attempt would cause a claim, too.
    let posted = [client.next().await, client.next().await, client.next().await];
    for request in posted {
        request.answer("200 OK", &[]);
        assert_eq!(store.recorded().await.then, DeliveryThen::Done);
    }
}

#[actix_rt::test]
async fn retry_after_is_honoured() {
    let (mut client, mut store) = (ClientServer::new().await, DeliveryStore::new(clock()));
    let _component = start(&store, settings());
    store.add(delivery(123, &client.url("/"), &store.clock));
    client.next().await.answer("429 Too Many Requests", &["Retry-After: 300"]);
    assert_eq!(again_after(&store.recorded().await), Duration::from_secs(300));
}

#[actix_rt::test]
async fn a_delivery_that_fails_for_a_day_is_parked_and_a_410_at_once() {
    let (mut client, mut store) = (ClientServer::new().await, DeliveryStore::new(clock()));
    let _component = start(&store, settings());
    store.add(delivery(100, &client.url("/"), &store.clock));
    client.next().await.answer("503 Service Unavailable", &[]);
    assert!(matches!(store.recorded().await.then, DeliveryThen::Again(_)));
    store.clock.advance(Duration::from_secs(24 * 3600));
    client.next().await.answer("503 Service Unavailable", &[]);
    assert_eq!(store.recorded().await.then, DeliveryThen::Parked);

    store.add(delivery(200, &client.url("/"), &store.clock));
    client.next().await.answer("410 Gone", &[]);
    let attempt = store.recorded().await;
    assert_eq!((attempt.delivery, attempt.http_status, attempt.then), (200, Some(410), DeliveryThen::Gone));
}

#[actix_rt::test]
async fn a_url_that_never_answers_does_not_delay_a_live_one() {
    let (mut dead, mut live) = (ClientServer::new().await, ClientServer::new().await);
    let mut store = DeliveryStore::new(clock());
    let _component = start(&store, CallbackSettings { most_at_once: 6, most_per_callback: 2, ..settings() });
    for id in 100..150 {
        store.add(delivery(id, &dead.url("/"), &store.clock));
    }
    // Posts that hang hold both of its places until the end.
    let hanging = [dead.next().await, dead.next().await];
    for id in 200..220 {
        store.add(delivery(id, &live.url("/"), &store.clock));
    }
    for _ in 200..220 {
        live.next().await.answer("200 OK", &[]);
        let attempt = store.recorded().await;
        assert!((200..220).contains(&attempt.delivery), "{attempt:?}");
    }
    assert!(dead.has_none());
    // The places are free again once the posts have ended.
    hanging.into_iter().for_each(|request| request.answer("500 Internal Server Error", &[]));
    dead.next().await;
}

#[actix_rt::test]
async fn no_more_posts_are_in_flight_than_the_setting_allows() {
    let (mut client, mut store) = (ClientServer::new().await, DeliveryStore::new(clock()));
    let _component = start(&store, CallbackSettings { most_at_once: 3, most_per_callback: 3, ..settings() });
    for id in [100, 200, 300, 400, 500] {
        store.add(delivery(id, &client.url("/"), &store.clock));
    }
    let mut held = vec![client.next().await, client.next().await, client.next().await];
    assert_eq!(store.claimed(), 3);
    held.remove(0).answer("200 OK", &[]);
    store.recorded().await;
    client.next().await;
    assert_eq!(store.claimed(), 4);
    assert!(client.has_none());
}

#[actix_rt::test]
async fn a_post_has_a_time_limit_and_so_has_an_endless_body() {
    let (mut client, mut store) = (ClientServer::new().await, DeliveryStore::new(clock()));
    let _component = start(&store, CallbackSettings { limit: Duration::from_millis(200), ..settings() });
    store.add(delivery(100, &client.url("/"), &store.clock));
    let _silent = client.next().await;
    let attempt = store.recorded().await;
    assert_eq!((attempt.http_status, attempt.error.as_deref()), (None, Some("no answer within 200ms")));
    assert!(matches!(attempt.then, DeliveryThen::Again(_)));

    store.add(delivery(200, &client.url("/"), &store.clock));
    client.next().await.begin_answer("200 OK", &["Content-Length: 1000000"]);
    assert_eq!(store.recorded().await.then, DeliveryThen::Done);
}

#[actix_rt::test]
async fn a_callback_is_prompt_if_its_last_answer_was() {
    let (mut client, mut store) = (ClientServer::new().await, DeliveryStore::new(clock()));
    let _component = start(&store, CallbackSettings { limit: Duration::from_millis(800), ..settings() });
    store.next_claims(1).await;
    assert!(!store.is_prompt(1));
    store.add(delivery(100, &client.url("/"), &store.clock));
    client.next().await.answer("500 Internal Server Error", &[]);
    store.recorded().await;
    store.next_claims(2).await;
    assert!(store.is_prompt(1));
    store.add(delivery(101, &client.url("/"), &store.clock));
    let _silent = client.next().await;
    assert_eq!(store.recorded().await.error.as_deref(), Some("no answer within 800ms"));
    store.next_claims(2).await;
    assert!(!store.is_prompt(1));
    // A callback whose first answer does not come is not prompt either.
    store.add(delivery(200, &client.url("/"), &store.clock));
    let _silent = client.next().await;
    store.recorded().await;
    store.next_claims(2).await;
    assert!(!store.is_prompt(2));
}

#[actix_rt::test]
async fn a_url_where_nobody_listens_is_tried_again() {
    let mut store = DeliveryStore::new(clock());
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let _component = start(&store, settings());
    store.add(delivery(100, &format!("http://{gone}/secret-path"), &store.clock));
    let attempt = store.recorded().await;
    let error = attempt.error.clone().unwrap();
    assert!(error.contains("refused") && !error.contains("secret-path"), "{error}");
    assert!(again_after(&attempt) <= Duration::from_secs(5));
}

#[actix_rt::test]
async fn an_untrusted_certificate_is_refused_and_the_attempt_says_so() {
    let (client, mut store) = (TlsClientServer::new().await, DeliveryStore::new(clock()));
    let _component = start(&store, settings());
    store.add(delivery(100, &client.url(), &store.clock));
    let attempt = store.recorded().await;
    let error = attempt.error.unwrap();
    assert!(error.contains("certificate"), "{error}");
    assert!(matches!(attempt.then, DeliveryThen::Again(_)), "a certificate can be mended");
}

#[actix_rt::test]
async fn a_certificate_that_the_settings_name_is_trusted() {
    let (client, mut store) = (TlsClientServer::new().await, DeliveryStore::new(clock()));
    let _component = start(&store, CallbackSettings { ca: Some(CERTIFICATE.to_owned()), ..settings() });
    store.add(delivery(100, &client.url(), &store.clock));
    let attempt = store.recorded().await;
    assert_eq!((attempt.error, attempt.then), (None, DeliveryThen::Done));
}

#[actix_rt::test]
async fn a_redirect_is_not_followed() {
    let (mut front, mut inside, mut store) =
        (ClientServer::new().await, ClientServer::new().await, DeliveryStore::new(clock()));
    let _component = start(&store, settings());
    for (id, status) in [(100, "302 Found"), (200, "307 Temporary Redirect"), (300, "308 Permanent Redirect")] {
        store.add(delivery(id, &front.url("/"), &store.clock));
        front.next().await.answer(status, &[&format!("Location: {}", inside.url("/admin"))]);
        let attempt = store.recorded().await;
        assert!(matches!(attempt.then, DeliveryThen::Again(_)));
        assert!(attempt.error.unwrap().contains("redirect"));
    }
    assert!(inside.has_none());
}

#[actix_rt::test]
async fn an_internal_address_in_the_url_is_refused_and_parked_with_the_setting_s_name() {
    let (mut inside, mut store) = (ClientServer::new().await, DeliveryStore::new(clock()));
    let _component = start(&store, CallbackSettings { allow_internal: false, ..settings() });
    let by_name = inside.url("/").replace("127.0.0.1", "localhost");
    let disguised = inside.url("/").replace("127.0.0.1", "2130706433");
    for (id, url) in [(100, inside.url("/")), (200, by_name), (300, disguised), (400, "http://[::1]/".to_owned())] {
        store.add(delivery(id, &url, &store.clock));
        let attempt = store.recorded().await;
        assert_eq!((attempt.delivery, attempt.then), (id, DeliveryThen::Parked), "{attempt:?}");
        assert!(attempt.error.unwrap().contains("allow_internal"));
    }
    assert!(inside.has_none());
}

#[actix_rt::test]
async fn what_the_operator_denies_is_refused_even_where_internal_addresses_are_allowed() {
    let (mut client, mut store) = (ClientServer::new().await, DeliveryStore::new(clock()));
    let denied = CallbackSettings { deny: vec!["127.0.0.0/8".parse().unwrap()], ..settings() };
    let _component = start(&store, denied);
    let by_name = client.url("/").replace("127.0.0.1", "localhost");
    let mapped = client.url("/").replace("127.0.0.1", "[::ffff:127.0.0.1]");
    for (id, url) in [(100, client.url("/")), (200, by_name), (300, mapped)] {
        store.add(delivery(id, &url, &store.clock));
        let attempt = store.recorded().await;
        assert_eq!(attempt.then, DeliveryThen::Parked, "{attempt:?}");
        assert!(attempt.error.unwrap().contains("the operator has denied"));
    }
    assert!(client.has_none());
}

#[actix_rt::test]
async fn a_port_that_the_operator_does_not_allow_is_refused() {
    let (mut client, mut store) = (ClientServer::new().await, DeliveryStore::new(clock()));
    let _component = start(&store, CallbackSettings { ports: vec![80, 443], ..settings() });
    store.add(delivery(100, &client.url("/"), &store.clock));
    let attempt = store.recorded().await;
    assert_eq!(attempt.then, DeliveryThen::Parked);
    assert!(attempt.error.unwrap().contains("allows the ports 80, 443"));
    assert!(client.has_none());
}

#[actix_rt::test]
async fn metadata_services_are_refused_even_where_internal_addresses_are_allowed() {
    let mut store = DeliveryStore::new(clock());
    let names = RebindingResolver(Mutex::new(vec![vec!["169.254.169.254"]]));
    let _component = open(store.address(), store.clock.clone(), settings(), Arc::new(names)).unwrap();
    for (id, url) in [(100, "http://169.254.169.254/latest"), (200, "http://metadata.example/latest")] {
        store.add(delivery(id, url, &store.clock));
        let attempt = store.recorded().await;
        assert_eq!(attempt.then, DeliveryThen::Parked, "{attempt:?}");
        assert!(attempt.error.unwrap().contains("metadata service"));
    }
}

/// Gives another answer each time, as a name does that passes a check and then rebinds.
struct RebindingResolver(Mutex<Vec<Vec<&'static str>>>);

impl Resolve for RebindingResolver {
    fn resolve(&self, _: Name) -> Resolving {
        let found: Vec<SocketAddr> =
            self.0.lock().unwrap().remove(0).iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
        Box::pin(async move { Ok(Box::new(found.into_iter()) as Addrs) })
    }
}

#[actix_rt::test]
async fn a_name_that_rebinds_to_an_internal_address_is_refused() {
    let (mut inside, mut store) = (ClientServer::new().await, DeliveryStore::new(clock()));
    // One look-up per post: the address that was checked is the one that is connected to.
    let names =
        RebindingResolver(Mutex::new(vec![vec!["127.0.0.1"], vec!["::1", "::ffff:127.0.0.1", "169.254.169.254"]]));
    let closed = CallbackSettings { allow_internal: false, ..settings() };
    let _component = open(store.address(), store.clock.clone(), closed, Arc::new(names)).unwrap();
    let url = inside.url("/").replace("127.0.0.1", "client.example");
    for id in [100, 200] {
        store.add(delivery(id, &url, &store.clock));
        let attempt = store.recorded().await;
        assert_eq!(attempt.then, DeliveryThen::Parked, "{attempt:?}");
        assert!(attempt.error.unwrap().contains("allow_internal"));
    }
    assert!(inside.has_none());
}

#[actix_rt::test]
async fn a_url_or_secret_that_can_never_work_is_parked_with_the_reason() {
    let mut store = DeliveryStore::new(clock());
    let _component = start(&store, settings());
    for (id, url, secret, reason) in [
        (100, "not a url", SECRET, "cannot be read"),
        (200, "ftp://client.example/", SECRET, "neither http nor https"),
        (300, "http://client.example/", "hush", "signing secret"),
    ] {
        store.add(Delivery { secret: secret.to_owned(), ..delivery(id, url, &store.clock) });
        let attempt = store.recorded().await;
        assert_eq!(attempt.then, DeliveryThen::Parked);
        assert!(attempt.error.unwrap().contains(reason));
    }
}

#[actix_rt::test]
async fn while_the_store_refuses_records_nothing_is_claimed_and_no_attempt_is_lost() {
    let (mut client, mut store) = (ClientServer::new().await, DeliveryStore::new(clock()));
    let component = start(&store, settings());
    store.add(delivery(100, &client.url("/"), &store.clock));
    let request = client.next().await;
    store.refuse_records(2);
    request.answer("200 OK", &[]);
    store.refused().await;
    let health = component.health.send(AskHealth).await.unwrap();
    assert_eq!(health.state, State::Degraded, "{health:?}");
    store.add(delivery(200, &client.url("/"), &store.clock));
    store.refused().await;
    assert!(client.has_none());

    let attempt = store.recorded().await;
    assert_eq!((attempt.delivery, attempt.then), (100, DeliveryThen::Done));
    client.next().await.answer("200 OK", &[]);
    store.recorded().await;
    // The counts are older than the record.
    let health = component.health.send(AskHealth).await.unwrap();
    assert_eq!(health.state, State::Up);
    assert!(health.detail.contains("2 posted, 0 failed, 0 given up"), "{health:?}");
}

#[actix_rt::test]
async fn a_delivery_whose_lease_is_too_short_is_not_posted() {
    let (mut client, mut store) = (ClientServer::new().await, DeliveryStore::new(clock()));
    store.cut_leases(Duration::from_secs(29));
    let _component = start(&store, settings());
    store.add(delivery(100, &client.url("/"), &store.clock));
    store.next_claims(3).await;
    assert_eq!(store.claimed(), 1);
    assert!(client.has_none());
    // Its place is free again, and it is posted once its lease is long enough.
    store.cut_leases(Duration::from_secs(30));
    store.clock.advance(Duration::from_secs(29));
    client.next().await;
}

#[actix_rt::test]
async fn a_drain_waits_for_posts_in_flight_and_claims_no_more() {
    let (mut client, mut store) = (ClientServer::new().await, DeliveryStore::new(clock()));
    let component = start(&store, settings());
    store.add(delivery(100, &client.url("/"), &store.clock));
    let request = client.next().await;
    let drained = actix_rt::spawn(component.drain.send(Drain));
    // The drain was handled before this is answered.
    tokio::task::yield_now().await;
    assert_eq!(component.health.send(AskHealth).await.unwrap().state, State::Stopping);
    store.add(delivery(200, &client.url("/"), &store.clock));
    assert!(!drained.is_finished());
    request.answer("200 OK", &[]);
    assert_eq!(store.recorded().await.delivery, 100);
    drained.await.unwrap().unwrap();
    assert!(client.has_none());
    assert_eq!(store.waiting(), 1);
    // An idle actor is drained at once.
    component.drain.send(Drain).await.unwrap();
    // It ends when its last address is dropped.
    let Component { health, drain, ended, .. } = component;
    drop((health, drain));
    tokio::time::timeout(DEADLINE, ended.wait()).await.unwrap();
}

#[actix_rt::test]
async fn callbacks_that_were_replaced_post_nothing_more_and_end() {
    let (mut client, mut store) = (ClientServer::new().await, DeliveryStore::new(clock()));
    let token = StartToken::default();
    let address = store.address().with_token(&token);
    let component = open(address, store.clock.clone(), settings(), Arc::new(SystemResolver)).unwrap();
    store.next_claims(1).await;
    token.replace();
    store.add(delivery(100, &client.url("/"), &store.clock));
    tokio::time::timeout(DEADLINE, component.ended.wait()).await.expect("it ends with the first that it would post");
    assert_eq!(store.claimed(), 1);
    assert!(client.has_none());
}

#[actix_rt::test]
async fn settings_that_cannot_work_are_refused_at_the_start() {
    let store = DeliveryStore::new(clock());
    let wrong = CallbackSettings { most_at_once: 0, ..settings() };
    let error = open(store.address(), store.clock.clone(), wrong, Arc::new(SystemResolver)).unwrap_err();
    assert!(error.to_string().starts_with("callbacks.most_at_once"), "{error}");
}
