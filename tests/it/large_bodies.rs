//! Bodies that are small beside what a reader could make of them: what reading takes is bounded.

use std::fs;

use reqwest::blocking::Response;
use serde_json::Value;

use crate::black_box::{Harness, Process};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
/// Just below `http.max_body`.
const LARGE: usize = 4_000_000;

/// The most memory the process has taken, in MiB.
fn peak_mib(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// Posts to every call of the API and every webhook of the settings.
fn post_everywhere(harness: &Harness, content_type: &str, body: &str) -> Vec<Response> {
    [
        "sms/clickatell/send.json",
        "sms/clickatell/template_send.json",
        "sms/preview.json",
        "account/callbacks.json",
        "sms/clickatell/receipt.json",
        "sms/clickatell/receive.json",
        "sms/e-scape/receive.json",
        "sms/opera/receipt.json",
        "sms/opera/receive.xml",
    ]
    .map(|path| harness.post_body(&format!("/api/v1/{path}"), content_type, body.to_owned()).send().unwrap())
    .into()
}

#[test]
fn no_body_makes_the_router_take_many_times_its_size() {
    let harness = Harness::quiet();
    let router = harness.run();
    let long_name = format!("{{\"{}\": [{}1]}}", "n".repeat(LARGE / 2), "1,".repeat(LARGE / 5));
    let many_names: String = (0..LARGE / 20).map(|n| format!("template_{n}=x&")).collect();
    let before = peak_mib(&router);
    for (content_type, body) in [
        (FORM, "a&".repeat(LARGE / 2)),
        (FORM, "to_msisdn&".repeat(LARGE / 10)),
        (FORM, many_names),
        (JSON, long_name),
        (JSON, format!("[{}{{}}]", "{\"a\":0},".repeat(LARGE / 10))),
        (JSON, format!("{{\"to_msisdn\": [{}\"27123456789\"]}}", "\"x\",".repeat(LARGE / 5))),
        ("text/xml", format!("<a>{}</a>", "<b/>".repeat(LARGE / 5))),
        ("text/xml", "<a>".repeat(LARGE / 4)),
    ] {
        for answer in post_everywhere(&harness, content_type, &body) {
            let status = answer.status().as_u16();
            assert!(
                [200, 400, 404, 405, 415].contains(&status),
                "{content_type} {:.20}: {status} of {}",
                body,
                answer.url()
            );
            let problem = answer.text().unwrap();
            assert!(problem.len() < 100_000, "{} bytes", problem.len());
        }
    }
    let more = peak_mib(&router) - before;
    assert!(more < 150, "{more} MiB");
    assert_eq!(harness.get_open("/health/").unwrap().status(), 200);
}

#[test]
fn fields_without_end_are_no_reason_to_refuse_an_sms_from_a_person() {
    let harness = Harness::new();
    let _router = harness.run();
    let sms = "api_id=1234&moMsgId=m1&from=27831234567&to=27123456789&timestamp=2010-07-22+21:27:24&text=hello";
    for body in [format!("{}{sms}", "a&".repeat(LARGE / 3)), format!("{sms}{}", "&b=1".repeat(LARGE / 5))] {
        let answer = harness.post_body("/api/v1/sms/clickatell/receive.json", FORM, body).send().unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().unwrap());
        assert!(answer.json::<Value>().unwrap().to_string().contains("hello"));
    }
}
