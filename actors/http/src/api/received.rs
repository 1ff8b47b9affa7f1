//! SMS from people, for clients without a public URL to post them to.

use actix_web::{HttpRequest, HttpResponse, http::header::LINK};
use serde::Serialize;
use vumi_kit::{
    clock::Timestamp,
    ledger::{ListReceived, StatusCursor},
    sms::Received,
    store::Ask,
};

use super::status::{PAGE_SIZE, cursor_of, next_link, position_of};
use crate::{
    guard::guarded,
    limits::call_rates::RateClass,
    request::fields::{KnownFields, RequestFields},
    response::{
        error::ApiError,
        field_errors::{FieldError, FieldErrors},
        views::{UtcTime, json},
    },
};

const KNOWN_FIELDS: KnownFields = KnownFields {
    single: &[&["since", "cursor"]],
    lists: &[],
    numbers: &[],
    flags: &[],
    variables: None,
    max_values: 1,
};

/// About the bytes that an SMS takes as JSON.
const SMS_SIZE: usize = 512;

/// An SMS from a person: the fields that a callback for `sms_received` posts.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ReceivedSms)]
pub(crate) struct ReceivedView<'a> {
    /// The router's number for it.
    id: i64,
    /// What the person wrote to.
    to_msisdn: &'a str,
    /// The person's number, or what the carrier names in its place.
    from_msisdn: &'a str,
    message: &'a str,
    /// The character set that the provider named.
    charset: Option<&'a str>,
    transport_name: &'a str,
    /// The provider's id for it, where it named one.
    transport_msg_id: Option<&'a str>,
    /// When the provider got it.
    #[schema(value_type = String, example = "2010-05-13 11:34:34")]
    received_at: UtcTime,
    #[schema(value_type = String, example = "2010-05-13 11:34:34")]
    created_at: UtcTime,
    /// When it became this account's: the time that `since` is compared with.
    #[schema(value_type = String, example = "2010-05-13 11:34:34")]
    updated_at: UtcTime,
    /// It came in parts, and some did not come in time: `message` is what was there.
    incomplete: bool,
}

impl<'a> ReceivedView<'a> {
    fn of(received: &'a Received) -> Self {
        let sms = &received.sms;
        Self {
            id: received.id,
            to_msisdn: sms.to.as_str(),
            from_msisdn: sms.from.as_str(),
            message: &sms.message,
            charset: sms.charset.as_deref(),
            transport_name: received.transport.as_str(),
            transport_msg_id: sms.provider_id.as_deref(),
            received_at: UtcTime(sms.at.unwrap_or(received.created_at)),
            created_at: UtcTime(received.created_at),
            updated_at: UtcTime(received.updated_at),
            incomplete: received.incomplete,
        }
    }
}

/// SMS from people over a transport, the oldest first.
///
/// A page holds 100; while there is more, a `Link` header leads to the next: follow it as it is. Each SMS is listed once. To
/// follow what comes, ask again with the `updated_at` of the last one as `since`, and leave out the ids that you have.
#[utoipa::path(
    get,
    path = "/api/v1/sms/{transport}/received.json",
    tag = "status",
    operation_id = "received",
    params(
        ("transport" = String, Path, description = "The transport's name"),
        ("since" = String, Query, description = "`YYYY-MM-DD` or `YYYY-MM-DD HH:MM:SS`, UTC", example = "2009-01-01"),
        ("cursor" = Option<String>, Query, description = "Where the page begins, from the `Link` of the page before"),
    ),
    responses((
        status = 200,
        description = "The SMS",
        body = Vec<ReceivedView>,
        headers(("Link" = String, description = "The next page, `rel=\"next\"`")),
    )),
)]
pub(crate) async fn list(request: HttpRequest) -> HttpResponse {
    guarded(&request, RateClass::Reading, async |call| {
        let transport = call.transport()?.clone();
        let fields = RequestFields::of_form(call.request.query_string().as_bytes(), KNOWN_FIELDS)?;
        let (since, after) = wanted(&fields)?;
        // One more than a page, to know whether there is another page.
        let ask = ListReceived { account: call.account, transport, since, after, limit: PAGE_SIZE + 1 };
        let found = call.state.store.ledger.ask(ask).await?;
        let page = found.get(..PAGE_SIZE.min(found.len())).unwrap_or_default();
        let views: Vec<ReceivedView<'_>> = page.iter().map(ReceivedView::of).collect();
        let mut response = json(&views, views.len() * SMS_SIZE);
        if let Some(last) = page.last().filter(|_| found.len() > PAGE_SIZE) {
            let place = StatusCursor { updated_at: last.updated_at, id: last.id };
            response.headers_mut().insert(LINK, next_link(&call, &("cursor", cursor_of(place))));
        }
        Ok(response)
    })
    .await
}

fn wanted(fields: &RequestFields<'_>) -> Result<(Timestamp, Option<StatusCursor>), ApiError> {
    let mut errors = FieldErrors::default();
    let since = fields.one("since", &mut errors).unwrap_or_default();
    let at = Timestamp::parse(since);
    if at.is_none() {
        errors.push(FieldError::new("since", since, "a date is YYYY-MM-DD or YYYY-MM-DD HH:MM:SS, UTC"));
    }
    let cursor = fields.one("cursor", &mut errors);
    let after = cursor.and_then(position_of);
    if let (Some(cursor), None) = (cursor, after) {
        errors.push(FieldError::new("cursor", cursor, "take it from the `Link` of the page before"));
    }
    match at {
        Some(at) if errors.is_empty() => Ok((at, after)),
        _ => Err(ApiError::InvalidFields(errors)),
    }
}

#[cfg(test)]
mod tests {
    use super::{KNOWN_FIELDS, wanted};
    use crate::{request::fields::RequestFields, response::error::ApiError};

    #[test]
    fn everything_that_is_wrong_with_a_query_is_named() {
        for (query, named) in [
            ("", &[("since", "")][..]),
            ("since=yesterday&cursor=1", &[("since", "yesterday"), ("cursor", "1")]),
            ("since=2009-01-01&cursor=", &[("cursor", "")]),
        ] {
            let fields = RequestFields::of_form(query.as_bytes(), KNOWN_FIELDS).unwrap();
            let Err(ApiError::InvalidFields(errors)) = wanted(&fields) else { panic!("{query}") };
            let errors: Vec<_> = errors.iter().map(|error| (error.field.as_str(), error.value.as_str())).collect();
            assert_eq!(errors, named, "{query}");
        }
    }
}
