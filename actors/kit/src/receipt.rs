//! What is done with a receipt's content: its bounds, the digest that tells a repeated one, and the names that its fields
//! have in a callback.

use std::collections::HashSet;

use crate::{
    provider_text::{bounded_id, bounded_words, sha256_hex},
    sent_parts::IdSpellings,
    sms::{Receipt, TransportStatus},
    text::keepable,
};

/// Fields of a receipt that are kept, and the bytes of their names and values. What is beyond is left out: it is never a
/// reason to refuse a receipt.
const MOST_FIELDS: usize = 200;
const MOST_BYTES: usize = 16 * 1024;

/// What a provider's field is called that has the name of one of ours, or a name a second time.
const PREFIX: &str = "provider_";

impl Receipt {
    /// A receipt with this status and these fields, and nothing else.
    #[must_use]
    pub const fn new(status: TransportStatus, fields: Vec<(String, String)>) -> Self {
        Self {
            provider_id: None,
            spellings: None,
            sms: None,
            both_ids: false,
            part: None,
            to: None,
            status,
            provider_status: None,
            at: None,
            fields,
        }
    }

    /// The same within bounds and with no text that can't be kept: what a provider tells is not refused for a NUL in it, a
    /// long id or a field too many.
    #[must_use]
    pub fn keepable(self) -> Self {
        let mut budget = MOST_BYTES;
        let fits = |(name, value): &(String, String)| match budget.checked_sub(name.len() + value.len()) {
            Some(left) => {
                budget = left;
                true
            }
            None => false,
        };
        let fields = self.fields.into_iter().take(MOST_FIELDS).filter(fits);
        let fields = fields.map(|(name, value)| (keepable(name), keepable(value))).collect();
        Self {
            provider_id: self.provider_id.map(bounded_id),
            spellings: self.spellings.map(IdSpellings::keepable),
            provider_status: self.provider_status.map(bounded_words),
            fields,
            ..self
        }
    }

    /// A digest of all that it says: a receipt with the same one is the same receipt again.
    #[must_use]
    pub fn digest(&self) -> String {
        let number = |number: Option<i64>| number.map_or_else(String::new, |number| number.to_string());
        let facts = [
            self.provider_id.clone().unwrap_or_default(),
            number(self.sms),
            number(self.part.map(i64::from)),
            self.to.as_ref().map_or_else(String::new, |to| to.as_str().to_owned()),
            i16::from(self.status).to_string(),
            self.provider_status.clone().unwrap_or_default(),
            number(self.at.map(crate::clock::Timestamp::micros)),
        ];
        let fields = self.fields.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
        sha256_hex(facts.iter().map(String::as_str).chain(fields))
    }
}

/// A provider's fields beside fields of ours, each name once: one that is taken gets a prefix. What a provider says twice
/// is there once.
#[must_use]
pub fn fields_beside(ours: &[&str], fields: &[(String, String)]) -> Vec<(String, String)> {
    let mut taken: HashSet<String> = ours.iter().map(|&name| name.to_owned()).collect();
    let mut said: HashSet<(&str, &str)> = HashSet::new();
    let mut named = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        if !said.insert((name, value)) {
            continue;
        }
        if let Some(name) = free_name(&taken, name) {
            taken.insert(name.clone());
            named.push((name, value.clone()));
        }
    }
    named
}

/// The prefix goes in front as often as it takes, a few times at the most.
fn free_name(taken: &HashSet<String>, name: &str) -> Option<String> {
    let prefixed = |times: usize| format!("{}{name}", PREFIX.repeat(times));
    (0..4).map(prefixed).find(|name| !taken.contains(name))
}

#[cfg(test)]
mod tests {
    use super::{MOST_BYTES, fields_beside};
    use crate::{
        clock::Timestamp,
        sms::{Receipt, TransportStatus},
    };

    fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_receipt_is_told_from_another_by_anything_that_it_says() {
        let one = Receipt::new(TransportStatus::AtGateway, pairs(&[("a", "bc")]));
        assert_eq!(one.digest(), one.clone().digest());
        for other in [
            Receipt { status: TransportStatus::Delivered, ..one.clone() },
            Receipt { provider_id: Some("P1".to_owned()), ..one.clone() },
            Receipt { sms: Some(1), ..one.clone() },
            Receipt { part: Some(1), ..one.clone() },
            Receipt { at: Some(Timestamp::from_seconds(1)), ..one.clone() },
            Receipt { provider_status: Some("sent".to_owned()), ..one.clone() },
            Receipt { fields: pairs(&[("ab", "c")]), ..one.clone() },
        ] {
            assert_ne!(one.digest(), other.digest(), "{other:?}");
        }
    }

    #[test]
    fn what_a_receipt_says_is_bounded_and_nothing_of_it_is_refused() {
        let long = "x".repeat(9000);
        let mut fields = pairs(&[("a", &long), ("b", &long), ("c", "1\0")]);
        fields.extend((0..1000).map(|n| (format!("f{n}"), String::new())));
        let receipt = Receipt {
            provider_id: Some(long.clone()),
            provider_status: Some(long),
            ..Receipt::new(TransportStatus::Delivered, fields)
        };
        let kept = receipt.keepable();
        let bytes: usize = kept.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(bytes <= MOST_BYTES && kept.fields.len() <= 200, "{bytes} {}", kept.fields.len());
        assert_eq!(kept.fields[1], ("c".to_owned(), "1\u{fffd}".to_owned()), "the second long one is left out");
        assert!(kept.provider_id.as_ref().unwrap().starts_with("sha256-"));
        assert_eq!(kept.clone().keepable(), kept);
    }

    #[test]
    fn a_providers_field_with_a_name_that_is_taken_gets_a_prefix() {
        let theirs = pairs(&[("id", "ATX"), ("status", "Success"), ("to", "1"), ("to", "1"), ("to", "2")]);
        let named = fields_beside(&["id", "transport_status"], &theirs);
        assert_eq!(named, pairs(&[("provider_id", "ATX"), ("status", "Success"), ("to", "1"), ("provider_to", "2")]));
        let awkward = fields_beside(&["id"], &pairs(&[("provider_id", "a"), ("id", "b")]));
        assert_eq!(awkward, pairs(&[("provider_id", "a"), ("provider_provider_id", "b")]));
    }
}
