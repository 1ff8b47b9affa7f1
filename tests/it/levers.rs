//! What waits is cancelled by its client, and held, released, cancelled and sent again by the operator, while the router runs.

use serde_json::{Value, json};

use crate::{
    black_box::{Harness, eventually, waits, words},
    listener::CallbackListener,
};

/// The provider answers nothing for now: two SMS are in flight, the others wait.
fn busy() -> Harness {
    let harness = Harness::new();
    harness.add_to("transports.e-scape", "outbox = { window = 2, queue = 3, poll = \"50ms\" }");
    harness
}

fn cancel(harness: &Harness, id: i64) -> (u16, Value) {
    let url = harness.url(&format!("/api/v1/sms/e-scape/status/{id}.json"));
    let answer = harness.client().delete(url).basic_auth("username", Some("password")).send().unwrap();
    (answer.status().as_u16(), answer.json().unwrap())
}

fn state(harness: &Harness, id: i64) -> String {
    harness.status("e-scape", id)["state"].as_str().unwrap().to_owned()
}

fn send(harness: &Harness, count: usize) -> Vec<i64> {
    (0..count).map(|n| harness.send("e-scape", "27123456789", &format!("number {n}"))).collect()
}

fn until_begun(harness: &Harness) {
    eventually("two are in flight", || (harness.seen("e-scape")["submissions"].as_u64()? >= 2).then_some(()));
}

#[test]
fn a_client_cancels_what_has_not_begun_and_nothing_of_it_goes_out() {
    let harness = busy();
    let _router = harness.run();
    let client = CallbackListener::answering(&[200]);
    let callback = [("name", "sms_receipt"), ("url", &client.url("/"))];
    assert_eq!(harness.post("/api/v1/account/callbacks.json", &callback).send().unwrap().status(), 200);
    harness.misbehave("e-scape", &json!({ "delay": "2s" }));
    let ids = send(&harness, 8);
    until_begun(&harness);
    let (status, problem) = cancel(&harness, ids[0]);
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("has begun"), "{problem}");
    // Claimed and not begun; and in the ledger.
    for id in [ids[3], ids[7]] {
        let (status, sms) = cancel(&harness, id);
        assert_eq!((status, &sms["transport_status"], &sms["state"]), (200, &json!(6), &json!("cancelled")), "{sms}");
    }
    assert_eq!(cancel(&harness, 999_999).0, 404);
    harness.misbehave("e-scape", &json!({}));
    for id in &ids {
        eventually("nothing waits", || (!waits(&harness.status("e-scape", *id))).then_some(()));
    }
    let seen = harness.seen("e-scape");
    assert_eq!(seen["submissions"], 6, "{seen}");
    let (status, problem) = cancel(&harness, ids[1]);
    assert_eq!(status, 409);
    assert!(problem["detail"].as_str().unwrap().contains("submitted"), "{problem}");
    let told = eventually("the callback was told", || client.heard().first().cloned());
    assert!(told.body.contains("transport_status=6"), "{}", told.body);
    let events = harness.get(&format!("/api/v1/sms/e-scape/status/{}/events.json", ids[7])).send().unwrap();
    let events: Value = events.json().unwrap();
    assert_eq!((&events[1]["event"], &events[1]["detail"]), (&json!("cancelled"), &json!("cancelled by its client")));
}

#[test]
fn an_operator_holds_releases_cancels_and_sends_again_beside_the_running_router() {
    let harness = busy();
    let _router = harness.run();
    harness.misbehave("e-scape", &json!({ "delay": "2s" }));
    let ids = send(&harness, 10);
    until_begun(&harness);
    let vumi = |arguments: &[&str]| {
        let output = harness.vumi(&[&["sms"], arguments].concat());
        assert!(output.status.success(), "{}", words(&output));
        words(&output)
    };
    let said = vumi(&["hold", "--transport", "e-scape", "--reason", "a wrong text", "--yes"]);
    let held: Vec<i64> = ids.iter().copied().filter(|id| state(&harness, *id) == "held").collect();
    assert!(held.len() >= 6 && said.contains(&format!("{} SMS held", held.len())), "{said}");
    harness.misbehave("e-scape", &json!({}));
    eventually("those that had begun are sent", || {
        ids.iter().filter(|id| !held.contains(id)).all(|id| state(&harness, *id) == "submitted").then_some(())
    });
    let listed = vumi(&["list", "--state", "held"]);
    assert_eq!(listed.lines().count(), held.len(), "{listed}");

    // Without a terminal it asks nobody.
    let asked = harness.vumi(&["sms", "cancel", "--state", "held"]);
    assert!(!asked.status.success() && words(&asked).contains("--yes"), "{}", words(&asked));
    let nothing = harness.vumi(&["sms", "cancel", "--yes"]);
    assert!(!nothing.status.success() && words(&nothing).contains("--all"), "{}", words(&nothing));

    let (first, last) = (held[0].to_string(), held[held.len() - 1].to_string());
    assert!(vumi(&["cancel", "--id", &last, "--yes"]).contains("1 SMS cancelled"));
    assert!(vumi(&["release", "--account", "username", "--yes"]).contains("released"));
    eventually("what was released is sent", || {
        let sent = held.iter().filter(|id| state(&harness, **id) == "submitted").count();
        (sent == held.len() - 1).then_some(())
    });
    assert_eq!(state(&harness, held[held.len() - 1]), "cancelled");
    assert!(vumi(&["resend", "--state", "cancelled", "--newer", "1h", "--yes"]).contains("1 SMS resent"));
    eventually("it is sent after all", || (state(&harness, held[held.len() - 1]) == "submitted").then_some(()));
    assert_eq!(harness.seen("e-scape")["submissions"], 10, "each once");

    let shown = vumi(&["show", &first]);
    for word in ["submitted", "held", "a wrong text", "released", "attempt"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    assert!(vumi(&["resend", "--id", &first, "--yes"]).contains("no such SMS is in a state for it"));
}
