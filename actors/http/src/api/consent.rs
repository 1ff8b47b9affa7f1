//! `consent/{msisdn}.json`: whether a person gets SMS. An account that may send as certain senders sees and sets what concerns
//! these; what is said of all senders is set by an account that may send as any.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use vumi_kit::{
    account::Account,
    address::Msisdn,
    audit::AuditActor,
    consent::{ConsentChange, ConsentRecord, ConsentScope, ConsentState, FindConsent, SetConsent},
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
    single: &[&["consent", "from_msisdn", "words"]],
    lists: &[],
    numbers: &[],
    flags: &[],
    variables: None,
    max_values: 0,
};

/// What a person said, or was said for them, of the SMS of one sender or of all.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ConsentEntry)]
pub(crate) struct ConsentEntryView<'a> {
    /// The sender; null: all senders.
    #[schema(example = "38080")]
    from_msisdn: Option<&'a str>,
    /// `out`: the person wants no SMS; `in`: they want them.
    #[schema(example = "out")]
    consent: &'static str,
    #[schema(value_type = String, example = "2010-07-22 21:27:24")]
    at: UtcTime,
    /// `person`, `operator`, `account NAME` of the account that asks, or `another account`.
    #[schema(example = "person")]
    by: String,
    /// What the person wrote, or why it was set.
    #[schema(example = "STOP")]
    words: &'a str,
}

/// What a person said last for each scope, and all that was noted, the newest first.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Consent)]
pub(crate) struct ConsentView<'a> {
    #[schema(example = "27831234567")]
    msisdn: &'a str,
    /// What counts now. An entry of a sender counts for its SMS, the one of all senders for those of the others.
    current: Vec<ConsentEntryView<'a>>,
    /// The last 200 entries, the newest first.
    history: Vec<ConsentEntryView<'a>>,
}

/// A change of consent that an account notes for a person.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the fields, which are read one by one so that every fault can be named")]
pub(crate) struct ConsentBody {
    /// `out`: the person wants no more SMS. `in`: they want them again.
    #[schema(pattern = "^(out|in)$", example = "out")]
    consent: String,
    /// The sender that it counts for; left out: all senders.
    #[schema(nullable = false, example = "38080")]
    from_msisdn: Option<String>,
    /// Why, for whoever asks later; 160 characters at the most.
    #[schema(nullable = false, max_length = 160, example = "asked by letter")]
    words: Option<String>,
}

/// Whether a person gets SMS, and since when.
#[utoipa::path(
    get,
    path = "/api/v1/consent/{msisdn}.json",
    tag = "consent",
    params(("msisdn" = String, Path, description = "The person's number, in international form", example = "27831234567")),
    responses((status = 200, description = "The person's consent; empty lists where nobody said anything", body = ConsentView)),
)]
pub(crate) async fn show(request: HttpRequest) -> HttpResponse {
    guarded(&request, RateClass::Reading, async |call| {
        let msisdn = person(&call)?;
        shown(&call, &msisdn).await
    })
    .await
}

/// Sets whether a person gets SMS. What is so already is not written again. Who goes out gets nothing more that has not begun.
#[utoipa::path(
    put,
    path = "/api/v1/consent/{msisdn}.json",
    tag = "consent",
    params(("msisdn" = String, Path, description = "The person's number, in international form", example = "27831234567")),
    request_body(content((ConsentBody = "application/x-www-form-urlencoded"), (ConsentBody = "application/json"), (ConsentBody = "multipart/form-data"))),
    responses((status = 200, description = "The person's consent after the change", body = ConsentView)),
)]
pub(crate) async fn change(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    guarded(&request, RateClass::Callbacks, async |call| {
        let msisdn = person(&call)?;
        let body = call.body(payload).await?;
        if body.is_empty() {
            return Err(ApiError::Unreadable("there is no body: send `consent`, which is `out` or `in`".to_owned()));
        }
        let fields = RequestFields::of_body(&body.media_type, &body, KNOWN_FIELDS)?;
        let change = changed(&fields, msisdn.clone(), &call.caller)?;
        let by = AuditActor::account(&call.caller.username);
        call.state.store.ledger.ask(SetConsent { changes: vec![change], by, account: Some(call.account) }).await?;
        shown(&call, &msisdn).await
    })
    .await
}

/// The person that the path names.
fn person(call: &ApiCall<'_>) -> Result<Msisdn, ApiError> {
    let text = call.segment("msisdn");
    let number = Msisdn::parse(text).map_err(|wrong| ApiError::field("msisdn", text, wrong.to_string()))?;
    if number.begins_with_zero() {
        return Err(ApiError::field("msisdn", text, "expected the international form, such as 27831234567"));
    }
    match call.caller.rights.recipient_error(&number) {
        Some(refused) => Err(ApiError::Forbidden(refused)),
        None => Ok(number),
    }
}

fn changed(fields: &RequestFields<'_>, msisdn: Msisdn, account: &Account) -> Result<ConsentChange, ApiError> {
    let mut errors = FieldErrors::default();
    let state = fields.required("consent", &mut errors).and_then(|text| {
        let state: Result<ConsentState, String> = text.parse();
        state.map_err(|what| errors.push(FieldError::new("consent", text, what))).ok()
    });
    let sender = fields.one("from_msisdn", &mut errors).unwrap_or_default();
    let scope = ConsentScope::parse(sender);
    let scope = scope.map_err(|what| errors.push(FieldError::new("from_msisdn", sender, what))).ok();
    let words = fields.one("words", &mut errors).unwrap_or_default().to_owned();
    if words.chars().count() > ConsentChange::LONGEST_WORDS {
        let what = format!("expected {} characters at the most", ConsentChange::LONGEST_WORDS);
        errors.push(FieldError::new("words", &words, what));
    }
    let (Some(state), Some(scope), true) = (state, scope, errors.is_empty()) else {
        return Err(ApiError::InvalidFields(errors));
    };
    if let Some(refused) = scope_error(&scope, account) {
        return Err(ApiError::Forbidden(refused));
    }
    Ok(ConsentChange { msisdn, scope, state, at: None, words })
}

/// Why an account may not say anything of this scope, if it may not.
fn scope_error(scope: &ConsentScope, account: &Account) -> Option<String> {
    match scope {
        ConsentScope::Sender(sender) => account.rights.sender_error(sender),
        ConsentScope::All if account.rights.senders.is_empty() => None,
        ConsentScope::All => Some(
            "the account may send as certain senders only: name one of them as `from_msisdn`, or ask the operator, who sets it \
             for all senders by `vumi consent set`"
                .to_owned(),
        ),
    }
}

async fn shown(call: &ApiCall<'_>, msisdn: &Msisdn) -> Result<HttpResponse, ApiError> {
    let found = call.state.store.ledger.ask(FindConsent { msisdn: msisdn.clone() }).await?;
    let account = &call.caller;
    let concerns = |record: &&ConsentRecord| {
        record.scope.sender().is_none_or(|sender| account.rights.sender_error(sender).is_none())
    };
    let view = |record| entry(record, &account.username);
    let view = ConsentView {
        msisdn: msisdn.as_str(),
        current: found.current.iter().filter(concerns).map(view).collect(),
        history: found.history.iter().filter(concerns).map(view).collect(),
    };
    let size = (view.current.len() + view.history.len() + 1) * 160;
    Ok(json(&view, size))
}

fn entry<'a>(record: &'a ConsentRecord, username: &str) -> ConsentEntryView<'a> {
    let by = match record.by.0.split_once(' ') {
        Some(("SMS", _)) => "person".to_owned(),
        Some(("account", name)) if name != username => "another account".to_owned(),
        Some(("account", _)) => record.by.0.clone(),
        _ => "operator".to_owned(),
    };
    ConsentEntryView {
        from_msisdn: record.scope.sender().map(vumi_kit::address::Address::as_str),
        consent: record.state.as_str(),
        at: UtcTime(record.at),
        by,
        words: &record.words,
    }
}
