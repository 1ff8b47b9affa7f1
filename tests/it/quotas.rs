//! How much an account may send: set at the command line beside the running router, kept exactly by the store.

use reqwest::blocking::Response;
use serde_json::{Value, json};

use crate::black_box::{Harness, eventually, words};

/// What a command says that succeeds.
fn said(harness: &Harness, arguments: &[&str]) -> String {
    let output = harness.vumi(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", words(&output));
    words(&output)
}

/// A client with a token.
struct ClientWithToken<'h> {
    harness: &'h Harness,
    token: String,
}

impl<'h> ClientWithToken<'h> {
    fn new(harness: &'h Harness) -> Self {
        said(harness, &["account", "add", "clinic"]);
        let added = said(harness, &["account", "token", "add", "clinic"]);
        let token = added.rsplit_once("shown once: ").unwrap().1.trim().to_owned();
        Self { harness, token }
    }

    fn send(&self, recipients: usize) -> Response {
        let to: Vec<String> = (0..recipients).map(|n| format!("2783{n:07}")).collect();
        let body = json!({ "to_msisdn": to, "from_msisdn": "38080", "message": "hello" });
        let url = self.harness.url("/api/v1/sms/clickatell/send.json");
        self.harness.client().post(url).bearer_auth(&self.token).json(&body).send().unwrap()
    }

    fn account(&self) -> Value {
        let url = self.harness.url("/api/v1/account.json");
        self.harness.client().get(url).bearer_auth(&self.token).send().unwrap().json().unwrap()
    }

    fn refused(&self, recipients: usize, status: u16) -> String {
        let response = self.send(recipients);
        assert_eq!(response.status(), status);
        response.json::<Value>().unwrap()["detail"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_budget_in_money_is_spent_refilled_and_seen_over_the_api() {
    let harness = Harness::quiet();
    harness.edit(|text| format!("{text}\n[[price]]\nprefix = \"27\"\nper_segment = \"0.25\"\n"));
    let _router = harness.run();
    let clinic = ClientWithToken::new(&harness);
    assert_eq!(clinic.account()["budget"], Value::Null);
    let set = said(&harness, &["account", "budget", "clinic", "--set", "1", "--unit", "money"]);
    assert!(set.contains("1 (money) left"), "{set}");
    let detail = eventually("the budget counts", || {
        let response = clinic.send(5);
        (response.status() == 402).then(|| response.json::<Value>().unwrap()["detail"].as_str().unwrap().to_owned())
    });
    assert!(detail.contains("has 1 left, and this call takes 1.25"), "{detail}");
    assert_eq!(clinic.send(3).status(), 200);
    assert!(clinic.refused(2, 402).contains("has 0.25 left"));
    let shown = clinic.account();
    assert_eq!(shown["budget"], json!({ "unit": "money", "balance": "0.25", "used": "0.75" }), "{shown}");
    assert_eq!(shown["waiting"]["now"], 3, "{shown}");

    said(&harness, &["account", "budget", "clinic", "--add", "0.25"]);
    assert_eq!(clinic.send(2).status(), 200);
    assert_eq!(clinic.account()["budget"]["balance"], "0");
    let wrong = harness.vumi(&["account", "budget", "clinic", "--set", "5"]);
    assert!(words(&wrong).contains("another unit"), "{}", words(&wrong));
    let shown = said(&harness, &["account", "show", "clinic"]);
    assert!(shown.contains("budget                0 (money)"), "{shown}");
}

#[test]
fn recipients_a_minute_and_waiting_sms_are_bounded_and_each_refusal_says_which() {
    let harness = Harness::quiet();
    let _router = harness.run();
    let clinic = ClientWithToken::new(&harness);
    said(&harness, &["account", "quota", "clinic", "--waiting", "4"]);
    let detail = eventually("the quota counts", || {
        let response = clinic.send(5);
        (response.status() == 429).then(|| response.json::<Value>().unwrap()["detail"].as_str().unwrap().to_owned())
    });
    assert!(detail.contains("4 may, and this call has 5"), "{detail}");
    assert_eq!(clinic.send(4).status(), 200);
    assert!(clinic.refused(1, 429).contains("4 SMS of the account wait"));
    said(&harness, &["account", "quota", "clinic", "--waiting", "none", "--recipients-per-minute", "2"]);
    eventually("the other quota counts", || clinic.refused_or_sent(3));
    assert_eq!(clinic.send(2).status(), 200);
    assert!(clinic.refused(2, 429).contains("2 recipients a minute"));
    let wrong = harness.vumi(&["account", "quota", "clinic"]);
    assert!(!wrong.status.success() && words(&wrong).contains("--waiting"), "{}", words(&wrong));
}

impl ClientWithToken<'_> {
    /// Whether a batch is refused because it has more recipients than a minute may have.
    fn refused_or_sent(&self, recipients: usize) -> Option<()> {
        let response = self.send(recipients);
        let detail = response.json::<Value>().ok()?["detail"].as_str().unwrap_or_default().to_owned();
        detail.contains(&format!("this call has {recipients}: nothing was kept, send smaller")).then_some(())
    }
}
