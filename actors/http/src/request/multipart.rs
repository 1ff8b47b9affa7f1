//! Rewrites `multipart/form-data` as a form: what reads forms, here and in the transports, needs no other reader.

use actix_multipart::Multipart;
use actix_web::http::header::HeaderMap;
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use crate::response::error::ApiError;

/// The bytes that the parser gets at once: it buffers what it gets.
const CHUNK: usize = 16 * 1024;
/// Parts after which other requests of the same thread get their turn.
const PARTS_A_TURN: usize = 256;

/// The same fields as `application/x-www-form-urlencoded`. A file is a field with the file's content.
pub(crate) async fn to_form(headers: &HeaderMap, body: &Bytes) -> Result<Bytes, ApiError> {
    let chunks: Vec<_> =
        (0..body.len()).step_by(CHUNK).map(|start| Ok(body.slice(start..body.len().min(start + CHUNK)))).collect();
    let mut parts = Multipart::new(headers, stream::iter(chunks));
    let mut form = String::new();
    let mut read = 0;
    while let Some(part) = parts.next().await {
        let mut part = part.map_err(unreadable)?;
        let value = part.bytes(body.len()).await.map_err(unreadable)?.map_err(unreadable)?;
        if !form.is_empty() {
            form.push('&');
        }
        form.extend(url::form_urlencoded::byte_serialize(part.name().unwrap_or_default().as_bytes()));
        form.push('=');
        form.extend(url::form_urlencoded::byte_serialize(&value));
        read += 1;
        if read % PARTS_A_TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(form.into())
}

fn unreadable(error: impl std::fmt::Display) -> ApiError {
    ApiError::Unreadable(format!("the body is not multipart/form-data: {error}"))
}
