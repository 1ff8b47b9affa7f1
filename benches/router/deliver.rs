//! SMS from the API through the ledger to the sandbox's Clickatell and its answer back into the ledger.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    harness::{BenchHarness, free_port},
    http::{Connection, form_request},
};

const SMS: usize = 60_000;
pub(crate) const CONNECTIONS: usize = 64;

pub(crate) fn run() {
    let (http, providers, truteq) = (free_port(), free_port(), free_port());
    let router_harness = BenchHarness::new(&settings(http, providers));
    let provider_harness = provider_harness(providers, truteq);
    router_harness.add_account();
    let provider = provider_harness.start(&["sandbox"]);
    let router = router_harness.start(&["run"]);
    let begun = Instant::now();
    let last = send_all(http, "clickatell", SMS);
    let accepted = begun.elapsed();
    wait_until_recorded(http, providers, SMS, last);
    let elapsed = begun.elapsed();
    println!("\nSMS/s from the API through the ledger to the sandbox's provider and back into the ledger");
    println!(
        "{SMS} SMS over {CONNECTIONS} connections: {:.0}/s (all accepted after {accepted:.1?}, all recorded after {elapsed:.1?}; \
         router {:.1} CPU s, provider {:.1} CPU s, router {:.0} MB resident)",
        f64::from(u32::try_from(SMS).unwrap()) / elapsed.as_secs_f64(),
        router.cpu_seconds(),
        provider.cpu_seconds(),
        router.resident_mb(),
    );
}

/// A provider that accepts and sends no receipts.
pub(crate) fn provider_harness(providers: u16, truteq: u16) -> BenchHarness {
    BenchHarness::new(&format!(
        "[sandbox]\nhttp_bind = \"127.0.0.1:{providers}\"\ntruteq_bind = \"127.0.0.1:{truteq}\"\nsmsc_bind = \"127.0.0.1:0\"\n[sandbox.clickatell.misbehave]\nreceipts = \"none\"\n"
    ))
}

pub(crate) fn settings(http: u16, providers: u16) -> String {
    crate::accept::settings(http).replace("http://127.0.0.1:9/", &format!("http://127.0.0.1:{providers}/"))
}

/// Sends so many by a transport and answers the highest number given.
pub(crate) fn send_all(http: u16, transport: &str, sms: usize) -> i64 {
    let address = SocketAddr::from(([127, 0, 0, 1], http));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let body = "to_msisdn=27123456789&from_msisdn=27123456780&message=hello+world%2C+this+is+a+text+of+a+usual+length";
    let request = form_request(&format!("/api/v1/sms/{transport}/send.json"), body);
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let tasks: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let request = request.clone();
                tokio::task::spawn_local(async move {
                    let mut connection = Connection::open(address).await;
                    let mut last = 0;
                    for _ in 0..sms / CONNECTIONS {
                        assert_eq!(connection.call(&request).await, 200);
                        last = id_in(&connection.buffer);
                    }
                    last
                })
            })
            .collect();
        let mut last = 0;
        for task in tasks {
            last = last.max(task.await.unwrap());
        }
        last
    })
}

fn id_in(answer: &[u8]) -> i64 {
    let start = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    serde_json::from_slice::<Value>(&answer[start..]).unwrap()[0]["id"].as_i64().unwrap()
}

pub(crate) fn wait_until_recorded(http: u16, providers: u16, sms: usize, last: i64) {
    let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let all = u64::try_from(sms / CONNECTIONS * CONNECTIONS).unwrap();
    loop {
        let seen: Value =
            client.get(format!("http://127.0.0.1:{providers}/seen/clickatell")).send().unwrap().json().unwrap();
        if seen["submissions"].as_u64().unwrap() >= all && recorded(&client, http, last) {
            return;
        }
        assert!(Instant::now() < deadline, "not all arrived: {seen}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Whether the last hundred are no longer pending: outcomes are recorded in batches, so these come last.
fn recorded(client: &reqwest::blocking::Client, http: u16, last: i64) -> bool {
    let ids: String = (last - 99..=last).map(|id| format!("&id={id}")).collect();
    let url = format!("http://127.0.0.1:{http}/api/v1/sms/clickatell/status.json?{}", &ids[1..]);
    let list: Value = client.get(url).basic_auth("username", Some("password")).send().unwrap().json().unwrap();
    list.as_array().unwrap().iter().all(|sms| sms["transport_status"] != 0 && sms["attempts"] != 0)
}
