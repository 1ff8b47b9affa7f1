//! What the table of any transport may say beside the keys of its kind.

use std::{borrow::Cow, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    address::{Address, CountryCode, Msisdn},
    charset::Charset,
    settings_schema::HumanDuration,
    sms::InboundSms,
};

/// Keys that the table of any transport may have beside those of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TransportSettings {
    /// The country whose numbers are written without their country code: its code (`country_code = "27"`), or its name
    /// (`country = "ZA"`). `0831234567`, `0027831234567` and `+27 (0)83 123-4567` are mended by it. None: such recipients
    /// are refused.
    #[serde(alias = "country")]
    #[schemars(example = &"27")]
    pub country_code: Option<CountryCode>,
    /// Whether senders may be names, such as `MYCLINIC`; with `false` an SMS from a name is refused. Default true.
    pub sender_names: bool,
    /// The character set of what the provider posts, where neither the call's content type nor a field of it names one
    /// that is known. None: UTF-8, and what is not UTF-8 is read as Windows-1252.
    #[schemars(example = &"windows-1252")]
    pub charset: Option<Charset>,
    /// Within what time the provider's receipts come. Where they come for fewer than half of the SMS, that is an alarm, and
    /// routes pass the transport over. None: nobody waits for receipts.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "Option<HumanDuration>", example = "10m")]
    pub receipts_within: Option<Duration>,
}

impl Default for TransportSettings {
    fn default() -> Self {
        Self { country_code: None, sender_names: true, charset: None, receipts_within: None }
    }
}

impl TransportSettings {
    /// The names of these keys.
    pub const KEYS: [&'static str; 5] = ["country_code", "country", "sender_names", "charset", "receipts_within"];

    /// What is taken as addresses where the transport is chosen later: the country of a number that begins with 0 must not
    /// depend on which it is. `own` is the sending account's country.
    #[must_use]
    pub fn of_any<'a>(transports: impl IntoIterator<Item = &'a Self>, own: Option<&CountryCode>) -> Self {
        let mut codes = transports.into_iter().map(|transport| &transport.country_code);
        let first = codes.next().cloned().flatten();
        let of_all = first.filter(|first| codes.all(|other| other.as_ref() == Some(first)));
        Self { country_code: own.cloned().or(of_all), ..Self::default() }
    }

    /// Reads a recipient. The error is what is wrong with it.
    pub fn recipient(&self, text: &str) -> Result<Msisdn, &'static str> {
        let punctuated = text.trim().contains(is_punctuation);
        if punctuated && self.country_code.is_none() {
            return Err(
                "has spaces or punctuation: write digits only, such as 27831234567, or set `country_code` of the transport",
            );
        }
        let text = if punctuated { Cow::Owned(without_punctuation(text)) } else { Cow::Borrowed(text) };
        let number = Msisdn::parse(&text).map_err(|_| "an MSISDN is 3 to 15 digits, with or without a leading +")?;
        if self.country_code.is_some() && !number.begins_with_zero() {
            return Ok(self.number(number));
        }
        if !number.begins_with_zero() {
            return Ok(number);
        }
        let code = self.country_code.as_ref().ok_or(
            "begins with 0: write it with its country code, such as 27831234567, or set `country_code` of the transport",
        )?;
        code.international(&number).ok_or("begins with 0, and is no MSISDN with its country code")
    }

    /// Reads a sender. The error is what is wrong with it.
    pub fn sender(&self, text: &str) -> Result<Address, &'static str> {
        let sender = Address::sender(text).map_err(|_| {
            "a sender is an MSISDN or short code of 2 to 15 digits, with or without a leading +, or a name of 1 to 11 \
             characters of the GSM alphabet"
        })?;
        if sender.is_number() || self.sender_names {
            Ok(sender)
        } else {
            Err("this transport takes no names as senders: give an MSISDN or short code")
        }
    }

    /// A number of a person as a carrier writes it, in international form where that can be told.
    #[must_use]
    pub fn number(&self, number: Msisdn) -> Msisdn {
        self.country_code.as_ref().and_then(|code| code.international(&number)).unwrap_or(number)
    }

    /// The same SMS from the person's international number.
    #[must_use]
    pub fn inbound(&self, sms: InboundSms) -> InboundSms {
        let from = sms.from.msisdn().map_or(sms.from, |number| self.number(number).into());
        InboundSms { from, ..sms }
    }
}

/// What people write between digits.
fn is_punctuation(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '-' | '.' | '/' | '(' | ')')
}

/// A number as people write it, without what stands between its digits. A zero in brackets is for callers within the country.
fn without_punctuation(text: &str) -> String {
    let trimmed = text.trim();
    let international = trimmed.starts_with('+') || trimmed.starts_with("00");
    let text = if international { trimmed.replacen("(0)", "", 1) } else { trimmed.to_owned() };
    text.chars().filter(|c| !is_punctuation(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::{CountryCode, TransportSettings};

    fn of_south_africa() -> TransportSettings {
        TransportSettings { country_code: Some(CountryCode::parse("27").unwrap()), ..TransportSettings::default() }
    }

    #[test]
    fn a_recipient_that_begins_with_0_needs_a_country_code() {
        for (text, mended) in [
            ("0831234567", Some("27831234567")),
            ("0027831234567", Some("27831234567")),
            ("27831234567", Some("27831234567")),
            ("+27 (0)83 123-4567", Some("27831234567")),
            ("0027 (0) 83 123 4567", Some("27831234567")),
            ("(083) 123.4567", Some("27831234567")),
            ("+44 20 7946 0958", Some("442079460958")),
            ("270831234567", Some("27831234567")),
            ("000831234567", None),
            ("(0)", None),
            ("+27 83 12x", None),
        ] {
            assert_eq!(of_south_africa().recipient(text).ok().as_ref().map(|to| to.as_str()), mended, "{text}");
        }
        let refused = TransportSettings::default().recipient("+27 83 123 4567").unwrap_err();
        assert!(refused.starts_with("has spaces or punctuation"), "{refused}");
        for text in ["0831234567", "0027831234567", "+0831234567"] {
            let refused = TransportSettings::default().recipient(text).unwrap_err();
            assert!(refused.starts_with("begins with 0"), "{text}: {refused}");
        }
    }

    #[test]
    fn names_are_senders_unless_the_transport_takes_none() {
        let numbers_only = TransportSettings { sender_names: false, ..TransportSettings::default() };
        for (text, is_name) in [("MYCLINIC", true), ("38080", false)] {
            assert!(TransportSettings::default().sender(text).is_ok(), "{text}");
            assert_eq!(numbers_only.sender(text).is_err(), is_name, "{text}");
        }
    }
}
