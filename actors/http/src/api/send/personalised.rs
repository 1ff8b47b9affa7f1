//! The texts of `template_send.json`: a template, and values for each recipient.

use vumi_front_kit::sms_text::text_error;
use vumi_kit::mustache::{MustacheTemplate, TemplateError};

use crate::{
    limits::send_limits::SendLimits,
    request::fields::RequestFields,
    response::field_errors::{FieldError, FieldErrors},
};

/// The prefix of the fields that hold the values of a variable.
pub(super) const VARIABLE_PREFIX: &str = "template_";

/// The most bytes that the template has for all recipients together, and the texts that it makes: each recipient's text takes
/// the time of both.
const MAX_WORK: usize = 16 * 1024 * 1024;

/// A variable: its name, the number of values that were given, and the values.
struct Variable<'f> {
    name: &'f str,
    given: usize,
    values: Vec<&'f str>,
}

/// Renders the text of each recipient, in order. The texts are whole only if `errors` is empty.
pub(super) fn personalised_texts(
    fields: &RequestFields<'_>,
    count: usize,
    limits: SendLimits,
    errors: &mut FieldErrors,
) -> Vec<String> {
    let text = fields.required("template", errors);
    let variables = variables(fields);
    check_counts(&variables, count, errors);
    if let Some(text) = text.filter(|text| text.len().saturating_mul(count) > MAX_WORK) {
        errors.push(FieldError::new("template", text, too_much(&format!("its {} bytes", text.len()), count)));
    }
    let Some(template) = text.and_then(|text| parse(text, &variables, errors)).filter(|_| errors.is_empty()) else {
        return Vec::new();
    };
    let (mut texts, mut made) = (Vec::with_capacity(count), 0);
    for i in 0..count {
        let text = render(&template, &variables, i, limits, errors);
        made += text.as_ref().map_or(0, String::len);
        if made > MAX_WORK {
            errors.push(FieldError::new("template", "", too_much("its texts", count)));
            break;
        }
        texts.extend(text);
    }
    texts
}

fn too_much(what: &str, count: usize) -> String {
    format!("{what} for {count} recipients are more than {MAX_WORK} bytes in all: send smaller batches")
}

fn variables<'f>(fields: &'f RequestFields<'_>) -> Vec<Variable<'f>> {
    let variable = |name| {
        let field = format!("{VARIABLE_PREFIX}{name}");
        Variable { name, given: fields.count(&field), values: fields.all(&field).collect() }
    };
    fields.variables(VARIABLE_PREFIX).map(variable).collect()
}

fn check_counts(variables: &[Variable<'_>], count: usize, errors: &mut FieldErrors) {
    for Variable { name, given, .. } in variables.iter().filter(|variable| variable.given != count) {
        let detail = format!("has {given} values for {count} recipients: give one for each");
        errors.push(FieldError::new(&format!("{VARIABLE_PREFIX}{name}"), &given.to_string(), detail));
    }
}

fn parse<'t>(text: &'t str, variables: &[Variable<'_>], errors: &mut FieldErrors) -> Option<MustacheTemplate<'t>> {
    let names: Vec<&str> = variables.iter().map(|variable| variable.name).collect();
    let parsed = MustacheTemplate::parse(text, &names);
    let detail = |error| match error {
        TemplateError::NotGiven(name) => format!("names `{name}`, but no {VARIABLE_PREFIX}{name} is given"),
        error => error.to_string(),
    };
    parsed.map_err(|error| errors.push(FieldError::new("template", text, detail(error)))).ok()
}

fn render(
    template: &MustacheTemplate<'_>,
    variables: &[Variable<'_>],
    i: usize,
    limits: SendLimits,
    errors: &mut FieldErrors,
) -> Option<String> {
    // A part has at most 160 characters, a character at most four bytes.
    let max_bytes = limits.max_segments as usize * 160 * 4;
    let values: Vec<&str> = variables.iter().filter_map(|variable| variable.values.get(i).copied()).collect();
    let (message, detail) = match template.render(&values, max_bytes) {
        Ok(message) => match text_error(&message, limits.max_segments) {
            None => return Some(message),
            Some(detail) => (message, detail),
        },
        Err(TemplateError::TooLong) => {
            (String::new(), format!("the text takes more than {} parts", limits.max_segments))
        }
        Err(error) => (String::new(), error.to_string()),
    };
    errors.push(FieldError::new("template", &message, format!("for recipient {}: {detail}", i + 1)));
    None
}
