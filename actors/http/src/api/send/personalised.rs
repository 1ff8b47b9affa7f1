//! The texts of `template_send.json`: a template, and values for each recipient.

use super::{
    template::{MustacheTemplate, TemplateError},
    text::text_error,
};
use crate::{limits::send_limits::SendLimits, request::fields::RequestFields, response::error::FieldError};

/// The most `template_*` variables of a call.
const MAX_VARIABLES: usize = 100;

/// A variable and its values, one for each recipient.
type Variable<'f> = (&'f str, Vec<&'f str>);

/// Renders the text of each recipient, in order. The texts are whole only if `errors` is empty.
pub(super) fn personalised_texts(
    fields: &RequestFields<'_>,
    count: usize,
    limits: SendLimits,
    errors: &mut Vec<FieldError>,
) -> Vec<String> {
    let text = fields.required("template", errors);
    let variables = variables(fields);
    if variables.len() > MAX_VARIABLES {
        let detail = format!("{MAX_VARIABLES} are allowed");
        errors.push(FieldError::new("template_*", &variables.len().to_string(), detail));
        return Vec::new();
    }
    check_counts(&variables, count, errors);
    let Some(template) = text.and_then(|text| parse(text, &variables, errors)).filter(|_| errors.is_empty()) else {
        return Vec::new();
    };
    (0..count).filter_map(|i| render(&template, &variables, i, limits, errors)).collect()
}

/// The values of each `template_*` field, by the name without its prefix, in the order they were given.
fn variables<'f>(fields: &'f RequestFields<'_>) -> Vec<Variable<'f>> {
    let mut variables: Vec<Variable<'_>> = Vec::new();
    for (field, value) in fields.iter() {
        let Some(name) = field.strip_prefix("template_") else { continue };
        match variables.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => variables.push((name, vec![value])),
        }
    }
    variables
}

fn check_counts(variables: &[Variable<'_>], count: usize, errors: &mut Vec<FieldError>) {
    for (name, values) in variables.iter().filter(|(_, values)| values.len() != count) {
        let given = values.len();
        let detail = format!("has {given} values for {count} recipients: give one for each");
        errors.push(FieldError::new(format!("template_{name}"), &given.to_string(), detail));
    }
}

fn parse(text: &str, variables: &[Variable<'_>], errors: &mut Vec<FieldError>) -> Option<MustacheTemplate> {
    let names: Vec<&str> = variables.iter().map(|(name, _)| *name).collect();
    let parsed = MustacheTemplate::parse(text, &names);
    parsed.map_err(|error| errors.push(FieldError::new("template", text, error.to_string()))).ok()
}

fn render(
    template: &MustacheTemplate,
    variables: &[Variable<'_>],
    i: usize,
    limits: SendLimits,
    errors: &mut Vec<FieldError>,
) -> Option<String> {
    // A part has at most 160 characters, a character at most four bytes.
    let max_bytes = limits.max_segments as usize * 160 * 4;
    let values: Vec<&str> = variables.iter().filter_map(|(_, values)| values.get(i).copied()).collect();
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
