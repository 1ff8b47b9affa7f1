//! The receipts and SMS that providers of settings post: forms, and JSON found by keys and pointers.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use vumi_kit::webhook::Webhook;

const IN_JSON: &str = r#"
url = "https://sms.example.com"
answer = { id = { json = "/id" } }
receipt = { format = "json", id = "/m/id", sms = "ref", to = "to", status = "s", statuses = { ok = 4 }, other_status = 7, at = "at" }
inbound = { format = "json", from = "/m/from", to = "to", text = "text", id = "id", at = "at", reply = { type = "json", body = "{}" } }
"#;

/// Several reports in a body.
const IN_LISTS: &str = r#"
url = "https://sms.example.com"
answer = { id = { json = "/id" } }
receipt = { format = "json", id = "/m/0/id", status = "/m/0/s/0/n", part = "/m/0/p", statuses = { ok = 4 }, other_status = 7 }
inbound = { format = "json", each = "/m", from = "from", to = "to", text = "text", part = { header = "/udh" } }
"#;

static WEBHOOKS: LazyLock<Vec<Webhook>> = LazyLock::new(|| {
    ["", include_str!("../../actors/transports/src/http_provider/twilio.toml"), IN_JSON, IN_LISTS]
        .into_iter()
        .flat_map(|settings| vumi_fuzz::webhooks("http", settings))
        .collect()
});

fuzz_target!(|data: &[u8]| vumi_fuzz::read(&WEBHOOKS, data));
