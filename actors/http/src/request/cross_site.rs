//! Calls that a page of another site makes its visitor's browser send, with the password that the browser remembers.
//!
//! Browsers name the page in `Sec-Fetch-Site`, older ones in `Origin`; other programs send neither.

use actix_web::{
    HttpRequest,
    http::header::{HOST, HeaderMap, HeaderName, ORIGIN},
};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a page of another site makes the call. Another port is another site.
pub(crate) fn is_cross_site(request: &HttpRequest) -> bool {
    let headers = request.headers();
    match text(headers, SEC_FETCH_SITE) {
        Some(site) => !["same-origin", "none"].contains(&site),
        None => headers.contains_key(ORIGIN) && !is_own_origin(headers),
    }
}

/// Whether the page's host and port are those that the call names; a proxy may have changed the scheme.
fn is_own_origin(headers: &HeaderMap) -> bool {
    let page = text(headers, ORIGIN).and_then(|origin| origin.split_once("://"));
    let (Some((scheme, page)), Some(host)) = (page, text(headers, HOST)) else { return false };
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    page.eq_ignore_ascii_case(host.strip_suffix(default_port).unwrap_or(host))
}

/// A header's text; an illegible one names no page that may call.
fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::is_cross_site;

    #[test]
    fn a_page_of_another_site_is_known_by_what_its_browser_says() {
        let (site, origin) = ("sec-fetch-site", "origin");
        for (headers, cross) in [
            (vec![], false),
            (vec![(site, "same-origin"), (origin, "https://public.example")], false),
            (vec![(site, "none")], false),
            (vec![(site, "cross-site")], true),
            (vec![(site, "same-site"), (origin, "http://vumi.example:8000")], true),
            (vec![(site, "")], true),
            (vec![(origin, "http://vumi.example:8000")], false),
            (vec![(origin, "https://VUMI.example:8000")], false),
            (vec![(origin, "http://vumi.example")], true),
            (vec![(origin, "http://vumi.example:8000.evil.example")], true),
            (vec![(origin, "null")], true),
            (vec![(origin, "http://evil.example")], true),
        ] {
            let mut request = TestRequest::post().insert_header(("host", "vumi.example:8000"));
            for header in &headers {
                request = request.insert_header(*header);
            }
            assert_eq!(is_cross_site(&request.to_http_request()), cross, "{headers:?}");
        }
        let https = TestRequest::post().insert_header(("host", "a.b:443")).insert_header((origin, "https://a.b"));
        assert!(!is_cross_site(&https.to_http_request()));
    }
}
