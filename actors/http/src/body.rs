//! Reading what a client sent: bodies with their bounds, and the fields in them, form-encoded or JSON.

use std::{borrow::Cow, ops::Deref, sync::Arc, time::Duration};

use actix_web::{
    HttpMessage, HttpRequest,
    error::PayloadError,
    http::header::{CONTENT_ENCODING, CONTENT_LENGTH},
    web,
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use percent_encoding::percent_decode;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::refusal::{Refusal, Wrong};

/// Of each body so much is not counted: small ones come through whatever the large ones of others take. The
/// connections bound these.
const UNCOUNTED: usize = 16 * 1024;

/// The bodies of all requests under way.
pub(crate) struct Bodies {
    most: usize,
    within: Duration,
    /// A permit for each byte that may be held.
    room: Arc<Semaphore>,
}

/// A body, and its place in memory.
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    _place: Place,
}

impl Deref for Body {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// What a body takes of the room for all.
#[derive(Default)]
struct Place(Option<OwnedSemaphorePermit>);

impl Place {
    /// Grows to hold a body of so many bytes.
    fn hold(&mut self, room: &Arc<Semaphore>, length: usize) -> Result<(), Refusal> {
        let counted = length.saturating_sub(UNCOUNTED);
        let more = counted - self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits).min(counted);
        if more == 0 {
            return Ok(());
        }
        let full = || Refusal::Away(1, "too many large bodies are under way, nothing was kept");
        let more = u32::try_from(more).map_err(|_| full())?;
        let permit = Arc::clone(room).try_acquire_many_owned(more).map_err(|_| full())?;
        match &mut self.0 {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        Ok(())
    }
}

impl Bodies {
    /// So many bytes for one body, so many for all, and so much time for one to arrive.
    pub(crate) fn new(most: usize, most_of_all: usize, within: Duration) -> Self {
        Self { most, within, room: Arc::new(Semaphore::new(most_of_all.min(Semaphore::MAX_PERMITS))) }
    }

    /// Collects the body of a request.
    pub(crate) async fn collect(&self, request: &HttpRequest, payload: web::Payload) -> Result<Body, Refusal> {
        let headers = request.headers();
        if let Some(coding) =
            headers.get(CONTENT_ENCODING).filter(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
        {
            return Err(Refusal::MediaType(format!("Content-Encoding: {}", coding.to_str().unwrap_or("?"))));
        }
        let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > self.most) {
            return Err(Refusal::TooLarge(self.most));
        }
        tokio::time::timeout(self.within, self.read(payload)).await.unwrap_or(Err(Refusal::TooSlow))
    }

    async fn read(&self, mut payload: web::Payload) -> Result<Body, Refusal> {
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        let mut place = Place::default();
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(unreadable)?;
            let length = first.len() + rest.len() + chunk.len();
            if length > self.most {
                return Err(Refusal::TooLarge(self.most));
            }
            place.hold(&self.room, length)?;
            // Nearly every body is one chunk: it is used where it lies.
            if first.is_empty() {
                first = chunk;
            } else {
                rest.extend_from_slice(&chunk);
            }
        }
        let bytes = if rest.is_empty() { first } else { [first, rest.freeze()].concat().into() };
        Ok(Body { bytes, _place: place })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unreadable(error: PayloadError) -> Refusal {
    Refusal::Unreadable(format!("the body could not be read: {error}"))
}

/// The media type of a request: lower case, without parameters.
pub(crate) fn media_type(request: &HttpRequest) -> Cow<'_, str> {
    let essence = request.content_type().split(';').next().unwrap_or_default().trim();
    if essence.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(essence.to_ascii_lowercase())
    } else {
        Cow::Borrowed(essence)
    }
}

/// The fields of a body or query, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fields<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Fields<'a> {
    /// Reads a body by its media type. An empty body has no fields, whatever its type.
    pub(crate) fn of_body(media_type: &str, body: &'a [u8]) -> Result<Self, Refusal> {
        match media_type {
            "application/x-www-form-urlencoded" => Self::of_form(body),
            "application/json" => Self::of_json(body),
            _ if body.is_empty() => Ok(Self::default()),
            other => Err(Refusal::MediaType(other.chars().take(100).collect())),
        }
    }

    /// Reads a form-encoded body or a query.
    pub(crate) fn of_form(body: &'a [u8]) -> Result<Self, Refusal> {
        let mut fields = Vec::with_capacity(4);
        let mut wrong = Vec::new();
        for pair in body.split(|&b| b == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |&b| b == b'=');
            let (name, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
            match (decoded(name), decoded(value)) {
                (Some(name), Some(value)) => fields.push((name, value)),
                (name, _) => wrong.push(Wrong::new(
                    name.unwrap_or_else(|| String::from_utf8_lossy(name_or_empty(pair))),
                    &String::from_utf8_lossy(value),
                    "is not UTF-8 once decoded",
                )),
            }
        }
        if wrong.is_empty() { Ok(Self(fields)) } else { Err(Refusal::Wrong(wrong)) }
    }

    /// Reads a JSON object of strings, whole numbers and lists of them: the same fields as a form's.
    fn of_json(body: &[u8]) -> Result<Self, Refusal> {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| Refusal::Unreadable(format!("the body is not JSON: {error}")))?;
        let Value::Object(object) = value else {
            return Err(Refusal::Unreadable("the body must be a JSON object".to_owned()));
        };
        let mut fields = Vec::with_capacity(object.len());
        let mut wrong = Vec::new();
        for (name, value) in object {
            let values = if let Value::Array(values) = value { values } else { vec![value] };
            for value in values {
                match value {
                    Value::String(text) => fields.push((Cow::Owned(name.clone()), Cow::Owned(text))),
                    Value::Number(number) if number.is_i64() || number.is_u64() => {
                        fields.push((Cow::Owned(name.clone()), Cow::Owned(number.to_string())));
                    }
                    other => wrong.push(Wrong::new(
                        name.as_str(),
                        &other.to_string(),
                        "must be a text, a whole number, or a list of them",
                    )),
                }
            }
        }
        if wrong.is_empty() { Ok(Self(fields)) } else { Err(Refusal::Wrong(wrong)) }
    }

    /// All fields.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// All values of a field.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.iter().filter(move |(given, _)| *given == name).map(|(_, value)| value)
    }

    /// The value of a field that may be given once.
    pub(crate) fn one(&self, name: &str, wrong: &mut Vec<Wrong>) -> Option<&str> {
        let mut values = self.all(name);
        let value = values.next()?;
        if let Some(second) = values.next() {
            wrong.push(Wrong::new(name, second, "is given more than once"));
        }
        Some(value)
    }

    /// The value of a field that must be given once.
    pub(crate) fn required(&self, name: &str, wrong: &mut Vec<Wrong>) -> Option<&str> {
        let value = self.one(name, wrong);
        if value.is_none() {
            wrong.push(Wrong::new(name, "", "is required"));
        }
        value
    }
}

fn name_or_empty(pair: &[u8]) -> &[u8] {
    pair.split(|&b| b == b'=').next().unwrap_or_default()
}

/// Decodes a part of a form; `None` where it is not UTF-8.
fn decoded(part: &[u8]) -> Option<Cow<'_, str>> {
    if !part.iter().any(|&b| b == b'+' || b == b'%') {
        return std::str::from_utf8(part).ok().map(Cow::Borrowed);
    }
    let spaced: Vec<u8> = part.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
    percent_decode(&spaced).decode_utf8().ok().map(|text| Cow::Owned(text.into_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::{FromRequest, test::TestRequest, web};
    use proptest::prelude::*;

    use super::{Bodies, Body, Fields};
    use crate::refusal::Refusal;

    fn pairs(fields: &Fields<'_>) -> Vec<(String, String)> {
        fields.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    async fn collected(bodies: &Bodies, length: usize) -> Result<Body, Refusal> {
        let (request, mut payload) = TestRequest::post().set_payload(vec![b'x'; length]).to_http_parts();
        let payload = web::Payload::from_request(&request, &mut payload).await.unwrap();
        bodies.collect(&request, payload).await
    }

    #[actix_web::test]
    async fn large_bodies_share_a_room_and_small_ones_need_none() {
        let bodies = Bodies::new(100_000, 100_000, Duration::from_secs(30));
        let first = collected(&bodies, 90_000).await.unwrap();
        assert_eq!(first.len(), 90_000);
        let refused = collected(&bodies, 60_000).await.err().unwrap();
        assert!(matches!(refused, Refusal::Away(1, _)), "{refused:?}");
        assert!(collected(&bodies, 16 * 1024).await.is_ok());
        // What a body took is given back with it, and what a refused one took at once.
        drop(first);
        let again = collected(&bodies, 100_000).await;
        assert_eq!(again.map(|body| body.len()), Ok(100_000));
        assert_eq!(collected(&bodies, 100_001).await.err(), Some(Refusal::TooLarge(100_000)));
    }

    #[test]
    fn a_form_keeps_the_order_of_repeated_fields() {
        let fields = Fields::of_form(b"to_msisdn=1%2B&message=hello+w%C3%B6rld&to_msisdn=2&&flag").unwrap();
        assert_eq!(fields.all("to_msisdn").collect::<Vec<_>>(), ["1+", "2"]);
        assert_eq!(fields.all("message").collect::<Vec<_>>(), ["hello wörld"]);
        assert_eq!(fields.all("flag").collect::<Vec<_>>(), [""]);
    }

    #[test]
    fn json_of_the_same_names_gives_the_same_fields() {
        let json = br#"{"to_msisdn": ["1", 27], "message": "hi"}"#;
        let fields = Fields::of_body("application/json", json).unwrap();
        assert_eq!(fields.all("to_msisdn").collect::<Vec<_>>(), ["1", "27"]);
        assert_eq!(fields.all("message").collect::<Vec<_>>(), ["hi"]);
    }

    #[test]
    fn what_is_not_text_is_named() {
        let refused = Fields::of_body("application/json", br#"{"message": {"a": 1}, "x": [null, 1.5]}"#).unwrap_err();
        let Refusal::Wrong(wrong) = refused else { panic!("{refused:?}") };
        let named: Vec<_> = wrong.iter().map(|w| (w.field.as_str(), w.value.as_str())).collect();
        assert_eq!(named, [("message", r#"{"a":1}"#), ("x", "null"), ("x", "1.5")]);
        let refused = Fields::of_form(b"message=%ff%fe").unwrap_err();
        assert!(matches!(&refused, Refusal::Wrong(wrong) if wrong[0].field == "message"), "{refused:?}");
    }

    #[test]
    fn a_body_of_another_type_is_refused_and_an_empty_one_has_no_fields() {
        assert!(matches!(Fields::of_body("text/xml", b"<a/>"), Err(Refusal::MediaType(_))));
        assert!(matches!(Fields::of_body("application/json", b"[1]"), Err(Refusal::Unreadable(_))));
        assert!(matches!(Fields::of_body("application/json", b"{"), Err(Refusal::Unreadable(_))));
        assert_eq!(Fields::of_body("", b"").unwrap(), Fields::default());
    }

    #[test]
    fn a_field_that_may_be_given_once_is_refused_twice() {
        let fields = Fields::of_form(b"message=a&message=b").unwrap();
        let mut wrong = vec![];
        assert_eq!(fields.one("message", &mut wrong), Some("a"));
        assert_eq!(wrong.len(), 1);
        assert_eq!(fields.required("from_msisdn", &mut wrong), None);
        assert_eq!(wrong[1].field, "from_msisdn");
    }

    proptest! {
        #[test]
        fn no_form_makes_the_reader_panic(body in any::<Vec<u8>>()) {
            let _read = Fields::of_form(&body);
        }

        #[test]
        fn no_json_makes_the_reader_panic(body in "[\\[\\]{}\",:0-9a-z\\\\. \u{0}-\u{ff}]{0,60}") {
            let _read = Fields::of_body("application/json", body.as_bytes());
        }

        #[test]
        fn what_is_encoded_is_read_back(fields in prop::collection::vec((".{1,8}", ".{0,20}"), 0..6)) {
            let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
            prop_assert_eq!(pairs(&Fields::of_form(form.as_bytes()).unwrap()), fields);
        }
    }
}
