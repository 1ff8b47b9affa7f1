//! An account's callbacks: the URLs that are told of received SMS and of receipts.

use actix_web::{HttpRequest, HttpResponse, web};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use url::Url;
use vumi_kit::{
    callback::{Callback, CallbackName, ChangeCallback, CreateCallback, DeleteCallback, FindCallback, ListCallbacks},
    store::Ask,
};

use super::{
    body::{Fields, media_type},
    entry::{Caller, enter},
    rates::Class,
    refusal::{Refusal, Wrong},
    view::{Moment, json},
};

/// The longest URL, in bytes.
const LONGEST_URL: usize = 2000;

/// A callback.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Callback)]
pub(crate) struct CallbackView<'a> {
    id: i64,
    name: &'static str,
    url: &'a str,
    #[schema(value_type = String, example = "2010-07-22 21:27:24")]
    created_at: Moment,
    #[schema(value_type = String, example = "2010-07-22 21:27:24")]
    updated_at: Moment,
    /// The secret that calls are signed with (Standard Webhooks): shown once, at creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

impl<'a> CallbackView<'a> {
    fn of(callback: &'a Callback) -> Self {
        Self {
            id: callback.id,
            name: callback.name.as_str(),
            url: &callback.url,
            created_at: Moment(callback.created_at),
            updated_at: Moment(callback.updated_at),
            secret: None,
        }
    }
}

/// What a callback is created with.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the fields, which are read one by one so that every fault can be named")]
pub(crate) struct CallbackBody {
    /// `sms_received` or `sms_receipt`.
    #[schema(example = "sms_received")]
    name: String,
    /// Where to post: http or https.
    #[schema(example = "http://localhost/sms/clickatell/received/callback")]
    url: String,
}

/// What a callback is changed with: a field left out keeps its value.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the fields, which are read one by one so that every fault can be named")]
pub(crate) struct CallbackChange {
    /// `sms_received` or `sms_receipt`.
    name: Option<String>,
    /// Where to post: http or https.
    url: Option<String>,
}

/// Creates a callback.
#[utoipa::path(
    post,
    path = "/api/v1/account/callbacks.json",
    tag = "callbacks",
    request_body(content((CallbackBody = "application/x-www-form-urlencoded"), (CallbackBody = "application/json"))),
    responses((status = 200, description = "The new callback, with its secret", body = CallbackView)),
)]
pub(crate) async fn create(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    enter(&request, Class::Callbacks, async |caller| {
        let body = caller.body(payload).await?;
        let (name, url) = created(&Fields::of_body(media_type(caller.request).as_ref(), &body)?)?;
        let ask = CreateCallback { account: caller.account, name, url, secret: fresh_secret() };
        let callback = caller.shared.store.callbacks.ask(ask).await?;
        Ok(json(&CallbackView { secret: Some(&callback.secret), ..CallbackView::of(&callback) }, 256))
    })
    .await
}

/// The callbacks of the account.
#[utoipa::path(
    get,
    path = "/api/v1/account/callbacks.json",
    tag = "callbacks",
    responses((status = 200, description = "The callbacks, oldest first", body = Vec<CallbackView>)),
)]
pub(crate) async fn list(request: HttpRequest) -> HttpResponse {
    enter(&request, Class::Callbacks, async |caller| {
        let callbacks = caller.shared.store.callbacks.ask(ListCallbacks { account: caller.account }).await?;
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
    params(("id" = u64, Path, description = "The callback's number")),
    responses((status = 200, description = "The callback", body = CallbackView)),
)]
pub(crate) async fn read(request: HttpRequest) -> HttpResponse {
    enter(&request, Class::Callbacks, async |caller| {
        let ask = FindCallback { account: caller.account, id: caller.id()? };
        let found = caller.shared.store.callbacks.ask(ask).await?;
        let callback = found.ok_or_else(|| no_such(&caller))?;
        Ok(json(&CallbackView::of(&callback), 256))
    })
    .await
}

/// Changes a callback.
#[utoipa::path(
    put,
    path = "/api/v1/account/callbacks/{id}.json",
    tag = "callbacks",
    params(("id" = u64, Path, description = "The callback's number")),
    request_body(content((CallbackChange = "application/x-www-form-urlencoded"), (CallbackChange = "application/json"))),
    responses((status = 200, description = "The changed callback", body = CallbackView)),
)]
pub(crate) async fn change(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    enter(&request, Class::Callbacks, async |caller| {
        let id = caller.id()?;
        let body = caller.body(payload).await?;
        let (name, url) = changed(&Fields::of_body(media_type(caller.request).as_ref(), &body)?)?;
        let ask = ChangeCallback { account: caller.account, id, name, url };
        let found = caller.shared.store.callbacks.ask(ask).await?;
        let callback = found.ok_or_else(|| no_such(&caller))?;
        Ok(json(&CallbackView::of(&callback), 256))
    })
    .await
}

/// Deletes a callback, and what was still to be posted to it.
#[utoipa::path(
    delete,
    path = "/api/v1/account/callbacks/{id}.json",
    tag = "callbacks",
    params(("id" = u64, Path, description = "The callback's number")),
    responses((status = 204, description = "It is gone")),
)]
pub(crate) async fn delete(request: HttpRequest) -> HttpResponse {
    enter(&request, Class::Callbacks, async |caller| {
        let ask = DeleteCallback { account: caller.account, id: caller.id()? };
        let gone = caller.shared.store.callbacks.ask(ask).await?;
        if gone { Ok(HttpResponse::NoContent().finish()) } else { Err(no_such(&caller)) }
    })
    .await
}

fn no_such(caller: &Caller<'_>) -> Refusal {
    Refusal::NotFound(format!("this account has no callback {}", caller.segment("id")))
}

/// The signing secret of the Standard Webhooks specification: 32 random bytes.
fn fresh_secret() -> String {
    format!("whsec_{}", STANDARD.encode(rand::random::<[u8; 32]>()))
}

fn created(fields: &Fields<'_>) -> Result<(CallbackName, String), Refusal> {
    let mut wrong = Vec::new();
    let name = fields.required("name", &mut wrong).and_then(|text| name(text, &mut wrong));
    let url = fields.required("url", &mut wrong).and_then(|text| url(text, &mut wrong));
    match (name, url) {
        (Some(name), Some(url)) if wrong.is_empty() => Ok((name, url)),
        _ => Err(Refusal::Wrong(wrong)),
    }
}

fn changed(fields: &Fields<'_>) -> Result<(Option<CallbackName>, Option<String>), Refusal> {
    let mut wrong = Vec::new();
    let name = fields.one("name", &mut wrong).and_then(|text| name(text, &mut wrong));
    let url = fields.one("url", &mut wrong).and_then(|text| url(text, &mut wrong));
    if wrong.is_empty() { Ok((name, url)) } else { Err(Refusal::Wrong(wrong)) }
}

fn name(text: &str, wrong: &mut Vec<Wrong>) -> Option<CallbackName> {
    let name = CallbackName::parse(text);
    if name.is_none() {
        let names: Vec<&str> = CallbackName::ALL.into_iter().map(CallbackName::as_str).collect();
        wrong.push(Wrong::new("name", text, format!("is one of: {}", names.join(", "))));
    }
    name
}

// The URL is kept as the client wrote it; where it leads is checked when it is called.
fn url(text: &str, wrong: &mut Vec<Wrong>) -> Option<String> {
    let good = text.len() <= LONGEST_URL
        && !text.contains(char::is_control)
        && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !good {
        let detail = format!("must be an http:// or https:// URL of {LONGEST_URL} bytes at the most");
        wrong.push(Wrong::new("url", text, detail));
    }
    good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use vumi_kit::callback::CallbackName;

    use super::{changed, created, fresh_secret};
    use crate::{body::Fields, refusal::Refusal};

    fn form(body: &str) -> Fields<'_> {
        Fields::of_form(body.as_bytes()).unwrap()
    }

    #[test]
    fn a_callback_has_a_known_name_and_an_http_url() {
        let (name, url) =
            created(&form("name=sms_received&url=http://localhost/sms/clickatell/received/callback")).unwrap();
        assert_eq!(name, CallbackName::SmsReceived);
        assert_eq!(url, "http://localhost/sms/clickatell/received/callback");
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
        ] {
            let Err(Refusal::Wrong(wrong)) = created(&form(body)) else { panic!("{body}") };
            assert_eq!(wrong.iter().map(|w| w.field.as_str()).collect::<Vec<_>>(), fields, "{body}");
        }
    }

    #[test]
    fn a_field_left_out_is_not_changed_and_a_wrong_one_is_refused() {
        assert_eq!(changed(&form("")).unwrap(), (None, None));
        assert_eq!(changed(&form("url=https://b/")).unwrap(), (None, Some("https://b/".to_owned())));
        assert!(changed(&form("name=x")).is_err());
    }

    #[test]
    fn a_secret_is_long_and_fresh() {
        let secret = fresh_secret();
        assert!(secret.starts_with("whsec_") && secret.len() == 6 + 44, "{secret}");
        assert_ne!(secret, fresh_secret());
    }

    proptest! {
        #[test]
        fn no_url_makes_the_reader_panic(url in any::<String>()) {
            let body = url::form_urlencoded::Serializer::new("name=sms_receipt".to_owned()).append_pair("url", &url).finish();
            let _read = created(&form(&body));
        }
    }
}
