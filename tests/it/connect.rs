//! `vumi check --connect`: what the settings name is tried, nothing is sent, and what is missing is named.

use std::net::TcpListener;

use crate::{
    amqp::broker,
    black_box::{Harness, free_port, words},
};

#[test]
fn on_the_embedded_default_nothing_is_missing() {
    let harness = Harness::new();
    let checked = harness.vumi(&["check", "--connect"]);
    let output = words(&checked);
    assert!(checked.status.success(), "{output}");
    assert!(output.contains("vumi.db is made at the first start") && output.contains("is the sandbox's"), "{output}");
    assert!(!harness.folder.path().join("vumi.db").exists(), "looking makes nothing");

    let router = harness.run();
    let output = words(&harness.vumi(&["check", "--connect"]));
    assert!(output.contains("connected; its tables are this version's"), "{output}");
    assert_eq!(router.stop(), 0);
}

#[test]
fn a_provider_that_is_not_there_is_named() {
    let harness = Harness::new();
    let (closed, silent) = (free_port(), TcpListener::bind(("127.0.0.1", free_port())).unwrap());
    let plain = silent.local_addr().unwrap();
    let providers = harness.providers;
    harness.edit(|text| {
        text.replace(&format!("http://127.0.0.1:{providers}/opera"), &format!("http://127.0.0.1:{closed}/opera"))
            .replace(&format!("http://127.0.0.1:{providers}/techsys"), &format!("https://{plain}/techsys"))
    });
    std::thread::spawn(move || drop(silent.accept()));
    let checked = harness.vumi(&["check", "--connect"]);
    let output = words(&checked);
    assert!(!checked.status.success(), "{output}");
    let line = |name: &str| output.lines().rfind(|line| line.trim().starts_with(name)).unwrap();
    assert!(line("opera").contains("MISSING") && line("opera").contains("nothing listens there"), "{output}");
    assert!(line("techsys").contains("MISSING") && line("techsys").contains("TLS"), "{output}");
    assert!(!line("clickatell").contains("MISSING"), "{output}");

    let part = harness.vumi(&["check", "--connect", "--only", "transport:clickatell"]);
    let output = words(&part);
    assert!(!part.status.success() && output.contains("`vumi run --only sandbox` starts it"), "{output}");
    assert!(!output.contains(&closed.to_string()), "what runs elsewhere is not tried: {output}");
}

#[test]
fn a_broker_that_does_not_let_us_in_is_told_with_the_command_that_mends_it() {
    let Some(url) = broker() else { return };
    let mut harness = Harness::new();
    harness.edit(|text| format!("{text}\n[amqp]\n"));
    let (server, _) = url.rsplit_once('/').unwrap();
    let check = |harness: &Harness| {
        let checked = harness.vumi(&["check", "--connect"]);
        (checked.status.success(), words(&checked))
    };
    harness.set("VUMI__AMQP__URL", &format!("{server}/%2Fnowhere"));
    let (good, output) = check(&harness);
    assert!(!good && output.contains("rabbitmqctl add_vhost /nowhere --default-queue-type quorum"), "{output}");
    assert!(output.contains("rabbitmqctl set_permissions -p /nowhere "), "{output}");

    harness.set("VUMI__AMQP__URL", &format!("amqp://nobody:hunter2@{}", url.split_once('@').unwrap().1));
    let (good, output) = check(&harness);
    assert!(
        !good && output.contains("rabbitmqctl add_user nobody PASSWORD") && !output.contains("hunter2"),
        "{output}"
    );

    harness.set("VUMI__AMQP__URL", &url);
    let (good, output) = check(&harness);
    assert!(good && output.contains("may declare its queues"), "{output}");
}
