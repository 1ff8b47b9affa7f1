//! SMPP between the router and the sandbox's centre.

use serde_json::{Value, json};

use crate::{
    begun::Apart,
    black_box::{Harness, eventually},
};

/// An SMS of three parts.
const LONG: usize = 400;

/// The parts of long SMS that the centre took.
fn parts(harness: &Harness) -> u64 {
    harness.seen("smsc")["smsc"]["smpp"]["parts"].as_u64().unwrap()
}

fn attempts(sms: &Value) -> u64 {
    sms["attempts"].as_u64().unwrap()
}

#[test]
fn after_kill_9_the_parts_that_were_taken_are_not_sent_again() {
    let harness = Harness::new();
    harness.add_to("transports.smsc", "outbox = { retry = { first = \"4s\", most = \"4s\" } }");
    let apart = Apart::new(&harness);
    let router = apart.run(&harness);
    harness.misbehave("smsc", &json!({ "refuse_with": "RSYSERR", "smpp": { "refuse_part": 2 } }));
    let id = harness.send("smsc", "27831234567", &"a".repeat(LONG));
    let refused = eventually("a part is refused", || Some(harness.status("smsc", id)).filter(|sms| attempts(sms) > 0));
    router.kill();
    assert!(refused["provider_status"].as_str().unwrap().starts_with("part 2 of 3"), "{refused}");
    assert_eq!(parts(&harness), 2, "taken");
    harness.misbehave("smsc", &json!({}));
    let _router = apart.run(&harness);
    harness.wait_for_status("smsc", id, 4);
    assert_eq!(parts(&harness), 3, "the missing part alone");
}

#[test]
fn receipts_are_matched_however_the_smsc_spells_its_ids() {
    let harness = Harness::new();
    let _router = harness.run();
    for (answer, receipt) in [("hex", "decimal"), ("decimal", "hex"), ("upper_hex", "hex"), ("decimal", "padded")] {
        harness.misbehave("smsc", &json!({ "smpp": { "answer_ids": answer, "receipt_ids": receipt } }));
        for text in ["hello".to_owned(), "a".repeat(LONG)] {
            let id = harness.send("smsc", "27831234567", &text);
            harness.wait_for_status("smsc", id, 4);
        }
    }
}

#[test]
fn an_smsc_that_throttles_answers_out_of_order_and_says_odd_things_gets_every_sms() {
    let harness = Harness::new();
    harness.add_to("transports.smsc", "outbox = { retry = { first = \"50ms\", most = \"200ms\" } }");
    let _router = harness.run();
    harness.wait_for_part("smsc");
    for how in [
        json!({ "refuse_with": "RTHROTTLED", "smpp": { "refuse_next": 3 } }),
        json!({ "smpp": { "out_of_order": 3, "receipt_first": true, "odd_pdus": true, "odd_tlvs": true } }),
    ] {
        harness.misbehave("smsc", &how);
        let ids: Vec<i64> = (0..9).map(|n| harness.send("smsc", "27831234567", &format!("number {n}"))).collect();
        for id in ids {
            harness.wait_for_status("smsc", id, 4);
        }
    }
}
