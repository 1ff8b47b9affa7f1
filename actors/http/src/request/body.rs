//! Reading request bodies, within limits on size, time and the memory of all of them.

use std::{net::IpAddr, ops::Deref, time::Duration};

use actix_web::{
    HttpMessage, HttpRequest,
    error::PayloadError,
    http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
    web,
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use vumi_kit::{charset::Charset, json};

use super::{
    body_budget::{BodyBudget, Reservation},
    multipart,
};
use crate::{connection::track::connection_of, response::error::ApiError};

/// The media type of forms.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// Unicode's byte order mark in UTF-8.
const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads the bodies of all requests.
pub(crate) struct BodyReader {
    max_body: usize,
    within: Duration,
    /// The memory of all bodies.
    budget: BodyBudget,
}

/// A body that was read whole; dropping it frees its part of the memory budget.
pub(crate) struct BufferedBody {
    pub(crate) bytes: Bytes,
    /// The bytes as they came: others than these where fields of several parts were made a form.
    pub(crate) raw: Bytes,
    /// The media type of these bytes, lower case, without parameters.
    pub(crate) media_type: String,
    reservation: Reservation,
}

impl BufferedBody {
    /// The same body, in UTF-8 if it is JSON: UTF-16 and UTF-32 show themselves, other character sets are named.
    pub(crate) fn json_in_utf8(mut self, charset: Option<Charset>) -> Result<Self, ApiError> {
        if self.media_type != "application/json" {
            return Ok(self);
        }
        let text = match charset {
            None if self.bytes.starts_with(UTF8_MARK) => {
                self.bytes = self.bytes.slice(UTF8_MARK.len()..);
                None
            }
            None => json::wide_text(&self.bytes),
            Some(charset) => {
                let unread = || ApiError::UnsupportedMediaType(format!("charset={}", charset.name()));
                let text = json::text(&self.bytes, &charset).ok_or_else(unread)?;
                // Nearly every body is in UTF-8 already.
                (text.as_bytes() != &*self.bytes).then(|| text.into_owned())
            }
        };
        if let Some(text) = text {
            self.bytes = text.into();
            self.reservation.grow(self.raw.len() + self.bytes.len())?;
        }
        Ok(self)
    }
}

impl Deref for BufferedBody {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl BodyReader {
    /// At most `max_body` bytes for one body and `max_bodies` for all, each read within a time.
    pub(crate) fn new(max_body: usize, max_bodies: usize, within: Duration) -> Self {
        Self { max_body, within, budget: BodyBudget::new(max_bodies) }
    }

    /// For bodies of anybody: those of one network take at most so many bytes.
    pub(crate) fn shared(self, most_of_network: usize) -> Self {
        Self { budget: self.budget.shared(most_of_network), ..self }
    }

    /// Reads the body of a request.
    pub(crate) async fn read(&self, request: &HttpRequest, payload: web::Payload) -> Result<BufferedBody, ApiError> {
        self.read_from(None, request, payload).await
    }

    /// Reads the body of a request that came from this network.
    pub(crate) async fn read_from(
        &self,
        network: Option<IpAddr>,
        request: &HttpRequest,
        payload: web::Payload,
    ) -> Result<BufferedBody, ApiError> {
        let headers = request.headers();
        if let Some(coding) =
            headers.get(CONTENT_ENCODING).filter(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
        {
            let named = format!("Content-Encoding: {}", coding.to_str().unwrap_or("?"));
            return Err(ApiError::UnsupportedMediaType(named));
        }
        let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > self.max_body) {
            return Err(ApiError::BodyTooLarge(self.max_body));
        }
        let collected = tokio::time::timeout(self.within, self.collect(network, payload)).await;
        let (mut bytes, mut reservation) = collected.unwrap_or(Err(ApiError::BodyTimeout))?;
        if let Some(connection) = connection_of(request) {
            connection.read_body();
        }
        let mut media_type = media_type(request);
        let raw = bytes.clone();
        if media_type == "multipart/form-data" {
            bytes = multipart::to_form(headers, &bytes).await?;
            reservation.grow(raw.len() + bytes.len())?;
            FORM.clone_into(&mut media_type);
        }
        Ok(BufferedBody { bytes, raw, media_type, reservation })
    }

    async fn collect(
        &self,
        network: Option<IpAddr>,
        mut payload: web::Payload,
    ) -> Result<(Bytes, Reservation), ApiError> {
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        let mut reservation = self.budget.reservation(network);
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(unreadable)?;
            let length = first.len() + rest.len() + chunk.len();
            if length > self.max_body {
                return Err(ApiError::BodyTooLarge(self.max_body));
            }
            reservation.grow(length)?;
            // Nearly every body is one chunk, which is not copied.
            if first.is_empty() {
                first = chunk;
            } else {
                rest.extend_from_slice(&chunk);
            }
        }
        let bytes = if rest.is_empty() { first } else { [first, rest.freeze()].concat().into() };
        Ok((bytes, reservation))
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unreadable(error: PayloadError) -> ApiError {
    ApiError::Unreadable(format!("the body could not be read: {error}"))
}

/// The media type of a request: lower case, without parameters.
fn media_type(request: &HttpRequest) -> String {
    request.content_type().split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The `charset` of a request's content type.
pub(crate) fn content_type_charset(request: &HttpRequest) -> Option<Charset> {
    // The server's own reader leaves the parameters out.
    let content_type = request.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    let mut parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let (_, label) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
    Some(Charset::of_label(label.trim().trim_matches(['"', '\''])))
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, time::Duration};

    use actix_web::{FromRequest, test::TestRequest, web};

    use vumi_kit::charset::Charset;

    use super::{BodyReader, BufferedBody, content_type_charset};
    use crate::response::error::ApiError;

    async fn read(reader: &BodyReader, length: usize) -> Result<BufferedBody, ApiError> {
        read_from(reader, None, length).await
    }

    async fn read_from(reader: &BodyReader, network: Option<IpAddr>, length: usize) -> Result<BufferedBody, ApiError> {
        let (request, mut payload) = TestRequest::post().set_payload(vec![b'x'; length]).to_http_parts();
        let payload = web::Payload::from_request(&request, &mut payload).await.unwrap();
        reader.read_from(network, &request, payload).await
    }

    #[test]
    fn the_character_set_of_a_content_type_is_read() {
        for (content_type, charset) in [
            ("application/x-www-form-urlencoded; charset=iso-8859-7", Some("iso-8859-7")),
            ("application/json;boundary=x; Charset=\"UTF-16\"", Some("utf-16")),
            ("text/xml", None),
        ] {
            let request = TestRequest::post().insert_header(("content-type", content_type)).to_http_request();
            assert_eq!(content_type_charset(&request), charset.map(Charset::of_label), "{content_type}");
        }
    }

    #[actix_web::test]
    async fn large_bodies_share_a_budget_and_small_ones_need_none() {
        let reader = BodyReader::new(100_000, 100_000, Duration::from_secs(30));
        let first = read(&reader, 90_000).await.unwrap();
        assert_eq!(first.len(), 90_000);
        let refused = read(&reader, 60_000).await.err().unwrap();
        assert!(matches!(refused, ApiError::Unavailable(1, _)), "{refused:?}");
        assert!(read(&reader, 16 * 1024).await.is_ok());
        // A body's memory is given back with it, that of a refused one at once.
        drop(first);
        let again = read(&reader, 100_000).await;
        assert_eq!(again.map(|body| body.len()), Ok(100_000));
        assert_eq!(read(&reader, 100_001).await.err(), Some(ApiError::BodyTooLarge(100_000)));
    }
    #[actix_web::test]
    async fn the_bodies_of_one_network_take_a_share_and_leave_the_rest_to_others() {
        let reader = BodyReader::new(100_000, 300_000, Duration::from_secs(30)).shared(100_000);
        let network = |last: u8| Some(IpAddr::from([192, 0, last, 0]));
        let first = read_from(&reader, network(1), 90_000).await.unwrap();
        let refused = read_from(&reader, network(1), 60_000).await.err().unwrap();
        assert!(matches!(refused, ApiError::Unavailable(1, _)), "{refused:?}");
        let other = read_from(&reader, network(2), 90_000).await.unwrap();
        drop(first);
        let again = read_from(&reader, network(1), 100_000).await.unwrap();
        let third = read_from(&reader, network(3), 100_000).await.unwrap();
        let all_is_taken = read_from(&reader, network(4), 100_000).await.err();
        assert!(matches!(all_is_taken, Some(ApiError::Unavailable(1, _))), "{all_is_taken:?}");
        drop((other, again, third));
        assert!(read_from(&reader, network(4), 100_000).await.is_ok());
    }
}
