//! Providers that the router knows by their settings alone: Africa's Talking and Twilio, from the very files that are
//! given as examples, against the sandbox's providers, which were written from the providers' documents.

use serde_json::{Value, json};

use crate::black_box::{Harness, Process, eventually};

const AFRICAS_TALKING: &str = include_str!("../../actors/transports/src/http_provider/africas_talking.toml");
const TWILIO: &str = include_str!("../../actors/transports/src/http_provider/twilio.toml");

const BOTH: [&str; 2] = ["africas-talking", "twilio"];

/// The example's text as `[transports.{name}]`, with the sandbox's address for the provider's.
fn table(name: &str, example: &str, provider: &str, sandbox: &str) -> String {
    assert!(example.contains(provider), "{name} is not at {provider}");
    let below = example.replace(provider, sandbox).replace("\n[", &format!("\n[transports.{name}."));
    format!("\n[transports.{name}]\nkind = \"http\"\n{below}")
}

/// A router with both, and providers that take only what the examples' credentials send.
fn run() -> (Harness, Process) {
    let harness = Harness::new();
    let sandbox = |path: &str| harness.provider_url(path);
    let africas_talking =
        table("africas-talking", AFRICAS_TALKING, "https://api.africastalking.com", &sandbox("/africas-talking"));
    let twilio = table("twilio", TWILIO, "https://api.twilio.com", &sandbox("/twilio"));
    let accounts = "\n[sandbox.africas_talking]\nusername = \"vumi\"\napi_key = \"key\"\nsender = \"38080\"\n\
                    [sandbox.twilio]\naccount = \"AC123\"\ntoken = \"token\"\n";
    harness.edit(|text| format!("{text}{africas_talking}{twilio}{accounts}"));
    let router = harness.run();
    (harness, router)
}

fn send(harness: &Harness, transport: &str, from: &str, message: &str) -> i64 {
    let form = [("to_msisdn", "27831234567"), ("from_msisdn", from), ("message", message)];
    let answer = harness.post(&format!("/api/v1/sms/{transport}/send.json"), &form).send().unwrap();
    assert_eq!(answer.status(), 200);
    answer.json::<Value>().unwrap()[0]["id"].as_i64().unwrap()
}

#[test]
fn an_sms_by_a_provider_of_settings_reaches_the_phone_and_its_receipt_says_so() {
    let (harness, router) = run();
    for transport in BOTH {
        let id = send(&harness, transport, "38080", "crème & brûlée 😀");
        let sms = harness.wait_for_status(transport, id, 4);
        assert!(sms["delivered_at"].is_string(), "{sms}");
        let seen = harness.seen(transport);
        assert_eq!((&seen["submissions"], &seen["refused"]), (&json!(1), &json!(0)), "{transport}");
        assert_eq!(seen["ids"], json!({ "+27831234567 crème & brûlée 😀": 1 }), "{transport}");
    }
    assert_eq!(router.stop(), 0);
}

#[test]
fn a_refusal_ends_in_a_failure_that_says_why_in_the_providers_words() {
    let (harness, _router) = run();
    for (transport, why) in [("africas-talking", "UserInBlacklist"), ("twilio", "21610")] {
        harness.misbehave(transport, &json!({ "refuse_every": 1 }));
        let id = send(&harness, transport, "38080", "no");
        let sms = harness.wait_for_status(transport, id, 5);
        assert!(sms["provider_status"].as_str().unwrap().contains(why), "{sms}");
    }
    harness.misbehave("africas-talking", &json!({}));
    let id = send(&harness, "africas-talking", "38081", "from nobody");
    let sms = harness.wait_for_status("africas-talking", id, 5);
    assert!(sms["provider_status"].as_str().unwrap().contains("InvalidSenderId"), "{sms}");
}

#[test]
fn a_receipt_that_tells_of_a_failure_is_kept_as_one_however_often_it_comes() {
    let (harness, _router) = run();
    for (transport, status, ours) in [("africas-talking", "Rejected", 9), ("twilio", "undelivered", 7)] {
        harness.misbehave(transport, &json!({ "receipt_status": status, "receipts": "twice" }));
        let id = send(&harness, transport, "38080", "hello");
        harness.wait_for_status(transport, id, ours);
        eventually("both receipts are taken", || (harness.seen(transport)["receipts_posted"] == 2).then_some(()));
        assert_eq!(harness.status(transport, id)["transport_status"], ours);
        assert_eq!(harness.seen(transport)["receipts_failed"], 0);
    }
}

#[test]
fn a_received_sms_is_stored_once_and_answered_by_a_campaign_through_the_same_provider() {
    let (harness, _router) = run();
    for transport in BOTH {
        let inbound = json!({ "from": "27831234567", "to": "38080", "text": "hello there, né" });
        let reply = harness.client().post(harness.provider_url(&format!("/inbound/{transport}"))).json(&inbound);
        let reply = reply.send().unwrap();
        assert_eq!(reply.status(), 200);
        let answer = reply.text().unwrap();
        match transport {
            "twilio" => assert_eq!(answer, "<Response/>"),
            _ => assert!(answer.contains("hello there, né"), "{answer}"),
        }
        let all = format!("/api/v1/sms/{transport}/status.json?since=2009-01-01");
        let reply = eventually("the campaign's answer is in the ledger", || {
            let list: Value = harness.get(&all).send().ok()?.json().ok()?;
            list.as_array()?.first().cloned()
        });
        assert_eq!((&reply["to_msisdn"], &reply["from_msisdn"]), (&json!("27831234567"), &json!("38080")));
        assert!(reply["message"].as_str().unwrap().contains("hello there, né"), "{reply}");
        harness.wait_for_status(transport, reply["id"].as_i64().unwrap(), 4);
        assert_eq!(harness.seen(transport)["submissions"], 1);
    }
}
