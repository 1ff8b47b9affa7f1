//! Status: one SMS, several by id or by date, and the events of one.
//!
//! Pages of a list by date are joined by a cursor, the position of the last SMS shown: a number of SMS to skip (`start`)
//! means another position once one of them changes.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderValue, LINK},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use vumi_kit::{
    clock::Timestamp,
    ledger::{FindSms, ListSms, Order, SmsTimeline, StatusCursor, TimelineEvent, Which},
    levers::{CancelResult, CancelSms},
    sent_parts::ListSentParts,
    sms::Sms,
    sms_fields::MAX_REFERENCE,
    store::Ask,
};

use crate::{
    guard::{ApiCall, guarded},
    limits::call_rates::RateClass,
    request::fields::{KnownFields, RequestFields},
    response::{
        error::ApiError,
        field_errors::{FieldError, FieldErrors},
        views::{SmsView, UtcTime, json, sms_list},
    },
};

/// The SMS of a page.
pub(super) const PAGE_SIZE: usize = 100;
/// The most ids that a call may ask for.
const MAX_IDS: usize = 1000;
/// The most SMS that may be skipped: the database reads past each of them.
const MAX_START: usize = 10_000;

const KNOWN_FIELDS: KnownFields = KnownFields {
    single: &[&["since", "order", "cursor", "start", "reference"]],
    lists: &["id"],
    numbers: &[],
    flags: &[],
    variables: None,
    max_values: MAX_IDS,
};

/// One SMS.
#[utoipa::path(
    get,
    path = "/api/v1/sms/{transport}/status/{id}.json",
    tag = "status",
    params(
        ("transport" = String, Path, description = "The transport's name"),
        ("id" = u64, Path, description = "The SMS's id"),
    ),
    responses((status = 200, description = "The SMS", body = SmsView)),
)]
pub(crate) async fn one(request: HttpRequest) -> HttpResponse {
    guarded(&request, RateClass::Reading, async |call| {
        let (transport, id) = (call.transport_or_routed()?, call.id()?);
        let found = call.state.store.ledger.ask(FindSms { account: call.account, transport, id }).await?;
        let sms = found.ok_or_else(|| no_such(&call))?;
        // What was never tried has no parts that anything is known of.
        let tried = sms.attempts > 0 || sms.provider_id.is_some();
        let parts = if tried { call.state.store.ledger.ask(ListSentParts { sms: id }).await? } else { Vec::new() };
        Ok(json(&SmsView::with_parts(&sms, &parts), 512 + parts.len() * 128))
    })
    .await
}

/// Cancels an SMS that has not begun to go out.
///
/// It is cancelled before its transport begins to submit it, or not at all. To cancel it again changes nothing.
#[utoipa::path(
    delete,
    path = "/api/v1/sms/{transport}/status/{id}.json",
    tag = "status",
    params(
        ("transport" = String, Path, description = "The transport's name"),
        ("id" = u64, Path, description = "The SMS's id"),
    ),
    responses(
        (status = 200, description = "It is cancelled", body = SmsView),
        (status = 409, description = "It has begun to go out, or has ended otherwise"),
    ),
)]
pub(crate) async fn cancel(request: HttpRequest) -> HttpResponse {
    guarded(&request, RateClass::Sending, async |call| {
        let (transport, id) = (call.transport_or_routed()?, call.id()?);
        let ask = CancelSms { account: call.account, transport, id };
        match call.state.store.ledger.ask(ask).await?.ok_or_else(|| no_such(&call))? {
            CancelResult::Cancelled(sms) => Ok(json(&SmsView::now(&sms), 512)),
            CancelResult::Begun => Err(ApiError::Conflict(format!(
                "SMS {id} has begun: its transport is submitting it, so it can't be cancelled any more"
            ))),
            CancelResult::TooLate(state) => Err(ApiError::Conflict(format!(
                "SMS {id} is {state}: only what has not begun to go out can be cancelled"
            ))),
        }
    })
    .await
}

/// An event in the life of an SMS.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Event)]
pub(crate) struct SmsEvent<'a> {
    /// Its time, UTC.
    #[schema(value_type = String, example = "2010-05-13 11:34:34")]
    at: UtcTime,
    /// `accepted`, `attempt`, `receipt`, `callback`, `held`, `released`, `cancelled` or `resent`; others may be added.
    event: &'a str,
    /// In words.
    detail: &'a str,
    /// The provider's id, of the attempt that it took and of receipts.
    provider_id: Option<&'a str>,
}

impl<'a> SmsEvent<'a> {
    fn of(event: &'a TimelineEvent) -> Self {
        let TimelineEvent { at, what, detail, provider_id } = event;
        Self { at: UtcTime(*at), event: what, detail, provider_id: provider_id.as_deref() }
    }
}

/// The events of one SMS, in order of time.
#[utoipa::path(
    get,
    path = "/api/v1/sms/{transport}/status/{id}/events.json",
    tag = "status",
    params(
        ("transport" = String, Path, description = "The transport's name"),
        ("id" = u64, Path, description = "The SMS's id"),
    ),
    responses((status = 200, description = "The events", body = Vec<SmsEvent>)),
)]
pub(crate) async fn events(request: HttpRequest) -> HttpResponse {
    guarded(&request, RateClass::Reading, async |call| {
        let (transport, id) = (call.transport_or_routed()?, call.id()?);
        let found = call.state.store.ledger.ask(SmsTimeline { account: call.account, transport, id }).await?;
        let timeline = found.ok_or_else(|| no_such(&call))?;
        let events: Vec<SmsEvent<'_>> = timeline.iter().map(SmsEvent::of).collect();
        Ok(json(&events, events.len() * 128))
    })
    .await
}

fn no_such(call: &ApiCall<'_>) -> ApiError {
    let by = if call.names_transport() { call.segment("transport") } else { "a route" };
    ApiError::NotFound(format!("this account has no SMS {} sent through {by}", call.segment("id")))
}

/// What `status.json` takes.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the fields, which are read one by one so that every fault can be named")]
pub(crate) struct StatusListParameters {
    /// `YYYY-MM-DD` or `YYYY-MM-DD HH:MM:SS`, UTC
    #[param(example = "2009-01-01")]
    since: Option<String>,
    /// With `since`, by time of change: `newest` first (the default) or `oldest` first
    order: Option<String>,
    /// With `since`: where the page begins, from the `Link` of the page before
    cursor: Option<String>,
    /// Ids of SMS
    id: Option<Vec<u64>>,
    /// The client's own name for SMS, as it was given when they were sent
    reference: Option<String>,
    /// How many to skip, 10000 at the most: with `since`, better follow the `Link`
    start: Option<u64>,
}

/// Several SMS: those that changed since a date, those with the given ids, or those of a reference.
///
/// Give `since`, `id` or `reference`. A page holds 100; while there is more, a `Link` header leads to the next: follow it as it is.
/// Newest first, no SMS is shown twice, but one that changes while you read the pages may be missed: ask again `since` the
/// time at which you began. With `order=oldest`, an SMS that changes is shown again at the end, and none is missed: use
/// this order to follow all changes.
#[utoipa::path(
    get,
    path = "/api/v1/sms/{transport}/status.json",
    tag = "status",
    params(("transport" = String, Path, description = "The transport's name"), StatusListParameters),
    responses((
        status = 200,
        description = "The SMS",
        body = Vec<SmsView>,
        headers(("Link" = String, description = "The next page, `rel=\"next\"`")),
    )),
)]
pub(crate) async fn list(request: HttpRequest) -> HttpResponse {
    guarded(&request, RateClass::Reading, async |call| {
        let transport = call.transport_or_routed()?;
        let fields = RequestFields::of_form(call.request.query_string().as_bytes(), KNOWN_FIELDS)?;
        let StatusQuery { which, start } = wanted(&fields)?;
        // One more than a page, to know whether there is another page.
        let ask = ListSms { account: call.account, transport, which, start, limit: PAGE_SIZE + 1 };
        let found = call.state.store.ledger.ask(ask).await?;
        let page = found.get(..PAGE_SIZE.min(found.len())).unwrap_or_default();
        let mut response = sms_list(page.iter(), SmsView::now);
        if let Some(last) = page.last().filter(|_| found.len() > PAGE_SIZE) {
            response.headers_mut().insert(LINK, next_link(&call, &next(&fields, start, last)));
        }
        Ok(response)
    })
    .await
}

/// The parameter of the next page: a cursor, or `start` for a client that gave ids or `start`.
fn next(fields: &RequestFields<'_>, start: usize, last: &Sms) -> (&'static str, String) {
    let counted = fields.all("start").next().is_some();
    let by_ids = fields.all("id").chain(fields.all("reference")).next().is_some();
    // Where `start` may go no further the cursor takes over.
    if by_ids || (counted && start + PAGE_SIZE <= MAX_START) {
        ("start", (start + PAGE_SIZE).to_string())
    } else {
        ("cursor", cursor_of(StatusCursor::of(last)))
    }
}

pub(super) fn cursor_of(place: StatusCursor) -> String {
    let mut bytes = [0; 16];
    let (at, id) = bytes.split_at_mut(8);
    at.copy_from_slice(&place.updated_at.micros().to_be_bytes());
    id.copy_from_slice(&place.id.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(super) fn position_of(cursor: &str) -> Option<StatusCursor> {
    let bytes: [u8; 16] = URL_SAFE_NO_PAD.decode(cursor).ok()?.try_into().ok()?;
    let (at, id) = bytes.split_first_chunk::<8>()?;
    let updated_at = Timestamp::from_micros(i64::from_be_bytes(*at));
    Some(StatusCursor { updated_at, id: i64::from_be_bytes(id.try_into().ok()?) })
}

#[derive(Debug, PartialEq, Eq)]
struct StatusQuery {
    which: Which,
    start: usize,
}

fn wanted(fields: &RequestFields<'_>) -> Result<StatusQuery, ApiError> {
    let mut errors = FieldErrors::default();
    let start = fields.one("start", &mut errors).map_or(Ok(0), |text| read_start(text).map_err(|why| (text, why)));
    let start = start.unwrap_or_else(|(text, why)| {
        errors.push(FieldError::new("start", text, why));
        0
    });
    let which = which(fields, &mut errors);
    match which {
        Some(which) if errors.is_empty() => Ok(StatusQuery { which, start }),
        _ => Err(ApiError::InvalidFields(errors)),
    }
}

fn read_start(text: &str) -> Result<usize, &'static str> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("how many to skip: a number");
    }
    // A number of more digits than fit is a number, too.
    text.parse().ok().filter(|start| *start <= MAX_START).ok_or(
        "10000 at the most: to read further, follow the `cursor` in the `Link` header of each page, which begins without \
         `start`, or ask `since` a later time",
    )
}

fn which(fields: &RequestFields<'_>, errors: &mut FieldErrors) -> Option<Which> {
    let ids: Vec<&str> = fields.all("id").collect();
    let given = fields.count("id");
    let (since, reference) = (fields.one("since", errors), fields.one("reference", errors));
    if let Some(reference) = reference {
        if since.is_some() || given > 0 {
            errors.push(FieldError::new("reference", reference, "give `since`, `id` or `reference`, not several"));
        } else if reference.len() > MAX_REFERENCE || reference.contains(char::is_control) {
            let detail = format!("has {MAX_REFERENCE} bytes at the most, and no control character");
            errors.push(FieldError::new("reference", reference, detail));
        }
        return Some(Which::Reference(reference.to_owned()));
    }
    match since {
        Some(since) if !ids.is_empty() => {
            errors.push(FieldError::new("since", since, "give `since` or `id`, not both"));
            None
        }
        Some(since) => {
            let at = Timestamp::parse(since);
            if at.is_none() {
                errors.push(FieldError::new("since", since, "a date is YYYY-MM-DD or YYYY-MM-DD HH:MM:SS, UTC"));
            }
            let (order, after) = (order(fields, errors), after(fields, errors));
            at.map(|at| Which::Since { at, order, after })
        }
        None if ids.is_empty() => {
            errors.push(FieldError::new("since", "", "give `since`, `reference`, or one `id` or more"));
            None
        }
        None if given > MAX_IDS => {
            errors.push(FieldError::new("id", &given.to_string(), format!("{MAX_IDS} are allowed")));
            None
        }
        None => {
            let read = |id: &&str| {
                let number = id.parse().ok().filter(|number| *number >= 0);
                if number.is_none() {
                    errors.push(FieldError::new("id", id, "an id is a number"));
                }
                number
            };
            Some(Which::Ids(ids.iter().filter_map(read).collect()))
        }
    }
}

fn order(fields: &RequestFields<'_>, errors: &mut FieldErrors) -> Order {
    match fields.one("order", errors) {
        None | Some("newest") => Order::NewestFirst,
        Some("oldest") => Order::OldestFirst,
        Some(other) => {
            errors.push(FieldError::new("order", other, "`newest` or `oldest` first"));
            Order::default()
        }
    }
}

fn after(fields: &RequestFields<'_>, errors: &mut FieldErrors) -> Option<StatusCursor> {
    let cursor = fields.one("cursor", errors)?;
    let place = position_of(cursor);
    if place.is_none() {
        errors.push(FieldError::new("cursor", cursor, "take it from the `Link` of the page before"));
    } else if let Some(start) = fields.all("start").next() {
        errors.push(FieldError::new("start", start, "give `cursor` or `start`, not both"));
    }
    place
}

/// The `Link` to the next page: the same query from another position.
pub(super) fn next_link(call: &ApiCall<'_>, next: &(&str, String)) -> HeaderValue {
    let base = call.state.trusted_proxies.base_url_of(call.request).unwrap_or_default();
    link(&base, call.request, next)
}

/// Without the host, where `base` is empty.
fn link(base: &str, request: &HttpRequest, (next, place): &(&str, String)) -> HeaderValue {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(
            url::form_urlencoded::parse(request.query_string().as_bytes())
                .filter(|(name, _)| name != "start" && name != "cursor"),
        )
        .append_pair(next, place)
        .finish();
    let link = HeaderValue::try_from(format!("<{base}{}?{query}>; rel=\"next\"", request.path()));
    link.unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use proptest::prelude::*;
    use vumi_kit::{
        clock::Timestamp,
        ledger::{Order, StatusCursor, Which},
    };

    use super::{KNOWN_FIELDS, StatusQuery, cursor_of, link, position_of, wanted};
    use crate::{request::fields::RequestFields, response::error::ApiError};

    fn read(query: &str) -> Result<StatusQuery, ApiError> {
        wanted(&RequestFields::of_form(query.as_bytes(), KNOWN_FIELDS).unwrap())
    }

    #[test]
    fn a_query_asks_by_date_or_by_ids() {
        let at = Timestamp::parse("2009-01-01").unwrap();
        let since = |order, after, start| Ok(StatusQuery { which: Which::Since { at, order, after }, start });
        assert_eq!(read("since=2009-01-01"), since(Order::NewestFirst, None, 0));
        assert_eq!(read("since=2009-01-01+00%3A00%3A00&start=100"), since(Order::NewestFirst, None, 100));
        let place = StatusCursor { updated_at: at, id: 7 };
        let query = format!("since=2009-01-01&order=oldest&cursor={}", cursor_of(place));
        assert_eq!(read(&query), since(Order::OldestFirst, Some(place), 0));
        let of_reference = StatusQuery { which: Which::Reference("order 7".to_owned()), start: 0 };
        assert_eq!(read("reference=order+7"), Ok(of_reference));
        assert_eq!(read("id=3&id=4"), Ok(StatusQuery { which: Which::Ids(vec![3, 4]), start: 0 }));
    }

    #[test]
    fn what_is_wrong_with_a_query_is_named() {
        for (query, expected) in [
            ("", ("since", "")),
            ("since=yesterday", ("since", "yesterday")),
            ("since=2009-13-01", ("since", "2009-13-01")),
            ("id=3&id=x", ("id", "x")),
            ("id=99999999999999999999", ("id", "99999999999999999999")),
            ("since=2009-01-01&start=-1", ("start", "-1")),
            ("since=2009-01-01&start=10001", ("start", "10001")),
            ("id=3&start=5000000", ("start", "5000000")),
            ("since=2009-01-01&start=99999999999999999999999", ("start", "99999999999999999999999")),
            ("since=2009-01-01&id=3", ("since", "2009-01-01")),
            ("since=2009-01-01&reference=r1", ("reference", "r1")),
            ("reference=a%00b", ("reference", "a\0b")),
            ("since=2009-01-01&order=up", ("order", "up")),
            ("since=2009-01-01&cursor=100", ("cursor", "100")),
            ("since=2009-01-01&cursor=AAAAAAAAAAAAAAAAAAAAAA&start=1", ("start", "1")),
        ] {
            let refused = read(query).unwrap_err();
            let ApiError::InvalidFields(errors) = refused else { panic!("{refused:?}") };
            assert_eq!((errors[0].field.as_str(), errors[0].value.as_str()), expected, "{query}");
            assert_eq!(errors.len(), 1, "{query}");
        }
    }

    #[test]
    fn the_next_page_is_the_same_query_from_another_start() {
        let request = TestRequest::get().uri("/api/v1/sms/opera/status.json?since=2009-01-01+10%3A00%3A00&start=100");
        assert_eq!(
            link("http://a.b:8000", &request.to_http_request(), &("start", "200".to_owned())),
            "<http://a.b:8000/api/v1/sms/opera/status.json?since=2009-01-01+10%3A00%3A00&start=200>; rel=\"next\""
        );
    }

    proptest! {
        #[test]
        fn a_cursor_is_read_as_it_was_written(micros in any::<i64>(), id in any::<i64>()) {
            let place = StatusCursor { updated_at: Timestamp::from_micros(micros), id };
            prop_assert_eq!(position_of(&cursor_of(place)), Some(place));
        }

        #[test]
        fn no_query_makes_the_reader_panic(query in "(since=|id=|start=|cursor=|order=|&|[0-9%+:-]|\\PC){0,30}") {
            if let Ok(fields) = RequestFields::of_form(query.as_bytes(), KNOWN_FIELDS) {
                let _read = wanted(&fields);
            }
        }
    }
}
