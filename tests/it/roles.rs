//! One settings file, several processes: `vumi run --only` runs a part of it.

use serde_json::{Value, json};

use crate::{
    amqp::{Queues, broker},
    black_box::{Process, Site, eventually, words},
};

/// What `vumi ARGUMENTS` says when it refuses.
fn refusal(site: &Site, arguments: &[&str]) -> String {
    let output = site.vumi(arguments);
    assert!(!output.status.success(), "{}", words(&output));
    words(&output)
}

/// Starts a part with a database of its own.
fn part(site: &Site, only: &str, database: &str) -> Process {
    let mut command = site.command(&["run", "--only", only]);
    command.env("VUMI__STORE__URL", format!("sqlite://{database}.db"));
    let process = Process::spawn(command);
    process.wait_for_line("ready; stop with");
    process
}

fn names(parts: &Value) -> Vec<&str> {
    parts["parts"].as_array().unwrap().iter().filter_map(|part| part["name"].as_str()).collect()
}

#[test]
fn a_part_that_is_not_in_the_settings_is_refused_and_those_there_are_listed() {
    let site = Site::new();
    for wrong in ["transport:clicktell", "campaign:clickatell", "https", "", "http,transport:"] {
        let said = refusal(&site, &["run", "--only", wrong]);
        assert!(said.contains("--only") && said.contains("there is no"), "{wrong}: {said}");
        for known in ["transport:clickatell", "campaign:echo", "http", "callbacks", "transports"] {
            assert!(said.contains(known), "{wrong}: {said}");
        }
    }
}

#[test]
fn parts_that_need_the_broker_say_so_and_others_do_not() {
    let site = Site::new();
    for (only, needed) in [
        ("http", "campaigns run in another process (echo, quiz)"),
        ("transport:truteq", "campaigns run in another process (echo, quiz)"),
        ("http,transport:truteq,campaign:quiz", "campaigns run in another process (echo)"),
        ("campaign:quiz", "come in by other processes (http, transport:truteq) for campaigns of this one (quiz)"),
    ] {
        let said = refusal(&site, &["check", "--only", only]);
        assert!(said.contains(needed) && said.contains("[amqp]"), "{only}: {said}");
    }
    for only in ["transport:clickatell", "callbacks", "sandbox", "http,campaigns,transport:truteq"] {
        let output = site.vumi(&["check", "--only", only]);
        assert!(output.status.success(), "{only}: {}", words(&output));
    }
}

#[test]
fn a_part_runs_alone_and_takes_sms_for_transports_elsewhere() {
    let site = Site::new();
    let router = site.start(&["run", "--only", "http,campaigns", "--only", "transport:truteq,transport:opera"]);
    let parts: Value = site.get_open("/health/ready").unwrap().json().unwrap();
    assert_eq!(names(&parts), ["store", "router", "opera", "truteq", "echo", "quiz", "http"]);
    let id = site.send("clickatell", "27831234567", "for another process");
    let waiting = site.status("clickatell", id);
    assert!(waiting["transport_status"].is_null() || waiting["transport_status"] != 4, "{waiting}");
    // Its carrier calls whichever process has the HTTP front-end.
    let receipt = site.get("/api/v1/sms/clickatell/receipt.json?apiMsgId=1&cliMsgId=1&status=004").send().unwrap();
    assert!(receipt.status().is_success(), "{}", receipt.status());
    assert_eq!(router.stop(), 0);
    // The process with the transport finds it in the ledger.
    let sender = site.start(&["run", "--only", "transport:clickatell,transport:truteq,http,campaigns,sandbox"]);
    site.wait_for_status("clickatell", id, 4);
    assert_eq!(sender.stop(), 0);
}

#[test]
fn a_second_process_on_the_same_sqlite_is_told_to_use_postgresql() {
    let site = Site::new();
    let router = site.start(&["run", "--only", "http,campaigns,transport:truteq"]);
    let said = refusal(&site, &["run", "--only", "transport:clickatell"]);
    assert!(said.contains("vumi.db") && said.contains("postgres://"), "{said}");
    assert_eq!(router.stop(), 0);
}

#[test]
fn the_sandbox_starts_where_it_is_named() {
    let site = Site::new();
    let sandbox = site.start(&["run", "--only", "sandbox"]);
    assert!(site.client().get(site.carrier_url("/")).send().unwrap().status().is_success());
    assert!(!site.folder.path().join("vumi.db").exists(), "a sandbox alone keeps nothing");
    let router = site.start(&["run", "--only", "http,callbacks,transports,campaigns"]);
    site.wait_for_network();
    assert_eq!(router.stop(), 0);
    assert_eq!(sandbox.stop(), 0);
}

#[test]
fn people_dial_in_one_process_and_each_campaign_answers_in_its_own() {
    let Some(url) = broker() else { return };
    let mut queues = Vec::new();
    let site = Site::new();
    site.edit(|mut text| {
        for name in ["truteq", "quiz", "echo"] {
            let own = format!("{name}-{}", std::process::id());
            queues.push(Queues { url: url.clone(), connector: own.clone() });
            text = text
                .replace(&format!("[transports.{name}]"), &format!("[transports.{own}]"))
                .replace(&format!("[campaigns.{name}]"), &format!("[campaigns.{own}]"))
                .replace(&format!("campaign = \"{name}\""), &format!("campaign = \"{own}\""));
        }
        let dead = &queues[0].connector;
        format!("{text}\n[amqp]\nurl = \"{url}\"\ndead_letters = \"{dead}.dead\"\nhold_for = \"10m\"\n")
    });
    let campaign = |name: &str| format!("campaign:{name}-{}", std::process::id());
    let _front = part(&site, "http,callbacks,transports,sandbox", "front");
    site.wait_for_part(&queues[0].connector);
    site.wait_for_part("amqp");
    let quiz = part(&site, &campaign("quiz"), "quiz");
    let echo = part(&site, &campaign("echo"), "echo");

    let ready: Value = site.get_open("/health/ready").unwrap().json().unwrap();
    assert!(names(&ready).contains(&"amqp") && !names(&ready).iter().any(|name| name.contains("quiz")), "{ready}");
    let shown = site.handset("dial", &json!({ "msisdn": "27831234567", "code": "*120*663*79#" }));
    assert_eq!(shown.status(), 200, "{}", shown.text().unwrap());
    let shown: Value = site.handset("dial", &json!({ "msisdn": "27837654321", "code": "*120*1#" })).json().unwrap();
    assert_eq!(shown["session"], "open", "{shown}");

    // Killed and started again, the campaign's process goes on where the person was.
    quiz.kill();
    let _quiz = part(&site, &campaign("quiz"), "quiz");
    let answer = json!({ "msisdn": "27831234567", "text": "1" });
    let shown: Value = site.handset("answer", &answer).json().unwrap();
    assert!(shown["screen"].as_str().unwrap().starts_with("Can a person"), "{shown}");
    // Everything that crossed the broker was acknowledged when it was done: nothing waits to be given up.
    eventually("nothing is in work", || {
        let ready = site.get_open("/health/ready").ok()?.text().ok()?;
        ready.contains(" 0 deliveries in work").then_some(())
    });
    echo.signal("TERM");
    echo.wait_for_line("\"stopped\"");
    assert!(!echo.log().contains("did not finish in time"), "{}", echo.log());
    assert!(words(&site.vumi(&["dead", "list"])).contains("is empty"));
}
