//! An account's callbacks: the URLs to which received SMS and receipts are posted.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use vumi_kit::{
    callback::{
        Callback, CallbackFormat, CallbackName, ChangeCallback, ChangedCallback, CreateCallback, CreatedCallback,
        DeleteCallback, FindCallback, ListCallbacks, MAX_PER_NAME, check_callback_url, new_secret,
    },
    store::Ask,
};

use crate::{
    guard::{ApiCall, guarded},
    limits::call_rates::RateClass,
    request::fields::{KnownFields, RequestFields},
    response::{
        error::ApiError,
        field_errors::{FieldError, FieldErrors},
        views::{UtcTime, json},
    },
};

const KNOWN_FIELDS: KnownFields = KnownFields {
    single: &[&["name", "url", "format"]],
    lists: &[],
    numbers: &[],
    flags: &[],
    variables: None,
    max_values: 0,
};

/// A callback.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Callback)]
pub(crate) struct CallbackView<'a> {
    id: i64,
    name: &'static str,
    url: &'a str,
    /// How posts are written: `form` or `json`.
    format: &'static str,
    /// Since when nothing is posted: until the callback is changed.
    #[schema(value_type = Option<String>, example = "2010-07-22 21:27:24")]
    disabled_at: Option<UtcTime>,
    /// Why it is disabled.
    disabled_because: Option<&'a str>,
    #[schema(value_type = String, example = "2010-07-22 21:27:24")]
    created_at: UtcTime,
    #[schema(value_type = String, example = "2010-07-22 21:27:24")]
    updated_at: UtcTime,
    /// The secret that posts are signed with (Standard Webhooks): shown once, at creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

impl<'a> CallbackView<'a> {
    fn of(callback: &'a Callback) -> Self {
        Self {
            id: callback.id,
            name: callback.name.as_str(),
            url: &callback.url,
            format: callback.format.as_str(),
            disabled_at: callback.disabled.as_ref().map(|disabled| UtcTime(disabled.at)),
            disabled_because: callback.disabled.as_ref().map(|disabled| disabled.reason.as_str()),
            created_at: UtcTime(callback.created_at),
            updated_at: UtcTime(callback.updated_at),
            secret: None,
        }
    }
}

/// The fields of a new callback.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the fields, which are read one by one so that every fault can be named")]
pub(crate) struct CallbackBody {
    /// `sms_received` or `sms_receipt`; or `sms_callback_url`, without a URL: how the posts to the `callback_url` of SMS
    /// are written and signed.
    #[schema(pattern = "^(sms_received|sms_receipt|sms_callback_url)$", example = "sms_received")]
    name: String,
    /// Where to post: http or https.
    #[schema(
        pattern = "^[Hh][Tt][Tt][Pp][Ss]?:",
        max_length = 2000,
        nullable = false,
        example = "http://localhost/sms/clickatell/received/callback"
    )]
    url: Option<String>,
    /// How to post: `form`, which is the default, or `json`, an object of the same fields.
    #[schema(pattern = "^(form|json)$", nullable = false, example = "form")]
    format: Option<String>,
}

/// The fields of a callback that change; one that is left out keeps its value.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the fields, which are read one by one so that every fault can be named")]
pub(crate) struct CallbackChange {
    /// `sms_received` or `sms_receipt`.
    #[schema(pattern = "^(sms_received|sms_receipt)$", nullable = false)]
    name: Option<String>,
    /// Where to post: http or https.
    #[schema(pattern = "^[Hh][Tt][Tt][Pp][Ss]?:", max_length = 2000, nullable = false)]
    url: Option<String>,
    /// How to post: `form` or `json`.
    #[schema(pattern = "^(form|json)$", nullable = false)]
    format: Option<String>,
}

/// Creates a callback. If the account has one of this name and URL, that one is the answer, without its secret. An account
/// has at most 10 of each name.
#[utoipa::path(
    post,
    path = "/api/v1/account/callbacks.json",
    tag = "callbacks",
    request_body(content((CallbackBody = "application/x-www-form-urlencoded"), (CallbackBody = "application/json"), (CallbackBody = "multipart/form-data"))),
    responses((status = 200, description = "The new callback, with its secret, or the existing one", body = CallbackView)),
)]
pub(crate) async fn create(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    guarded(&request, RateClass::Callbacks, async |call| {
        let body = call.body(payload).await?;
        let CallbackFields { name, url, format } =
            created(&RequestFields::of_body(&body.media_type, &body, KNOWN_FIELDS)?)?;
        let (account, secret) = (call.account, new_secret());
        let ask = CreateCallback { account, name, url, format: format.unwrap_or_default(), secret };
        match call.state.store.callbacks.ask(ask).await? {
            CreatedCallback::New(callback) => {
                Ok(json(&CallbackView { secret: Some(&callback.secret), ..CallbackView::of(&callback) }, 256))
            }
            CreatedCallback::Existing(callback) if format.is_none_or(|format| format == callback.format) => {
                Ok(json(&CallbackView::of(&callback), 256))
            }
            CreatedCallback::Existing(callback) => Err(other_format(&callback)),
            CreatedCallback::Full => Err(full(name)),
        }
    })
    .await
}

fn other_format(existing: &Callback) -> ApiError {
    let (id, format) = (existing.id, existing.format.as_str());
    ApiError::Conflict(format!(
        "callback {id} posts this to the URL in the format {format}: change it by PUT /api/v1/account/callbacks/{id}.json"
    ))
}

fn full(name: CallbackName) -> ApiError {
    let detail = format!("an account may have {MAX_PER_NAME} callbacks of a name: delete or change one of them");
    ApiError::field("name", name.as_str(), detail)
}

/// The callbacks of the account.
#[utoipa::path(
    get,
    path = "/api/v1/account/callbacks.json",
    tag = "callbacks",
    responses((status = 200, description = "The callbacks, oldest first", body = Vec<CallbackView>)),
)]
pub(crate) async fn list(request: HttpRequest) -> HttpResponse {
    guarded(&request, RateClass::Callbacks, async |call| {
        let callbacks = call.state.store.callbacks.ask(ListCallbacks { account: call.account }).await?;
        let views: Vec<CallbackView<'_>> = callbacks.iter().map(CallbackView::of).collect();
        Ok(json(&views, views.len() * 256))
    })
    .await
}

/// One callback.
#[utoipa::path(
    get,
    path = "/api/v1/account/callbacks/{id}.json",
    tag = "callbacks",
    params(("id" = u64, Path, description = "The callback's id")),
    responses((status = 200, description = "The callback", body = CallbackView)),
)]
pub(crate) async fn read(request: HttpRequest) -> HttpResponse {
    guarded(&request, RateClass::Callbacks, async |call| {
        let ask = FindCallback { account: call.account, id: call.id()? };
        let found = call.state.store.callbacks.ask(ask).await?;
        let callback = found.ok_or_else(|| no_such(&call))?;
        Ok(json(&CallbackView::of(&callback), 256))
    })
    .await
}

/// Changes a callback. One that is disabled is enabled by that.
#[utoipa::path(
    put,
    path = "/api/v1/account/callbacks/{id}.json",
    tag = "callbacks",
    params(("id" = u64, Path, description = "The callback's id")),
    request_body(content((CallbackChange = "application/x-www-form-urlencoded"), (CallbackChange = "application/json"), (CallbackChange = "multipart/form-data"))),
    responses((status = 200, description = "The changed callback", body = CallbackView)),
)]
pub(crate) async fn change(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    guarded(&request, RateClass::Callbacks, async |call| {
        let id = call.id()?;
        let body = call.body(payload).await?;
        if body.is_empty() {
            return Err(ApiError::Unreadable(
                "there is no body: send the `name`, the `url` or the `format`".to_owned(),
            ));
        }
        let (name, url, format) = changed(&RequestFields::of_body(&body.media_type, &body, KNOWN_FIELDS)?)?;
        let ask = ChangeCallback { account: call.account, id, name, url, format };
        match call.state.store.callbacks.ask(ask).await? {
            ChangedCallback::Changed(callback) => Ok(json(&CallbackView::of(&callback), 256)),
            ChangedCallback::NotFound => Err(no_such(&call)),
            ChangedCallback::Taken(other) => {
                Err(ApiError::Conflict(format!("callback {other} has this name and URL already: delete one of them")))
            }
            ChangedCallback::FormatOnly => Err(ApiError::Conflict(format!(
                "callback {id} stands for the URLs that SMS name themselves: only its `format` can be changed"
            ))),
            ChangedCallback::Full => Err(full(name.unwrap_or(CallbackName::SmsReceived))),
        }
    })
    .await
}

/// Deletes a callback, and what is still to be posted to it.
#[utoipa::path(
    delete,
    path = "/api/v1/account/callbacks/{id}.json",
    tag = "callbacks",
    params(("id" = u64, Path, description = "The callback's id")),
    responses((status = 204, description = "Deleted")),
)]
pub(crate) async fn delete(request: HttpRequest) -> HttpResponse {
    guarded(&request, RateClass::Callbacks, async |call| {
        let ask = DeleteCallback { account: call.account, id: call.id()? };
        let deleted = call.state.store.callbacks.ask(ask).await?;
        if deleted { Ok(HttpResponse::NoContent().finish()) } else { Err(no_such(&call)) }
    })
    .await
}

fn no_such(call: &ApiCall<'_>) -> ApiError {
    ApiError::NotFound(format!("this account has no callback {}", call.segment("id")))
}

/// What a new callback is to be.
#[derive(Debug, PartialEq, Eq)]
struct CallbackFields {
    name: CallbackName,
    url: String,
    format: Option<CallbackFormat>,
}

fn created(fields: &RequestFields<'_>) -> Result<CallbackFields, ApiError> {
    let mut errors = FieldErrors::default();
    let name = fields.required("name", &mut errors).and_then(|text| name(text, &mut errors));
    let url = match name {
        Some(CallbackName::SmsCallbackUrl) => no_url(fields, &mut errors).map(|()| String::new()),
        _ => fields.required("url", &mut errors).and_then(|text| url(text, &mut errors)),
    };
    let format = fields.one("format", &mut errors).and_then(|text| format_of(text, &mut errors));
    match (name, url) {
        (Some(name), Some(url)) if errors.is_empty() => Ok(CallbackFields { name, url, format }),
        _ => Err(ApiError::InvalidFields(errors)),
    }
}

type ChangedFields = (Option<CallbackName>, Option<String>, Option<CallbackFormat>);

fn changed(fields: &RequestFields<'_>) -> Result<ChangedFields, ApiError> {
    let mut errors = FieldErrors::default();
    let name = fields.one("name", &mut errors).and_then(|text| name(text, &mut errors));
    let url = fields.one("url", &mut errors).and_then(|text| url(text, &mut errors));
    let format = fields.one("format", &mut errors).and_then(|text| format_of(text, &mut errors));
    if name == Some(CallbackName::SmsCallbackUrl) {
        errors.push(FieldError::new("name", "sms_callback_url", "can't become another's: create it, without a `url`"));
    }
    if errors.is_empty() { Ok((name, url, format)) } else { Err(ApiError::InvalidFields(errors)) }
}

/// Each SMS names its own.
fn no_url(fields: &RequestFields<'_>, errors: &mut FieldErrors) -> Option<()> {
    let Some(given) = fields.one("url", errors) else { return Some(()) };
    errors.push(FieldError::new("url", given, "leave it out: each SMS names its own as `callback_url`"));
    None
}

fn format_of(text: &str, errors: &mut FieldErrors) -> Option<CallbackFormat> {
    let format = CallbackFormat::parse(text);
    if format.is_none() {
        let formats: Vec<&str> = CallbackFormat::ALL.into_iter().map(CallbackFormat::as_str).collect();
        errors.push(FieldError::new("format", text, format!("is one of: {}", formats.join(", "))));
    }
    format
}

fn name(text: &str, errors: &mut FieldErrors) -> Option<CallbackName> {
    let name = CallbackName::parse(text).filter(|name| CallbackName::OF_CLIENTS.contains(name));
    if name.is_none() {
        let names: Vec<&str> = CallbackName::OF_CLIENTS.into_iter().map(CallbackName::as_str).collect();
        errors.push(FieldError::new("name", text, format!("is one of: {}", names.join(", "))));
    }
    name
}

// The URL is kept as the client wrote it; its address is checked at each post.
fn url(text: &str, errors: &mut FieldErrors) -> Option<String> {
    let checked = check_callback_url(text).map(|()| text.to_owned());
    checked.map_err(|detail| errors.push(FieldError::new("url", text, detail))).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vumi_kit::callback::{CallbackFormat, CallbackName};

    use super::{CallbackFields, KNOWN_FIELDS, changed, created};
    use crate::{request::fields::RequestFields, response::error::ApiError};

    fn form(body: &str) -> RequestFields<'_> {
        RequestFields::of_form(body.as_bytes(), KNOWN_FIELDS).unwrap()
    }

    #[test]
    fn a_callback_has_a_known_name_and_an_http_url() {
        let url = "http://localhost/sms/clickatell/received/callback".to_owned();
        for (more, format) in
            [("", None), ("&format=form", Some(CallbackFormat::Form)), ("&format=json", Some(CallbackFormat::Json))]
        {
            let (name, url) = (CallbackName::SmsReceived, url.clone());
            let fields = created(&form(&format!("name=sms_received&url={url}{more}"))).unwrap();
            assert_eq!(fields, CallbackFields { name, url, format });
        }
    }

    #[test]
    fn wrong_names_and_urls_are_named() {
        for (body, fields) in [
            ("", vec!["name", "url"]),
            ("name=sms_sent&url=http://a/", vec!["name"]),
            ("name=sms_receipt&url=ftp://a/", vec!["url"]),
            ("name=sms_receipt&url=a/b", vec!["url"]),
            ("name=sms_receipt&url=http://", vec!["url"]),
            ("name=sms_receipt&url=javascript:alert(1)", vec!["url"]),
            ("name=sms_receipt&url=http://a/%0a", vec!["url"]),
            ("name=sms_callback_url&url=http://a/", vec!["url"]),
            ("name=sms_receipt&url=http://a/&format=JSON", vec!["format"]),
            ("name=sms_receipt&url=http://a/&format=", vec!["format"]),
        ] {
            let Err(ApiError::InvalidFields(errors)) = created(&form(body)) else { panic!("{body}") };
            assert_eq!(errors.iter().map(|w| w.field.as_str()).collect::<Vec<_>>(), fields, "{body}");
        }
    }

    #[test]
    fn a_field_left_out_is_not_changed_and_a_wrong_one_is_refused() {
        assert_eq!(changed(&form("")).unwrap(), (None, None, None));
        assert_eq!(changed(&form("url=https://b/")).unwrap(), (None, Some("https://b/".to_owned()), None));
        assert_eq!(changed(&form("format=json")).unwrap(), (None, None, Some(CallbackFormat::Json)));
        assert!(changed(&form("name=x")).is_err());
        assert!(changed(&form("name=sms_callback_url")).is_err());
        assert!(changed(&form("format=x")).is_err());
    }

    proptest! {
        #[test]
        fn no_url_makes_the_reader_panic(url in any::<String>()) {
            let body = url::form_urlencoded::Serializer::new("name=sms_receipt".to_owned()).append_pair("url", &url).finish();
            let _read = created(&form(&body));
        }
    }
}
