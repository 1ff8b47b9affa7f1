//! Programs that others wrote speak SMPP with our server: python-smpplib, smpp34 and node-smpp. Each binds, submits an SMS and
//! answers its receipt. `.ci/run` installs them; without them these tests say that they were left out.

use std::process::Command;

use crate::black_box::{
    Harness,
    esme::{serve_smpp, smpp_password},
    words,
};

/// python-smpplib: synchronous, one PDU at a time.
const SMPPLIB: &str = r#"
import sys, smpplib.client
port, password = int(sys.argv[1]), sys.argv[2]
client = smpplib.client.Client("127.0.0.1", port, timeout=15, allow_unknown_opt_params=True)
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
import asyncio, sys, smpp34
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
fn speak(interpreter: &str, script: &str, environment: &[(&str, &str)]) -> (Harness, i64) {
    let harness = Harness::new();
    let port = serve_smpp(&harness, "clickatell", "");
    let router = harness.run();
    let password = smpp_password(&harness, "username");
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
    (harness, number)
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
fn smpp34_binds_submits_and_answers_its_receipt() {
    if let Some(python) = python() {
        speak(&python, SMPP34, &[]);
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
