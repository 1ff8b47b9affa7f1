//! Templates of a request: text with `{{names}}`. Not Mustache: a value must be escaped for its place
//! (a form, JSON, XML), never for HTML, and a name that does not exist is an error of the settings.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use vumi_kit::{
    sms::Submission,
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
}

/// The names, as an operator writes them.
const NAMES: [(&str, Placeholder); 9] = [
    ("to", Placeholder::To),
    ("to_plus", Placeholder::ToPlus),
    ("from", Placeholder::From),
    ("from_plus", Placeholder::FromPlus),
    ("text", Placeholder::Text),
    ("text_hex_utf16", Placeholder::TextHexUtf16),
    ("id", Placeholder::Id),
    ("segments", Placeholder::Segments),
    ("ucs2", Placeholder::Ucs2),
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

    /// Fills it in; `escape` is applied to what is put in, not to the template's own text.
    pub(super) fn render(
        &self,
        submission: &Submission,
        secrets: &BTreeMap<String, SecretString>,
        escape: fn(&str) -> String,
    ) -> String {
        let mut rendered = String::new();
        for piece in &self.0 {
            match piece {
                TemplatePiece::Literal(text) => rendered.push_str(text),
                TemplatePiece::Of(placeholder) => rendered.push_str(&escape(&value(*placeholder, submission))),
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

fn value(placeholder: Placeholder, submission: &Submission) -> String {
    match placeholder {
        Placeholder::To => submission.to.as_str().to_owned(),
        Placeholder::ToPlus => submission.to.with_plus(),
        Placeholder::From => submission.from.as_str().to_owned(),
        Placeholder::FromPlus => submission.from.with_plus(),
        Placeholder::Text => submission.message.clone(),
        Placeholder::TextHexUtf16 => hex_utf16(&submission.message),
        Placeholder::Id => submission.id.to_string(),
        Placeholder::Segments => measure(&submission.message).segments.to_string(),
        Placeholder::Ucs2 => u8::from(measure(&submission.message).encoding == Encoding::Ucs2).to_string(),
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

    use vumi_kit::address::Address;

    use super::{SmsTemplate, as_it_is, json, xml};
    use crate::tests::exam::submission;

    #[test]
    fn names_are_filled_in_and_escaped_for_their_place() {
        let secrets = BTreeMap::from([("key".to_owned(), "k\"1".into())]);
        let template =
            SmsTemplate::parse("{{to_plus}} & {{ text }}, {{secret.key}}{{segments}}{{ucs2}}", &secrets).unwrap();
        let sms = submission("<\"é\"> {{to}}");
        assert_eq!(template.render(&sms, &secrets, as_it_is), "+27123456789 & <\"é\"> {{to}}, k\"110");
        assert_eq!(template.render(&sms, &secrets, json), "+27123456789 & <\\\"é\\\"> {{to}}, k\\\"110");
        let in_xml = template.render(&sms, &secrets, xml);
        assert_eq!(in_xml, "+27123456789 & &lt;&quot;é&quot;&gt; {{to}}, k&quot;110");
    }

    #[test]
    fn a_short_code_or_a_name_gets_no_plus() {
        let template = SmsTemplate::parse("{{from_plus}}", &BTreeMap::new()).unwrap();
        let mut sms = submission("a");
        for from in ["38080", "42", "INFO SMS"] {
            sms.from = Address::sender(from).unwrap();
            assert_eq!(template.render(&sms, &BTreeMap::new(), as_it_is), from);
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
