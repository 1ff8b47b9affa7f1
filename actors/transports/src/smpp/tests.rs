//! The transport against an SMSC that the tests play, over real sockets.

mod harness;
mod inbound;
mod receipts;
mod sessions;
mod submissions;
mod ussd;

use vumi_kit::kind::Kind;

use super::{Settings, Smpp};

const GUIDE: &str = include_str!("../../../../docs/providers/smpp.md");

/// Settings of a transport, with more keys in TOML.
pub(super) fn settings(more: &str) -> Settings {
    toml::from_str(&format!("host = \"127.0.0.1\"\nsystem_id = \"vumi\"\npassword = \"secret\"\n{more}")).unwrap()
}

/// The content of a file that a key names, as the settings' loader puts it in its place.
fn content(key: &str) -> &'static str {
    match key {
        "client_certificate" => include_str!("tests/client.crt"),
        "client_key" => include_str!("tests/client.key"),
        _ => "secret",
    }
}

#[test]
fn the_examples_of_the_guide_are_good_settings() {
    let examples: Vec<&str> = GUIDE.split("```toml").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        let mut file: toml::Table = toml::from_str(example).unwrap();
        let mut table = file["transports"].as_table_mut().unwrap().values().next().unwrap().as_table().unwrap().clone();
        assert_eq!(table.remove("kind").unwrap().as_str(), Some(Smpp::NAME));
        for key in table.keys().cloned().collect::<Vec<_>>() {
            if let Some(read) = key.strip_suffix("_file") {
                table.remove(&key);
                table.insert(read.to_owned(), content(read).into());
            }
        }
        assert_eq!(Smpp::check(&table.try_into().unwrap()), [], "{example}");
    }
}

#[test]
fn settings_that_can_not_work_are_named() {
    let keys = |more: &str| Smpp::check(&settings(more)).into_iter().map(|problem| problem.key).collect::<Vec<_>>();
    assert_eq!(keys(""), [""; 0]);
    for (more, expected) in [
        ("system_type = \"1234567890123\"", "system_type"),
        ("statuses = { \"x\" = \"retry\" }", "statuses.x"),
        ("client_key = \"k\"", "client_key"),
        ("tls = true\nclient_key = \"k\"", "client_certificate"),
        ("version = \"3.3\"\nsms = { long_texts = \"sar\" }", "sms.long_texts"),
        ("sms = { tlvs = [{ tag = 1, text = \"a\", hex = \"00\" }] }", "sms.tlvs"),
        ("sms = { source = { ton = 9, npi = 1 } }", "sms.source"),
        ("window = 0", "window"),
        ("ussd = { profile = \"spec\", service_type = \"longer\" }", "ussd.service_type"),
        ("version = \"3.3\"\nussd = { profile = \"spec\" }", "ussd"),
        ("bind = \"receiver\"\nussd = { profile = \"spec\" }", "ussd"),
        ("ussd = { profile = \"tata\", texts = { gone = \"Привет\" } }", "ussd.texts.gone"),
        ("max_temporary = 0", "max_temporary"),
    ] {
        assert_eq!(keys(more).first().map(String::as_str), Some(expected), "{more}");
    }
}
