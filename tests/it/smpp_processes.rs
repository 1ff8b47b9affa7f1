//! The SMPP server in several processes on one PostgreSQL, and by TLS.

use std::{collections::BTreeSet, fs};

use vumi_smpp_codec::{
    BindMode::{Receiver, Transceiver, Transmitter},
    tag,
};

use crate::black_box::{
    Harness, Process,
    database::TestDatabase,
    esme::{EsmeSocket, serve_smpp, smpp_password},
    free_port, words,
};

/// An ESME's SMS in this story.
const SMS: usize = 20;

/// A process of its own with the SMPP server, on a port of its own.
fn smpp_process(harness: &Harness, node: &str) -> (Process, u16) {
    let port = free_port();
    let mut command = harness.command(&["run", "--only", "smpp"]);
    command.env("VUMI__STORE__NODE", node).env("VUMI__SMPP__BIND", format!("127.0.0.1:{port}"));
    let process = Process::spawn(command);
    process.wait_for_line("ready; stop with");
    (process, port)
}

/// Takes so many receipts and acknowledges them; answers the ids of their SMS.
fn receipts(esme: &mut EsmeSocket, count: usize) -> BTreeSet<String> {
    let taken = (0..count).map(|_| {
        let (frame, receipt) = esme.delivered();
        esme.acknowledge(&frame, 0);
        let id = receipt.tlvs.c_string(tag::RECEIPTED_MESSAGE_ID).unwrap().to_vec();
        String::from_utf8(id).unwrap()
    });
    taken.collect()
}

#[test]
fn of_two_processes_the_one_that_holds_a_receiver_takes_the_receipts_wherever_the_sms_were_submitted() {
    let Some(database) = TestDatabase::start() else { return };
    let harness = Harness::new();
    let _own_port_for_each = serve_smpp(&harness, "clickatell", "");
    harness.edit(|text| text.replace("sqlite://vumi.db", &database.url()));
    let _others = harness.start(&["run", "--only", "http,callbacks,sandbox,transports,campaigns"]);
    let (first, first_port) = smpp_process(&harness, "smpp-1");
    let (_second, second_port) = smpp_process(&harness, "smpp-2");
    let password = smpp_password(&harness, "username");

    let mut sender = EsmeSocket::bound(first_port, Transmitter, "username", &password);
    let mut receiver = EsmeSocket::bound(second_port, Receiver, "username", &password);
    let sent: BTreeSet<String> = (0..SMS).map(|n| sender.submit("27831234567", &format!("{n}"))).collect();
    assert_eq!(receipts(&mut receiver, SMS), sent, "all, each once");

    // The bind goes over to the other process: what comes from then on is that one's.
    drop(receiver);
    let mut receiver = EsmeSocket::bound(first_port, Transceiver, "username", &password);
    let sent: BTreeSet<String> = (0..SMS).map(|n| sender.submit("27831234567", &format!("again {n}"))).collect();
    assert_eq!(receipts(&mut receiver, SMS), sent, "all, each once");

    // What nobody takes waits, and outlives the process that its SMS were submitted to.
    drop(receiver);
    let sent: BTreeSet<String> = (0..SMS).map(|n| sender.submit("27831234567", &format!("at last {n}"))).collect();
    for id in &sent {
        harness.wait_for_status("clickatell", id.parse().unwrap(), 4);
    }
    first.kill();
    let mut receiver = EsmeSocket::bound(second_port, Receiver, "username", &password);
    assert_eq!(receipts(&mut receiver, SMS), sent, "all, each once");
}

#[test]
fn an_operator_binds_by_tls_and_hears_what_is_wrong_with_a_certificate() {
    let (harness, tls_port) = (Harness::new(), free_port());
    let tls = format!("tls = {{ bind = \"127.0.0.1:{tls_port}\", certificate = \"crt.pem\", key = \"key.pem\" }}");
    let plain_port = serve_smpp(&harness, "clickatell", &tls);
    let folder = harness.folder.path();
    let certificate = folder.join("crt.pem");
    fs::write(&certificate, include_str!("../../actors/http/src/tests/tls/first.crt")).unwrap();
    fs::write(folder.join("key.pem"), include_str!("../../actors/http/src/tests/tls/first.key")).unwrap();
    let _router = harness.run();
    let password = smpp_password(&harness, "username");
    let (to, ca) = (format!("127.0.0.1:{tls_port}"), certificate.to_str().unwrap());
    let bind = ["smpp", "bind", "--system-id", "username", "--password", &password, "--to"];

    let bound = harness.vumi(&[&bind[..], &[&to, "--tls", "--ca", ca, "--send", "27831234567", "hello"]].concat());
    let output = words(&bound);
    assert!(bound.status.success(), "{output}");
    for shown in ["TLS", "ESME_ROK", "submit_sm_resp", "deliver_sm_resp", "unbind_resp"] {
        assert!(output.contains(shown), "{shown} in {output}");
    }
    for (more, why) in
        [(&["--tls", "--ca", ca, "--server-name", "other.example"][..], "not valid for name"), (&[], "no SMPP")]
    {
        let refused = harness.vumi(&[&bind[..], &[&to], more].concat());
        assert!(!refused.status.success() && words(&refused).contains(why), "{more:?}: {}", words(&refused));
    }
    let plain = format!("127.0.0.1:{plain_port}");
    assert!(harness.vumi(&[&bind[..], &[&plain]].concat()).status.success(), "the plain listener is beside it");
}
