//! An SMS goes out, its receipt comes back.

use serde_json::{Value, json};

use crate::black_box::{Harness, eventually};

#[test]
fn an_sms_reaches_the_phone_and_its_status_says_so() {
    let harness = Harness::new();
    let router = harness.run();
    let form = [("to_msisdn", "+27123456789"), ("from_msisdn", "27123456780"), ("message", "hello world")];
    let answer = harness.post("/api/v1/sms/clickatell/send.json", &form).send().unwrap();
    assert_eq!(answer.status(), 200);
    let list: Value = answer.json().unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["to_msisdn"], "27123456789");
    assert_eq!(list[0]["message"], "hello world");
    assert_eq!(list[0]["delivered_at"], Value::Null);

    let sms = harness.wait_for_status("clickatell", list[0]["id"].as_i64().unwrap(), 4);
    assert_eq!(sms["transport_status_display"], "Received by recipient");
    assert!(sms["delivered_at"].is_string());
    assert_eq!(harness.seen("clickatell")["submissions"], 1);
    assert_eq!(router.stop(), 0);
}

#[test]
fn all_providers_send_in_their_own_form() {
    let harness = Harness::new();
    let _router = harness.run();
    for (transport, provider, status) in [
        ("clickatell", "clickatell", 4),
        ("opera", "opera", 4),
        ("e-scape", "e-scape", 3),
        ("techsys", "techsys", 3),
        ("smsc", "smsc", 4),
    ] {
        let id = harness.send(transport, "27123456789", "crème brûlée [now]");
        harness.wait_for_status(transport, id, status);
        assert_eq!(harness.seen(provider)["submissions"], 1, "{provider}");
        let since = harness.get(&format!("/api/v1/sms/{transport}/status.json?since=2009-01-01")).send().unwrap();
        assert_eq!(since.json::<Value>().unwrap()[0]["id"], id);
    }
}

#[test]
fn an_unreachable_provider_costs_no_sms_and_delays_no_other() {
    let harness = Harness::new();
    harness.edit(|text| text.replace(&format!("{}/opera", harness.providers), "1/opera"));
    let _router = harness.run();
    let waiting = harness.send("opera", "27123456789", "later");
    let id = harness.send("clickatell", "27123456789", "now");
    harness.wait_for_status("clickatell", id, 4);
    let sms = harness.status("opera", waiting);
    let status = sms["transport_status"].as_i64().unwrap();
    assert!([0, 2].contains(&status), "waiting, or in its transport's hands: {status}");
    eventually("opera says why it waits", || {
        let parts: Value = harness.get_open("/health/ready").unwrap().json().unwrap();
        let opera = parts["parts"].as_array()?.iter().find(|part| part["name"] == "opera")?.clone();
        (opera["state"] == "degraded").then_some(())
    });
}

#[test]
fn a_provider_that_refuses_and_drops_gets_every_sms_in_the_end() {
    let harness = Harness::new();
    harness.add_to("transports.clickatell", "outbox = { retry = { first = \"20ms\", most = \"200ms\" } }");
    let _router = harness.run();
    harness.misbehave("clickatell", &json!({ "drop_every": 3, "receipts": "twice" }));
    let ids: Vec<i64> = (0..20).map(|n| harness.send("clickatell", "27123456789", &format!("number {n}"))).collect();
    for id in ids {
        harness.wait_for_status("clickatell", id, 4);
    }
    // A dropped connection leaves it open whether the SMS arrived; Clickatell can be asked, so nothing goes twice.
    assert_eq!(harness.seen("clickatell")["duplicates"], 0);
}

#[test]
fn a_permanent_refusal_ends_in_a_failure_that_says_why() {
    let harness = Harness::new();
    let _router = harness.run();
    harness.misbehave("clickatell", &json!({ "refuse_every": 1 }));
    let id = harness.send("clickatell", "27123456789", "no");
    let sms = eventually("the SMS fails", || {
        let sms = harness.status("clickatell", id);
        (sms["transport_status"].as_i64()? >= 5).then_some(sms)
    });
    assert!(sms["provider_status"].as_str().unwrap().contains("ERR"), "{sms}");
}

#[test]
fn a_refused_account_is_logged_without_the_providers_words_and_with_when_it_is_tried_again() {
    let harness = Harness::new();
    harness.edit(|text| text.replacen("password = \"vumi\"", "password = \"wrong\"", 1));
    let router = harness.run();
    let id = harness.send("clickatell", "27123456789", "kept");
    router.wait_for_line("one SMS paused");
    harness.send("clickatell", "27123456789", "kept, too");
    router.wait_for_line("Misconfigured");
    let log = router.log();
    let paused: Vec<&str> = log.lines().filter(|line| line.contains("paused")).collect();
    assert!(paused.iter().all(|line| line.contains("next_try_in")), "{paused:?}");
    assert!(!log.contains("wrong") && !log.contains("Authentication failed"), "{log}");
    eventually("the SMS says why", || {
        let sms = harness.status("clickatell", id);
        sms["provider_status"].as_str()?.contains("Authentication failed").then_some(())
    });
}

#[test]
fn what_was_accepted_while_the_router_stops_goes_out_after_the_restart() {
    let harness = Harness::new();
    harness.edit(|text| text.replace(&format!("{}/clickatell", harness.providers), "1/clickatell"));
    let router = harness.run();
    let id = harness.send("clickatell", "27123456789", "kept");
    assert_eq!(router.stop(), 0);
    harness.edit(|text| text.replace("127.0.0.1:1/clickatell", &format!("127.0.0.1:{}/clickatell", harness.providers)));
    let _router = harness.run();
    harness.wait_for_status("clickatell", id, 4);
}

#[test]
fn a_received_sms_is_answered_by_the_campaign_of_its_keyword() {
    let harness = Harness::new();
    let _router = harness.run();
    let inbound = json!({ "from": "27831234567", "to": "38080", "text": "hello there" });
    let reply = harness.client().post(harness.provider_url("/inbound/clickatell")).json(&inbound).send().unwrap();
    assert!(reply.status().is_success(), "{}", reply.text().unwrap());
    let reply = eventually("the campaign's answer is in the ledger", || {
        let list: Value =
            harness.get("/api/v1/sms/clickatell/status.json?since=2009-01-01").send().ok()?.json().ok()?;
        list.as_array()?.first().cloned()
    });
    assert_eq!(reply["to_msisdn"], "27831234567");
    assert_eq!(reply["from_msisdn"], "38080");
    assert!(reply["message"].as_str().unwrap().contains("hello there"), "{reply}");
    harness.wait_for_status("clickatell", reply["id"].as_i64().unwrap(), 4);
}
