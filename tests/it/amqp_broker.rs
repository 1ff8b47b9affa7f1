//! The broker goes away, and comes back, in every way it can: with it go no SMS and no dialogue.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::black_box::{Harness, Process, broker::Broker, eventually, peer::Peer};

const PERSON: &str = "27831234567";
/// The campaign elsewhere is asked by everybody who dials.
const CODE: &str = "*120*663*79#";
/// In this time a person must have been told that there is no service: well before the network gives up.
const IN_TIME: Duration = Duration::from_secs(5);

/// A router whose campaign lives elsewhere, on a broker of the tests' own.
struct BrokerHarness {
    broker: Arc<Broker>,
    harness: Harness,
    router: Process,
    /// The campaign's worker.
    peer: Peer,
}

impl BrokerHarness {
    /// Everything is up. The router is user `vumi` of vhost `/vumi`, the worker is `guest`.
    fn set(broker: &Arc<Broker>) -> Self {
        let connector = format!("it-{}", &broker.port());
        make_vhost(broker);
        broker.ctl(&["eval", "catch rabbit_auth_backend_internal:delete_user(<<\"vumi\">>, <<\"test\">>)."]);
        broker.ctl(&["add_user", "vumi", "s3cret"]);
        allow(broker);
        let harness = Harness::new();
        let amqp = format!(
            "[amqp]\nurl = \"{}\"\ndead_letters = \"{connector}.dead\"\n\
             reconnect = {{ first = \"50ms\", most = \"500ms\" }}\n\
             [amqp.connectors.elsewhere]\nconnector = \"{connector}\"\nside = \"campaign\"\naccount = \"username\"\n",
            broker.url("vumi", "s3cret", "/vumi")
        );
        harness.edit(|text| {
            let (before, rest) = text.split_once("# ---- Campaigns").unwrap();
            let sandbox = &rest[rest.find("[sandbox]").unwrap()..];
            format!("{before}\n{amqp}\n[[routes]]\ndefault = true\ncampaign = \"elsewhere\"\n{sandbox}")
        });
        let router = harness.run();
        harness.wait_for_network();
        harness.wait_for_part("amqp");
        let peer = Peer::new(&broker.url("guest", "guest", "/vumi"), &connector);
        Self { broker: broker.clone(), harness, router, peer }
    }

    /// How the front-end is, once it says so; and whether the process calls itself ready.
    fn wait_until(&self, words: &str) -> (Value, bool) {
        eventually(&format!("amqp says `{words}`"), || {
            let ready = self.harness.readiness()?;
            let part = ready["parts"].as_array()?.iter().find(|part| part["name"] == "amqp")?.clone();
            part["detail"].as_str()?.contains(words).then(|| (part, ready["ready"] == true))
        })
    }

    fn wait_until_degraded(&self, words: &str) {
        let (part, ready) = self.wait_until(words);
        assert_eq!((part["state"].as_str(), ready), (Some("degraded"), READY_WHILE_DEGRADED), "{part}");
    }

    /// A person dials, the worker elsewhere answers, the person reads it.
    fn a_dialogue_works(&self) {
        std::thread::scope(|threads| {
            let dialled = threads.spawn(|| self.dial(PERSON));
            let asked = self.peer.take("inbound");
            assert_eq!((&asked["from_addr"], &asked["session_event"]), (&json!(format!("+{PERSON}")), &json!("new")));
            self.peer.publish("outbound", &Peer::reply(&asked, &new_id(), "Goodbye.", "close"));
            let shown = dialled.join().unwrap();
            assert_eq!((&shown["screen"], &shown["session"]), (&json!("Goodbye."), &json!("closed")));
        });
        let reply = self.peer.take("event");
        assert_eq!(reply["event_type"], "ack", "{reply}");
    }

    fn dial(&self, person: &str) -> Value {
        self.harness.handset("dial", &json!({ "msisdn": person, "code": CODE })).json().unwrap()
    }

    /// A person is told at once that there is no service.
    fn a_dialogue_is_refused_in_time(&self) {
        let begun = Instant::now();
        let shown = self.dial("27830000001");
        assert!(shown["screen"].as_str().unwrap_or_default().contains("unavailable"), "{shown}");
        assert_eq!(shown["session"], "closed");
        assert!(begun.elapsed() < IN_TIME, "{:?}", begun.elapsed());
    }

    /// SMS do not need the broker.
    fn an_sms_is_sent(&self) {
        let id = self.harness.send("clickatell", "27123456789", "no broker needed");
        self.harness.wait_for_status("clickatell", id, 4);
    }
}

/// A front-end whose broker is away still takes work: SMS are sent, and a person who dials is answered.
const READY_WHILE_DEGRADED: bool = true;

fn make_vhost(broker: &Broker) {
    broker.ctl(&["eval", "catch rabbit_vhost:delete(<<\"/vumi\">>, <<\"test\">>)."]);
    broker.ctl(&["add_vhost", "/vumi"]);
    broker.ctl(&["set_permissions", "-p", "/vumi", "guest", ".*", ".*", ".*"]);
}

fn allow(broker: &Broker) {
    broker.ctl(&["set_permissions", "-p", "/vumi", "vumi", ".*", ".*", ".*"]);
}

fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Runs a story on the tests' own broker, one at a time.
fn with_stage(story: impl FnOnce(&BrokerHarness)) {
    let Some(broker) = Broker::shared() else { return };
    let _turn = broker.turn();
    story(&BrokerHarness::set(&broker));
}

#[test]
fn connections_that_the_broker_closes_are_made_again() {
    with_stage(|broker_harness| {
        broker_harness.a_dialogue_works();
        broker_harness.broker.close_connections();
        broker_harness.router.wait_for_line("the broker is away");
        // What `/health/ready` says may be a second old, from before.
        eventually("it is connected again", || {
            (broker_harness.router.log().matches("connected to the broker").count() > 1).then_some(())
        });
        broker_harness.a_dialogue_works();
    });
}

#[test]
fn a_broker_without_memory_refuses_dialogues_in_time_and_holds_up_no_sms() {
    with_stage(|broker_harness| {
        broker_harness.broker.ctl(&["set_vm_memory_high_watermark", "0.000001"]);
        // The broker says that it is blocked when something is published.
        broker_harness.a_dialogue_is_refused_in_time();
        broker_harness.wait_until_degraded("takes nothing while its alarm lasts");
        broker_harness.a_dialogue_is_refused_in_time();
        broker_harness.an_sms_is_sent();
        broker_harness.broker.ctl(&["set_vm_memory_high_watermark", "0.4"]);
        broker_harness.wait_until("connected");
        // The first refused one was on its way when the alarm began: it arrives, and its session is over.
        let late = broker_harness.peer.take("inbound");
        assert_eq!(late["from_addr"], "+27830000001");
        broker_harness.a_dialogue_works();
    });
}

#[test]
fn a_vhost_that_was_deleted_is_furnished_again_when_it_is_back() {
    with_stage(|broker_harness| {
        broker_harness.a_dialogue_works();
        broker_harness.broker.ctl(&["delete_vhost", "/vumi"]);
        broker_harness.wait_until_degraded("rabbitmqctl add_vhost");
        broker_harness.a_dialogue_is_refused_in_time();
        broker_harness.an_sms_is_sent();
        make_vhost(&broker_harness.broker);
        broker_harness.wait_until_degraded("set_permissions");
        allow(&broker_harness.broker);
        broker_harness.wait_until("connected");
        broker_harness.a_dialogue_works();
    });
}

#[test]
fn revoked_credentials_are_told_and_taken_again() {
    with_stage(|broker_harness| {
        broker_harness.broker.ctl(&["change_password", "vumi", "another"]);
        broker_harness.broker.close_connections();
        broker_harness.wait_until_degraded("check `amqp.user` and `amqp.password`");
        broker_harness.broker.ctl(&["change_password", "vumi", "s3cret"]);
        broker_harness.wait_until("connected");
        broker_harness.a_dialogue_works();

        broker_harness.broker.ctl(&["set_permissions", "-p", "/vumi", "vumi", "", "", ""]);
        broker_harness.broker.close_connections();
        broker_harness.wait_until_degraded("rabbitmqctl set_permissions");
        broker_harness.a_dialogue_is_refused_in_time();
        allow(&broker_harness.broker);
        broker_harness.wait_until("connected");
        broker_harness.a_dialogue_works();
    });
}

#[test]
fn a_queue_that_somebody_declared_with_arguments_is_named_and_used_when_it_is_gone() {
    with_stage(|broker_harness| {
        broker_harness.broker.ctl(&["change_password", "vumi", "another"]);
        broker_harness.broker.close_connections();
        broker_harness.wait_until_degraded("check `amqp.user`");
        broker_harness.peer.declare_with_a_limit("inbound");
        broker_harness.broker.ctl(&["change_password", "vumi", "s3cret"]);
        broker_harness.wait_until_degraded("delete it");
        broker_harness.wait_until_degraded(&broker_harness.peer.queue("inbound"));
        broker_harness.a_dialogue_is_refused_in_time();
        broker_harness.peer.delete("inbound");
        broker_harness.wait_until("connected");
        broker_harness.a_dialogue_works();
    });
}

/// Between the things that one of them does: the machine has other tests to run.
const PACE: Duration = Duration::from_millis(20);

/// What goes on while the broker is stopped and started.
#[derive(Default)]
struct Traffic {
    over: AtomicBool,
    /// SMS that the worker elsewhere has handed to the broker, by message id.
    pushed: Mutex<BTreeSet<String>>,
    /// SMS that the API has accepted.
    accepted: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
}

/// Ends the traffic, also when the test fails.
struct BrokerEnding<'a>(&'a AtomicBool);

impl Drop for BrokerEnding<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Traffic {
    fn while_on(&self, mut what: impl FnMut(u64)) {
        let mut number = 0;
        while !self.over.load(Ordering::SeqCst) {
            number += 1;
            what(number);
        }
    }

    fn push(&self, peer: &Peer) {
        self.while_on(|_| {
            let id = new_id();
            let more = json!({"to_addr": "+27123456789", "from_addr": "+27123456780", "content": id,
                "transport_name": "clickatell", "transport_type": "sms"});
            // Whether the broker has it, nobody knows without its word: so it is sent again, under its own id.
            let sms = Peer::outbound(&id, &more);
            eventually("the broker takes an SMS", || peer.try_publish("outbound", &sms).then_some(()));
            self.pushed.lock().unwrap().insert(id);
            // An answer to a person waits behind all of these in the queue: no more than is sent meanwhile.
            std::thread::park_timeout(PACE);
        });
    }

    fn dial(&self, broker_harness: &BrokerHarness) {
        self.while_on(|number| {
            let shown = broker_harness.dial(&format!("2783100{number:04}"));
            match shown["screen"].as_str().unwrap_or_default() {
                "Goodbye." => self.answered.fetch_add(1, Ordering::SeqCst),
                // It was asked, and the broker went with the answer: the network gives up.
                _ => self.refused.fetch_add(1, Ordering::SeqCst),
            };
        });
    }

    fn wait_for_more(&self) {
        let before = (self.pushed.lock().unwrap().len(), self.answered.load(Ordering::SeqCst));
        eventually("SMS and dialogues go through", || {
            let now = (self.pushed.lock().unwrap().len(), self.answered.load(Ordering::SeqCst));
            (now.0 > before.0 + 20 && now.1 > before.1 + 5).then_some(())
        });
    }
}

#[test]
fn a_broker_that_stops_under_traffic_loses_nothing_and_doubles_nothing() {
    with_stage(|broker_harness| {
        let (traffic, url) = (Traffic::default(), broker_harness.broker.url("guest", "guest", "/vumi"));
        let [pushing, answering] = [(); 2].map(|()| Peer::new(&url, &broker_harness.peer.connector));
        std::thread::scope(|threads| {
            let _ends_with_the_test = BrokerEnding(&traffic.over);
            threads.spawn(|| traffic.push(&pushing));
            threads.spawn(|| traffic.dial(broker_harness));
            threads.spawn(|| {
                traffic.while_on(|_| match answering.get("inbound") {
                    Some(asked) => {
                        // Not confirmed: then the person is not answered, as when the worker is lost.
                        let reply = Peer::reply(&asked, &new_id(), "Goodbye.", "close");
                        let _confirmed = answering.try_publish("outbound", &reply);
                    }
                    None => std::thread::park_timeout(PACE),
                });
            });
            threads.spawn(|| {
                traffic.while_on(|_| {
                    broker_harness.harness.send("clickatell", "27123456789", "by HTTP");
                    traffic.accepted.fetch_add(1, Ordering::SeqCst);
                    std::thread::park_timeout(PACE);
                });
            });
            for _ in 0..2 {
                traffic.wait_for_more();
                broker_harness.broker.ctl(&["stop_app"]);
                broker_harness.wait_until_degraded("is away since");
                broker_harness.a_dialogue_is_refused_in_time();
                broker_harness.broker.ctl(&["start_app"]);
                broker_harness.wait_until("connected");
            }
            traffic.wait_for_more();
        });

        let pushed = traffic.pushed.into_inner().unwrap();
        let mut reply: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        eventually("every SMS from elsewhere has its ack", || {
            while let Some(event) = broker_harness.peer.get("event") {
                let (id, event_id) = (event["user_message_id"].as_str()?.to_owned(), event["event_id"].as_str()?);
                if pushed.contains(&id) && event["event_type"] != "delivery_report" {
                    assert_eq!(event["event_type"], "ack", "{event}");
                    reply.entry(id).or_default().insert(event_id.to_owned());
                }
            }
            (reply.len() == pushed.len()).then_some(())
        });
        assert!(reply.values().all(|acks| acks.len() == 1), "an SMS has more than one ack");
        let all = pushed.len() as u64 + traffic.accepted.load(Ordering::SeqCst);
        let seen = eventually("every SMS is with the provider", || {
            let seen = broker_harness.harness.seen("clickatell");
            (seen["distinct"].as_u64()? >= all).then_some(seen)
        });
        println!(
            "{} SMS by the broker, {all} in all, at the provider {}, twice {}; dialogues: {} answered, {} refused",
            pushed.len(),
            seen["distinct"],
            seen["duplicates"],
            traffic.answered.into_inner(),
            traffic.refused.into_inner()
        );
        assert_eq!((seen["distinct"].as_u64(), seen["duplicates"].as_u64()), (Some(all), Some(0)));
    });
}
