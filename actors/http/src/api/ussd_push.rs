//! `POST ussd/{transport}/push.json`: the network begins a dialogue with a person, or notifies them.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use vumi_kit::{
    address::{Msisdn, UssdCode},
    component::CALL_LIMIT,
    ledger::IdempotencyKey,
    message::UserMessage,
    name::Name,
    router::{Outbound, Refused},
    ussd_push::UssdPush,
};

use crate::{
    guard::{ApiCall, guarded},
    limits::call_rates::RateClass,
    request::{
        fields::{KnownFields, RequestFields},
        idempotency::{IdempotencyHeader, key_of},
    },
    response::{
        error::ApiError,
        field_errors::{FieldError, FieldErrors},
        views::json,
    },
};

const KNOWN_FIELDS: KnownFields = KnownFields {
    single: &[&["to"], &["code"], &["campaign"], &["text"]],
    lists: &[],
    numbers: &[],
    flags: &[],
    variables: None,
    max_values: 0,
};

/// The most characters of a text that is looked at; a screen holds less.
const LONGEST_TEXT: usize = 2_000;

/// What `push.json` takes: a campaign, or a text.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the fields, which are read one by one so that every fault can be named")]
pub(crate) struct PushBody {
    /// The person: 3 to 15 digits, with or without a leading `+`.
    #[schema(pattern = r"^\+?[0-9]{3,15}$", example = "27831234567")]
    to: String,
    /// The code that stands for the service, as if the person had dialled it.
    #[schema(pattern = r"^[*#][0-9*#]{1,99}$", example = "*120*663*79#")]
    code: String,
    /// The campaign that writes the first screen and hears the answers.
    #[schema(nullable = false, example = "quiz")]
    campaign: Option<String>,
    /// A text that is shown and wants no answer; one screen at the most.
    #[schema(nullable = false)]
    text: Option<String>,
}

/// A push that the transport has taken.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct PushTaken {
    /// Its id, by which it is in the log.
    message_id: String,
}

/// Begins a USSD dialogue with a person for a campaign, or shows a text that wants no answer. It is taken, not kept: what becomes of
/// it is not told, and nothing repeats it. A person who is in a dialogue is not disturbed.
#[utoipa::path(
    post,
    path = "/api/v1/ussd/{transport}/push.json",
    tag = "sending",
    params(("transport" = String, Path, description = "The transport's name"), IdempotencyHeader),
    request_body(content((PushBody = "application/x-www-form-urlencoded"), (PushBody = "application/json"), (PushBody = "multipart/form-data"))),
    responses(
        (status = 202, description = "The transport has it", body = PushTaken),
        (status = 409, description = "The person is in a dialogue, or the request with this key is not answered yet"),
    ),
)]
pub(crate) async fn push(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    guarded(&request, RateClass::Sending, async |call| {
        let body = call.body(payload).await?;
        let key = key_of(call.request, &body, call.state.idempotency_keep)?;
        let keys = &call.state.keys_in_progress;
        let _in_progress = key.as_ref().map(|key| keys.begin(call.account, &key.key)).transpose()?;
        let fields = RequestFields::of_body(&body.media_type, &body, KNOWN_FIELDS)?;
        let mut message = message(&call, &fields)?;
        if let Some(key) = key {
            message.message_id = id_of(&call, &key);
        }
        let message_id = message.message_id.clone();
        hand_over(&call, message).await?;
        let mut taken = json(&PushTaken { message_id }, 64);
        *taken.status_mut() = StatusCode::ACCEPTED;
        Ok(taken)
    })
    .await
}

/// The message of a call; every field that is wrong is named.
fn message(call: &ApiCall<'_>, fields: &RequestFields<'_>) -> Result<UserMessage, ApiError> {
    let transport = call.transport()?.clone();
    if let Some(refused) = call.caller.sending_error(&transport) {
        return Err(ApiError::Forbidden(refused));
    }
    if !call.state.converses(&transport) {
        return Err(ApiError::Unreadable(format!("the transport {transport} carries no USSD")));
    }
    let mut errors = FieldErrors::default();
    let to = fields.required("to", &mut errors).and_then(|text| {
        let read = recipient(call, &transport, text);
        read.map_err(|why| errors.push(FieldError::new("to", text, why))).ok()
    });
    let code = fields.required("code", &mut errors).and_then(|text| {
        UssdCode::parse(text).map_err(|why| errors.push(FieldError::new("code", text, why.to_string()))).ok()
    });
    let (campaign, text) = (fields.one("campaign", &mut errors), fields.one("text", &mut errors));
    let push = match (campaign, text) {
        (Some(name), None) => {
            let known = Name::parse(name).ok().filter(|name| call.state.campaigns.contains(name));
            if known.is_none() {
                errors.push(FieldError::new("campaign", name, "there is no campaign of that name"));
            }
            known.map(UssdPush::Campaign)
        }
        (None, Some(text)) => {
            if text.trim().is_empty() || text.chars().count() > LONGEST_TEXT {
                errors.push(FieldError::new("text", text, "expected a text of one screen"));
            }
            Some(UssdPush::Notification)
        }
        _ => {
            errors.push(FieldError::new("campaign", "", "give `campaign` or `text`, and not both"));
            None
        }
    };
    let (Some(to), Some(code), Some(push), true) = (to, code, push, errors.is_empty()) else {
        return Err(ApiError::InvalidFields(errors));
    };
    let mut message = push.message(&transport, &to, &code, text.map(str::to_owned), call.state.clock.now());
    // Nobody waits for what becomes of it; above all no campaign that did not send it.
    message.sent_by = Name::parse("http").ok();
    Ok(message)
}

fn recipient(call: &ApiCall<'_>, transport: &Name, text: &str) -> Result<Msisdn, String> {
    let (rights, own) = (&call.caller.rights, call.state.transports.get(transport));
    let mut addresses = own.map(|own| own.settings.clone()).unwrap_or_default();
    addresses.country_code = rights.country_code.clone().or(addresses.country_code);
    let to = addresses.recipient(text)?;
    rights.recipient_error(&to).map_or(Ok(to), Err)
}

/// The same for the same request with the same key: the transport carries it out once.
fn id_of(call: &ApiCall<'_>, key: &IdempotencyKey) -> String {
    let mut digest = Sha256::new();
    digest.update(call.account.to_le_bytes());
    digest.update(&key.request_digest);
    digest.update(&key.key);
    digest.finalize().iter().take(16).map(|octet| format!("{octet:02x}")).collect()
}

async fn hand_over(call: &ApiCall<'_>, message: UserMessage) -> Result<(), ApiError> {
    let handed = timeout(CALL_LIMIT, call.state.router.outbound.send(Outbound(message))).await;
    match handed {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(refused))) => Err(refusal(refused)),
        Ok(Err(_)) => Err(ApiError::Unavailable(5, "the router is stopping")),
        Err(_) => Err(ApiError::Unavailable(5, "the transport did not take it in time")),
    }
}

fn refusal(refused: Refused) -> ApiError {
    match refused {
        Refused::InDialogue => ApiError::Conflict(refused.to_string()),
        Refused::UnfitPush(why) => ApiError::Unreadable(why),
        Refused::NoSessions(_) => ApiError::Unreadable(refused.to_string()),
        Refused::Busy(_) => ApiError::Unavailable(1, "the transport has as much to do as it can, nothing was sent"),
        Refused::NotConnected(_) => {
            ApiError::Unavailable(5, "the transport is not connected to its network now, nothing was sent")
        }
        Refused::Away(_)
        | Refused::NoTransport(_)
        | Refused::NoRoute(_)
        | Refused::Replaced
        | Refused::Middleware(_) => ApiError::Unavailable(5, "the transport is not running now, nothing was sent"),
    }
}
