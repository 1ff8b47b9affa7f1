//! What a campaign behind the broker sends, in every odd way that one was seen to: each message is sent, or refused with a
//! nack and a dead letter. Nothing vanishes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    amqp::{PeerQueues, amqp, broker},
    black_box::{Harness, Process, eventually, peer::Peer, words},
};

/// A router whose campaign lives elsewhere.
struct WorkerHarness {
    harness: Harness,
    _router: Process,
    worker: Peer,
    _queues: PeerQueues,
}

impl WorkerHarness {
    fn start(test: &str) -> Option<Self> {
        let queues = PeerQueues { url: broker()?, connector: format!("{test}-{}", std::process::id()) };
        let harness = Harness::new();
        harness.edit(|text| {
            let (before, rest) = text.split_once("# ---- Campaigns").unwrap();
            let sandbox = &rest[rest.find("[sandbox]").unwrap()..];
            let route = "[[routes]]\ndefault = true\ncampaign = \"quiz\"\n";
            format!("{before}\n{}\n{route}\n{sandbox}", amqp(&queues, "side = \"campaign\"\naccount = \"username\""))
        });
        let router = harness.run();
        harness.wait_for_network();
        harness.wait_for_part("amqp");
        let worker = Peer::new(&queues.url, &queues.connector);
        Some(Self { harness, _router: router, worker, _queues: queues })
    }

    /// A person writes; the worker has the SMS.
    fn sms_from_person(&self, id: &str) -> Value {
        let sms = [("api_id", "1234"), ("moMsgId", id), ("from", "27831234567"), ("to", "38080")];
        let rest = [("timestamp", "2026-01-01 10:00:00"), ("charset", "ISO-8859-1"), ("udh", ""), ("text", "hello")];
        let kept =
            self.harness.post("/api/v1/sms/clickatell/receive.json", &[&sms[..], &rest].concat()).send().unwrap();
        assert!(kept.status().is_success(), "{}", kept.text().unwrap());
        self.worker.take("inbound")
    }

    fn reply(&self, to: &Value, id: &str, more: Value) {
        let mut reply = Peer::reply(to, id, id, "resume");
        reply["session_event"] = Value::Null;
        reply.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.worker.publish("outbound", &reply);
    }

    /// The ack or nack of each of these messages: exactly one.
    fn outcomes(&self, ids: &[&str]) -> BTreeMap<String, Value> {
        let mut outcomes = BTreeMap::new();
        eventually("every message has its ack or nack", || {
            while let Some(event) = self.worker.get("event") {
                if event["event_type"] != "delivery_report" {
                    let id = event["user_message_id"].as_str()?.to_owned();
                    assert!(outcomes.insert(id, event).is_none(), "a second ack or nack");
                }
            }
            (outcomes.len() == ids.len()).then_some(())
        });
        assert!(ids.iter().all(|id| outcomes.contains_key(*id)), "{outcomes:?}");
        outcomes
    }

    fn sms_at_the_provider(&self) -> u64 {
        self.harness.seen("clickatell")["distinct"].as_u64().unwrap()
    }

    fn dead_letters(&self) -> String {
        words(&self.harness.vumi(&["dead", "list"]))
    }
}

#[test]
fn every_answer_to_an_sms_is_sent_or_refused_with_a_reason() {
    let Some(elsewhere) = WorkerHarness::start("answers") else { return };
    let (first, second) = (elsewhere.sms_from_person("mo-1"), elsewhere.sms_from_person("mo-2"));
    elsewhere.reply(&first, "a1", json!({}));
    elsewhere.reply(&first, "a2", json!({}));
    elsewhere.reply(&first, "a3", json!({"in_reply_to": "nobody-knows-it"}));
    elsewhere.reply(&second, "a4", json!({"content": null}));
    elsewhere.reply(&second, "a5", json!({}));
    // The very same message again is no other one.
    elsewhere.reply(&first, "a1", json!({}));
    let outcomes = elsewhere.outcomes(&["a1", "a2", "a3", "a4", "a5"]);
    for (id, kind) in [("a1", "ack"), ("a2", "ack"), ("a3", "ack"), ("a4", "nack"), ("a5", "ack")] {
        assert_eq!(outcomes[id]["event_type"], kind, "{}", outcomes[id]);
    }
    assert_eq!(elsewhere.sms_at_the_provider(), 4);
    assert!(elsewhere.dead_letters().contains("`content` is empty"), "{}", elsewhere.dead_letters());
}

#[test]
fn what_no_component_can_take_is_refused_with_a_reason_and_holds_up_nothing() {
    let Some(elsewhere) = WorkerHarness::start("refusals") else { return };
    let sms = elsewhere.sms_from_person("mo-1");
    let ussd = |id: &str, more: Value| {
        let mut message = json!({"transport_type": "ussd", "transport_name": "truteq", "from_addr": "*120*663*79#"});
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        elsewhere.reply(&sms, id, message);
    };
    let long = "k".repeat(9_000);
    // Clickatell has no sessions; the person has none with TruTeq; nobody serves that code.
    ussd("u1", json!({"transport_name": "clickatell"}));
    ussd("u2", json!({}));
    ussd("u3", json!({"from_addr": "*999#"}));
    ussd("u4", json!({"transport_name": "nobody"}));
    elsewhere.reply(&sms, "s1", json!({"content": "a\0b"}));
    elsewhere.reply(&sms, "s2", json!({"transport_type": "pigeon"}));
    elsewhere.reply(&sms, &long, json!({"content": "hi"}));
    elsewhere.reply(&sms, "good", json!({}));
    let ids = ["u1", "u2", "u3", "u4", "s1", "s2", &long, "good"];
    let outcomes = elsewhere.outcomes(&ids);
    for id in &ids[..7] {
        assert_eq!(outcomes[*id]["event_type"], "nack", "{}", outcomes[*id]);
    }
    assert_eq!(outcomes["good"]["event_type"], "ack", "{}", outcomes["good"]);
    assert_eq!(elsewhere.sms_at_the_provider(), 1);
}
