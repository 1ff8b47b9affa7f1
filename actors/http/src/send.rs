//! Sending: `send.json` and `template_send.json`.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::header::HeaderValue, web};
use bytes::Bytes;
use vumi_kit::{
    account::AccountId,
    address::Msisdn,
    ledger::{AcceptSms, Accepted},
    name::Name,
    sms::{NewSms, Sms},
    store::Ask,
    text::{is_writable, measure},
};

use super::{
    body::{Fields, media_type},
    entry::{Caller, enter},
    idempotency::key_of,
    rates::Class,
    refusal::{Refusal, Wrong},
    template::{BadTemplate, Template},
    view::{SmsView, sms_list},
};

/// What one call may ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) max_segments: u32,
    pub(crate) max_batch: usize,
}

/// How the texts of a batch are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Texts {
    /// One `message` for all.
    Same,
    /// A `template`, and for each recipient its values.
    Personal,
}

/// Bodies from this size on are read on a thread of their own, so that others' requests need not wait.
const LARGE: usize = 32 * 1024;

/// A recipient: 3 to 15 digits, with or without a leading `+`.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, pattern = r"^\+?[0-9]{3,15}$", example = "27123456780")]
#[expect(dead_code, reason = "describes the field, which is read as text so that every fault can be named")]
pub(crate) struct Recipient(String);

/// What `send.json` takes; `to_msisdn` is one MSISDN or a list (in a form: repeated).
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the fields, which are read one by one so that every fault can be named")]
pub(crate) struct SendBody {
    /// The recipients: 3 to 15 digits each, with or without a leading `+`.
    #[schema(min_items = 1, example = json!(["27123456780", "27123456781"]))]
    to_msisdn: Vec<Recipient>,
    /// The sender shown to them.
    #[schema(pattern = r"^\+?[0-9]{3,15}$", example = "27123456789")]
    from_msisdn: String,
    /// The text.
    #[schema(min_length = 1, example = "hello world")]
    message: String,
}

/// What `template_send.json` takes: beside these, a list of values for each `template_<name>` that the template
/// names; the i-th recipient gets the i-th values.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the fields, which are read one by one so that every fault can be named")]
pub(crate) struct TemplateBody {
    /// The recipients: 3 to 15 digits each, with or without a leading `+`.
    #[schema(min_items = 1, example = json!(["27123456780", "27123456781"]))]
    to_msisdn: Vec<Recipient>,
    /// The sender shown to them.
    #[schema(pattern = r"^\+?[0-9]{3,15}$", example = "27123456789")]
    from_msisdn: String,
    /// A Mustache template.
    #[schema(example = "Hello {{name}}")]
    template: String,
    /// An example of a variable: the values of `{{name}}`.
    #[schema(example = json!(["Simon", "Jack"]))]
    template_name: Option<Vec<String>>,
}

/// Sends a text to one recipient or many.
///
/// All of a batch is kept, or nothing. By the time of the answer the SMS are committed.
#[utoipa::path(
    post,
    path = "/api/v1/sms/{transport}/send.json",
    tag = "sending",
    params(
        ("transport" = String, Path, description = "The transport's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "A repeated request with the same key sends nothing twice"),
    ),
    request_body(content((SendBody = "application/x-www-form-urlencoded"), (SendBody = "application/json"))),
    responses((status = 200, description = "The SMS, in the order of the recipients", body = Vec<SmsView>)),
)]
pub(crate) async fn send(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    enter(&request, Class::Sending, async |caller| accept(&caller, payload, Texts::Same).await).await
}

/// Sends each recipient a text of their own.
#[utoipa::path(
    post,
    path = "/api/v1/sms/{transport}/template_send.json",
    tag = "sending",
    params(
        ("transport" = String, Path, description = "The transport's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "A repeated request with the same key sends nothing twice"),
    ),
    request_body(content((TemplateBody = "application/x-www-form-urlencoded"), (TemplateBody = "application/json"))),
    responses((status = 200, description = "The SMS, in the order of the recipients", body = Vec<SmsView>)),
)]
pub(crate) async fn template_send(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    enter(&request, Class::Sending, async |caller| accept(&caller, payload, Texts::Personal).await).await
}

async fn accept(caller: &Caller<'_>, payload: web::Payload, texts: Texts) -> Result<HttpResponse, Refusal> {
    let transport = caller.transport()?;
    let body = caller.body(payload).await?;
    let idempotency = key_of(caller.request, &body, caller.shared.idempotency_keep)?;
    let whose = Whose { account: caller.account, transport: transport.clone() };
    let batch =
        read(media_type(caller.request).as_ref(), body.bytes.clone(), whose, texts, caller.shared.bounds).await?;
    let _held_until_answered =
        idempotency.as_ref().map(|key| caller.shared.in_progress.hold(caller.account, &key.key)).transpose()?;
    let accepted = caller.shared.store.ledger.ask(AcceptSms { batch, idempotency }).await?;
    answer(&accepted)
}

fn answer(accepted: &Accepted) -> Result<HttpResponse, Refusal> {
    let list = |batch: &Arc<[Sms]>| sms_list(batch.iter(), SmsView::at_first);
    match accepted {
        Accepted::Now(batch) => Ok(list(batch)),
        Accepted::Before(batch) => {
            let mut response = list(batch);
            let headers = response.headers_mut();
            headers.insert(
                actix_web::http::header::HeaderName::from_static("idempotency-replayed"),
                HeaderValue::from_static("true"),
            );
            Ok(response)
        }
        Accepted::KeyReused => {
            Err(Refusal::Conflict("this Idempotency-Key was used for another request: use a new one".to_owned()))
        }
    }
}

/// Whose SMS they are to be, and by which transport.
#[derive(Clone, Debug)]
struct Whose {
    account: AccountId,
    transport: Name,
}

async fn read(
    media_type: &str,
    body: Bytes,
    whose: Whose,
    texts: Texts,
    bounds: Bounds,
) -> Result<Vec<NewSms>, Refusal> {
    if body.len() < LARGE {
        return batch(media_type, &body, &whose, texts, bounds);
    }
    let media_type = media_type.to_owned();
    tokio::task::spawn_blocking(move || batch(&media_type, &body, &whose, texts, bounds))
        .await
        .unwrap_or(Err(Refusal::Away(1, "the body could not be read now, nothing was kept")))
}

/// Reads a batch out of a body: all of it, or everything that is wrong with it.
fn batch(media_type: &str, body: &[u8], whose: &Whose, texts: Texts, bounds: Bounds) -> Result<Vec<NewSms>, Refusal> {
    let fields = Fields::of_body(media_type, body)?;
    let mut wrong = Vec::new();
    let to = recipients(&fields, bounds.max_batch, &mut wrong);
    let from = fields.required("from_msisdn", &mut wrong).and_then(|text| msisdn("from_msisdn", text, &mut wrong));
    let given = fields.all("to_msisdn").count();
    let messages = match texts {
        Texts::Same => same(&fields, given, bounds, &mut wrong),
        Texts::Personal => personal(&fields, given, bounds, &mut wrong),
    };
    match from {
        Some(from) if wrong.is_empty() => Ok(to
            .into_iter()
            .zip(messages)
            .map(|(to, message)| NewSms {
                account: whose.account,
                transport: whose.transport.clone(),
                to,
                from: from.clone(),
                message,
            })
            .collect()),
        _ => Err(Refusal::Wrong(wrong)),
    }
}

fn recipients(fields: &Fields<'_>, max_batch: usize, wrong: &mut Vec<Wrong>) -> Vec<Msisdn> {
    let given = fields.all("to_msisdn").count();
    if given == 0 {
        wrong.push(Wrong::new("to_msisdn", "", "give at least one recipient"));
    } else if given > max_batch {
        let detail = format!("a call may have {max_batch} recipients: send smaller batches");
        wrong.push(Wrong::new("to_msisdn", &given.to_string(), detail));
        return Vec::new();
    }
    fields.all("to_msisdn").filter_map(|text| msisdn("to_msisdn", text, wrong)).collect()
}

fn msisdn(field: &str, text: &str, wrong: &mut Vec<Wrong>) -> Option<Msisdn> {
    let read = Msisdn::parse(text);
    if read.is_err() {
        wrong.push(Wrong::new(field, text, "an MSISDN is 3 to 15 digits, with or without a leading +"));
    }
    read.ok()
}

/// What is wrong with a text, if anything.
pub(crate) fn bad_message(message: &str, max_segments: u32) -> Option<String> {
    if message.trim().is_empty() {
        return Some("the text is empty".to_owned());
    }
    if let Some(c) = message.chars().find(|&c| !is_writable(c)) {
        return Some(format!("the text holds U+{:04X}, which no carrier takes", u32::from(c)));
    }
    let measured = measure(message);
    (measured.segments > max_segments).then(|| {
        format!("the text takes {} parts in {}, {max_segments} are allowed", measured.segments, measured.encoding)
    })
}

fn same(fields: &Fields<'_>, count: usize, bounds: Bounds, wrong: &mut Vec<Wrong>) -> Vec<String> {
    let Some(message) = fields.required("message", wrong) else {
        return Vec::new();
    };
    if let Some(detail) = bad_message(message, bounds.max_segments) {
        wrong.push(Wrong::new("message", message, detail));
    }
    if wrong.is_empty() { vec![message.to_owned(); count] } else { Vec::new() }
}

/// The values of each `template_*` field, by the name without its prefix, in the order they were given.
fn variables<'f>(fields: &'f Fields<'_>) -> Vec<(&'f str, Vec<&'f str>)> {
    let mut variables: Vec<(&str, Vec<&str>)> = Vec::new();
    for (field, value) in fields.iter() {
        let Some(name) = field.strip_prefix("template_") else { continue };
        match variables.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => variables.push((name, vec![value])),
        }
    }
    variables
}

/// The most `template_*` variables of a call.
const MOST_VARIABLES: usize = 100;

fn personal(fields: &Fields<'_>, count: usize, bounds: Bounds, wrong: &mut Vec<Wrong>) -> Vec<String> {
    let text = fields.required("template", wrong);
    let variables = variables(fields);
    if variables.len() > MOST_VARIABLES {
        wrong.push(Wrong::new("template_*", &variables.len().to_string(), format!("{MOST_VARIABLES} are allowed")));
        return Vec::new();
    }
    for (name, values) in &variables {
        if values.len() != count {
            let detail = format!("has {} values for {count} recipients: give one for each", values.len());
            wrong.push(Wrong::new(format!("template_{name}"), &values.len().to_string(), detail));
        }
    }
    let names: Vec<&str> = variables.iter().map(|(name, _)| *name).collect();
    let Some(text) = text else {
        return Vec::new();
    };
    let template = match Template::parse(text, &names) {
        Ok(template) => template,
        Err(bad) => {
            wrong.push(Wrong::new("template", text, bad.to_string()));
            return Vec::new();
        }
    };
    if !wrong.is_empty() {
        return Vec::new();
    }
    (0..count).filter_map(|i| personal_one(&template, &variables, i, bounds, wrong)).collect()
}

fn personal_one(
    template: &Template,
    variables: &[(&str, Vec<&str>)],
    i: usize,
    bounds: Bounds,
    wrong: &mut Vec<Wrong>,
) -> Option<String> {
    // No character of a part takes more than four bytes.
    let most = bounds.max_segments as usize * 160 * 4;
    let values: Vec<&str> = variables.iter().filter_map(|(_, values)| values.get(i).copied()).collect();
    let (message, detail) = match template.render(&values, most) {
        Ok(message) => match bad_message(&message, bounds.max_segments) {
            None => return Some(message),
            Some(detail) => (message, detail),
        },
        Err(BadTemplate::TooLong) => (String::new(), format!("the text takes more than {} parts", bounds.max_segments)),
        Err(bad) => (String::new(), bad.to_string()),
    };
    wrong.push(Wrong::new("template", &message, format!("for recipient {}: {detail}", i + 1)));
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vumi_kit::{name::Name, sms::NewSms};

    use super::{Bounds, Texts, Whose, batch};
    use crate::refusal::Refusal;

    const FORM: &str = "application/x-www-form-urlencoded";
    const BOUNDS: Bounds = Bounds { max_segments: 2, max_batch: 3 };

    fn read(texts: Texts, media_type: &str, body: &str) -> Result<Vec<NewSms>, Refusal> {
        let whose = Whose { account: 1, transport: Name::parse("clickatell").unwrap() };
        batch(media_type, body.as_bytes(), &whose, texts, BOUNDS)
    }

    fn texts(batch: &[NewSms]) -> Vec<(&str, &str, &str)> {
        batch.iter().map(|sms| (sms.to.as_str(), sms.from.as_str(), sms.message.as_str())).collect()
    }

    #[track_caller]
    fn assert_wrong(texts: Texts, body: &str, expected: &[(&str, &str)]) {
        let refused = read(texts, FORM, body).unwrap_err();
        let Refusal::Wrong(wrong) = refused else { panic!("{refused:?}") };
        let named: Vec<_> = wrong.iter().map(|w| (w.field.as_str(), w.value.as_str())).collect();
        assert_eq!(named, expected, "{body}");
    }

    #[test]
    fn a_batch_is_an_sms_for_each_recipient_in_the_order_given() {
        let form = "to_msisdn=27123456781&to_msisdn=%2B27123456780&from_msisdn=27123456789&message=hello+world";
        let json =
            r#"{"to_msisdn": ["27123456781", "+27123456780"], "from_msisdn": 27123456789, "message": "hello world"}"#;
        for (media_type, body) in [(FORM, form), ("application/json", json)] {
            let batch = read(Texts::Same, media_type, body).unwrap();
            assert_eq!(
                texts(&batch),
                [("27123456781", "27123456789", "hello world"), ("27123456780", "27123456789", "hello world")]
            );
        }
    }

    #[test]
    fn the_ith_recipient_gets_the_ith_values() {
        let body = "to_msisdn=271&to_msisdn=272&from_msisdn=273&template_name=Simon&template_surname=de+Haan\
                    &template_name=Jack&template_surname=Jill&template=Hello+{{name}}+{{surname}}";
        let batch = read(Texts::Personal, FORM, body).unwrap();
        assert_eq!(texts(&batch), [("271", "273", "Hello Simon de Haan"), ("272", "273", "Hello Jack Jill")]);
    }

    #[test]
    fn every_wrong_field_and_value_is_named_at_once() {
        let everything = [("to_msisdn", ""), ("from_msisdn", ""), ("message", "")];
        assert_wrong(Texts::Same, "", &everything);
        assert_wrong(
            Texts::Same,
            "to_msisdn=27123&to_msisdn=27x&to_msisdn=12&from_msisdn=vumi&message=+",
            &[("to_msisdn", "27x"), ("to_msisdn", "12"), ("from_msisdn", "vumi"), ("message", " ")],
        );
    }

    #[test]
    fn too_many_recipients_and_too_long_texts_are_wrong() {
        let four = "to_msisdn=123&to_msisdn=123&to_msisdn=123&to_msisdn=123&from_msisdn=123&message=x";
        assert_wrong(Texts::Same, four, &[("to_msisdn", "4")]);
        let long = format!("to_msisdn=123&from_msisdn=123&message={}", "a".repeat(307));
        let shown = format!("{}…", "a".repeat(100));
        assert_wrong(Texts::Same, &long, &[("message", &shown)]);
        let fits = format!("to_msisdn=123&from_msisdn=123&message={}", "a".repeat(306));
        assert!(read(Texts::Same, FORM, &fits).is_ok());
        assert_wrong(Texts::Same, "to_msisdn=123&from_msisdn=123&message=a%00b", &[("message", "a\0b")]);
    }

    #[test]
    fn what_is_wrong_with_a_template_is_named() {
        let to = "to_msisdn=271&to_msisdn=272&from_msisdn=273";
        for (rest, expected) in [
            ("template_a=1&template_a=2", ("template", "")),
            ("template_a=1&template_a=2&template={{a", ("template", "{{a")),
            ("template_a=1&template_a=2&template={{b}}", ("template", "{{b}}")),
            ("template_a=1&template={{a}}", ("template_a", "1")),
            ("template_a=1&template_a=2&template_a=3&template={{a}}", ("template_a", "3")),
            ("template_a=1&template_a=&template={{a}}", ("template", "")),
        ] {
            assert_wrong(Texts::Personal, &format!("{to}&{rest}"), &[expected]);
        }
    }

    #[test]
    fn a_text_that_a_template_makes_too_long_is_wrong() {
        let long = "a".repeat(400);
        let body = format!("to_msisdn=271&from_msisdn=273&template_a={long}&template={{{{a}}}}");
        assert!(matches!(read(Texts::Personal, FORM, &body), Err(Refusal::Wrong(_))));
    }

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(
            body in "(to_msisdn=|from_msisdn=|message=|template=|template_a=|&|[0-9a-z%+{}#=]|\\PC){0,40}",
            personal in any::<bool>(),
            json in any::<bool>(),
        ) {
            let texts = if personal { Texts::Personal } else { Texts::Same };
            let media_type = if json { "application/json" } else { FORM };
            let _read = read(texts, media_type, &body);
        }

        #[test]
        fn as_many_sms_come_out_as_recipients_go_in(to in prop::collection::vec("[0-9]{3,15}", 1..=3)) {
            let recipients: String = to.iter().map(|to| format!("to_msisdn={to}&")).collect();
            let batch = read(Texts::Same, FORM, &format!("{recipients}from_msisdn=123&message=x")).unwrap();
            prop_assert_eq!(batch.iter().map(|sms| sms.to.as_str().to_owned()).collect::<Vec<_>>(), to);
        }
    }
}
