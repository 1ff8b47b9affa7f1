//! The calls of an aggregator, read and written.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use serde_json::{Map, Value};

use crate::{
    named_fields::{get, plain, set, text},
    shape::{CallFormat, CallMethod, EventField, UssdShape},
};

/// The longest id of a session, number, code, mark of a turn and name of an operator, in bytes.
const LONGEST_WORD: usize = 200;

/// The longest text of inputs, in bytes: a person's whole session joined.
const LONGEST_INPUT: usize = 8_000;

/// The most fields of a call that are kept to be echoed.
const MOST_FIELDS: usize = 64;

/// A call as it comes in.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallBytes<'c> {
    /// What of the path stands behind the webhook's own, without a leading `/`.
    pub path: &'c str,
    /// The query string, undecoded.
    pub query: &'c str,
    /// Whether the body is a form.
    pub is_form: bool,
    pub body: &'c [u8],
}

/// Where in its session a call is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallEvent {
    New,
    /// It goes on with one.
    Resume,
    /// The session is over: nothing is shown any more.
    End,
    /// It does not say.
    #[default]
    Unmarked,
}

/// A call: a step of a person's session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UssdCall {
    pub session: String,
    /// The person's number, without `+`.
    pub person: String,
    /// The service's code, where the call says it.
    pub code: Option<String>,
    /// The input, as the shape's style has it.
    pub input: Option<String>,
    /// The last input beside the joined ones: written only.
    pub last: Option<String>,
    /// Where in its session it is.
    pub event: CallEvent,
    /// What tells it from the session's other calls.
    pub turn: Option<String>,
    /// The mobile network operator.
    pub operator: Option<String>,
    /// All its fields, an object: an answer may repeat them.
    pub fields: Value,
}

/// A call to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenCall {
    pub method: CallMethod,
    /// What is added to the path, without a leading `/`; mostly nothing.
    pub path: String,
    /// What is added to the query; mostly nothing.
    pub query: String,
    /// Content type and body, where it has one.
    pub body: Option<(&'static str, String)>,
}

/// A call that can't be read, and the field that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct WrongCall {
    /// The field, as the aggregator calls it.
    pub field: String,
    /// What is wrong with it, as a predicate.
    pub what: String,
}

impl WrongCall {
    fn new(field: &str, what: impl Into<String>) -> Self {
        Self { field: field.to_owned(), what: what.into() }
    }
}

impl UssdCall {
    /// What the person dialled, of a call that begins a session and whose input is a code: some aggregators put it there.
    #[must_use]
    pub fn dialled(&self) -> Option<&str> {
        let input = self.input.as_deref().filter(|_| self.event != CallEvent::Resume)?.trim();
        (input.len() > 2 && input.starts_with('*') && input.ends_with('#')).then_some(input)
    }
}

impl UssdShape {
    /// Reads a call's fields wherever they stand: query, path, form or JSON. The error names the field and what is wrong with it.
    pub fn read_call(&self, call: &CallBytes<'_>) -> Result<UssdCall, WrongCall> {
        let fields = fields_of(call)?;
        let names = &self.fields;
        let word = |name: &str| bounded(name, text(&fields, name), LONGEST_WORD);
        let needed = |name: &str| {
            let found = word(name)?.map(|found| found.trim().to_owned()).filter(|found| !found.is_empty());
            found.ok_or_else(|| WrongCall::new(name, "is required"))
        };
        let optional = |name: &Option<String>| Ok(name.as_deref().map(word).transpose()?.flatten());
        let person = needed(&names.person)?;
        let (session, event) = (needed(&names.session)?, self.event_of(&fields));
        Ok(UssdCall {
            session,
            // A `+` that was not percent-encoded is a space, and trimmed away.
            person: person.strip_prefix('+').unwrap_or(&person).to_owned(),
            code: optional(&names.code)?.map(|code| code.trim().to_owned()).filter(|code| !code.is_empty()),
            input: bounded(&names.input, text(&fields, &names.input), LONGEST_INPUT)?,
            last: None,
            event,
            turn: optional(&names.turn)?.filter(|turn| !turn.is_empty()),
            operator: optional(&names.operator)?.filter(|operator| !operator.is_empty()),
            fields,
        })
    }

    fn event_of(&self, fields: &Value) -> CallEvent {
        let Some(event) = &self.event else { return CallEvent::Unmarked };
        let Some(value) = text(fields, &event.field) else { return CallEvent::Unmarked };
        let is_one_of = |values: &[Value]| values.iter().any(|known| is_value(known, value.trim()));
        let EventField { new, resume, end, .. } = event;
        match () {
            () if is_one_of(end) => CallEvent::End,
            () if is_one_of(new) => CallEvent::New,
            () if is_one_of(resume) => CallEvent::Resume,
            () => CallEvent::Unmarked,
        }
    }

    /// Writes a call, as the aggregator would make it.
    #[must_use]
    pub fn write_call(&self, call: &UssdCall) -> WrittenCall {
        let names = &self.fields;
        let plus = if self.plus { "+" } else { "" };
        let person = format!("{plus}{}", call.person);
        let optional = [
            (&names.code, &call.code),
            (&names.turn, &call.turn),
            (&names.operator, &call.operator),
            (&names.last, &call.last),
        ];
        let mut fields = Map::new();
        for (name, value) in &self.also {
            set(&mut fields, name, value.clone());
        }
        set(&mut fields, &names.session, call.session.clone().into());
        set(&mut fields, &names.person, person.into());
        set(&mut fields, &names.input, call.input.clone().unwrap_or_default().into());
        for (name, value) in optional {
            if let (Some(name), Some(value)) = (name, value) {
                set(&mut fields, name, value.clone().into());
            }
        }
        if let Some((name, value)) = self.mark_of(call.event) {
            set(&mut fields, name, value.clone());
        }
        let path = take_path(&mut fields);
        let as_form = |fields: &Map<String, Value>| {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(fields.iter().filter_map(|(name, value)| Some((name, plain(value)?))));
            form.finish()
        };
        let (query, body) = match (self.format, self.method) {
            (CallFormat::Query, _) | (CallFormat::Form, CallMethod::Get) => (as_form(&fields), None),
            (CallFormat::Form, CallMethod::Post) => {
                (String::new(), Some(("application/x-www-form-urlencoded", as_form(&fields))))
            }
            (CallFormat::Json, _) => (String::new(), Some(("application/json", Value::Object(fields).to_string()))),
        };
        WrittenCall { method: self.method, path, query, body }
    }

    fn mark_of(&self, event: CallEvent) -> Option<(&str, &Value)> {
        let marked = self.event.as_ref()?;
        let values = match event {
            CallEvent::New => &marked.new,
            CallEvent::Resume => &marked.resume,
            CallEvent::End => &marked.end,
            CallEvent::Unmarked => return None,
        };
        Some((&marked.field, values.first()?))
    }
}

/// Whether a field's text is a value of the settings.
fn is_value(known: &Value, text: &str) -> bool {
    let Some(known) = plain(known) else { return false };
    let number = |digits: &str| digits.trim().parse::<u64>().ok();
    match known.strip_prefix(">=").and_then(number) {
        Some(least) => number(text).is_some_and(|number| number >= least),
        // JSON's truth values come as numbers, too.
        None => {
            known.eq_ignore_ascii_case(text)
                || matches!((known.as_str(), text), ("true", "1") | ("false", "0") | ("1", "true") | ("0", "false"))
        }
    }
}

fn bounded(name: &str, value: Option<String>, longest: usize) -> Result<Option<String>, WrongCall> {
    match value {
        Some(value) if value.len() > longest => {
            Err(WrongCall::new(name, format!("is longer than any real one: {longest} bytes at the most")))
        }
        value => Ok(value),
    }
}

/// All fields of a call: those of its path, its query and its body.
fn fields_of(call: &CallBytes<'_>) -> Result<Value, WrongCall> {
    let mut fields = Map::new();
    let in_body: &[u8] = if call.is_form { call.body } else { b"" };
    for pairs in [call.query.as_bytes(), in_body] {
        for (name, value) in form_urlencoded::parse(pairs).take(MOST_FIELDS) {
            fields.entry(name).or_insert_with(|| Value::String(value.into_owned()));
        }
    }
    if !call.is_form && !call.body.trim_ascii().is_empty() {
        match serde_json::from_slice(call.body) {
            Ok(Value::Object(body)) => fields.extend(body.into_iter().take(MOST_FIELDS)),
            Ok(_) | Err(_) => return Err(WrongCall::new("body", "is neither a form nor a JSON object")),
        }
    }
    for (number, part) in call.path.split('/').filter(|part| !part.is_empty()).enumerate().take(8) {
        fields.insert(format!("{PATH}{number}"), part.into());
    }
    Ok(Value::Object(fields))
}

/// What the name of a part of the path begins with.
const PATH: &str = "path:";

/// Takes the parts of the path out of the fields, in their order.
fn take_path(fields: &mut Map<String, Value>) -> String {
    let mut parts: Vec<(usize, String)> = Vec::new();
    fields.retain(|name, value| {
        let number = name.strip_prefix(PATH).and_then(|number| number.parse().ok());
        let Some(number) = number else { return true };
        let part = plain(value).unwrap_or_default();
        parts.push((number, form_urlencoded::byte_serialize(part.as_bytes()).collect()));
        false
    });
    parts.sort();
    parts.into_iter().map(|(_, part)| part).collect::<Vec<_>>().join("/")
}

/// A field of a call as it came, for an answer that repeats it.
pub(crate) fn echoed(call: &UssdCall, name: &str) -> Option<Value> {
    get(&call.fields, name).cloned()
}
