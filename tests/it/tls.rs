//! The HTTP API by TLS: what operators set, what `vumi check` says, and what a client of TLS gets.

use std::fs;

use reqwest::{Certificate, blocking::Client};

use crate::black_box::{DEADLINE, Harness, eventually, free_port, words};

const FIRST: [&str; 2] = [
    include_str!("../../actors/http/src/tests/tls/first.crt"),
    include_str!("../../actors/http/src/tests/tls/first.key"),
];
const SECOND: [&str; 2] = [
    include_str!("../../actors/http/src/tests/tls/second.crt"),
    include_str!("../../actors/http/src/tests/tls/second.key"),
];

fn write(harness: &Harness, pair: [&str; 2]) {
    fs::write(harness.folder.path().join("crt.pem"), pair[0]).unwrap();
    fs::write(harness.folder.path().join("key.pem"), pair[1]).unwrap();
}

/// A client that trusts one certificate alone.
fn client(certificate: &str) -> Client {
    let trusted = Certificate::from_pem(certificate.as_bytes()).unwrap();
    Client::builder().timeout(DEADLINE).no_proxy().tls_certs_only([trusted]).build().unwrap()
}

#[test]
fn the_api_is_served_by_tls_beside_plain_http_and_a_renewed_certificate_needs_no_restart() {
    let harness = Harness::new();
    let port = free_port();
    write(&harness, FIRST);
    let tls = format!("tls = {{ bind = \"127.0.0.1:{port}\", certificate = \"crt.pem\", key = \"key.pem\" }}");
    harness.add_to("http", &tls);
    let checked = harness.vumi(&["check"]);
    assert!(checked.status.success(), "{}", words(&checked));
    let line = format!("tls         127.0.0.1:{port}, its certificate is good until 2126-");
    assert!(words(&checked).contains(&line), "{}", words(&checked));

    let router = harness.run();
    let url = format!("https://localhost:{port}/api/v1/account/callbacks.json");
    let call = |certificate: &str| client(certificate).get(&url).basic_auth("username", Some("password")).send();
    assert_eq!(call(FIRST[0]).unwrap().status(), 200);
    assert!(call(SECOND[0]).is_err(), "it is not the first one's");
    assert_eq!(harness.get("/api/v1/account/callbacks.json").send().unwrap().status(), 200);

    write(&harness, SECOND);
    router.signal("HUP");
    eventually("the second certificate is shown", || call(SECOND[0]).ok());
    // A broken pair is refused, and the one before goes on.
    write(&harness, [SECOND[0], FIRST[1]]);
    router.signal("HUP");
    router.wait_for_line("are not used");
    assert_eq!(call(SECOND[0]).unwrap().status(), 200);
    let checked = harness.vumi(&["check"]);
    assert!(!checked.status.success() && words(&checked).contains("http.tls"), "{}", words(&checked));
    assert_eq!(router.stop(), 0);
}
