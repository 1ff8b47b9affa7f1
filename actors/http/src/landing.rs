//! The page at `/` for a person with a browser: what runs here, and where to go on. It is public, and holds no secret.

use std::net::SocketAddr;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{
        Accept, CACHE_CONTROL, CONTENT_SECURITY_POLICY, Header, HeaderName, HeaderValue, Quality, QualityItem, VARY,
        X_CONTENT_TYPE_OPTIONS,
    },
    web,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::response::error::nothing_here;

const PAGE: &str = include_str!("landing.html");
const STYLE: &str = include_str!("landing.css");

/// The page, written once at the start.
pub(crate) struct LandingPage {
    html: Bytes,
    content_security_policy: String,
}

impl LandingPage {
    /// Links to the pages of the sandbox where there is one.
    pub(crate) fn new(sandbox: Option<SocketAddr>) -> Self {
        let sandbox = sandbox.map(sandbox_section).unwrap_or_default();
        let html = PAGE.replace("{style}", STYLE).replace("{sandbox}", &sandbox);
        // The page's own style and nothing else: no script, no image, no frame, no form.
        let style_hash = STANDARD.encode(Sha256::digest(STYLE));
        let content_security_policy = format!(
            "default-src 'none'; style-src 'sha256-{style_hash}'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'"
        );
        Self { html: html.into(), content_security_policy }
    }
}

fn sandbox_section(bind: SocketAddr) -> String {
    format!(
        "<h2>Sandbox</h2>\n<dl>\n<dt><a href=\"http://{bind}/\">The sandbox's providers</a></dt>\n<dd>Simulated providers \
         on the router's machine: see what they received, and make them misbehave.</dd>\n</dl>\n"
    )
}

/// `GET /`: the page for a browser, and for other clients a problem document, as anywhere where there is nothing.
pub(crate) async fn page(request: HttpRequest, page: web::Data<LandingPage>) -> HttpResponse {
    if !prefers_html(&request) {
        let mut response = nothing_here(&request).response();
        response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
        return response;
    }
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, page.content_security_policy.as_str()))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((HeaderName::from_static("referrer-policy"), "no-referrer"))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((VARY, "Accept"))
        .body(page.html.clone())
}

/// Whether a request names HTML, and JSON not before it. `*/*` alone names nothing.
fn prefers_html(request: &HttpRequest) -> bool {
    let accepted = Accept::parse(request).map(|accept| accept.0).unwrap_or_default();
    let quality = |names: &[&str]| {
        let named = accepted.iter().filter(|item| names.contains(&item.item.essence_str()));
        named.map(|QualityItem { quality, .. }| *quality).max().unwrap_or(Quality::ZERO)
    };
    let html = quality(&["text/html", "application/xhtml+xml"]);
    html > Quality::ZERO && html >= quality(&["application/json", "application/problem+json"])
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::{LandingPage, prefers_html};

    #[test]
    fn html_is_for_whom_names_it_before_json() {
        for (accept, html) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("text/html", true),
            ("text/html;q=0.5, application/json;q=0.4", true),
            ("application/json, text/html;q=0.5", false),
            ("text/html;q=0", false),
            ("*/*", false),
            ("application/json", false),
            ("", false),
            ("nonsense", false),
        ] {
            let request = TestRequest::get().insert_header(("accept", accept)).to_http_request();
            assert_eq!(prefers_html(&request), html, "{accept}");
        }
        assert!(!prefers_html(&TestRequest::get().to_http_request()));
    }

    #[test]
    fn the_sandbox_is_linked_where_there_is_one() {
        let html = |sandbox| String::from_utf8(LandingPage::new(sandbox).html.to_vec()).unwrap();
        assert!(html(Some("127.0.0.1:8010".parse().unwrap())).contains("href=\"http://127.0.0.1:8010/\""));
        let without = html(None);
        assert!(!without.contains("andbox") && !without.contains("{s"), "{without}");
    }
}
