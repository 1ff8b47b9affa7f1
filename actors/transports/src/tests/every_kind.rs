//! What holds for every kind of transport.

use proptest::prelude::*;
use serde_json::Value;
use vumi_kit::{
    carries::Carries,
    kind::KindEntry,
    webhook::{Webhook, WebhookRequest},
};

fn example(kind: &KindEntry) -> Value {
    toml::from_str(kind.example).unwrap()
}

fn example_webhooks() -> Vec<Webhook> {
    crate::kinds().iter().flat_map(|kind| (kind.webhooks)(&example(kind))).collect()
}

#[test]
fn its_example_parses_and_passes_its_check() {
    for kind in crate::kinds().iter() {
        assert_eq!((kind.check)(&example(kind)), [], "{}", kind.name);
    }
}

#[test]
fn it_refuses_a_key_it_does_not_know() {
    for kind in crate::kinds().iter() {
        let mut table = example(kind);
        table["nonsense"] = 1.into();
        assert!(!(kind.check)(&table).is_empty(), "{}", kind.name);
    }
}

#[test]
fn a_key_by_its_old_name_is_refused_with_the_new_one() {
    for kind in crate::kinds().iter() {
        let mut table = example(kind);
        table["outbox"]["unsure_attempts"] = 3.into();
        let [problem] = &(kind.check)(&table)[..] else { panic!("one problem of {}", kind.name) };
        assert_eq!(problem.key, "outbox.unsure_attempts");
        assert_eq!(problem.what, "`unsure_attempts` is now called `max_resubmissions`");
    }
}

#[test]
fn it_says_what_it_carries_beside_texts() {
    for kind in crate::kinds().iter() {
        let carries = match kind.name {
            "clickatell" => Carries::ALL,
            "smpp" => Carries { raw: true, ..Carries::ALL },
            "clickatell-platform" => Carries { flash: false, ..Carries::ALL },
            "ssmi" => Carries { binary: true, ..Carries::TEXTS },
            // Its template says it: Africa's Talking has no place for either.
            _ => Carries::TEXTS,
        };
        assert_eq!((kind.carries)(&example(kind)), carries, "{}", kind.name);
    }
}

#[test]
fn it_says_where_its_provider_is_and_what_lease_it_needs() {
    for kind in crate::kinds().iter() {
        let table = example(kind);
        let url = (kind.provider_url)(&table);
        assert!(kind.takes_calls || url.unwrap().contains("://"), "{}", kind.name);
        assert!(!(kind.least_lease)(&table).is_zero(), "{}", kind.name);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_webhook_reader_panic(
        query in any::<String>(),
        body in proptest::collection::vec(any::<u8>(), 0..400),
        content_type in prop::sample::select(vec![
            "", "text/xml", "text/plain", "application/xml", "application/json", "application/x-www-form-urlencoded",
        ]),
    ) {
        let request = WebhookRequest {
            method: "POST".to_owned(), query, content_type: content_type.to_owned(), body: body.into(),
            ..WebhookRequest::default()
        };
        for webhook in example_webhooks() {
            let _read_or_refused = webhook.form.read(&request);
        }
    }
}
