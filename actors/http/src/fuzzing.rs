//! For the fuzzer only (feature `fuzzing`, `fuzz/README.md`): the readers of bodies.

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use bytes::Bytes;

use crate::request::{
    fields::{KnownFields, RequestFields},
    multipart,
};

const KNOWN: KnownFields = KnownFields {
    single: &[&["from_msisdn", "message"]],
    flags: &[],
    lists: &["to_msisdn"],
    numbers: &["from_msisdn", "to_msisdn"],
    variables: Some("template_"),
    max_values: 10,
};

/// Reads the fields of a body, and answers how many values were kept.
#[must_use]
pub fn read_fields(media_type: &str, body: &[u8]) -> usize {
    let Ok(fields) = RequestFields::of_body(media_type, body, KNOWN) else { return 0 };
    let variables = fields.variables("template_").map(|name| format!("template_{name}")).collect::<Vec<_>>();
    let names =
        KNOWN.single.iter().copied().flatten().chain(KNOWN.lists).copied().chain(variables.iter().map(String::as_str));
    names.map(|name| fields.all(name).count()).sum()
}

/// The fields of a multipart body as a form; none if it can't be read.
#[must_use]
pub fn multipart_to_form(boundary: &str, body: &[u8]) -> Option<Bytes> {
    let mut headers = HeaderMap::new();
    let content_type = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}")).ok()?;
    headers.insert(CONTENT_TYPE, content_type);
    let body = Bytes::copy_from_slice(body);
    let mut reading = pin!(multipart::to_form(&headers, &body));
    let mut context = Context::from_waker(Waker::noop());
    // All of it is there: it waits for nothing but its turn.
    loop {
        if let Poll::Ready(read) = reading.as_mut().poll(&mut context) {
            return read.ok();
        }
    }
}
