//! Who may call the webhooks: a provider by its token, and no client; whose the SMS are that it brings.

use std::{io::Write, net::TcpStream};

use reqwest::blocking::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::{
    black_box::{Harness, eventually, words},
    clinic::Clinic,
};

const TOKEN: &str = "5f2b8c1d9e7a40336b1f0c8d2e4a6b90";

fn harness_with_token() -> Harness {
    let harness = Harness::quiet();
    harness.add_to("transports.clickatell", &format!("webhooks = {{ token = \"{TOKEN}\" }}"));
    harness
}

fn post(harness: &Harness, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
    harness.client().post(harness.url(path)).form(form)
}

const INBOUND: [(&str, &str); 5] =
    [("api_id", "1234"), ("moMsgId", "m1"), ("from", "27831234567"), ("to", "32323"), ("text", "hello")];

fn detail(answer: Response) -> String {
    answer.json::<Value>().unwrap()["detail"].as_str().unwrap().to_owned()
}

/// The texts that an account has sent.
fn sent(request: RequestBuilder) -> Vec<Value> {
    request.send().unwrap().json::<Value>().unwrap().as_array().unwrap().clone()
}

const SENT: &str = "/api/v1/sms/clickatell/status.json?since=2009-01-01";

#[test]
fn a_client_brings_no_sms_and_no_receipts_and_reads_who_may() {
    let harness = Harness::quiet();
    let router = harness.run();
    let clinic = Clinic::new(&harness);
    let id = harness.send("clickatell", "27123456789", "hello").to_string();
    let receipt = [("apiMsgId", "a1"), ("cliMsgId", id.as_str()), ("status", "004")];
    for request in [
        clinic.post("/api/v1/sms/clickatell/receive.json", &INBOUND),
        clinic.post("/api/v1/sms/clickatell/receipt.json", &receipt),
        clinic.get("/api/v1/sms/e-scape/receive.json?smsc=vumi&svc=1&s=%2B27831234567&r=32323&text=hello"),
    ] {
        let answer = request.send().unwrap();
        assert_eq!(answer.status(), 403);
        let cure = detail(answer);
        assert!(cure.contains("/api/v1/hooks/") && cure.contains("vumi account add"), "{cure}");
    }
    router.wait_for_line("the account has not the role carrier");
    // The provider was told of it or not yet; nobody was told that it arrived.
    let status = harness.status("clickatell", id.parse().unwrap())["transport_status"].as_i64().unwrap();
    assert!([0, 2, 3].contains(&status), "{status}");
    assert_eq!(sent(clinic.get(SENT)), [] as [Value; 0]);
    // The role makes the difference, at once or nearly so.
    assert!(harness.vumi(&["account", "role", "clinic", "client,carrier"]).status.success());
    let listed = words(&harness.vumi(&["account", "list"]));
    assert!(listed.contains("clinic  client,carrier"), "{listed}");
    eventually("the clinic's account is a carrier's, too", || {
        let answer = clinic.post("/api/v1/sms/clickatell/receive.json", &INBOUND).send().unwrap();
        (answer.status() == 200).then_some(())
    });
}

#[test]
fn a_provider_with_its_token_is_let_in_and_the_token_is_in_no_line_of_the_log() {
    let mut harness = harness_with_token();
    harness.set("VUMI_LOG", "trace");
    let router = harness.run();
    let id = harness.send("clickatell", "27123456789", "hello").to_string();
    let receipt = [("apiMsgId", "a1"), ("cliMsgId", id.as_str()), ("status", "004")];
    let answer = post(&harness, &format!("/api/v1/hooks/clickatell/{TOKEN}/receipt.json"), &receipt).send().unwrap();
    assert_eq!(answer.status(), 201, "{}", answer.text().unwrap());
    assert_eq!(harness.status("clickatell", id.parse().unwrap())["transport_status"], 4);
    let inbound = post(&harness, &format!("/api/v1/hooks/clickatell/{TOKEN}/receive.json"), &INBOUND).send().unwrap();
    assert_eq!(inbound.status(), 200);
    // Whatever else is wrong with such a call.
    for path in ["receive.xml", "nothing", "receive.json/more", "receive.json?api_id=%FF"] {
        let answer = post(&harness, &format!("/api/v1/hooks/clickatell/{TOKEN}/{path}"), &[]).send().unwrap();
        assert!(answer.status().is_client_error(), "{path}: {}", answer.status());
    }
    let elsewhere = post(&harness, &format!("/api/v1/hooks/opera/{TOKEN}/receipt.json"), &[]).send().unwrap();
    assert_eq!(elsewhere.status(), 403);
    let wrong = post(&harness, "/api/v1/hooks/clickatell/00000000000000000000000000000000/receive.json", &INBOUND);
    assert_eq!(wrong.send().unwrap().status(), 403);
    router.wait_for_line("calls to webhooks were refused");
    let log = router.log();
    assert!(log.contains("TRACE") && !log.contains(TOKEN), "{:?}", log.lines().find(|line| line.contains(TOKEN)));
    assert!(!words(&harness.vumi(&["check"])).contains(TOKEN));
}

#[test]
fn an_sms_goes_to_the_account_of_its_route_else_of_its_transport_else_it_waits() {
    let harness = harness_with_token();
    harness.edit(|text| {
        let quiz = "keyword = \"quiz\"\ncampaign = ";
        // The transport names nobody; one route does. The router looks often whether there is such an account.
        text.replacen("account = \"username\"\n", "", 1)
            .replace(&format!("{quiz}\"quiz\""), &format!("{quiz}\"echo\"\naccount = \"clinic\""))
            + "\n[router]\nretry_received = \"1s\"\n"
    });
    let check = words(&harness.vumi(&["check"]));
    assert!(check.contains("transports.clickatell: SMS from people belong to no account"), "{check}");
    assert!(!check.contains("transports.opera: SMS"), "{check}");
    let _router = harness.run();
    let hook = format!("/api/v1/hooks/clickatell/{TOKEN}/receive.json");
    let say = |id: &str, text: &str| {
        let mut form = INBOUND;
        (form[1].1, form[4].1) = (id, text);
        let answer = post(&harness, &hook, &form).send().unwrap();
        assert_eq!(answer.status(), 200);
    };
    // There is no clinic yet, and nobody for the others: they wait.
    say("m1", "quiz please");
    say("m2", "hello");
    eventually("the router says that SMS wait", || {
        let router = harness.part("router")?;
        router["detail"].as_str()?.contains("2 SMS from people wait for an account").then_some(())
    });
    let clinic = Clinic::new(&harness);
    let answer = eventually("the clinic's campaign answers", || sent(clinic.get(SENT)).first().cloned());
    assert_eq!((&answer["to_msisdn"], &answer["from_msisdn"]), (&json!("27831234567"), &json!("32323")));
    say("m3", "QUIZ!");
    eventually("an account that is there need not be waited for", || (sent(clinic.get(SENT)).len() == 2).then_some(()));
    assert_eq!(sent(harness.get(SENT)), [] as [Value; 0]);
}

#[test]
fn a_signature_over_the_body_and_an_address_are_credentials_too() {
    let harness = Harness::quiet();
    harness.add_to("transports.opera", "webhooks = { networks = [\"203.0.113.0/24\"] }");
    harness.add_to("transports.clickatell", "webhooks = { hmac = { header = \"X-Signature\", secret = \"s3cret\" } }");
    let _router = harness.run();
    let body = "api_id=1234&moMsgId=m1&from=27831234567&to=32323&text=hello";
    let sign = |secret: &str| {
        use hmac::{Hmac, KeyInit, Mac};
        let mac = <Hmac<sha2::Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let signed = |signature: String| {
        let request = harness.client().post(harness.url("/api/v1/sms/clickatell/receive.json"));
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
        request.header("x-signature", signature).send().unwrap().status().as_u16()
    };
    assert_eq!([signed(sign("s3cret")), signed(sign("other"))], [200, 403]);
    let elsewhere = harness.post_body("/api/v1/sms/opera/receipt.json", "text/xml", "<receipts/>").send().unwrap();
    assert_eq!(elsewhere.status(), 403);
}

/// Begins a call whose body is not finished; the answer is read only where there is one.
fn begin_call(harness: &Harness, path: &str, from: &str, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", harness.http)).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {from}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The router may have refused it already.
    let _refused = stream.write_all(&vec![b'x'; length - 1]);
    stream
}

#[test]
fn slow_strangers_of_one_network_leave_the_memory_of_bodies_to_others() {
    let harness = Harness::quiet();
    harness.add_to("http", "trusted_proxies = [\"127.0.0.0/8\"]");
    harness.add_to("transports.clickatell", "webhooks = { hmac = { header = \"X-Signature\", secret = \"s3cret\" } }");
    harness.add_to("transports.opera", &format!("webhooks = {{ token = \"{TOKEN}\" }}"));
    let _router = harness.run();
    let (signed, with_token) =
        ("/api/v1/sms/clickatell/receive.json", format!("/api/v1/hooks/opera/{TOKEN}/receipt.json"));
    let call = |path: &str, from: &str| {
        let request = harness.client().post(harness.url(path)).header("x-forwarded-for", from);
        request.body("x".repeat(200_000)).header("content-type", "text/plain").send().unwrap().status().as_u16()
    };
    // Each takes the largest body that a stranger may send, and does not finish it.
    let strangers: Vec<TcpStream> =
        (1..=12).map(|n| begin_call(&harness, signed, &format!("198.51.100.{n}"), 1024 * 1024)).collect();
    eventually("the network of the strangers has its share", || (call(signed, "198.51.100.99") == 503).then_some(()));
    // Read, and then refused for what they say.
    assert_eq!(call(signed, "203.0.113.5"), 403, "its signature is looked at");
    assert_ne!(call(&with_token, "198.51.100.99"), 503, "a known provider has memory of its own");
    drop(strangers);
}

const TWILIO: &str = include_str!("../../actors/transports/src/http_provider/twilio.toml");

#[test]
fn a_call_that_twilio_signed_is_let_in_and_a_changed_one_is_not() {
    let harness = Harness::quiet();
    let tables = TWILIO.replace("\n[", "\n[transports.twilio.");
    let access = "webhooks = { twilio = { auth_token = \"token\", url = \"https://sms.example.com\" } }";
    harness.edit(|text| format!("{text}\n[transports.twilio]\nkind = \"http\"\n{access}\n{tables}"));
    let _router = harness.run();
    let say = |text: &str, signature: &str| {
        let form = [("From", "+27831234567"), ("To", "+32323"), ("Body", text), ("MessageSid", "SM1")];
        let request = post(&harness, "/api/v1/sms/twilio/receive.json", &form).header("x-twilio-signature", signature);
        request.send().unwrap().status().as_u16()
    };
    // HMAC-SHA1 with the key `token` over the URL as Twilio was given it and the sorted fields, computed with Python.
    let signature = "HTAUi3MkoHa/RwOpkZPhKER1M3U=";
    assert_eq!([say("hello", signature), say("hallo", signature), say("hello", "")], [200, 403, 403]);
}

#[test]
fn the_sandboxs_account_is_not_let_in_once_the_settings_have_no_sandbox() {
    let harness = Harness::quiet();
    harness.run().stop();
    harness.edit(|text| text.split("[sandbox]").next().unwrap().to_owned());
    let router = harness.run();
    router.wait_for_line("it is not let in, since these settings have no [sandbox]");
    assert_eq!(harness.get(SENT).send().unwrap().status(), 401);
    let clinic = Clinic::new(&harness);
    assert_eq!(clinic.get(SENT).send().unwrap().status(), 200);
}

#[test]
fn what_a_provider_brings_is_never_too_often() {
    let harness = Harness::quiet();
    harness.edit(|text| text.replace("receipts = 0\ninbound = 0", "receipts = 1\ninbound = 1"));
    let _router = harness.run();
    for number in 0..30 {
        let id = format!("m{number}");
        let mut form = INBOUND;
        form[1].1 = &id;
        assert_eq!(harness.post("/api/v1/sms/clickatell/receive.json", &form).send().unwrap().status(), 200);
    }
}
