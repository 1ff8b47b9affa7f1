//! The store as the other components use it: one suite, run on each database.

mod checksums;
mod commit_cutter;
mod migration_rules;
mod postgres;
mod sqlite;

use vumi_kit::{address::Msisdn, name::Name, sms::NewSms, sms_options::SmsOptions};

/// An SMS of the account 1 through `opera`.
pub(crate) fn one_sms(message: &str) -> NewSms {
    NewSms {
        account: 1,
        transport: Name::parse("opera").unwrap(),
        to: Msisdn::parse("27831234567").unwrap(),
        from: Msisdn::parse("38080").unwrap().into(),
        message: message.to_owned(),
        route: None,
        options: SmsOptions::none(),
    }
}

/// All files below a folder, with their texts.
fn sources(folder: &std::path::Path, into: &mut Vec<(std::path::PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else {
            into.push((path.clone(), std::fs::read_to_string(path).unwrap()));
        }
    }
}

#[test]
fn only_the_module_of_an_smss_life_changes_its_state() {
    let mut files = Vec::new();
    sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/queries"), &mut files);
    // What an insert says of a new row stands in `accept.rs`.
    let writes = |text: &str| {
        let columns = ["status", "next_attempt_at", "begun", "unsure", "held_at"];
        columns.iter().any(|column| {
            text.contains(&format!(" sms::{column}.eq(")) || text.contains(&format!("(sms::{column}.eq("))
        })
    };
    let writing: Vec<_> =
        files.iter().filter(|(_, text)| writes(text)).map(|(path, _)| path.file_name().unwrap()).collect();
    assert_eq!(writing.len(), 2, "{writing:?}");
    assert!(writing.iter().all(|name| *name == "accept.rs" || *name == "moves.rs"), "{writing:?}");
}
