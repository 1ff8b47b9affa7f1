//! How an aggregator's calls and answers look, as settings say it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// The most fields that a shape adds, echoes or marks, each.
const MOST_FIELDS: usize = 32;

/// The longest name of a field, in bytes.
const LONGEST_NAME: usize = 100;

/// How an aggregator's calls and the answers to them look. A field is called by its name; a name that begins with `/` is a
/// JSON Pointer, and `path:0`, `path:1` are the parts of the path behind the webhook's own.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UssdShape {
    /// `GET` or `POST`: how a call is written. Both are read. Default `POST`.
    #[serde(default)]
    pub method: CallMethod,
    /// `form`, `json` or `query`: where a call's fields are written. They are read wherever they are. Default `form`.
    #[serde(default)]
    pub format: CallFormat,
    /// The names of the fields.
    pub fields: CallFields,
    /// Whether the input's field holds the `last` input alone or all of the session, `joined` by `*`. Default `last`.
    #[serde(default)]
    pub inputs: InputStyle,
    /// Whether the person's number is written with a `+`. Default no.
    #[serde(default)]
    pub plus: bool,
    /// What tells a session's first call from the others, and its end. None: nothing does.
    #[serde(default)]
    pub event: Option<EventField>,
    /// Further fields of a call, with their values: written, and not read.
    #[serde(default)]
    pub also: BTreeMap<String, Value>,
    /// How an answer looks: `answer.prefix`, `answer.json` or `answer.xml`.
    pub answer: AnswerShape,
}

/// An HTTP method of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "HTTP's own words")]
pub enum CallMethod {
    Get,
    #[default]
    Post,
}

/// Where a call's fields are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CallFormat {
    /// A body of type `application/x-www-form-urlencoded`.
    #[default]
    Form,
    /// A JSON object as the body.
    Json,
    /// The query of the URL.
    Query,
}

/// What the input's field holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum InputStyle {
    /// The last input alone.
    #[default]
    Last,
    /// All inputs of the session, joined by `*`: empty in its first call.
    Joined,
}

/// The names of a call's fields.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallFields {
    /// The session's id: the same in all its calls.
    #[schemars(example = &"sessionId")]
    pub session: String,
    /// The number of the person who dials, in international form, with or without `+`.
    #[schemars(example = &"phoneNumber")]
    pub person: String,
    /// The code that the person dialled. None: the calls do not say it.
    #[serde(default)]
    #[schemars(example = &"serviceCode")]
    pub code: Option<String>,
    /// What the person sent.
    #[schemars(example = &"text")]
    pub input: String,
    /// What is another in each call of a session, and the same where a call is made twice. None: nothing is.
    #[serde(default)]
    #[schemars(example = &"sequence")]
    pub turn: Option<String>,
    /// The mobile network operator.
    #[serde(default)]
    #[schemars(example = &"networkCode")]
    pub operator: Option<String>,
    /// Where the last input is written beside the joined ones; it is not read.
    #[serde(default)]
    #[schemars(example = &"input")]
    pub last: Option<String>,
}

/// What tells where in its session a call is. The first value of each list is written, all of them are read, in any case of
/// letters; `">=29"` stands for every number from 29 on.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventField {
    /// The field of a call that tells it.
    #[schemars(example = &"newSession")]
    pub field: String,
    /// Its values in a session's first call.
    #[serde(default)]
    pub new: Vec<Value>,
    /// Its values in the calls after that.
    #[serde(default)]
    pub resume: Vec<Value>,
    /// Its values in a call that says that the session is over.
    #[serde(default)]
    pub end: Vec<Value>,
}

/// How an answer looks.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AnswerShape {
    /// Plain text that begins with a word.
    Prefix(PrefixAnswer),
    /// A JSON object with the fields.
    Json(FieldAnswer),
    /// An XML document with an element for each field.
    Xml(XmlAnswer),
}

/// Plain text that begins with a word.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PrefixAnswer {
    /// What stands before a screen that waits for an input, a space behind it included.
    #[schemars(example = &"CON ")]
    pub open: String,
    /// What stands before a session's last screen.
    #[schemars(example = &"END ")]
    pub close: String,
}

/// An answer of named fields.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldAnswer {
    /// The field with the screen's text.
    #[schemars(example = &"message")]
    pub text: String,
    /// The fields that tell whether the session goes on. The first is read. None: it always does.
    #[serde(default)]
    pub marks: Vec<AnswerMark>,
    /// Fields that repeat one of the call: the answer's name, and the call's.
    #[serde(default)]
    pub echo: BTreeMap<String, String>,
    /// Whether the answer repeats all fields of the call. Default no.
    #[serde(default)]
    pub echo_all: bool,
    /// Further fields with their values.
    #[serde(default)]
    pub also: BTreeMap<String, Value>,
}

/// A field that tells whether the session goes on.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerMark {
    /// The field of an answer that tells it.
    #[schemars(example = &"continueSession")]
    pub field: String,
    /// Its value while the session goes on.
    #[schemars(example = true)]
    pub open: Value,
    /// Its value in the session's last answer.
    #[schemars(example = false)]
    pub close: Value,
}

/// An answer in XML.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct XmlAnswer {
    /// The name of the root element.
    #[schemars(example = &"response")]
    pub root: String,
    /// The elements within the root.
    pub fields: FieldAnswer,
}

impl UssdShape {
    /// What is wrong with it: the key within the shape, and what to do.
    #[must_use]
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        for (key, name) in self.names() {
            if name.is_empty() || name.len() > LONGEST_NAME {
                problems.push((key, format!("expected the name of a field, 1 to {LONGEST_NAME} bytes")));
            }
        }
        let (sizes, xml) = match &self.answer {
            AnswerShape::Prefix(prefix) => {
                if prefix.open.trim().is_empty() || prefix.close.trim().is_empty() || prefix.open == prefix.close {
                    let what = "expected two different words, such as `CON ` and `END `";
                    problems.push(("answer.prefix".to_owned(), what.to_owned()));
                }
                (Vec::new(), None)
            }
            AnswerShape::Json(fields) => (sizes_of("answer.json", fields), None),
            AnswerShape::Xml(xml) => (sizes_of("answer.xml.fields", &xml.fields), Some(xml)),
        };
        let sizes = sizes.into_iter().chain([("also".to_owned(), self.also.len())]);
        for (key, size) in sizes.filter(|(_, size)| *size > MOST_FIELDS) {
            problems.push((key, format!("expected {MOST_FIELDS} fields at the most, not {size}")));
        }
        if let Some(xml) = xml {
            let names =
                [&xml.root, &xml.fields.text].into_iter().chain(xml.fields.marks.iter().map(|mark| &mark.field));
            let names = names.chain(xml.fields.echo.keys()).chain(xml.fields.also.keys());
            for name in names.filter(|name| !is_xml_name(name)) {
                problems.push(("answer.xml".to_owned(), format!("`{name}` is no name of an element")));
            }
        }
        problems
    }

    fn names(&self) -> Vec<(String, &str)> {
        let CallFields { session, person, code, input, turn, operator, last } = &self.fields;
        let given = [("session", Some(session)), ("person", Some(person)), ("input", Some(input))];
        let optional = [("code", code), ("turn", turn), ("operator", operator), ("last", last)];
        let optional = optional.into_iter().map(|(key, name)| (key, name.as_ref()));
        let fields = given.into_iter().chain(optional);
        let fields = fields.filter_map(|(key, name)| Some((format!("fields.{key}"), name?.as_str())));
        let event = self.event.iter().map(|event| ("event.field".to_owned(), event.field.as_str()));
        fields.chain(event).collect()
    }
}

fn sizes_of(key: &str, fields: &FieldAnswer) -> Vec<(String, usize)> {
    let FieldAnswer { marks, echo, also, .. } = fields;
    let sizes = [("marks", marks.len()), ("echo", echo.len()), ("also", also.len())];
    sizes.map(|(list, size)| (format!("{key}.{list}"), size)).to_vec()
}

fn is_xml_name(name: &str) -> bool {
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    first && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}
