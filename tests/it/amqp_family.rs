//! Workers of the Vumi family on the same broker: plain JSON without any property, keys that we do not know, nulls,
//! times with a `Z`. One is a campaign of our transport, another a transport of our campaign.

use serde_json::{Value, json};

use crate::{
    amqp::{PeerQueues, amqp, broker},
    black_box::{Harness, peer::Peer, words},
};

/// The keys of a user message: all of them are always written.
const KEYS: [&str; 18] = [
    "message_version",
    "message_type",
    "timestamp",
    "message_id",
    "to_addr",
    "from_addr",
    "in_reply_to",
    "session_event",
    "content",
    "transport_name",
    "transport_type",
    "transport_metadata",
    "helper_metadata",
    "routing_metadata",
    "group",
    "provider",
    "to_addr_type",
    "from_addr_type",
];

/// A queue's name on the broker that no other test has, with what is on it deleted at the end.
fn queues(url: String, name: &str) -> PeerQueues {
    PeerQueues { url, connector: format!("{name}-{}", std::process::id()) }
}

/// Every key is there, and nothing that a worker of the family would stop at.
fn is_of_the_family(message: &Value) {
    for key in KEYS {
        assert!(message.get(key).is_some(), "no {key}: {message}");
    }
    assert_eq!((&message["message_version"], &message["message_type"]), (&json!("20110921"), &json!("user_message")));
    is_a_time(&message["timestamp"]);
    for key in ["to_addr", "from_addr", "transport_name", "transport_type", "message_id"] {
        assert!(message[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {message}");
    }
    for key in ["transport_metadata", "helper_metadata", "routing_metadata"] {
        assert!(message[key].is_object(), "{key}: {message}");
    }
}

/// `YYYY-MM-DD HH:MM:SS.ffffff`.
fn is_a_time(value: &Value) {
    let form: String = value.as_str().unwrap().chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    assert_eq!(form, "9999-99-99 99:99:99.999999");
}

#[test]
fn a_worker_of_the_family_is_a_campaign_of_our_transport() {
    let Some(url) = broker() else { return };
    let queues = queues(url, "their-campaign");
    let harness = Harness::new();
    harness.edit(|text| {
        let (before, rest) = text.split_once("# ---- Campaigns").unwrap();
        let sandbox = &rest[rest.find("[sandbox]").unwrap()..];
        let route = "[[routes]]\ndefault = true\ncampaign = \"quiz\"\n";
        format!("{before}\n{}\n{route}\n{sandbox}", amqp(&queues, "side = \"campaign\""))
    });
    let _router = harness.run();
    harness.wait_for_network();
    harness.wait_for_part("amqp");
    let worker = Peer::new(&queues.url, &queues.connector);

    std::thread::scope(|threads| {
        let dialled =
            threads.spawn(|| harness.handset("dial", &json!({ "msisdn": "27831234567", "code": "*120*663*79#" })));
        let asked = worker.take("inbound");
        is_of_the_family(&asked);
        assert_eq!((&asked["to_addr"], &asked["from_addr"]), (&json!("*120*663*79#"), &json!("+27831234567")));
        assert_eq!((&asked["session_event"], &asked["content"]), (&json!("new"), &Value::Null));
        assert_eq!((&asked["transport_name"], &asked["transport_type"]), (&json!("truteq"), &json!("ussd")));

        let mut reply = Peer::reply(&asked, "their-1", "Name?", "resume");
        let odd = json!({"timestamp": "2012-04-11T09:25:00Z", "helper_metadata": null, "routing_metadata": null,
            "group": null, "from_addr_type": null, "session_metadata": {"of": ["a", "later", "vumi"]}});
        reply.as_object_mut().unwrap().extend(odd.as_object().unwrap().clone());
        worker.publish("outbound", &reply);
        let shown: Value = dialled.join().unwrap().json().unwrap();
        assert_eq!((&shown["screen"], &shown["session"]), (&json!("Name?"), &json!("open")));
    });
    let event = worker.take("event");
    assert_eq!((&event["message_type"], &event["event_type"]), (&json!("event"), &json!("ack")));
    assert_eq!((&event["user_message_id"], &event["message_version"]), (&json!("their-1"), &json!("20110921")));
    assert!(event["sent_message_id"].is_string() && event["nack_reason"].is_null(), "{event}");
    assert!(event["event_id"].is_string() && event["delivery_status"].is_null(), "{event}");
    is_a_time(&event["timestamp"]);

    std::thread::scope(|threads| {
        let answered =
            threads.spawn(|| harness.handset("answer", &json!({ "msisdn": "27831234567", "text": "Thandi" })));
        let asked = worker.take("inbound");
        is_of_the_family(&asked);
        assert_eq!((&asked["session_event"], &asked["content"]), (&json!("resume"), &json!("Thandi")));
        worker.publish("outbound", &Peer::reply(&asked, "their-2", "Hello Thandi.", "close"));
        let shown: Value = answered.join().unwrap().json().unwrap();
        assert_eq!((&shown["screen"], &shown["session"]), (&json!("Hello Thandi."), &json!("closed")));
    });
    assert_eq!(worker.take("event")["user_message_id"], "their-2");
    assert!(words(&harness.vumi(&["dead", "list"])).contains("is empty"));
}

#[test]
fn a_worker_of_the_family_is_a_transport_of_our_campaign() {
    let Some(url) = broker() else { return };
    let queues = queues(url, "their-transport");
    let harness = Harness::new();
    harness.edit(|_| {
        format!(
            "[http]\nbind = \"127.0.0.1:{}\"\n[campaigns.ours]\nkind = \"quiz\"\n\
             [[routes]]\ndefault = true\ncampaign = \"ours\"\n{}",
            harness.http,
            amqp(&queues, "side = \"transport\"\ntransports = [\"their_ussd\"]")
        )
    });
    let _worker = harness.run();
    harness.wait_for_part("amqp");
    let transport = Peer::new(&queues.url, &queues.connector);
    let output = |id: &str, event: &str, content: Value| {
        let message = Peer::outbound(
            id,
            &json!({
                "timestamp": "2012-04-11T09:25:00.000001Z", "from_addr": "+27831234567", "to_addr": "*120*663*79#",
                "transport_name": "their_ussd", "transport_type": "ussd", "session_event": event, "content": content,
                "transport_metadata": {"truteq": {"session": 7}}, "helper_metadata": null, "routing_metadata": null,
                "provider": "mtn", "session_metadata": {"unknown": [1, null]},
            }),
        );
        transport.publish("inbound", &message);
        transport.take("outbound")
    };

    let first = output("in-1", "new", Value::Null);
    is_of_the_family(&first);
    assert_eq!((&first["to_addr"], &first["from_addr"]), (&json!("+27831234567"), &json!("*120*663*79#")));
    assert_eq!((&first["in_reply_to"], &first["provider"]), (&json!("in-1"), &json!("mtn")));
    assert_eq!((&first["transport_name"], &first["transport_type"]), (&json!("their_ussd"), &json!("ussd")));
    assert_eq!(first["transport_metadata"], json!({"truteq": {"session": 7}}));
    assert!(first["session_event"] != "close" && first["content"].is_string(), "{first}");
    transport.publish(
        "event",
        &json!({
            "message_version": "20110921", "message_type": "event", "timestamp": "2012-04-11 09:25:01",
            "event_id": "their-event", "user_message_id": first["message_id"], "event_type": "ack",
            "sent_message_id": first["message_id"], "transport_name": "their_ussd", "hop": "unknown",
        }),
    );

    let mut last = first;
    for number in 2..5 {
        assert_ne!(last["session_event"], "close", "{last}");
        last = output(&format!("in-{number}"), "resume", json!("1"));
    }
    assert_eq!(last["session_event"], "close", "three questions, then thanks: {last}");
    assert!(words(&harness.vumi(&["dead", "list"])).contains("is empty"));
}
