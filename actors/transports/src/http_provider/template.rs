//! Templates of a request: text with `{{names}}`. Not Mustache: a value must be escaped for its place
//! (a form, JSON, XML), never for HTML, and a name that does not exist is an error of the settings.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use vumi_kit::{
    carries::Carries,
    clock::Timestamp,
    sms::Submission,
    sms_options::Content,
    text::{Encoding, measure},
};

use crate::charset::hex_utf16;

/// What a template may name.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Placeholder {
    To,
    ToPlus,
    From,
    FromPlus,
    Text,
    TextHexUtf16,
    Id,
    Segments,
    Ucs2,
    Flash,
    Data,
    Udh,
    Validity,
    ValidityMinutes,
    SendAt,
    Priority,
    Reference,
}

/// The names, as an operator writes them.
const NAMES: [(&str, Placeholder); 17] = [
    ("to", Placeholder::To),
    ("to_plus", Placeholder::ToPlus),
    ("from", Placeholder::From),
    ("from_plus", Placeholder::FromPlus),
    ("text", Placeholder::Text),
    ("text_hex_utf16", Placeholder::TextHexUtf16),
    ("id", Placeholder::Id),
    ("segments", Placeholder::Segments),
    ("ucs2", Placeholder::Ucs2),
    ("flash", Placeholder::Flash),
    ("data", Placeholder::Data),
    ("udh", Placeholder::Udh),
    ("validity", Placeholder::Validity),
    ("validity_minutes", Placeholder::ValidityMinutes),
    ("send_at", Placeholder::SendAt),
    ("priority", Placeholder::Priority),
    ("reference", Placeholder::Reference),
];

#[derive(Clone, Debug)]
enum TemplatePiece {
    Literal(String),
    Of(Placeholder),
    Secret(String),
}

/// A parsed template.
#[derive(Clone, Debug)]
pub(super) struct SmsTemplate(Vec<TemplatePiece>);

impl SmsTemplate {
    /// Parses; an error says what is wrong and which names there are.
    pub(super) fn parse(text: &str, secrets: &BTreeMap<String, SecretString>) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, further)) = after.split_once("}}") else {
                return Err("a `{{` without its `}}`".to_owned());
            };
            pieces.push(TemplatePiece::Literal(before.to_owned()));
            pieces.push(piece(name.trim(), secrets)?);
            rest = further;
        }
        pieces.push(TemplatePiece::Literal(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// What it has places for, beside texts.
    pub(super) fn carries(&self) -> Carries {
        let has = |placeholder| self.0.iter().any(|piece| matches!(piece, TemplatePiece::Of(of) if *of == placeholder));
        Carries {
            flash: has(Placeholder::Flash),
            binary: has(Placeholder::Data),
            udh: has(Placeholder::Udh),
            raw: false,
        }
    }

    /// Fills it in; `escape` is applied to what is put in, not to the template's own text.
    pub(super) fn render(
        &self,
        submission: &Submission,
        now: Timestamp,
        secrets: &BTreeMap<String, SecretString>,
        escape: fn(&str) -> String,
    ) -> String {
        let mut rendered = String::new();
        for piece in &self.0 {
            match piece {
                TemplatePiece::Literal(text) => rendered.push_str(text),
                TemplatePiece::Of(placeholder) => rendered.push_str(&escape(&value(*placeholder, submission, now))),
                TemplatePiece::Secret(name) => {
                    rendered.push_str(&escape(secrets.get(name).map_or("", |secret| secret.expose_secret())));
                }
            }
        }
        rendered
    }
}

fn piece(name: &str, secrets: &BTreeMap<String, SecretString>) -> Result<TemplatePiece, String> {
    if let Some(secret) = name.strip_prefix("secret.") {
        return match secrets.contains_key(secret) {
            true => Ok(TemplatePiece::Secret(secret.to_owned())),
            false => Err(format!("`{{{{{name}}}}}` names a secret that is not under `secrets`")),
        };
    }
    let known = NAMES.iter().find(|(known, _)| *known == name).map(|(_, placeholder)| TemplatePiece::Of(*placeholder));
    known.ok_or_else(|| {
        let names: Vec<_> = NAMES.iter().map(|(known, _)| *known).collect();
        format!("`{{{{{name}}}}}` is not known; there are {} and secret.<name>", names.join(", "))
    })
}

fn value(placeholder: Placeholder, submission: &Submission, now: Timestamp) -> String {
    let (text, data, udh) = match &submission.content {
        Content::Text | Content::Flash => (submission.message.as_str(), "", ""),
        Content::Binary { udh } | Content::Raw { udh, .. } => {
            ("", submission.message.as_str(), udh.as_deref().unwrap_or_default())
        }
    };
    let validity = || submission.give_up_at.since(now).as_secs();
    match placeholder {
        Placeholder::To => submission.to.as_str().to_owned(),
        Placeholder::ToPlus => submission.to.with_plus(),
        Placeholder::From => submission.from.as_str().to_owned(),
        Placeholder::FromPlus => submission.from.with_plus(),
        Placeholder::Text => text.to_owned(),
        Placeholder::TextHexUtf16 => hex_utf16(text),
        Placeholder::Id => submission.id.to_string(),
        Placeholder::Segments => measure(text).segments.max(1).to_string(),
        Placeholder::Ucs2 => u8::from(measure(text).encoding == Encoding::Ucs2).to_string(),
        Placeholder::Flash => u8::from(submission.content == Content::Flash).to_string(),
        Placeholder::Data => data.to_owned(),
        Placeholder::Udh => udh.to_owned(),
        Placeholder::Validity => validity().max(1).to_string(),
        Placeholder::ValidityMinutes => (validity() / 60).max(1).to_string(),
        Placeholder::SendAt => now.format("%Y-%m-%dT%H:%M:%SZ"),
        Placeholder::Priority => submission.priority.as_str().to_owned(),
        Placeholder::Reference => submission.reference.clone().unwrap_or_default(),
    }
}

/// For forms, JSON trees and headers: their encoders escape what is needed.
pub(super) fn as_it_is(text: &str) -> String {
    text.to_owned()
}

/// For a place within a JSON string.
pub(super) fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned()
}

/// For text or an attribute within XML; characters that XML can't hold are left out.
pub(super) fn xml(text: &str) -> String {
    let holds = |c: &char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    quick_xml::escape::escape(text.chars().filter(holds).collect::<String>()).into_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use vumi_kit::{
        address::Address,
        carries::Carries,
        clock::Timestamp,
        sms::Submission,
        sms_options::{Content, Priority},
    };

    use super::{SmsTemplate, as_it_is, json, xml};
    use crate::tests::exam::submission;

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-28 12:00:00").unwrap()
    }

    fn filled_in(template: &str, submission: &Submission) -> String {
        SmsTemplate::parse(template, &BTreeMap::new()).unwrap().render(submission, now(), &BTreeMap::new(), as_it_is)
    }

    #[test]
    fn what_an_sms_asks_for_is_filled_in() {
        let asked = Submission {
            content: Content::Flash,
            priority: Priority::High,
            reference: Some("order 7".to_owned()),
            give_up_at: Timestamp::parse("2026-11-28 12:02:59").unwrap(),
            ..submission("hi")
        };
        let all =
            "{{text}}/{{flash}}/{{validity}}/{{validity_minutes}}/{{send_at}}/{{priority}}/{{reference}}/{{data}}";
        assert_eq!(filled_in(all, &asked), "hi/1/179/2/2026-11-28T12:00:00Z/high/order 7/");
        let octets = Submission { content: Content::Binary { udh: Some("0500".to_owned()) }, ..submission("48ff") };
        assert_eq!(
            filled_in("{{text}}{{data}}/{{udh}}/{{flash}}/{{segments}}/{{reference}}", &octets),
            "48ff/0500/0/1/"
        );
    }

    #[test]
    fn a_template_carries_what_it_has_places_for() {
        let carries = |text| SmsTemplate::parse(text, &BTreeMap::new()).unwrap().carries();
        assert_eq!(carries("{{text}}"), Carries::TEXTS);
        assert_eq!(carries("{{flash}}{{data}}{{udh}}"), Carries::ALL);
        assert_eq!(carries("{{data}}"), Carries { binary: true, ..Carries::TEXTS });
    }

    #[test]
    fn names_are_filled_in_and_escaped_for_their_place() {
        let secrets = BTreeMap::from([("key".to_owned(), "k\"1".into())]);
        let template =
            SmsTemplate::parse("{{to_plus}} & {{ text }}, {{secret.key}}{{segments}}{{ucs2}}", &secrets).unwrap();
        let sms = submission("<\"é\"> {{to}}");
        assert_eq!(template.render(&sms, now(), &secrets, as_it_is), "+27123456789 & <\"é\"> {{to}}, k\"110");
        assert_eq!(template.render(&sms, now(), &secrets, json), "+27123456789 & <\\\"é\\\"> {{to}}, k\\\"110");
        let in_xml = template.render(&sms, now(), &secrets, xml);
        assert_eq!(in_xml, "+27123456789 & &lt;&quot;é&quot;&gt; {{to}}, k&quot;110");
    }

    #[test]
    fn a_short_code_or_a_name_gets_no_plus() {
        let template = SmsTemplate::parse("{{from_plus}}", &BTreeMap::new()).unwrap();
        let mut sms = submission("a");
        for from in ["38080", "42", "INFO SMS"] {
            sms.from = Address::sender(from).unwrap();
            assert_eq!(template.render(&sms, now(), &BTreeMap::new(), as_it_is), from);
        }
    }

    #[test]
    fn a_text_that_begins_or_ends_with_a_quote_keeps_it() {
        assert_eq!(json("\""), "\\\"");
        assert_eq!(json("\"a\""), "\\\"a\\\"");
    }

    #[test]
    fn what_can_not_be_filled_in_is_an_error_of_the_settings() {
        for bad in ["{{nobody}}", "{{to", "{{secret.none}}", "{{{to}}}"] {
            assert!(SmsTemplate::parse(bad, &BTreeMap::new()).is_err(), "{bad}");
        }
    }
}
