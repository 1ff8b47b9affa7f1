//! The answers to an aggregator's calls, written and read.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use serde_json::{Map, Value};

use crate::{
    call::{UssdCall, echoed},
    named_fields::{plain, set, text},
    shape::{AnswerShape, FieldAnswer, PrefixAnswer, UssdShape},
    xml_leaves::{escaped, leaves},
};

/// A screen in answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UssdAnswer {
    pub text: String,
    /// Whether the session goes on.
    pub is_open: bool,
}

/// An answer as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenAnswer {
    pub content_type: &'static str,
    pub body: String,
}

/// An answer that shows no screen, and what was expected. It quotes nothing of the answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongAnswer(pub String);

impl UssdShape {
    /// Writes the answer to a call.
    #[must_use]
    pub fn write_answer(&self, call: &UssdCall, answer: &UssdAnswer) -> WrittenAnswer {
        match &self.answer {
            AnswerShape::Prefix(prefix) => {
                let word = if answer.is_open { &prefix.open } else { &prefix.close };
                WrittenAnswer { content_type: "text/plain; charset=utf-8", body: format!("{word}{}", answer.text) }
            }
            AnswerShape::Json(shape) => WrittenAnswer {
                content_type: "application/json",
                body: Value::Object(fields_of(shape, call, answer)).to_string(),
            },
            AnswerShape::Xml(xml) => {
                let mut body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><{}>", xml.root);
                for (name, value) in fields_of(&xml.fields, call, answer) {
                    body.push_str(&format!("<{name}>{}</{name}>", escaped(&plain(&value).unwrap_or_default())));
                }
                body.push_str(&format!("</{}>", xml.root));
                WrittenAnswer { content_type: "text/xml; charset=utf-8", body }
            }
        }
    }

    /// Reads the answer of an application.
    pub fn read_answer(&self, body: &str) -> Result<UssdAnswer, WrongAnswer> {
        match &self.answer {
            AnswerShape::Prefix(prefix) => read_prefix(prefix, body),
            AnswerShape::Json(shape) => {
                let fields =
                    serde_json::from_str(body).map_err(|_| WrongAnswer("expected a JSON object".to_owned()))?;
                read_fields(shape, &fields)
            }
            AnswerShape::Xml(xml) => {
                let fields = leaves(body).ok_or_else(|| WrongAnswer("expected an XML document".to_owned()))?;
                read_fields(&xml.fields, &Value::Object(fields))
            }
        }
    }
}

fn read_prefix(prefix: &PrefixAnswer, body: &str) -> Result<UssdAnswer, WrongAnswer> {
    let body = body.strip_prefix('\u{feff}').unwrap_or(body).trim_start();
    for (word, is_open) in [(&prefix.open, true), (&prefix.close, false)] {
        if let Some(text) = body.strip_prefix(word.as_str()) {
            return Ok(UssdAnswer { text: text.trim_end().to_owned(), is_open });
        }
        // `CON` and a line break, or nothing behind it.
        let rest = body.strip_prefix(word.trim_end());
        if let Some(text) = rest.filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace)) {
            return Ok(UssdAnswer { text: text.trim().to_owned(), is_open });
        }
    }
    Err(WrongAnswer(format!("expected a text that begins with `{}` or `{}`", prefix.open, prefix.close)))
}

fn read_fields(shape: &FieldAnswer, fields: &Value) -> Result<UssdAnswer, WrongAnswer> {
    let Some(shown) = text(fields, &shape.text) else {
        return Err(WrongAnswer(format!("expected the screen's text in `{}`", shape.text)));
    };
    let Some(mark) = shape.marks.first() else { return Ok(UssdAnswer { text: shown, is_open: true }) };
    let value = text(fields, &mark.field).map(|value| value.trim().to_owned());
    let is = |known: &Value| match (plain(known), &value) {
        (Some(known), Some(value)) => known.eq_ignore_ascii_case(value),
        _ => false,
    };
    match (is(&mark.open), is(&mark.close)) {
        (true, _) => Ok(UssdAnswer { text: shown, is_open: true }),
        (_, true) => Ok(UssdAnswer { text: shown, is_open: false }),
        _ => Err(WrongAnswer(format!("expected {} or {} in `{}`", mark.open, mark.close, mark.field))),
    }
}

fn fields_of(shape: &FieldAnswer, call: &UssdCall, answer: &UssdAnswer) -> Map<String, Value> {
    let mut fields = match &call.fields {
        Value::Object(fields) if shape.echo_all => fields.clone(),
        _ => Map::new(),
    };
    for (name, value) in &shape.also {
        set(&mut fields, name, value.clone());
    }
    for (name, of) in &shape.echo {
        if let Some(value) = echoed(call, of) {
            set(&mut fields, name, value);
        }
    }
    set(&mut fields, &shape.text, answer.text.clone().into());
    for mark in &shape.marks {
        set(&mut fields, &mark.field, if answer.is_open { &mark.open } else { &mark.close }.clone());
    }
    fields
}
