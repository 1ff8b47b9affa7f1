//! Status: one SMS, several by number or by date, and what happened to one.
//!
//! Pages of a list by date are joined by a cursor, the place of the last SMS shown: a number of SMS to skip (`start`)
//! points elsewhere once one of them changes.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderValue, LINK},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use vumi_kit::{
    clock::Timestamp,
    ledger::{FindSms, ListSms, Order, Place, SmsTimeline, Which},
    sms::Sms,
    store::Ask,
};

use super::{
    body::Fields,
    entry::{Caller, enter},
    rates::Class,
    refusal::{Refusal, Wrong},
    view::{Moment, SmsView, json, sms_list},
};

/// How many SMS a page holds.
const PAGE: usize = 100;
/// How many numbers a call may ask for.
const MOST_IDS: usize = 1000;

/// One SMS.
#[utoipa::path(
    get,
    path = "/api/v1/sms/{transport}/status/{id}.json",
    tag = "status",
    params(
        ("transport" = String, Path, description = "The transport's name"),
        ("id" = u64, Path, description = "The SMS's number"),
    ),
    responses((status = 200, description = "The SMS", body = SmsView)),
)]
pub(crate) async fn one(request: HttpRequest) -> HttpResponse {
    enter(&request, Class::Reading, async |caller| {
        let (transport, id) = (caller.transport()?.clone(), caller.id()?);
        let found = caller.shared.store.ledger.ask(FindSms { account: caller.account, transport, id }).await?;
        let sms = found.ok_or_else(|| no_such(&caller))?;
        Ok(json(&SmsView::now(&sms), 512))
    })
    .await
}

/// A thing that happened to an SMS.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Event<'a> {
    /// When, UTC.
    #[schema(value_type = String, example = "2010-05-13 11:34:34")]
    at: Moment,
    /// `accepted`, `attempt`, `receipt` or `callback`.
    event: &'static str,
    /// In words.
    detail: &'a str,
}

/// What happened to one SMS, in order of time.
#[utoipa::path(
    get,
    path = "/api/v1/sms/{transport}/status/{id}/events.json",
    tag = "status",
    params(
        ("transport" = String, Path, description = "The transport's name"),
        ("id" = u64, Path, description = "The SMS's number"),
    ),
    responses((status = 200, description = "The events", body = Vec<Event>)),
)]
pub(crate) async fn events(request: HttpRequest) -> HttpResponse {
    enter(&request, Class::Reading, async |caller| {
        let (transport, id) = (caller.transport()?.clone(), caller.id()?);
        let found = caller.shared.store.ledger.ask(SmsTimeline { account: caller.account, transport, id }).await?;
        let timeline = found.ok_or_else(|| no_such(&caller))?;
        let events: Vec<Event<'_>> =
            timeline.iter().map(|e| Event { at: Moment(e.at), event: e.what, detail: &e.detail }).collect();
        Ok(json(&events, events.len() * 128))
    })
    .await
}

fn no_such(caller: &Caller<'_>) -> Refusal {
    let (id, transport) = (caller.segment("id"), caller.segment("transport"));
    Refusal::NotFound(format!("this account has no SMS {id} sent through {transport}"))
}

/// Several SMS: those changed since a date, or those with these numbers.
///
/// Give `since` or `id`. A page holds 100; while there is more, a `Link` header leads to the next: follow it as it is.
/// Newest first, no SMS is shown twice, and one that changes while you read is not where you have yet to come: ask
/// again `since` the moment you began. With `order=oldest`, one that changes is shown again at the end, and none is
/// missed: this is the order to keep up with all changes.
#[utoipa::path(
    get,
    path = "/api/v1/sms/{transport}/status.json",
    tag = "status",
    params(
        ("transport" = String, Path, description = "The transport's name"),
        ("since" = Option<String>, Query, description = "`YYYY-MM-DD` or `YYYY-MM-DD HH:MM:SS`, UTC", example = "2009-01-01"),
        ("order" = Option<String>, Query, description = "With `since`, by time of change: `newest` first (the default) or `oldest` first"),
        ("cursor" = Option<String>, Query, description = "With `since`: where the page begins, from the `Link` of the page before"),
        ("id" = Option<Vec<u64>>, Query, description = "Numbers of SMS"),
        ("start" = Option<u64>, Query, description = "How many to skip: with `since`, better follow the `Link`"),
    ),
    responses((
        status = 200,
        description = "The SMS",
        body = Vec<SmsView>,
        headers(("Link" = String, description = "The next page, `rel=\"next\"`")),
    )),
)]
pub(crate) async fn list(request: HttpRequest) -> HttpResponse {
    enter(&request, Class::Reading, async |caller| {
        let transport = caller.transport()?.clone();
        let fields = Fields::of_form(caller.request.query_string().as_bytes())?;
        let Wanted { which, start } = wanted(&fields)?;
        // One more than a page tells whether there is another.
        let ask = ListSms { account: caller.account, transport, which, start, limit: PAGE + 1 };
        let found = caller.shared.store.ledger.ask(ask).await?;
        let page = found.get(..PAGE.min(found.len())).unwrap_or_default();
        let mut response = sms_list(page.iter(), SmsView::now);
        if let Some(last) = page.last().filter(|_| found.len() > PAGE) {
            response.headers_mut().insert(LINK, next_link(caller.request, &fields, &next(&fields, start, last)));
        }
        Ok(response)
    })
    .await
}

/// The parameter that leads to the next page: a cursor, but for those who count.
fn next(fields: &Fields<'_>, start: usize, last: &Sms) -> (&'static str, String) {
    let counted = fields.all("id").next().is_some() || fields.all("start").next().is_some();
    if counted { ("start", (start + PAGE).to_string()) } else { ("cursor", cursor_of(Place::of(last))) }
}

fn cursor_of(place: Place) -> String {
    let mut bytes = [0; 16];
    let (at, id) = bytes.split_at_mut(8);
    at.copy_from_slice(&place.updated_at.micros().to_be_bytes());
    id.copy_from_slice(&place.id.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn place_of(cursor: &str) -> Option<Place> {
    let bytes: [u8; 16] = URL_SAFE_NO_PAD.decode(cursor).ok()?.try_into().ok()?;
    // 16 bytes make two numbers.
    let (at, id) = bytes.split_first_chunk::<8>()?;
    let updated_at = Timestamp::from_micros(i64::from_be_bytes(*at));
    Some(Place { updated_at, id: i64::from_be_bytes(id.try_into().ok()?) })
}

#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    which: Which,
    start: usize,
}

fn wanted(fields: &Fields<'_>) -> Result<Wanted, Refusal> {
    let mut wrong = Vec::new();
    let start = fields.one("start", &mut wrong).map_or(Ok(0), |text| text.parse().map_err(|_| text));
    let start = start.unwrap_or_else(|text| {
        wrong.push(Wrong::new("start", text, "how many to skip: a number"));
        0
    });
    // Stores count rows in signed numbers.
    let start = usize::min(start, i64::MAX as usize - PAGE - 1);
    let which = which(fields, &mut wrong);
    match which {
        Some(which) if wrong.is_empty() => Ok(Wanted { which, start }),
        _ => Err(Refusal::Wrong(wrong)),
    }
}

fn which(fields: &Fields<'_>, wrong: &mut Vec<Wrong>) -> Option<Which> {
    let ids: Vec<&str> = fields.all("id").collect();
    let since = fields.one("since", wrong);
    match since {
        Some(since) if !ids.is_empty() => {
            wrong.push(Wrong::new("since", since, "give `since` or `id`, not both"));
            None
        }
        Some(since) => {
            let at = Timestamp::parse(since);
            if at.is_none() {
                wrong.push(Wrong::new("since", since, "a date is YYYY-MM-DD or YYYY-MM-DD HH:MM:SS, UTC"));
            }
            let (order, after) = (order(fields, wrong), after(fields, wrong));
            at.map(|at| Which::Since { at, order, after })
        }
        None if ids.is_empty() => {
            wrong.push(Wrong::new("since", "", "give `since`, or one `id` or more"));
            None
        }
        None if ids.len() > MOST_IDS => {
            wrong.push(Wrong::new("id", &ids.len().to_string(), format!("{MOST_IDS} are allowed")));
            None
        }
        None => {
            let read = |id: &&str| {
                let number = id.parse().ok();
                if number.is_none() {
                    wrong.push(Wrong::new("id", id, "an id is a number"));
                }
                number
            };
            Some(Which::Ids(ids.iter().filter_map(read).collect()))
        }
    }
}

fn order(fields: &Fields<'_>, wrong: &mut Vec<Wrong>) -> Order {
    match fields.one("order", wrong) {
        None | Some("newest") => Order::NewestFirst,
        Some("oldest") => Order::OldestFirst,
        Some(other) => {
            wrong.push(Wrong::new("order", other, "`newest` or `oldest` first"));
            Order::default()
        }
    }
}

fn after(fields: &Fields<'_>, wrong: &mut Vec<Wrong>) -> Option<Place> {
    let cursor = fields.one("cursor", wrong)?;
    let place = place_of(cursor);
    if place.is_none() {
        wrong.push(Wrong::new("cursor", cursor, "take it from the `Link` of the page before"));
    } else if let Some(start) = fields.all("start").next() {
        wrong.push(Wrong::new("start", start, "give `cursor` or `start`, not both"));
    }
    place
}

/// The `Link` to the next page: the same query from another place.
fn next_link(request: &HttpRequest, fields: &Fields<'_>, (next, place): &(&str, String)) -> HeaderValue {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields.iter().filter(|(name, _)| name != next))
        .append_pair(next, place)
        .finish();
    let at = request.connection_info();
    let (scheme, host, path) = (at.scheme(), at.host(), request.path());
    let absolute = HeaderValue::try_from(format!("<{scheme}://{host}{path}?{query}>; rel=\"next\""));
    // A host that can't stand in a header: then from the root.
    let relative = || HeaderValue::try_from(format!("<{path}?{query}>; rel=\"next\""));
    absolute.or_else(|_| relative()).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use proptest::prelude::*;
    use vumi_kit::{
        clock::Timestamp,
        ledger::{Order, Place, Which},
    };

    use super::{Wanted, cursor_of, next_link, place_of, wanted};
    use crate::{body::Fields, refusal::Refusal};

    fn read(query: &str) -> Result<Wanted, Refusal> {
        wanted(&Fields::of_form(query.as_bytes()).unwrap())
    }

    #[test]
    fn a_query_asks_by_date_or_by_numbers() {
        let at = Timestamp::parse("2009-01-01").unwrap();
        let since = |order, after, start| Ok(Wanted { which: Which::Since { at, order, after }, start });
        assert_eq!(read("since=2009-01-01"), since(Order::NewestFirst, None, 0));
        assert_eq!(read("since=2009-01-01+00%3A00%3A00&start=100"), since(Order::NewestFirst, None, 100));
        let place = Place { updated_at: at, id: 7 };
        let query = format!("since=2009-01-01&order=oldest&cursor={}", cursor_of(place));
        assert_eq!(read(&query), since(Order::OldestFirst, Some(place), 0));
        assert_eq!(read("id=3&id=4"), Ok(Wanted { which: Which::Ids(vec![3, 4]), start: 0 }));
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
            ("since=2009-01-01&id=3", ("since", "2009-01-01")),
            ("since=2009-01-01&order=up", ("order", "up")),
            ("since=2009-01-01&cursor=100", ("cursor", "100")),
            ("since=2009-01-01&cursor=AAAAAAAAAAAAAAAAAAAAAA&start=1", ("start", "1")),
        ] {
            let refused = read(query).unwrap_err();
            let Refusal::Wrong(wrong) = refused else { panic!("{refused:?}") };
            assert_eq!((wrong[0].field.as_str(), wrong[0].value.as_str()), expected, "{query}");
            assert_eq!(wrong.len(), 1, "{query}");
        }
    }

    #[test]
    fn the_next_page_is_the_same_query_from_another_start() {
        let request = TestRequest::get().uri("/api/v1/sms/opera/status.json").insert_header(("host", "a.b:8000"));
        let fields = Fields::of_form(b"since=2009-01-01+10%3A00%3A00&start=100").unwrap();
        assert_eq!(
            next_link(&request.to_http_request(), &fields, &("start", "200".to_owned())),
            "<http://a.b:8000/api/v1/sms/opera/status.json?since=2009-01-01+10%3A00%3A00&start=200>; rel=\"next\""
        );
    }

    proptest! {
        #[test]
        fn a_cursor_is_read_as_it_was_written(micros in any::<i64>(), id in any::<i64>()) {
            let place = Place { updated_at: Timestamp::from_micros(micros), id };
            prop_assert_eq!(place_of(&cursor_of(place)), Some(place));
        }

        #[test]
        fn no_query_makes_the_reader_panic(query in "(since=|id=|start=|cursor=|order=|&|[0-9%+:-]|\\PC){0,30}") {
            if let Ok(fields) = Fields::of_form(query.as_bytes()) {
                let _read = wanted(&fields);
            }
        }
    }
}
