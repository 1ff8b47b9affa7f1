//! `broadcasts`: a text for many people, from a CSV, that becomes SMS at a pace.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Serialize;
use vumi_kit::{
    broadcast::{
        AddBroadcastLines, AddedLines, Broadcast, BroadcastSpec, BroadcastState, BroadcastStep, CreateBroadcast,
        CreatedBroadcast, FindBroadcast, ListBroadcasts, MAX_LINES, MAX_OPEN, SteerBroadcast, SteeredBroadcast,
    },
    name::Name,
    store::Ask,
};

use super::send::broadcast_lines::{BroadcastReader, sender};
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

/// The fastest pace, in SMS a second.
const MAX_PACE: u32 = 10_000;

const fn known(single: &'static [&'static [&'static str]], numbers: &'static [&'static str]) -> KnownFields {
    KnownFields { single, lists: &[], numbers, flags: &[], variables: None, max_values: 0 }
}
const OF_BROADCAST: KnownFields =
    known(&[&["name", "template", "transport", "from_msisdn", "pace"]], &["from_msisdn", "pace"]);
const OF_START: KnownFields = known(&[&["lines"]], &["lines"]);
const OF_LINES: KnownFields = known(&[&["first"]], &[]);

/// A broadcast and how far it is, as JSON.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Broadcast)]
pub(crate) struct BroadcastView<'a> {
    #[schema(example = "clinic-days")]
    name: &'a str,
    /// `loading`, `running`, `paused`, `cancelled` or `done`.
    state: &'static str,
    /// How many lines it has; null before its start.
    lines: Option<u64>,
    /// Lines that it was given.
    loaded: u64,
    /// Lines that have become SMS, or were refused.
    taken: u64,
    /// Lines that have become SMS. Each has the reference `broadcast/NAME`, by which its status is found.
    accepted: u64,
    /// Lines that were refused.
    refused: u64,
    /// Why it waits, or was paused; null where it waits for its pace alone.
    why: Option<&'a str>,
    template: &'a str,
    /// The transport; null: the routes choose.
    transport: Option<&'a str>,
    from_msisdn: &'a str,
    /// SMS a second at the most; null: as fast as they are accepted.
    pace: Option<u32>,
    #[schema(value_type = String, example = "2010-07-22 21:27:24")]
    created_at: UtcTime,
    #[schema(value_type = String, example = "2010-07-22 21:27:24")]
    updated_at: UtcTime,
    /// The first hundred lines that were refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refusals: Vec<RefusalView<'a>>,
}

/// A line that became no SMS.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = BroadcastRefusal)]
struct RefusalView<'a> {
    line: u64,
    why: &'a str,
}

impl<'a> BroadcastView<'a> {
    fn of(broadcast: &'a Broadcast) -> Self {
        Self {
            name: broadcast.name.as_str(),
            state: broadcast.state.as_str(),
            lines: broadcast.lines,
            loaded: broadcast.loaded,
            taken: broadcast.taken,
            accepted: broadcast.accepted,
            refused: broadcast.refused,
            why: broadcast.why.as_deref(),
            template: &broadcast.spec.template,
            transport: broadcast.spec.transport.as_ref().map(Name::as_str),
            from_msisdn: broadcast.spec.from.as_str(),
            pace: broadcast.spec.pace,
            created_at: UtcTime(broadcast.created_at),
            updated_at: UtcTime(broadcast.updated_at),
            refusals: Vec::new(),
        }
    }
}

/// The fields of a new broadcast.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the fields, which are read one by one so that every fault can be named")]
pub(crate) struct BroadcastBody {
    /// Its name, of which an account has one: lower-case letters, digits and hyphens.
    #[schema(example = "clinic-days")]
    name: String,
    /// A Mustache template: `{{column}}` is the value of the line's column.
    #[schema(example = "Dear {{name}}, your clinic is open on {{day}}.")]
    template: String,
    /// The transport that sends the SMS; without one the routes choose.
    #[schema(nullable = false, example = "clickatell")]
    transport: Option<String>,
    /// The sender shown to people.
    #[schema(example = "38080")]
    from_msisdn: String,
    /// SMS a second at the most; without it as fast as they are accepted.
    #[schema(minimum = 1, maximum = 10_000, nullable = false)]
    pace: Option<u32>,
}

/// How many lines a broadcast has.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the field, which is read by hand")]
pub(crate) struct StartBody {
    /// How many lines it was given: another number, and it is not started.
    #[schema(minimum = 1)]
    lines: u64,
}

fn view(broadcast: &Broadcast) -> HttpResponse {
    json(&BroadcastView::of(broadcast), 512)
}

/// The broadcast that the path names.
fn named(call: &ApiCall<'_>) -> Result<Name, ApiError> {
    Name::parse(call.segment("name")).map_err(|_| missing(call))
}

fn missing(call: &ApiCall<'_>) -> ApiError {
    let name: String = call.segment("name").chars().take(64).collect();
    ApiError::NotFound(format!("there is no broadcast `{name}` of this account"))
}

/// Makes a broadcast, which is then given its lines, and started.
///
/// To make the same again changes nothing.
#[utoipa::path(
    post,
    path = "/api/v1/broadcasts.json",
    tag = "broadcasts",
    request_body(content((BroadcastBody = "application/x-www-form-urlencoded"), (BroadcastBody = "application/json"), (BroadcastBody = "multipart/form-data"))),
    responses(
        (status = 200, description = "The broadcast, which was there already", body = BroadcastView),
        (status = 201, description = "The new broadcast", body = BroadcastView),
    ),
)]
pub(crate) async fn create(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    guarded(&request, RateClass::Sending, async |call| {
        let body = call.body(payload).await?;
        let (name, spec) = created(&call, &RequestFields::of_body(&body.media_type, &body, OF_BROADCAST)?)?;
        let (account, username) = (call.account, call.caller.username.clone());
        match call.state.store.ledger.ask(CreateBroadcast { account, username, name, spec }).await? {
            CreatedBroadcast::New(broadcast) => {
                let mut response = view(&broadcast);
                *response.status_mut() = StatusCode::CREATED;
                Ok(response)
            }
            CreatedBroadcast::Existing(broadcast) => Ok(view(&broadcast)),
            CreatedBroadcast::Different => Err(ApiError::Conflict(
                "the account has another broadcast of this name: give this one another".to_owned(),
            )),
            CreatedBroadcast::TooMany => Err(ApiError::Conflict(format!(
                "the account has {MAX_OPEN} broadcasts that are neither done nor cancelled: cancel some"
            ))),
        }
    })
    .await
}

fn created(call: &ApiCall<'_>, fields: &RequestFields<'_>) -> Result<(Name, BroadcastSpec), ApiError> {
    let mut errors = FieldErrors::default();
    let name = parsed_name("name", fields.required("name", &mut errors), &mut errors);
    let template = fields.required("template", &mut errors).map(str::to_owned);
    let transport = fields.one("transport", &mut errors);
    let transport = parsed_name("transport", transport, &mut errors);
    let from = fields.required("from_msisdn", &mut errors);
    let pace = fields.one("pace", &mut errors).map(|text| {
        let pace = text.parse().ok().filter(|pace| (1..=MAX_PACE).contains(pace));
        if pace.is_none() {
            errors.push(FieldError::new("pace", text, format!("SMS a second: 1 to {MAX_PACE}")));
        }
        pace.unwrap_or(1)
    });
    match (name, template, from) {
        (Some(name), Some(template), Some(from)) if errors.is_empty() => {
            let from = sender(call, transport.as_ref(), from)?;
            Ok((name, BroadcastSpec { template, transport, from, pace }))
        }
        _ => Err(ApiError::InvalidFields(errors)),
    }
}

fn parsed_name(field: &str, text: Option<&str>, errors: &mut FieldErrors) -> Option<Name> {
    let text = text?;
    Name::parse(text).map_err(|wrong| errors.push(FieldError::new(field, text, wrong.to_string()))).ok()
}

/// Adds lines to a broadcast that was not started: a CSV whose first line names its columns, among them `to_msisdn`.
///
/// All of the lines are added, or none: then each that is wrong is named as `lines.N`. Lines that the broadcast has already
/// are left out, so that a request can be repeated.
#[utoipa::path(
    post,
    path = "/api/v1/broadcasts/{name}/lines.csv",
    tag = "broadcasts",
    params(
        ("name" = String, Path, description = "The broadcast's name"),
        ("first" = Option<u64>, Query, minimum = 1, description = "The number of the first of these lines; 1 without it"),
    ),
    request_body(content = String, content_type = "text/csv", example = "to_msisdn,name\n27831234567,Thandi\n"),
    responses((status = 200, description = "The broadcast, with these lines", body = BroadcastView)),
)]
pub(crate) async fn add_lines(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    guarded(&request, RateClass::Sending, async |call| {
        let (name, account) = (named(&call)?, call.account);
        let query = call.request.query_string().as_bytes();
        let first = numbered("first", &RequestFields::of_form(query, OF_LINES)?)?.unwrap_or(1);
        let body = call.body(payload).await?;
        if body.media_type != "text/csv" {
            return Err(ApiError::Unreadable("send a CSV, as Content-Type: text/csv".to_owned()));
        }
        let found = call.state.store.ledger.ask(FindBroadcast { account, name: name.clone() }).await?;
        let (broadcast, _) = found.ok_or_else(|| missing(&call))?;
        let reader = BroadcastReader::new(&call, broadcast.spec)?;
        let lines = call.state.parse(&body, move |_, bytes| reader.read(first, bytes)).await?;
        match call.state.store.ledger.ask(AddBroadcastLines { account, name, lines }).await? {
            AddedLines::Loaded(broadcast) => Ok(view(&broadcast)),
            AddedLines::Gap(next) => Err(ApiError::Conflict(format!("the next line is number {next}: send it first"))),
            AddedLines::TooMany => {
                Err(ApiError::Conflict(format!("a broadcast has {MAX_LINES} lines at the most: make a second one")))
            }
            AddedLines::Started(broadcast) => Err(conflict(&broadcast)),
            AddedLines::NotFound => Err(missing(&call)),
        }
    })
    .await
}

fn numbered(field: &str, fields: &RequestFields<'_>) -> Result<Option<u64>, ApiError> {
    let mut errors = FieldErrors::default();
    let text = fields.one(field, &mut errors);
    let number = text.map(|text| {
        let number = text.parse::<u64>().ok().filter(|number| (1..=MAX_LINES).contains(number));
        number.ok_or_else(|| FieldError::new(field, text, format!("a number from 1 to {MAX_LINES}")))
    });
    match number.transpose() {
        Ok(number) if errors.is_empty() => Ok(number),
        Ok(_) => Err(ApiError::InvalidFields(errors)),
        Err(wrong) => Err(ApiError::InvalidFields(wrong.into())),
    }
}

fn conflict(broadcast: &Broadcast) -> ApiError {
    let Broadcast { state, loaded, .. } = broadcast;
    ApiError::Conflict(match state {
        BroadcastState::Loading => format!("it is not started, and has {loaded} lines"),
        BroadcastState::Running => "it runs".to_owned(),
        BroadcastState::Paused => "it is paused".to_owned(),
        BroadcastState::Cancelled => "it is cancelled: make another one".to_owned(),
        BroadcastState::Done => "it is done".to_owned(),
    })
}

/// The account's broadcasts, the newest first, a hundred at the most.
#[utoipa::path(
    get,
    path = "/api/v1/broadcasts.json",
    tag = "broadcasts",
    responses((status = 200, description = "The broadcasts", body = Vec<BroadcastView>)),
)]
pub(crate) async fn list(request: HttpRequest) -> HttpResponse {
    guarded(&request, RateClass::Reading, async |call| {
        let all = call.state.store.ledger.ask(ListBroadcasts { account: call.account }).await?;
        let views: Vec<BroadcastView<'_>> = all.iter().map(BroadcastView::of).collect();
        Ok(json(&views, views.len() * 512))
    })
    .await
}

/// One broadcast: how far it is, and the first hundred lines that were refused.
#[utoipa::path(
    get,
    path = "/api/v1/broadcasts/{name}.json",
    tag = "broadcasts",
    params(("name" = String, Path, description = "The broadcast's name")),
    responses((status = 200, description = "The broadcast", body = BroadcastView)),
)]
pub(crate) async fn read(request: HttpRequest) -> HttpResponse {
    guarded(&request, RateClass::Reading, async |call| {
        let ask = FindBroadcast { account: call.account, name: named(&call)? };
        let (broadcast, refusals) = call.state.store.ledger.ask(ask).await?.ok_or_else(|| missing(&call))?;
        let refusals = refusals.iter().map(|(line, why)| RefusalView { line: *line, why }).collect();
        Ok(json(&BroadcastView { refusals, ..BroadcastView::of(&broadcast) }, 1024))
    })
    .await
}

/// Starts a broadcast that has all of its lines. To start it again changes nothing.
#[utoipa::path(
    post,
    path = "/api/v1/broadcasts/{name}/start.json",
    tag = "broadcasts",
    params(("name" = String, Path, description = "The broadcast's name")),
    request_body(content((StartBody = "application/x-www-form-urlencoded"), (StartBody = "application/json"), (StartBody = "multipart/form-data"))),
    responses((status = 200, description = "The broadcast", body = BroadcastView)),
)]
pub(crate) async fn start(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    guarded(&request, RateClass::Sending, async |call| {
        let body = call.body(payload).await?;
        let lines = numbered("lines", &RequestFields::of_body(&body.media_type, &body, OF_START)?)?;
        let lines = lines.ok_or_else(|| ApiError::field("lines", "", "say how many lines it was given"))?;
        steer(&call, BroadcastStep::Start(lines)).await
    })
    .await
}

/// Pauses a broadcast: no more of its lines become SMS until it is resumed. Those that are SMS go out.
#[utoipa::path(
    post,
    path = "/api/v1/broadcasts/{name}/pause.json",
    tag = "broadcasts",
    params(("name" = String, Path, description = "The broadcast's name")),
    responses((status = 200, description = "The broadcast", body = BroadcastView)),
)]
pub(crate) async fn pause(request: HttpRequest) -> HttpResponse {
    guarded(&request, RateClass::Sending, async |call| steer(&call, BroadcastStep::Pause).await).await
}

/// Resumes a broadcast that is paused.
#[utoipa::path(
    post,
    path = "/api/v1/broadcasts/{name}/resume.json",
    tag = "broadcasts",
    params(("name" = String, Path, description = "The broadcast's name")),
    responses((status = 200, description = "The broadcast", body = BroadcastView)),
)]
pub(crate) async fn resume(request: HttpRequest) -> HttpResponse {
    guarded(&request, RateClass::Sending, async |call| steer(&call, BroadcastStep::Resume).await).await
}

/// Cancels a broadcast for good: the lines that are no SMS yet are removed. Those that are SMS go out; each can be cancelled.
///
/// One that was not started is gone then, and its name can be used again.
#[utoipa::path(
    post,
    path = "/api/v1/broadcasts/{name}/cancel.json",
    tag = "broadcasts",
    params(("name" = String, Path, description = "The broadcast's name")),
    responses((status = 200, description = "The broadcast", body = BroadcastView)),
)]
pub(crate) async fn cancel(request: HttpRequest) -> HttpResponse {
    guarded(&request, RateClass::Sending, async |call| steer(&call, BroadcastStep::Cancel).await).await
}

async fn steer(call: &ApiCall<'_>, step: BroadcastStep) -> Result<HttpResponse, ApiError> {
    let ask = SteerBroadcast { account: call.account, name: named(call)?, step };
    match call.state.store.ledger.ask(ask).await? {
        SteeredBroadcast::Now(broadcast) => Ok(view(&broadcast)),
        SteeredBroadcast::Refused(broadcast) => Err(conflict(&broadcast)),
        SteeredBroadcast::NotFound => Err(missing(call)),
    }
}
