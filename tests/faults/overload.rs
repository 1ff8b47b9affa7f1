//! Far more calls than the router can take: it refuses some, and its memory does not grow.

use std::{
    collections::HashSet,
    sync::Mutex,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    black_box::{Harness, Process},
    comparison::ledger,
    fixture::{FaultFixture, TRANSPORT, load_time},
};

/// Some ten times as many as keep it busy.
const CLIENTS: usize = 160;
/// SMS of one call.
const BATCH: usize = 50;
/// How much more memory it may have at the end than in the middle, in MB: buffers that were not needed before.
const GROWTH: f64 = 64.0;

/// What became of the calls.
#[derive(Default)]
struct Calls {
    answered: HashSet<i64>,
    refused: usize,
    failed: usize,
    took: Vec<Duration>,
}

#[test]
fn overload_is_refused_and_takes_no_more_memory_with_time() {
    let fixture = FaultFixture::sqlite();
    let router = fixture.run();
    let (calls, began) = (Mutex::new(Calls::default()), Instant::now());
    let mut memory = Vec::new();
    std::thread::scope(|threads| {
        for _ in 0..CLIENTS {
            threads.spawn(|| {
                while began.elapsed() < load_time() {
                    call(&fixture.harness, &calls);
                }
            });
        }
        while began.elapsed() < load_time() {
            std::thread::park_timeout(load_time() / 12);
            memory.push(resident_mb(&router));
        }
    });
    let Calls { answered, refused, failed, mut took } = calls.into_inner().unwrap();
    took.sort_unstable();
    let at = |part: usize| took.get(took.len() * part / 100).copied().unwrap_or_default();
    println!(
        "{CLIENTS} clients with batches of {BATCH} for {:?}: {} SMS answered with 200, {refused} calls refused, {failed} \
         failed; a call took {:?} (p50), {:?} (p99); memory in MB over time: {memory:.0?}",
        load_time(),
        answered.len(),
        at(50),
        at(99),
    );
    let kept: HashSet<i64> = ledger(&fixture.harness).into_iter().map(|row| row.id).collect();
    assert!(answered.is_subset(&kept), "answered with 200, and lost: {}", answered.difference(&kept).count());
    assert!(!answered.is_empty());
    let (middle, end) = (memory[memory.len() / 2], memory[memory.len() - 1]);
    assert!(end <= middle + GROWTH, "the memory grows: {memory:.0?}");
}

fn call(harness: &Harness, calls: &Mutex<Calls>) {
    let mut form = vec![("from_msisdn", "27123456780"), ("message", "overload")];
    form.extend([("to_msisdn", "27123456789"); BATCH]);
    let began = Instant::now();
    let answer = harness.post(&format!("/api/v1/sms/{TRANSPORT}/send.json"), &form).send();
    let took = began.elapsed();
    let ids = answer.map(|answer| match answer.status().as_u16() {
        200 => Ok(answer.json::<Value>().ok()),
        status => Err(status),
    });
    let mut calls = calls.lock().unwrap();
    match ids {
        Ok(Ok(Some(list))) => {
            calls.took.push(took);
            calls.answered.extend(list.as_array().unwrap().iter().map(|sms| sms["id"].as_i64().unwrap()));
        }
        Ok(Err(429 | 503)) => calls.refused += 1,
        Ok(Err(status)) => panic!("a call was answered with {status}"),
        Ok(Ok(None)) | Err(_) => calls.failed += 1,
    }
}

/// Resident memory of a process.
fn resident_mb(process: &Process) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let kb = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    kb.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
