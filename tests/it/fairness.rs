//! One account's SMS does not wait behind another's batch.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::black_box::{Harness, eventually};

/// Segments a second that the transport takes.
const RATE: u32 = 50;

/// SMS of the batch: `VUMI_TEST_SMS=100000` for the full size.
fn batch() -> usize {
    std::env::var("VUMI_TEST_SMS").ok().and_then(|count| count.parse().ok()).unwrap_or(1000)
}

#[test]
fn one_sms_behind_anothers_batch_is_sent_within_two_seconds() {
    let harness = Harness::new();
    harness.add_to("transports.e-scape", &format!("outbox = {{ rate = {RATE}.0 }}"));
    let _router = harness.run();
    let password = harness.vumi(&["account", "add", "bulk"]);
    let password = String::from_utf8(password.stdout).unwrap();
    let password = password.trim().rsplit(' ').next().unwrap().to_owned();
    let to = vec!["27123456789"; batch().min(10_000)];
    for _ in 0..batch().div_ceil(10_000) {
        let body = json!({ "to_msisdn": to, "from_msisdn": "38080", "message": "bulk" });
        let bulk = harness.client().post(harness.url("/api/v1/sms/e-scape/send.json")).json(&body);
        let answer = bulk.timeout(Duration::from_secs(60)).basic_auth("bulk", Some(&password)).send().unwrap();
        assert_eq!(answer.status(), 200);
    }
    eventually("the batch is going out", || (harness.seen("e-scape")["submissions"].as_u64()? >= 60).then_some(()));
    let sent = Instant::now();
    let id = harness.send("e-scape", "27831234567", "a one-time password");
    let took =
        eventually("it is sent", || (harness.status("e-scape", id)["state"] == "submitted").then(|| sent.elapsed()));
    let gone = harness.seen("e-scape")["submissions"].as_u64().unwrap();
    println!("one SMS behind {} of another account's: {took:?} at {RATE} a second; {gone} had gone", batch());
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(usize::try_from(gone).unwrap() < batch(), "the batch was over");
}
