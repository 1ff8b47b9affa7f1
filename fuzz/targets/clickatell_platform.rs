//! The receipts and SMS that `clickatell-platform` posts.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use vumi_kit::webhook::Webhook;

static WEBHOOKS: LazyLock<Vec<Webhook>> = LazyLock::new(|| vumi_fuzz::webhooks("clickatell-platform", ""));

fuzz_target!(|data: &[u8]| vumi_fuzz::read(&WEBHOOKS, data));
