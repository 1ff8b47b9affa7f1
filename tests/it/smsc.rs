//! SMS over SMPP, through the sandbox's SMSC: with receipts, back from people, and while the SMSC misbehaves.

use serde_json::{Value, json};

use crate::black_box::{Harness, eventually, waits, words};

const PERSON: &str = "27831234567";

/// A text of three parts.
fn long() -> String {
    "one two three four five ".repeat(16)
}

/// Retries that tests can wait for.
fn impatient() -> Harness {
    let harness = Harness::new();
    let outbox = "outbox = { call_limit = \"2s\", retry = { first = \"50ms\", most = \"200ms\" } }\n\
                  reconnect = { first = \"20ms\", most = \"100ms\" }";
    harness.add_to("transports.smsc", outbox);
    harness
}

/// How often each part came to the SMSC, by its place in the SMS.
fn parts_seen(harness: &Harness) -> [u64; 3] {
    let seen = harness.seen("smsc");
    let ids = seen["ids"].as_object().unwrap();
    [1, 2, 3].map(|part| {
        let of_part = ids.iter().filter(|(id, _)| id.starts_with(&format!("{PERSON} {part}/3 ")));
        of_part.map(|(_, times)| times.as_u64().unwrap()).sum()
    })
}

#[test]
fn a_long_sms_goes_out_in_parts_and_is_received_when_all_are() {
    let harness = Harness::new();
    let _router = harness.run();
    harness.wait_for_part("smsc");
    let id = harness.send("smsc", PERSON, &long());
    let sms = harness.wait_for_status("smsc", id, 4);
    assert_eq!((&sms["parts"], &sms["attempts"]), (&json!(3), &json!(1)), "{sms}");
    let parts = sms["sent_parts"].as_array().unwrap();
    let ids: Vec<&str> = parts.iter().map(|part| part["provider_id"].as_str().unwrap()).collect();
    for (part, number) in parts.iter().zip(1..) {
        assert_eq!((&part["part"], &part["transport_status"]), (&json!(number), &json!(4)), "{sms}");
    }
    let shown = words(&harness.vumi(&["sms", "show", &id.to_string()]));
    assert!(
        ids.len() == 3 && ids.iter().all(|id| shown.contains(&format!("{id},")) || shown.contains(&format!("{id} "))),
        "{ids:?} {shown}"
    );
    assert_eq!(parts_seen(&harness), [1, 1, 1]);
    let seen = harness.seen("smsc");
    assert_eq!(seen["smsc"]["texts"], json!({ format!("{PERSON} {}", long()): 1 }));
}

#[test]
fn receipts_that_match_nothing_are_listed_with_the_sms_that_they_may_have_been_meant_for() {
    let harness = Harness::new();
    harness.add_to("transports.smsc", "receipts = { message_ids = \"exact\" }");
    let _router = harness.run();
    harness.wait_for_part("smsc");
    harness.misbehave("smsc", &json!({ "smpp": { "answer_ids": "upper_hex", "receipt_ids": "decimal" } }));
    let id = harness.send("smsc", PERSON, "hello");
    let near = format!("an id that is alike: SMS {id} ");
    let listed = eventually("the receipt is kept", || {
        let listed = words(&harness.vumi(&["receipts"]));
        listed.contains("stat=DELIVRD").then_some(listed)
    });
    assert!(listed.contains(&near), "{listed}");
    assert!(!words(&harness.vumi(&["receipts", "--no-near-misses"])).contains(&near));
}

#[test]
fn a_person_writes_in_parts_and_the_campaign_answers_over_the_same_connection() {
    let harness = Harness::new();
    let _router = harness.run();
    harness.wait_for_part("smsc");
    harness.misbehave("smsc", &json!({ "smpp": { "out_of_order": 2 } }));
    let order = json!({ "from": PERSON, "to": "38080", "text": long() });
    let taken = harness.client().post(harness.provider_url("/inbound/smsc")).json(&order).send().unwrap();
    let taken: Value = taken.json().unwrap();
    let statuses: Vec<_> = taken["parts"].as_array().unwrap().iter().map(|part| part["status"].clone()).collect();
    assert_eq!(statuses, [0, 0, 0].map(|status| json!(status)), "{taken}");
    let text = format!("{PERSON} {}", long());
    eventually("the echo is at the SMSC", || {
        harness.seen("smsc")["smsc"]["texts"]
            .as_object()?
            .keys()
            .any(|seen| seen.trim_end() == text.trim_end())
            .then_some(())
    });
}

#[test]
fn whatever_the_smsc_does_nothing_is_lost() {
    let harness = impatient();
    let _router = harness.run();
    harness.wait_for_part("smsc");
    for (n, rules) in [
        json!({ "delay": "300ms" }),
        json!({ "smpp": { "out_of_order": 4 } }),
        json!({ "smpp": { "receipt_first": true } }),
        json!({ "smpp": { "odd_pdus": true, "odd_tlvs": true } }),
        json!({ "smpp": { "answer_ids": "upper_hex", "receipt_ids": "decimal", "receipt_form": "text" } }),
        json!({ "smpp": { "receipts_as_data_sm": true, "receipt_form": "tlvs", "receipt_ids": "padded" } }),
        json!({ "receipts": "twice" }),
        json!({ "smpp": { "refuse_next": 2 } }),
        json!({ "refuse_with": "RMSGQFUL", "smpp": { "refuse_next": 2 } }),
        json!({ "refuse_with": "RSYSERR", "smpp": { "refuse_next": 2 } }),
        json!({ "smpp": { "silent_every": 4 } }),
        json!({ "smpp": { "unbind_after": 2 } }),
        json!({ "drop_every": 4 }),
        json!({ "drop_every": 4, "drop_when": "before" }),
        json!({ "drop_after": 6 }),
        json!({ "drop_now": true }),
    ]
    .into_iter()
    .enumerate()
    {
        harness.misbehave("smsc", &rules);
        let texts = [format!("a {n}"), format!("b {n} {}", long()), format!("c {n}")];
        let ids = texts.each_ref().map(|text| harness.send("smsc", PERSON, text));
        for id in ids {
            eventually(&format!("SMS {id} is received under {rules}"), || {
                let sms = harness.status("smsc", id);
                assert!(!sms["state"].as_str().unwrap().contains("fail"), "{rules}: {sms}");
                (sms["transport_status"] == 4).then_some(())
            });
        }
    }
}

#[test]
fn an_smsc_that_answers_nothing_gets_the_sms_when_it_is_back() {
    let harness = impatient();
    harness.add_to("transports.smsc", "enquire_link = \"300ms\"");
    let _router = harness.run();
    harness.wait_for_part("smsc");
    harness.misbehave("smsc", &json!({ "smpp": { "half_open": true } }));
    let id = harness.send("smsc", PERSON, "hello");
    eventually("the transport shows that the SMSC is gone", || (harness.part("smsc")?["state"] != "up").then_some(()));
    assert!(waits(&harness.status("smsc", id)));
    harness.misbehave("smsc", &json!({}));
    harness.wait_for_status("smsc", id, 4);
    assert_eq!(harness.seen("smsc")["distinct"], 1);
}

#[test]
fn a_part_that_is_refused_for_good_fails_the_sms() {
    let harness = impatient();
    let _router = harness.run();
    harness.wait_for_part("smsc");
    harness
        .misbehave("smsc", &json!({ "refuse_with": "RINVMSGLEN", "receipts": "none", "smpp": { "refuse_part": 2 } }));
    let id = harness.send("smsc", PERSON, &long());
    harness.wait_for_status("smsc", id, 5);
    assert_eq!(parts_seen(&harness)[0], 1);
}

#[test]
fn a_router_killed_between_the_parts_of_an_sms_submits_only_what_is_missing() {
    let harness = Harness::new();
    let outbox = "outbox = { call_limit = \"500ms\", retry = { first = \"3s\", most = \"3s\" } }";
    harness.add_to("transports.smsc", outbox);
    let _providers = harness.start(&["sandbox"]);
    let alone = harness.folder.path().join("router.toml");
    let text = std::fs::read_to_string(harness.settings_file()).unwrap();
    std::fs::write(&alone, text.split("[sandbox]").next().unwrap()).unwrap();
    let run = ["--settings", alone.to_str().unwrap(), "run"];
    harness.add_account(&alone);
    harness.misbehave("smsc", &json!({ "receipts": "none", "smpp": { "silent_part": 2 } }));
    let router = harness.start(&run);
    harness.wait_for_part("smsc");
    let id = harness.send("smsc", PERSON, &long());
    eventually("the first attempt is over", || {
        let sms = harness.status("smsc", id);
        (sms["attempts"] == 1 && sms["state"] == "accepted").then_some(())
    });
    assert_eq!(parts_seen(&harness), [1, 1, 1]);
    router.kill();
    harness.misbehave("smsc", &json!({}));
    let _router = harness.start(&run);
    harness.wait_for_part("smsc");
    eventually("the missing part is there", || (parts_seen(&harness)[1] == 2).then_some(()));
    eventually("the SMS is with the SMSC", || (!waits(&harness.status("smsc", id))).then_some(()));
    assert_eq!(parts_seen(&harness), [1, 2, 1], "only the part of which nobody knew goes out again");
}

#[test]
fn an_operator_binds_by_hand_and_checks_what_the_settings_say() {
    let harness = Harness::new();
    let to = format!("127.0.0.1:{}", harness.smsc);
    let bind = ["smpp", "bind", "--to", &to, "--system-id", "vumi", "--password"];
    let nobody = harness.vumi(&[&bind[..], &["vumi"]].concat());
    assert!(!nobody.status.success() && words(&nobody).contains("refused"), "{}", words(&nobody));
    let _providers = harness.start(&["sandbox"]);
    let bound = harness.vumi(&[&bind[..], &["vumi", "--send", PERSON, "hello", "--listen", "1"]].concat());
    let output = words(&bound);
    assert!(bound.status.success(), "{output}");
    for shown in ["bind_transceiver_resp", "ESME_ROK", "password=***", "submit_sm_resp", "deliver_sm", "unbind_resp"] {
        assert!(output.contains(shown), "{shown} in {output}");
    }
    assert!(!output.contains("1234567") && !output.contains("hello"), "{output}");
    let wrong = harness.vumi(&[&bind[..], &["hunter2"]].concat());
    let output = words(&wrong);
    assert!(!wrong.status.success() && output.contains("ESME_RINVPASWD"), "{output}");
    assert!(output.contains("check `system_id` and `password`") && !output.contains("hunter2"), "{output}");

    let check = ["check", "--connect", "--only", "transport:smsc"];
    let output = words(&harness.vumi(&check));
    assert!(output.contains(&format!("{to}: bound and unbound")), "{output}");
    harness.misbehave("smsc", &json!({ "smpp": { "refuse_bind": "RBINDFAIL" } }));
    let refused = harness.vumi(&check);
    let output = words(&refused);
    assert!(!refused.status.success() && output.contains("MISSING") && output.contains("RBINDFAIL"), "{output}");
}
