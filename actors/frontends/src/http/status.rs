//! Status: one SMS, several by number or by date, and what happened to one.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderValue, LINK},
};
use serde::Serialize;
use vumi_kit::{
    clock::Timestamp,
    ledger::{FindSms, ListSms, SmsTimeline, Which},
    store::Asking,
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

/// Several SMS, newest first: those changed since a date, or those with these numbers.
///
/// Give `since` or `id`. A page holds 100; while there is more, a `Link` header leads to the next.
#[utoipa::path(
    get,
    path = "/api/v1/sms/{transport}/status.json",
    tag = "status",
    params(
        ("transport" = String, Path, description = "The transport's name"),
        ("since" = Option<String>, Query, description = "`YYYY-MM-DD` or `YYYY-MM-DD HH:MM:SS`, UTC", example = "2009-01-01"),
        ("id" = Option<Vec<u64>>, Query, description = "Numbers of SMS"),
        ("start" = Option<u64>, Query, description = "How many to skip"),
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
        if found.len() > PAGE {
            response.headers_mut().insert(LINK, next_link(caller.request, &fields, start + PAGE));
        }
        Ok(response)
    })
    .await
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
            at.map(Which::Since)
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

/// The `Link` to the next page: the same query with another start.
fn next_link(request: &HttpRequest, fields: &Fields<'_>, start: usize) -> HeaderValue {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields.iter().filter(|(name, _)| *name != "start"))
        .append_pair("start", &start.to_string())
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
    use vumi_kit::{clock::Timestamp, ledger::Which};

    use super::{Wanted, next_link, wanted};
    use crate::http::{body::Fields, refusal::Refusal};

    fn read(query: &str) -> Result<Wanted, Refusal> {
        wanted(&Fields::of_form(query.as_bytes()).unwrap())
    }

    #[test]
    fn a_query_asks_by_date_or_by_numbers() {
        let since = Timestamp::parse("2009-01-01").unwrap();
        assert_eq!(read("since=2009-01-01"), Ok(Wanted { which: Which::Since(since), start: 0 }));
        assert_eq!(
            read("since=2009-01-01+00%3A00%3A00&start=100"),
            Ok(Wanted { which: Which::Since(since), start: 100 })
        );
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
            next_link(&request.to_http_request(), &fields, 200),
            "<http://a.b:8000/api/v1/sms/opera/status.json?since=2009-01-01+10%3A00%3A00&start=200>; rel=\"next\""
        );
    }

    proptest! {
        #[test]
        fn no_query_makes_the_reader_panic(query in "(since=|id=|start=|&|[0-9%+:-]|\\PC){0,30}") {
            if let Ok(fields) = Fields::of_form(query.as_bytes()) {
                let _read = wanted(&fields);
            }
        }
    }
}
