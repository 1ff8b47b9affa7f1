//! `Idempotency-Key`: the store keeps which SMS a key stands for; here is what only this process knows, which
//! keys are in progress.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use actix_web::HttpRequest;
use sha2::{Digest, Sha256};
use vumi_kit::{account::AccountId, ledger::IdempotencyKey};

use super::refusal::Refusal;

/// The longest key, in characters.
const LONGEST: usize = 255;

type Held = (AccountId, String);

/// The keys of requests in progress: as many as there are requests, which the connections bound.
#[derive(Debug, Default)]
pub(crate) struct InProgress(Mutex<HashSet<Held>>);

/// A key held for the time of its request.
#[derive(Debug)]
pub(crate) struct Hold<'a> {
    of: &'a InProgress,
    held: Held,
}

impl InProgress {
    /// Holds a key, unless another request does.
    pub(crate) fn hold(&self, account: AccountId, key: &str) -> Result<Hold<'_>, Refusal> {
        let held = (account, key.to_owned());
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(held.clone()) {
            Ok(Hold { of: self, held })
        } else {
            Err(Refusal::InProgress)
        }
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.of.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.held);
    }
}

/// The key of a request, if it has one, with the digest of what was asked.
pub(crate) fn key_of(request: &HttpRequest, body: &[u8], keep: Duration) -> Result<Option<IdempotencyKey>, Refusal> {
    let Some(header) = request.headers().get("idempotency-key") else {
        return Ok(None);
    };
    let key = header.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > LONGEST {
        let shown = String::from_utf8_lossy(header.as_bytes());
        let wanted = format!("must be 1 to {LONGEST} visible ASCII characters");
        return Err(Refusal::field("Idempotency-Key", &shown, wanted));
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

    use actix_web::test::TestRequest;

    use super::{InProgress, key_of};
    use crate::refusal::Refusal;

    #[test]
    fn a_key_is_held_by_one_request_at_a_time_and_by_account() {
        let keys = InProgress::default();
        let first = keys.hold(1, "k").unwrap();
        assert_eq!(keys.hold(1, "k").unwrap_err(), Refusal::InProgress);
        assert!(keys.hold(2, "k").is_ok());
        drop(first);
        assert!(keys.hold(1, "k").is_ok());
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
    fn a_key_that_is_none_is_refused() {
        for key in ["", &"k".repeat(256)] {
            let request = TestRequest::post().insert_header(("Idempotency-Key", key)).to_http_request();
            assert!(matches!(key_of(&request, b"", Duration::ZERO), Err(Refusal::Wrong(_))));
        }
        assert_eq!(key_of(&TestRequest::post().to_http_request(), b"", Duration::ZERO), Ok(None));
    }
}
