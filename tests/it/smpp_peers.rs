//! Programs that others wrote speak SMPP with our server and with our client: python-smpplib, smpp34 and node-smpp. As ESMEs each
//! binds, submits an SMS and answers its receipt; as SMSCs they take SMS from us and report them. `.ci/run` installs them;
//! without them these tests say that they were left out.

use std::{fs, process::Command};

use crate::black_box::{
    Harness, Process,
    esme::{serve_smpp, smpp_password},
    free_port, words,
};

/// python-smpplib: synchronous, one PDU at a time.
const SMPPLIB: &str = r#"
import os, ssl, sys, smpplib.client
port, password = int(sys.argv[1]), sys.argv[2]
trusted = os.environ.get("TRUSTED")
context = ssl.create_default_context(cafile=trusted) if trusted else None
if context:
    context.check_hostname = False  # smpplib names no host
client = smpplib.client.Client("127.0.0.1", port, timeout=15, allow_unknown_opt_params=True, ssl_context=context)
seen = {}
client.set_message_sent_handler(lambda pdu: seen.update(id=pdu.message_id.decode()))
def received(pdu):
    seen.update(receipt=pdu.short_message.decode(), tlv=pdu.receipted_message_id.decode().rstrip("\0"))
    return 0
client.set_message_received_handler(received)
client.connect()
client.bind_transceiver(system_id="username", password=password)
client.send_message(source_addr_ton=5, source_addr="CLINIC", dest_addr_ton=1, dest_addr_npi=1,
    destination_addr="27831234567", short_message=b"from smpplib", registered_delivery=1)
while len(seen) < 3:
    client.read_once()
client.unbind()
print(seen["id"], seen["tlv"], seen["receipt"])
"#;

/// smpp34's wheel: Rust below, asynchronous.
const SMPP34: &str = r#"
import asyncio, os, sys, smpp34
async def main():
    client = smpp34.Client(host="127.0.0.1", port=int(sys.argv[1]), system_id="username", password=sys.argv[2], bind_type="TRX")
    session = await client.connect()
    sent = await session.submit_sm(destination_addr="27831234567", source_addr="27123456789", short_message=b"from smpp34", registered_delivery=1)
    assert sent.is_success, sent
    event = await asyncio.wait_for(session.next(), 15)
    tlvs = {tlv.tag: bytes(tlv.value) for tlv in event.tlvs}
    print(sent.message_id, tlvs[smpp34.TLV_RECEIPTED_MESSAGE_ID].decode().rstrip("\0"), bytes(event.short_message).decode())
    await session.unbind()
asyncio.run(main())
# Its threads crash the interpreter's own end now and then.
sys.stdout.flush()
os._exit(0)
"#;

/// node-smpp: encodes and decodes texts itself.
const NODE: &str = r#"
const smpp = require("smpp"), [port, password] = process.argv.slice(-2);
const fail = what => { console.error(what); process.exit(1); };
setTimeout(() => fail("nothing in time"), 15000);
let id;
const session = smpp.connect({ url: `smpp://127.0.0.1:${port}` }, () => session.bind_transceiver({ system_id: "username", password }, bound => {
  if (bound.command_status !== 0) fail(`bind ${bound.command_status}`);
  session.submit_sm({ source_addr: "CLINIC", source_addr_ton: 5, destination_addr: "27831234567", short_message: "é€ from node", registered_delivery: 1 },
    sent => sent.command_status === 0 ? id = sent.message_id : fail(`submit ${sent.command_status}`));
}));
session.on("error", error => fail(error.message));
session.on("deliver_sm", pdu => {
  session.deliver_sm_resp({ sequence_number: pdu.sequence_number });
  console.log(id, pdu.receipted_message_id, pdu.short_message.message);
  session.unbind(() => { session.close(); process.exit(0); });
});
"#;

/// Runs a peer against a server of its own; answers the id that it was given.
fn speak(interpreter: &str, script: &str, environment: &[(&str, &str)]) {
    let harness = Harness::new();
    let port = serve_smpp(&harness, "clickatell", "");
    speak_to(&harness, port, interpreter, script, environment);
}

fn speak_to(harness: &Harness, port: u16, interpreter: &str, script: &str, environment: &[(&str, &str)]) {
    let router = harness.run();
    let password = smpp_password(harness, "username");
    let flag = if interpreter == "node" { "-e" } else { "-c" };
    let mut command = Command::new(interpreter);
    command.envs(environment.iter().copied()).args([flag, script, &port.to_string(), &password]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}\n{}", words(&output), router.log());
    let said = String::from_utf8(output.stdout).unwrap();
    let (id, rest) = said.trim().split_once(' ').unwrap();
    assert!(rest.starts_with(&format!("{id} id:{id} sub:001 dlvrd:001 ")) && rest.contains(" stat:DELIVRD "), "{said}");
    let number = id.parse().unwrap();
    assert_eq!(harness.status("clickatell", number)["transport_status"], 4);
    drop(router);
}

/// node-smpp as an SMSC: ids in capital hexadecimal digits, receipts with decimal ones.
const NODE_SMSC: &str = r#"
const smpp = require("smpp"), port = Number(process.argv.slice(-1));
let last = 0;
smpp.createServer(session => {
  session.on("error", () => {});
  session.on("pdu", pdu => {
    if (pdu.command.startsWith("bind_") || pdu.command === "enquire_link" || pdu.command === "unbind") session.send(pdu.response());
    if (pdu.command !== "submit_sm") return;
    const id = (++last + 0xabcde0).toString(16).toUpperCase();
    session.send(pdu.response({ message_id: id }));
    session.deliver_sm({ source_addr: pdu.destination_addr, destination_addr: pdu.source_addr, esm_class: 4,
      short_message: `id:${parseInt(id, 16)} sub:001 dlvrd:001 stat:DELIVRD err:000 text:` });
  });
}).listen(port, "127.0.0.1");
"#;

/// smpp34's wheel as an SMSC: receipts whose ids are padded.
const SMPP34_SMSC: &str = r#"
import asyncio, sys, smpp34
async def main():
    server = smpp34.Server(host="127.0.0.1", port=int(sys.argv[1]), system_id="SMSC")
    await server.start()
    bound, last = {}, 0
    while True:
        event = await server.next()
        if isinstance(event, smpp34.Esme):
            bound[event.session_id] = event
        elif isinstance(event, smpp34.SubmitSmEvent):
            last += 1
            event.accept(message_id="%08X" % last)
            text = b"id:%010d sub:001 dlvrd:001 stat:DELIVRD err:000 text:" % last
            asyncio.ensure_future(bound[event.session_id].deliver_sm(
                source_addr=event.destination_addr, destination_addr=event.source_addr, esm_class=4, short_message=text))
asyncio.run(main())
"#;

/// Texts that our client submits to a peer's SMSC, which reports all of them, and all parts of the long one.
const TEXTS: [&str; 3] = ["@_$£é€", "жжж😀", "long "];

/// Binds our client to a peer's SMSC and submits to it.
fn submit_to(interpreter: &str, script: &str, environment: &[(&str, &str)]) {
    let (harness, port) = (Harness::new(), free_port());
    harness.edit(|text| {
        let (before, ours) = text.split_once("[transports.smsc]").unwrap();
        let port_line = ours.lines().find(|line| line.starts_with("port = ")).unwrap();
        let ours = ours.replacen(port_line, &format!("port = {port}"), 1);
        format!("{before}[transports.smsc]{ours}")
    });
    let flag = if interpreter == "node" { "-e" } else { "-c" };
    let mut command = Command::new(interpreter);
    command.envs(environment.iter().copied()).args([flag, script, &port.to_string()]);
    let _smsc = Process::spawn(command);
    let router = harness.run();
    harness.wait_for_part("smsc");
    for text in TEXTS {
        let text = if text == "long " { text.repeat(80) } else { text.to_owned() };
        let id = harness.send("smsc", "27831234567", &text);
        harness.wait_for_status("smsc", id, 4);
    }
    assert_eq!(router.stop(), 0, "unbound");
}

/// The Python with the libraries; none: they are not installed.
fn python() -> Option<String> {
    let found = std::env::var("VUMI_TEST_SMPP_PYTHON").ok();
    if found.is_none() {
        eprintln!("left out: smpplib and smpp34 (VUMI_TEST_SMPP_PYTHON=python3 names a Python with them)");
    }
    found
}

#[test]
fn python_smpplib_binds_submits_and_answers_its_receipt() {
    if let Some(python) = python() {
        speak(&python, SMPPLIB, &[]);
    }
}

#[test]
fn python_smpplib_does_so_by_tls() {
    let Some(python) = python() else { return };
    let harness = Harness::new();
    let tls = "tls = { certificate = \"crt.pem\", key = \"key.pem\" }";
    let port = serve_smpp(&harness, "clickatell", tls);
    let folder = harness.folder.path();
    let (certificate, key) = (folder.join("crt.pem"), folder.join("key.pem"));
    fs::write(&certificate, include_str!("../../actors/http/src/tests/tls/first.crt")).unwrap();
    fs::write(key, include_str!("../../actors/http/src/tests/tls/first.key")).unwrap();
    speak_to(&harness, port, &python, SMPPLIB, &[("TRUSTED", certificate.to_str().unwrap())]);
}

#[test]
fn smpp34_binds_submits_and_answers_its_receipt() {
    if let Some(python) = python() {
        speak(&python, SMPP34, &[]);
    }
}

#[test]
fn our_client_submits_to_smpp34_and_understands_its_padded_receipts() {
    if let Some(python) = python() {
        submit_to(&python, SMPP34_SMSC, &[]);
    }
}

#[test]
fn our_client_submits_to_node_smpp_and_understands_its_receipts_in_another_base() {
    if let Ok(modules) = std::env::var("VUMI_TEST_SMPP_NODE") {
        submit_to("node", NODE_SMSC, &[("NODE_PATH", &modules)]);
    }
}

#[test]
fn node_smpp_binds_submits_a_text_of_its_own_encoding_and_answers_its_receipt() {
    let Ok(modules) = std::env::var("VUMI_TEST_SMPP_NODE") else {
        eprintln!("left out: node-smpp (VUMI_TEST_SMPP_NODE names the node_modules that it is in)");
        return;
    };
    speak("node", NODE, &[("NODE_PATH", &modules)]);
}
