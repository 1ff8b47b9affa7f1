//! A person dials in one process, the campaign answers in another; RabbitMQ stands between them.

use std::{io::Write, net::TcpStream};

use lapin::{Connection, ConnectionProperties, options::QueueDeleteOptions};
use serde_json::json;

use crate::black_box::{Harness, words};

/// Where the tests' broker is: `amqp://user:password@host:port/vhost`.
const VARIABLE: &str = "VUMI_TEST_AMQP";

/// The broker's address, where one answers; else says that the test is left out.
pub(crate) fn broker() -> Option<String> {
    let url = std::env::var(VARIABLE).unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2F".to_owned());
    let host = url.split('@').nth(1).and_then(|rest| rest.split('/').next())?;
    if TcpStream::connect(host).is_err() {
        // Past the test runner, which would keep it to itself.
        let output =
            format!("left out: no RabbitMQ at {host}; {VARIABLE}=amqp://user:password@host:5672/%2F names one");
        let _nobody_reads = writeln!(std::io::stderr(), "{output}");
        return None;
    }
    Some(url)
}

/// A connector's queues, deleted at the end.
pub(crate) struct PeerQueues {
    pub(crate) url: String,
    pub(crate) connector: String,
}

impl Drop for PeerQueues {
    fn drop(&mut self) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let Ok(connection) = Connection::connect(&self.url, ConnectionProperties::default()).await else { return };
            let Ok(channel) = connection.create_channel().await else { return };
            for queue in ["inbound", "outbound", "event", "dead"] {
                let name = format!("{}.{queue}", self.connector);
                let _not_there = channel.queue_delete(name.into(), QueueDeleteOptions::default()).await;
            }
        });
    }
}

/// `[amqp]` with one connector.
pub(crate) fn amqp(queues: &PeerQueues, side: &str) -> String {
    let PeerQueues { url, connector } = queues;
    format!(
        "[amqp]\nurl = \"{url}\"\ndead_letters = \"{connector}.dead\"\n\
         [amqp.connectors.quiz]\nconnector = \"{connector}\"\n{side}\n"
    )
}

#[test]
fn a_campaign_in_another_process_holds_the_session() {
    let Some(url) = broker() else { return };
    let queues = PeerQueues { url, connector: format!("vumi-it-{}", std::process::id()) };
    let transports = Harness::new();
    transports.edit(|text| {
        let (before, rest) = text.split_once("# ---- Campaigns").unwrap();
        let sandbox = &rest[rest.find("[sandbox]").unwrap()..];
        let route = "[[routes]]\ndefault = true\ncampaign = \"quiz\"\n";
        format!("{before}\n{}\n{route}\n{sandbox}", amqp(&queues, "side = \"campaign\""))
    });
    let campaigns = Harness::new();
    campaigns.edit(|_| {
        format!(
            "[http]\nbind = \"127.0.0.1:{}\"\n[campaigns.quiz-worker]\nkind = \"quiz\"\n\
             [[routes]]\ndefault = true\ncampaign = \"quiz-worker\"\n{}",
            campaigns.http,
            amqp(&queues, "side = \"transport\"\ntransports = [\"truteq\"]")
        )
    });
    let _front = transports.run();
    let worker = campaigns.run();
    transports.wait_for_network();
    transports.wait_for_part("amqp");
    campaigns.wait_for_part("amqp");

    let dial = || transports.handset("dial", &json!({ "msisdn": "27831234567", "code": "*120*663*79#" }));
    let shown = dial();
    assert_eq!(shown.status(), 200, "{}", shown.text().unwrap());
    let answer = json!({ "msisdn": "27831234567", "text": "1" });
    assert_eq!(transports.handset("answer", &answer).status(), 200);

    // Killed and started again, the campaign's process goes on where the person was.
    worker.kill();
    let _worker = campaigns.run();
    campaigns.wait_for_part("amqp");
    let shown = transports.handset("answer", &answer);
    assert_eq!(shown.status(), 200, "{}", shown.text().unwrap());
    assert!(words(&transports.vumi(&["dead", "list"])).contains("is empty"));
}
