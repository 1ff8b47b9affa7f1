//! What needs no log-in: the page at `/`, the API's description and its documentation.

use reqwest::{Method, StatusCode, header::ACCEPT};
use serde_json::{Value, json};

use super::{assert_problem, harness, header};

/// What browsers send.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[actix_web::test]
async fn a_browser_gets_a_page_that_leads_on_and_holds_no_secret() {
    let harness = harness().await;
    let page = harness.get_public("/").header(ACCEPT, BROWSER).send().await.unwrap();
    assert_eq!((page.status(), header(&page, "content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    let policy = header(&page, "content-security-policy").to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(header(&page, "vary"), "Accept");
    let page = page.text().await.unwrap();
    assert!(!page.contains("<script") && !page.contains("style=\""), "{page}");
    for account in ["username", "password", "secret"] {
        assert!(!page.contains(account), "{account}: {page}");
    }
    let links = page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let (elsewhere, here): (Vec<&str>, Vec<&str>) = links.partition(|link| link.contains("://"));
    assert_eq!(elsewhere, ["http://127.0.0.1:8010/"]);
    assert_eq!(here, ["api/docs/", "api/v1/openapi.json", "health/ready"]);
    for link in here {
        assert_eq!(harness.get_public(&format!("/{link}")).send().await.unwrap().status(), StatusCode::OK, "{link}");
    }
}

#[actix_web::test]
async fn the_style_of_the_page_is_the_one_that_its_policy_allows() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use sha2::{Digest, Sha256};

    let harness = harness().await;
    let page = harness.get_public("/").header(ACCEPT, BROWSER).send().await.unwrap();
    let policy = header(&page, "content-security-policy").to_owned();
    let page = page.text().await.unwrap();
    let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let hash = STANDARD.encode(Sha256::digest(style));
    assert!(policy.contains(&format!("'sha256-{hash}'")), "{policy}");
}

#[actix_web::test]
async fn other_clients_get_a_problem_document_at_the_root() {
    let harness = harness().await;
    for accept in ["*/*", "application/json", "application/json, text/html;q=0.5"] {
        let response = harness.get_public("/").header(ACCEPT, accept).send().await.unwrap();
        assert_problem(&response, 404);
        assert_eq!(header(&response, "vary"), "Accept");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["detail"], json!("there is nothing at /"));
    }
    let post = harness.client.post(harness.url("/")).header(ACCEPT, BROWSER).send().await.unwrap();
    assert_problem(&post, 404);
    let head = harness.client.head(harness.url("/")).header(ACCEPT, BROWSER).send().await.unwrap();
    assert_eq!((head.status(), header(&head, "content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
}

#[actix_web::test]
async fn the_description_and_its_page_are_public_and_served_from_the_binary() {
    let harness = harness().await;
    let described = harness.get_public("/api/v1/openapi.json").send().await.unwrap();
    assert_eq!(header(&described, "content-type"), "application/json");
    let api: Value = described.json().await.unwrap();
    assert_eq!((&api["openapi"], &api["info"]["title"]), (&json!("3.1.0"), &json!("Vumi")));
    let other = harness.client.request(Method::DELETE, harness.url("/api/v1/openapi.json")).send().await.unwrap();
    assert_problem(&other, 405);
    assert_eq!(header(&other, "allow"), "GET, HEAD");
    // `/api/docs` leads to the page, which fetches nothing from elsewhere.
    let page = harness.get_public("/api/docs").send().await.unwrap();
    assert_eq!((page.status(), page.url().path()), (StatusCode::OK, "/api/docs/"));
    let page = page.text().await.unwrap();
    assert!(!page.contains("src=\"http") && !page.contains("href=\"http"), "{page}");
    let script = harness.get_public("/api/docs/swagger-initializer.js").send().await.unwrap();
    let script = script.text().await.unwrap();
    assert!(script.contains("/api/v1/openapi.json") && script.contains("\"validatorUrl\": \"none\""), "{script}");
}

#[actix_web::test]
async fn public_pages_are_limited_for_an_address_and_its_calls_and_health_checks_are_not() {
    let harness = harness().await;
    // Five tokens a second come back meanwhile: a fast client still meets the bound.
    let mut answered = 0;
    let refused = loop {
        let response = harness.get_public("/api/v1/openapi.json").send().await.unwrap();
        if response.status() != StatusCode::OK {
            break response;
        }
        answered += 1;
        assert!(answered < 10_000, "no bound was met");
    };
    assert!(answered >= 300, "{answered}");
    assert_problem(&refused, 429);
    assert_eq!(header(&refused, "retry-after"), "1");
    assert_eq!(harness.get_public("/health/").send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(harness.send().send().await.unwrap().status(), StatusCode::OK);
}
