//! `vumi check --connect`: what the settings name is tried, nothing is sent, and what is missing is said.

use std::net::TcpListener;

use crate::{
    amqp::broker,
    black_box::{Harness, free_port, words},
};

#[test]
fn on_the_embedded_default_nothing_is_missing() {
    let harness = Harness::new();
    let checked = harness.vumi(&["check", "--connect"]);
    let said = words(&checked);
    assert!(checked.status.success(), "{said}");
    assert!(said.contains("vumi.db is made at the first start") && said.contains("is the sandbox's"), "{said}");
    assert!(!harness.folder.path().join("vumi.db").exists(), "looking makes nothing");

    let router = harness.run();
    let said = words(&harness.vumi(&["check", "--connect"]));
    assert!(said.contains("connected; its tables are this version's"), "{said}");
    assert_eq!(router.stop(), 0);
}

#[test]
fn a_carrier_that_is_not_there_is_named() {
    let harness = Harness::new();
    let (closed, silent) = (free_port(), TcpListener::bind(("127.0.0.1", free_port())).unwrap());
    let plain = silent.local_addr().unwrap();
    let carriers = harness.carriers;
    harness.edit(|text| {
        text.replace(&format!("http://127.0.0.1:{carriers}/opera"), &format!("http://127.0.0.1:{closed}/opera"))
            .replace(&format!("http://127.0.0.1:{carriers}/techsys"), &format!("https://{plain}/techsys"))
    });
    std::thread::spawn(move || drop(silent.accept()));
    let checked = harness.vumi(&["check", "--connect"]);
    let said = words(&checked);
    assert!(!checked.status.success(), "{said}");
    let line = |name: &str| said.lines().rfind(|line| line.trim().starts_with(name)).unwrap();
    assert!(line("opera").contains("MISSING") && line("opera").contains("nothing listens there"), "{said}");
    assert!(line("techsys").contains("MISSING") && line("techsys").contains("TLS"), "{said}");
    assert!(!line("clickatell").contains("MISSING"), "{said}");

    let part = harness.vumi(&["check", "--connect", "--only", "transport:clickatell"]);
    let said = words(&part);
    assert!(!part.status.success() && said.contains("`vumi run --only sandbox` starts it"), "{said}");
    assert!(!said.contains(&closed.to_string()), "what runs elsewhere is not tried: {said}");
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
    let (good, said) = check(&harness);
    assert!(!good && said.contains("rabbitmqctl add_vhost /nowhere --default-queue-type quorum"), "{said}");
    assert!(said.contains("rabbitmqctl set_permissions -p /nowhere "), "{said}");

    harness.set("VUMI__AMQP__URL", &format!("amqp://nobody:hunter2@{}", url.split_once('@').unwrap().1));
    let (good, said) = check(&harness);
    assert!(!good && said.contains("rabbitmqctl add_user nobody PASSWORD") && !said.contains("hunter2"), "{said}");

    harness.set("VUMI__AMQP__URL", &url);
    let (good, said) = check(&harness);
    assert!(good && said.contains("may declare its queues"), "{said}");
}
