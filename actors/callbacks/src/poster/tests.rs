//! The actor against real listeners on loopback and a store of its own.

mod listener;
mod store;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use vumi_kit::{
    callback::{CallbackName, Delivery, DeliveryAttempt, DeliveryThen},
    clock::{Clock, Timestamp},
    component::{Component, Drain},
    health::{AskHealth, State},
};

use self::{
    listener::{DEADLINE, Listener, SecureListener},
    store::Kept,
};
use super::open;
use crate::{guard::SystemNames, settings::CallbackSettings, signature::sign};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn clock() -> Clock {
    Clock::held(Timestamp::parse("2026-11-22 10:00:00").unwrap())
}

/// Polls so often that a test need not wait, and posts to loopback.
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
        body: "message=hello+there&id=7".to_owned(),
        attempts: 0,
        created_at: clock.now(),
        lease_until: clock.now(),
    }
}

fn begin(kept: &Kept, settings: CallbackSettings) -> Component {
    open(kept.address(), kept.clock.clone(), settings, Arc::new(SystemNames)).unwrap()
}

fn again_after(attempt: &DeliveryAttempt) -> Duration {
    match attempt.then {
        DeliveryThen::Again(at) => at.since(attempt.at),
        other => panic!("{other:?}: {attempt:?}"),
    }
}

#[actix_rt::test]
async fn an_event_is_posted_once_with_a_signature_that_holds() {
    let (mut client, mut kept) = (Listener::new().await, Kept::new(clock()));
    let _room = begin(&kept, settings());
    kept.add(delivery(123, &client.url("/events?k=1"), &kept.clock));

    let request = client.next().await;
    assert_eq!(request.line, "POST /events?k=1 HTTP/1.1");
    assert_eq!(request.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(request.body, "message=hello+there&id=7");
    assert_eq!(request.header("webhook-id"), "msg_123");
    let at_s: i64 = request.header("webhook-timestamp").parse().unwrap();
    assert_eq!(Timestamp::from_seconds(at_s), kept.clock.now());
    let expected = sign(SECRET, "msg_123", at_s, &request.body).unwrap();
    assert_eq!(request.header("webhook-signature"), expected);
    request.answer("204 No Content", &[]);

    let attempt = kept.recorded().await;
    assert_eq!(
        (attempt.delivery, attempt.http_status, attempt.error, attempt.then),
        (123, Some(204), None, DeliveryThen::Done)
    );
    assert_eq!(kept.waiting(), 0);
}

#[actix_rt::test]
async fn a_failure_is_tried_again_later_and_later_under_the_same_id_until_it_arrives() {
    let (mut client, mut kept) = (Listener::new().await, Kept::new(clock()));
    let _room = begin(&kept, settings());
    kept.add(delivery(123, &client.url("/"), &kept.clock));

    for whole_s in [5, 10, 20] {
        let request = client.next().await;
        assert_eq!(request.header("webhook-id"), "msg_123");
        request.answer("500 Internal Server Error", &[]);
        let attempt = kept.recorded().await;
        assert_eq!(attempt.error.as_deref(), Some("answered 500"));
        let (wait, whole) = (again_after(&attempt), Duration::from_secs(whole_s));
        assert!(wait >= whole / 2 && wait <= whole, "{wait:?}");
        // Claims go on, but it is not due before its time.
        kept.clock.advance(wait - Duration::from_secs(1));
        kept.next_claims(2).await;
        assert_eq!(kept.waiting(), 1);
        assert!(client.none_came());
        kept.clock.advance(Duration::from_secs(1));
    }
    client.next().await.answer("200 OK", &[]);
    assert_eq!(kept.recorded().await.then, DeliveryThen::Done);
}

#[actix_rt::test]
async fn retry_after_is_honoured() {
    let (mut client, mut kept) = (Listener::new().await, Kept::new(clock()));
    let _room = begin(&kept, settings());
    kept.add(delivery(123, &client.url("/"), &kept.clock));
    client.next().await.answer("429 Too Many Requests", &["Retry-After: 300"]);
    assert_eq!(again_after(&kept.recorded().await), Duration::from_secs(300));
}

#[actix_rt::test]
async fn what_fails_for_a_day_is_parked_and_a_410_at_once() {
    let (mut client, mut kept) = (Listener::new().await, Kept::new(clock()));
    let _room = begin(&kept, settings());
    kept.add(delivery(100, &client.url("/"), &kept.clock));
    client.next().await.answer("503 Service Unavailable", &[]);
    assert!(matches!(kept.recorded().await.then, DeliveryThen::Again(_)));
    kept.clock.advance(Duration::from_secs(24 * 3600));
    client.next().await.answer("503 Service Unavailable", &[]);
    assert_eq!(kept.recorded().await.then, DeliveryThen::Parked);

    kept.add(delivery(200, &client.url("/"), &kept.clock));
    client.next().await.answer("410 Gone", &[]);
    let attempt = kept.recorded().await;
    assert_eq!((attempt.delivery, attempt.http_status, attempt.then), (200, Some(410), DeliveryThen::Parked));
}

#[actix_rt::test]
async fn a_url_that_never_answers_does_not_delay_a_live_one() {
    let (mut dead, mut live) = (Listener::new().await, Listener::new().await);
    let mut kept = Kept::new(clock());
    let _room = begin(&kept, CallbackSettings { most_at_once: 6, most_per_callback: 2, ..settings() });
    for id in 100..150 {
        kept.add(delivery(id, &dead.url("/"), &kept.clock));
    }
    // Both of its places are taken by posts that hang; they are held until the end.
    let hanging = [dead.next().await, dead.next().await];
    for id in 200..220 {
        kept.add(delivery(id, &live.url("/"), &kept.clock));
    }
    for _ in 200..220 {
        live.next().await.answer("200 OK", &[]);
        let attempt = kept.recorded().await;
        assert!((200..220).contains(&attempt.delivery), "{attempt:?}");
    }
    assert!(dead.none_came());
    // And the places are free again once the posts have ended.
    hanging.into_iter().for_each(|request| request.answer("500 Internal Server Error", &[]));
    dead.next().await;
}

#[actix_rt::test]
async fn no_more_are_under_way_at_once_than_the_setting_says() {
    let (mut client, mut kept) = (Listener::new().await, Kept::new(clock()));
    let _room = begin(&kept, CallbackSettings { most_at_once: 3, most_per_callback: 3, ..settings() });
    for id in [100, 200, 300, 400, 500] {
        kept.add(delivery(id, &client.url("/"), &kept.clock));
    }
    let mut held = vec![client.next().await, client.next().await, client.next().await];
    assert_eq!(kept.claimed(), 3);
    held.remove(0).answer("200 OK", &[]);
    kept.recorded().await;
    client.next().await;
    assert_eq!(kept.claimed(), 4);
    assert!(client.none_came());
}

#[actix_rt::test]
async fn a_post_has_a_time_limit_and_so_has_an_endless_body() {
    let (mut client, mut kept) = (Listener::new().await, Kept::new(clock()));
    let _room = begin(&kept, CallbackSettings { limit: Duration::from_millis(200), ..settings() });
    kept.add(delivery(100, &client.url("/"), &kept.clock));
    let _silent = client.next().await;
    let attempt = kept.recorded().await;
    assert_eq!((attempt.http_status, attempt.error.as_deref()), (None, Some("no answer within 200ms")));
    assert!(matches!(attempt.then, DeliveryThen::Again(_)));

    kept.add(delivery(200, &client.url("/"), &kept.clock));
    client.next().await.begin_answer("200 OK", &["Content-Length: 1000000"]);
    assert_eq!(kept.recorded().await.then, DeliveryThen::Done);
}

#[actix_rt::test]
async fn a_callback_counts_as_prompt_while_its_last_answer_was() {
    let (mut client, mut kept) = (Listener::new().await, Kept::new(clock()));
    let _room = begin(&kept, CallbackSettings { limit: Duration::from_millis(800), ..settings() });
    kept.next_claims(1).await;
    assert!(!kept.is_prompt(1));
    kept.add(delivery(100, &client.url("/"), &kept.clock));
    client.next().await.answer("500 Internal Server Error", &[]);
    kept.recorded().await;
    kept.next_claims(2).await;
    assert!(kept.is_prompt(1));
    kept.add(delivery(101, &client.url("/"), &kept.clock));
    let _silent = client.next().await;
    assert_eq!(kept.recorded().await.error.as_deref(), Some("no answer within 800ms"));
    kept.next_claims(2).await;
    assert!(!kept.is_prompt(1));
    // Another's first answer that does not come makes it none either.
    kept.add(delivery(200, &client.url("/"), &kept.clock));
    let _silent = client.next().await;
    kept.recorded().await;
    kept.next_claims(2).await;
    assert!(!kept.is_prompt(2));
}

#[actix_rt::test]
async fn a_url_where_nobody_listens_is_tried_again() {
    let mut kept = Kept::new(clock());
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let _room = begin(&kept, settings());
    kept.add(delivery(100, &format!("http://{gone}/secret-path"), &kept.clock));
    let attempt = kept.recorded().await;
    let error = attempt.error.clone().unwrap();
    assert!(error.contains("refused") && !error.contains("secret-path"), "{error}");
    assert!(again_after(&attempt) <= Duration::from_secs(5));
}

#[actix_rt::test]
async fn a_certificate_that_nobody_vouches_for_is_refused_and_the_attempt_says_so() {
    let (client, mut kept) = (SecureListener::new().await, Kept::new(clock()));
    let _room = begin(&kept, settings());
    kept.add(delivery(100, &client.url(), &kept.clock));
    let attempt = kept.recorded().await;
    let error = attempt.error.unwrap();
    assert!(error.contains("certificate"), "{error}");
    assert!(matches!(attempt.then, DeliveryThen::Again(_)), "a certificate can be mended");
}

#[actix_rt::test]
async fn a_certificate_that_the_settings_vouch_for_is_trusted() {
    let (client, mut kept) = (SecureListener::new().await, Kept::new(clock()));
    let _room = begin(&kept, CallbackSettings { ca: Some(listener::CERTIFICATE.to_owned()), ..settings() });
    kept.add(delivery(100, &client.url(), &kept.clock));
    let attempt = kept.recorded().await;
    assert_eq!((attempt.error, attempt.then), (None, DeliveryThen::Done));
}

#[actix_rt::test]
async fn a_redirect_is_not_followed() {
    let (mut front, mut inside, mut kept) = (Listener::new().await, Listener::new().await, Kept::new(clock()));
    let _room = begin(&kept, settings());
    for (id, status) in [(100, "302 Found"), (200, "307 Temporary Redirect"), (300, "308 Permanent Redirect")] {
        kept.add(delivery(id, &front.url("/"), &kept.clock));
        front.next().await.answer(status, &[&format!("Location: {}", inside.url("/admin"))]);
        let attempt = kept.recorded().await;
        assert!(matches!(attempt.then, DeliveryThen::Again(_)));
        assert!(attempt.error.unwrap().contains("redirect"));
    }
    assert!(inside.none_came());
}

#[actix_rt::test]
async fn an_internal_address_in_the_url_is_refused_and_parked_with_the_setting_s_name() {
    let (mut inside, mut kept) = (Listener::new().await, Kept::new(clock()));
    let _room = begin(&kept, CallbackSettings { allow_internal: false, ..settings() });
    let by_name = inside.url("/").replace("127.0.0.1", "localhost");
    let disguised = inside.url("/").replace("127.0.0.1", "2130706433");
    for (id, url) in [(100, inside.url("/")), (200, by_name), (300, disguised), (400, "http://[::1]/".to_owned())] {
        kept.add(delivery(id, &url, &kept.clock));
        let attempt = kept.recorded().await;
        assert_eq!((attempt.delivery, attempt.then), (id, DeliveryThen::Parked), "{attempt:?}");
        assert!(attempt.error.unwrap().contains("allow_internal"));
    }
    assert!(inside.none_came());
}

/// Gives another answer each time, as a name does that is made to pass a check and then to rebind.
struct Rebinding(Mutex<Vec<Vec<&'static str>>>);

impl Resolve for Rebinding {
    fn resolve(&self, _: Name) -> Resolving {
        let found: Vec<SocketAddr> =
            self.0.lock().unwrap().remove(0).iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
        Box::pin(async move { Ok(Box::new(found.into_iter()) as Addrs) })
    }
}

#[actix_rt::test]
async fn a_name_that_rebinds_to_an_internal_address_is_refused() {
    let (mut inside, mut kept) = (Listener::new().await, Kept::new(clock()));
    // Only one look-up a post: the answer that was checked is the one that is connected to.
    let names = Rebinding(Mutex::new(vec![vec!["127.0.0.1"], vec!["::1", "::ffff:127.0.0.1", "169.254.169.254"]]));
    let closed = CallbackSettings { allow_internal: false, ..settings() };
    let _room = open(kept.address(), kept.clock.clone(), closed, Arc::new(names)).unwrap();
    let url = inside.url("/").replace("127.0.0.1", "client.example");
    for id in [100, 200] {
        kept.add(delivery(id, &url, &kept.clock));
        let attempt = kept.recorded().await;
        assert_eq!(attempt.then, DeliveryThen::Parked, "{attempt:?}");
        assert!(attempt.error.unwrap().contains("allow_internal"));
    }
    assert!(inside.none_came());
}

#[actix_rt::test]
async fn a_url_or_secret_that_can_never_work_is_parked_with_the_reason() {
    let mut kept = Kept::new(clock());
    let _room = begin(&kept, settings());
    for (id, url, secret, reason) in [
        (100, "not a url", SECRET, "cannot be read"),
        (200, "ftp://client.example/", SECRET, "neither http nor https"),
        (300, "http://client.example/", "hush", "signing secret"),
    ] {
        kept.add(Delivery { secret: secret.to_owned(), ..delivery(id, url, &kept.clock) });
        let attempt = kept.recorded().await;
        assert_eq!(attempt.then, DeliveryThen::Parked);
        assert!(attempt.error.unwrap().contains(reason));
    }
}

#[actix_rt::test]
async fn an_attempt_is_recorded_once_the_store_has_room_again_and_nothing_is_claimed_meanwhile() {
    let (mut client, mut kept) = (Listener::new().await, Kept::new(clock()));
    let room = begin(&kept, settings());
    kept.add(delivery(100, &client.url("/"), &kept.clock));
    let request = client.next().await;
    kept.refuse_records(2);
    request.answer("200 OK", &[]);
    kept.refused().await;
    let health = room.health.send(AskHealth).await.unwrap();
    assert_eq!(health.state, State::Degraded, "{health:?}");
    kept.add(delivery(200, &client.url("/"), &kept.clock));
    kept.refused().await;
    assert!(client.none_came());

    let attempt = kept.recorded().await;
    assert_eq!((attempt.delivery, attempt.then), (100, DeliveryThen::Done));
    client.next().await.answer("200 OK", &[]);
    kept.recorded().await;
    // The tally is older than the record.
    let health = room.health.send(AskHealth).await.unwrap();
    assert_eq!(health.state, State::Up);
    assert!(health.detail.contains("2 posted, 0 failed, 0 given up"), "{health:?}");
}

#[actix_rt::test]
async fn a_lease_too_short_for_a_post_is_left_alone() {
    let (mut client, mut kept) = (Listener::new().await, Kept::new(clock()));
    kept.cut_leases(Duration::from_secs(29));
    let _room = begin(&kept, settings());
    kept.add(delivery(100, &client.url("/"), &kept.clock));
    kept.next_claims(3).await;
    assert_eq!(kept.claimed(), 1);
    assert!(client.none_came());
    // It gave its place back, and is posted when it is claimed with time enough.
    kept.cut_leases(Duration::from_secs(30));
    kept.clock.advance(Duration::from_secs(29));
    client.next().await;
}

#[actix_rt::test]
async fn a_drain_waits_for_what_is_under_way_and_takes_no_more() {
    let (mut client, mut kept) = (Listener::new().await, Kept::new(clock()));
    let room = begin(&kept, settings());
    kept.add(delivery(100, &client.url("/"), &kept.clock));
    let request = client.next().await;
    let drained = actix_rt::spawn(room.drain.send(Drain));
    // The drain was handled before this is answered.
    tokio::task::yield_now().await;
    assert_eq!(room.health.send(AskHealth).await.unwrap().state, State::Stopping);
    kept.add(delivery(200, &client.url("/"), &kept.clock));
    assert!(!drained.is_finished());
    request.answer("200 OK", &[]);
    assert_eq!(kept.recorded().await.delivery, 100);
    drained.await.unwrap().unwrap();
    assert!(client.none_came());
    assert_eq!(kept.waiting(), 1);
    // An idle one is drained at once.
    room.drain.send(Drain).await.unwrap();
    // And is gone when nobody knows it any more.
    let Component { health, drain, ended, .. } = room;
    drop((health, drain));
    tokio::time::timeout(DEADLINE, ended.wait()).await.unwrap();
}

#[actix_rt::test]
async fn settings_that_cannot_work_are_refused_at_the_start() {
    let kept = Kept::new(clock());
    let wrong = CallbackSettings { most_at_once: 0, ..settings() };
    let error = open(kept.address(), kept.clock.clone(), wrong, Arc::new(SystemNames)).unwrap_err();
    assert!(error.to_string().starts_with("callbacks.most_at_once"), "{error}");
}
