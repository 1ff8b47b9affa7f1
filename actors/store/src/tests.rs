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
