//! A second account beside the sandbox's, for what one account must not see of another.

use std::{io::Write, process::Stdio};

use reqwest::{Method, blocking::RequestBuilder};

use crate::black_box::Harness;

/// An account called `clinic`.
pub(crate) struct Clinic<'a>(&'a Harness);

impl<'a> Clinic<'a> {
    /// Adds the account.
    pub(crate) fn new(harness: &'a Harness) -> Self {
        let mut added = harness
            .command(&["account", "add", "clinic", "--password-stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        added.stdin.take().unwrap().write_all(b"s3cret\n").unwrap();
        assert!(added.wait().unwrap().success());
        Self(harness)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.0.client().request(method, self.0.url(path)).basic_auth("clinic", Some("s3cret"))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        self.request(Method::POST, path).form(form)
    }
}
