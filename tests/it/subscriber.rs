//! A person asks what is kept of them, and wants to be forgotten.

use std::{fs, io::Write, process::Stdio, time::Duration};

use serde_json::Value;
use vumi_kit::clock::Clock;

use crate::black_box::{Harness, words};

fn lines(text: &[u8]) -> Vec<Value> {
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

#[test]
fn a_person_gets_everything_that_is_kept_of_them_and_is_forgotten_beside_the_running_router() {
    let harness = Harness::new();
    let router = harness.run();
    let theirs = harness.send("clickatell", "27831234567", "for Thandi");
    let others = harness.send("clickatell", "27831234568", "for somebody else");
    for id in [theirs, others] {
        harness.wait_for_status("clickatell", id, 4);
    }
    let tomorrow = Clock::system().wall().plus(Duration::from_secs(24 * 3600)).to_seconds_text();
    let form = [
        ("to_msisdn", "27831234567"),
        ("from_msisdn", "27123456789"),
        ("message", "tomorrow"),
        ("send_at", tomorrow.as_str()),
    ];
    let later = harness.post("/api/v1/sms/clickatell/send.json", &form).send().unwrap();
    assert_eq!(later.status(), 200, "{}", later.text().unwrap());
    let query = "api_id=1234&moMsgId=m1&from=%2B27831234567&to=38080&timestamp=2010-07-22+21:27:24&text=I+am+Thandi";
    assert_eq!(harness.get(&format!("/api/v1/sms/clickatell/receive.json?{query}")).send().unwrap().status(), 200);

    let exported = harness.vumi(&["subscriber", "export", "+27 83 123 4567", "--out", "thandi.jsonl"]);
    assert!(exported.status.success(), "{}", words(&exported));
    let all = lines(&fs::read(harness.folder.path().join("thandi.jsonl")).unwrap());
    let of = |what: &str| all.iter().filter(|line| line["what"] == what).collect::<Vec<_>>();
    // What the campaign answered, too.
    assert!(of("sms sent").iter().any(|sms| sms["message"] == "for Thandi") && of("sms sent").len() >= 2, "{all:?}");
    assert_eq!(of("sms received")[0]["message"], "I am Thandi");
    assert!(of("event").iter().any(|event| event["event"] == "receipt" && event["sms"] == theirs), "{all:?}");
    assert!(!all.iter().any(|line| line["message"] == "for somebody else"));

    let mut asked = harness
        .command(&["subscriber", "erase", "0027831234567"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    asked.stdin.take().unwrap().write_all(b"no\n").unwrap();
    let asked = asked.wait_with_output().unwrap();
    assert!(!asked.status.success() && words(&asked).contains("nothing was changed"), "{}", words(&asked));
    let erased = harness.vumi(&["subscriber", "erase", "0027831234567", "--yes"]);
    assert!(erased.status.success(), "{}", words(&erased));

    let shown = harness.status("clickatell", theirs);
    assert!(shown["message"] == "" && shown["to_msisdn"].as_str().unwrap().starts_with("000"), "{shown}");
    assert_eq!(shown["transport_status"], 4);
    assert_eq!(harness.status("clickatell", others)["message"], "for somebody else");
    let again = harness.vumi(&["subscriber", "export", "27831234567"]);
    assert!(again.status.success() && lines(&again.stdout).is_empty(), "{}", words(&again));
    let ledger = lines(&harness.vumi(&["ledger", "export", "--format", "jsonl"]).stdout);
    assert!(ledger.iter().any(|sms| sms["status"] == 6), "what waited is cancelled: {ledger:?}");
    let resent = harness.vumi(&["sms", "resend", "--id", &theirs.to_string(), "--yes"]);
    assert_eq!(harness.status("clickatell", theirs)["transport_status"], 4, "{}", words(&resent));
    let trail = harness.vumi(&["audit", "list"]);
    assert!(words(&trail).contains("subscriber erased") && !words(&trail).contains("27831234567"), "{}", words(&trail));
    let wrong = harness.vumi(&["subscriber", "export", "Thandi"]);
    assert!(!wrong.status.success() && words(&wrong).contains("MSISDN"), "{}", words(&wrong));
    router.stop();
}
