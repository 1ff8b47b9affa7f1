//! The `Idempotency-Key` header. The store keeps the SMS of each key; this process knows which keys are in progress.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use actix_web::HttpRequest;
use sha2::{Digest, Sha256};
use vumi_kit::{account::AccountId, ledger::IdempotencyKey};

use crate::response::error::ApiError;

/// The longest key, in characters.
const MAX_KEY: usize = 255;

/// The header, as the API's description has it.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the header, which `key_of` reads")]
pub(crate) struct IdempotencyHeader {
    /// A repeated request with the same key sends nothing twice
    #[param(
        rename = "Idempotency-Key",
        nullable = false,
        min_length = 1,
        max_length = 255,
        pattern = "^[!-~]([ -~]{0,253}[!-~])?$"
    )]
    key: Option<String>,
}

type AccountKey = (AccountId, String);

/// The keys of requests in progress; the limit on connections bounds their number.
#[derive(Debug, Default)]
pub(crate) struct KeysInProgress(Mutex<HashSet<AccountKey>>);

/// Marks a key as in progress until it is dropped.
#[derive(Debug)]
pub(crate) struct KeyInProgress<'a> {
    keys: &'a KeysInProgress,
    key: AccountKey,
}

impl KeysInProgress {
    /// Marks a key as in progress, unless another request has it.
    pub(crate) fn begin(&self, account: AccountId, key: &str) -> Result<KeyInProgress<'_>, ApiError> {
        let key = (account, key.to_owned());
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone()) {
            Ok(KeyInProgress { keys: self, key })
        } else {
            Err(ApiError::KeyInProgress)
        }
    }
}

impl Drop for KeyInProgress<'_> {
    fn drop(&mut self) {
        self.keys.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// The key of a request, if it has one, with a digest of the request.
pub(crate) fn key_of(request: &HttpRequest, body: &[u8], keep: Duration) -> Result<Option<IdempotencyKey>, ApiError> {
    let Some(header) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    let key = header.to_str().unwrap_or_default();
    let legal = |b: u8| (b' '..=b'~').contains(&b);
    if key.is_empty() || key.len() > MAX_KEY || key.trim() != key || !key.bytes().all(legal) {
        let shown = String::from_utf8_lossy(header.as_bytes());
        let wanted = format!("must be 1 to {MAX_KEY} visible ASCII characters");
        return Err(ApiError::field("Idempotency-Key", &shown, wanted));
    }
    let mut digest = Sha256::new();
    for part in [request.method().as_str(), request.path(), request.query_string()] {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    digest.update(body);
    let request_digest = digest.finalize().to_vec();
    Ok(Some(IdempotencyKey { key: key.to_owned(), request_digest, keep_s: keep.as_secs() }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::{http::header::HeaderValue, test::TestRequest};

    use super::{KeysInProgress, key_of};
    use crate::response::error::ApiError;

    #[test]
    fn one_request_of_an_account_has_a_key_at_a_time() {
        let keys = KeysInProgress::default();
        let first = keys.begin(1, "k").unwrap();
        assert_eq!(keys.begin(1, "k").unwrap_err(), ApiError::KeyInProgress);
        assert!(keys.begin(2, "k").is_ok());
        drop(first);
        assert!(keys.begin(1, "k").is_ok());
    }

    #[test]
    fn another_body_or_path_has_another_digest() {
        let digest = |path: &str, body: &[u8]| {
            let request = TestRequest::post().uri(path).insert_header(("Idempotency-Key", "k")).to_http_request();
            key_of(&request, body, Duration::from_secs(1)).unwrap().unwrap().request_digest
        };
        assert_eq!(digest("/a", b"x"), digest("/a", b"x"));
        assert_ne!(digest("/a", b"x"), digest("/a", b"y"));
        assert_ne!(digest("/a", b"x"), digest("/b", b"x"));
    }

    #[test]
    fn an_empty_key_and_one_that_is_too_long_are_refused() {
        for key in ["", &"k".repeat(256), "a\tb", "ä"] {
            let value = HeaderValue::from_bytes(key.as_bytes()).unwrap();
            let request = TestRequest::post().insert_header(("Idempotency-Key", value)).to_http_request();
            assert!(matches!(key_of(&request, b"", Duration::ZERO), Err(ApiError::InvalidFields(_))));
        }
        assert_eq!(key_of(&TestRequest::post().to_http_request(), b"", Duration::ZERO), Ok(None));
    }
}
