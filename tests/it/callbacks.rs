//! What a client's program hears of received SMS and receipts, and what happens when it does not listen.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    black_box::{Harness, eventually, words},
    clinic::Clinic,
    listener::{CallbackListener, HeardCall},
};

/// Posts at once, and tries again soon.
fn quick_site() -> Harness {
    let harness = Harness::new();
    harness.add_to("callbacks", "poll = \"20ms\"\nretry = { first = \"20ms\", most = \"100ms\" }");
    harness
}

fn create(harness: &Harness, name: &str, url: &str) -> Value {
    let answer = harness.post("/api/v1/account/callbacks.json", &[("name", name), ("url", url)]).send().unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().unwrap());
    answer.json().unwrap()
}

const INBOUND: [(&str, &str); 6] = [
    ("api_id", "1234"),
    ("from", "27831234567"),
    ("to", "27123456789"),
    ("timestamp", "2010-07-22 21:27:24"),
    ("text", "crème & brûlée"),
    ("charset", "UTF-8"),
];

/// A person writes, and Clickatell brings it.
fn receive(harness: &Harness, number: &str) -> Value {
    let fields = [&INBOUND[..], &[("moMsgId", number)]].concat();
    let answer = harness.post("/api/v1/sms/clickatell/receive.json", &fields).send().unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().unwrap());
    answer.json().unwrap()
}

fn heard(listener: &CallbackListener, count: usize) -> Vec<HeardCall> {
    eventually(&format!("{count} posts are heard"), || {
        let heard = listener.heard();
        (heard.len() >= count).then_some(heard)
    })
}

fn pairs(fields: &[(&str, &str)]) -> Vec<(String, String)> {
    fields.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// What the specification's own library makes of a post. `None`: `VUMI_TEST_STANDARDWEBHOOKS` names no Python that has it.
fn read_by_library(heard: &HeardCall, secret: &str) -> Option<Value> {
    const READ: &str = "import json, sys; from standardwebhooks.webhooks import Webhook; post = json.load(sys.stdin); \
                        print(json.dumps(Webhook(post['secret']).verify(post['body'], post['headers'])))";
    let Ok(python) = std::env::var("VUMI_TEST_STANDARDWEBHOOKS") else {
        eprintln!("left out: the library standardwebhooks (VUMI_TEST_STANDARDWEBHOOKS=python3 names a Python with it)");
        return None;
    };
    let header = |name| (name, heard.header(name));
    let headers = [header("webhook-id"), header("webhook-timestamp"), header("webhook-signature")];
    let headers: BTreeMap<_, _> = headers.into();
    let post = json!({ "secret": secret, "body": heard.body, "headers": headers });
    let mut child =
        Command::new(python).args(["-c", READ]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(post.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the library refuses {heard:?}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// Verifies a post as the Standard Webhooks specification says.
#[track_caller]
fn assert_signed(heard: &HeardCall, secret: &str) {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{}.{}.", heard.header("webhook-id"), heard.header("webhook-timestamp")).as_bytes());
    mac.update(heard.body.as_bytes());
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert!(heard.header("webhook-signature").split(' ').any(|given| given == expected), "{heard:?}");
}

#[test]
fn a_received_sms_is_posted_signed_to_every_callback_with_the_fields_of_the_contract() {
    let harness = quick_site();
    let _router = harness.run();
    let (first, second, other) =
        (CallbackListener::answering(&[200]), CallbackListener::answering(&[204]), CallbackListener::answering(&[200]));
    let secret = create(&harness, "sms_received", &first.url("/in"))["secret"].as_str().unwrap().to_owned();
    let other_secret = create(&harness, "sms_received", &second.url("/in?x=1"))["secret"].as_str().unwrap().to_owned();
    create(&harness, "sms_receipt", &other.url("/receipts"));
    assert_ne!(secret, other_secret);

    let kept = receive(&harness, "m1");
    let post = heard(&first, 1).remove(0);
    assert_eq!(post.line, "POST /in HTTP/1.1");
    assert_eq!(post.header("content-type"), "application/x-www-form-urlencoded");
    let text = |key: &str| kept[key].as_str().unwrap().to_owned();
    let expected = pairs(&[
        ("id", &kept["id"].to_string()),
        ("to_msisdn", "27123456789"),
        ("from_msisdn", "27831234567"),
        ("message", "crème & brûlée"),
        ("charset", "UTF-8"),
        ("transport_name", "clickatell"),
        ("transport_msg_id", "m1"),
        ("received_at", "2010-07-22 21:27:24"),
        ("created_at", &text("created_at")),
        ("updated_at", &text("updated_at")),
    ]);
    assert_eq!(post.form(), expected);
    assert_signed(&post, &secret);

    let post = heard(&second, 1).remove(0);
    assert_eq!(post.line, "POST /in?x=1 HTTP/1.1");
    assert_eq!(post.form(), expected);
    assert_signed(&post, &other_secret);

    // The same SMS brought again is not news.
    assert_eq!(receive(&harness, "m1"), kept);
    receive(&harness, "m2");
    let posts = heard(&first, 2);
    assert_eq!(posts[1].form().iter().find(|(key, _)| key == "transport_msg_id").unwrap().1, "m2");
    assert_ne!(posts[0].header("webhook-id"), posts[1].header("webhook-id"));
}

#[test]
fn a_receipt_is_posted_as_the_provider_sent_it_with_what_it_means() {
    let harness = quick_site();
    // This Clickatell gives ids that the test knows, and sends no receipts of its own.
    let provider = CallbackListener::new(|_| (200, "ID: api1".to_owned()));
    harness.edit(|text| {
        text.replace(&format!("127.0.0.1:{}/clickatell", harness.providers), &format!("127.0.0.1:{}", provider.port))
    });
    let _router = harness.run();
    let client = CallbackListener::answering(&[200]);
    let secret = create(&harness, "sms_receipt", &client.url("/"))["secret"].as_str().unwrap().to_owned();
    let id = harness.send("clickatell", "27123456789", "hello").to_string();
    let receipt = [
        ("apiMsgId", "api1"),
        ("cliMsgId", id.as_str()),
        ("to", "27123456789"),
        ("from", "27123456780"),
        ("timestamp", "1279835244"),
        ("status", "004"),
        ("charge", "0.8"),
    ];
    let answer = harness.post("/api/v1/sms/clickatell/receipt.json", &receipt).send().unwrap();
    assert_eq!(answer.status(), 201);
    let post = heard(&client, 1).remove(0);
    let meaning = [
        ("id", id.as_str()),
        ("transport_name", "clickatell"),
        ("transport_status", "4"),
        ("transport_status_display", "Received by recipient"),
    ];
    assert_eq!(post.form(), pairs(&[&receipt[..], &meaning].concat()));
    assert_signed(&post, &secret);
}

#[test]
fn an_sms_may_name_a_url_of_its_own_for_its_receipts() {
    let harness = quick_site();
    let _router = harness.run();
    let (own, gone, everybodys) =
        (CallbackListener::answering(&[200]), CallbackListener::answering(&[410]), CallbackListener::answering(&[200]));
    create(&harness, "sms_receipt", &everybodys.url("/all"));
    let made = harness.post("/api/v1/account/callbacks.json", &[("name", "sms_callback_url")]).send().unwrap();
    let made: Value = made.json().unwrap();
    let secret = made["secret"].as_str().unwrap();
    let send = |url: &str| {
        let form =
            [("to_msisdn", "27123456789"), ("from_msisdn", "38080"), ("message", "hello"), ("callback_url", url)];
        let sent: Value = harness.post("/api/v1/sms/clickatell/send.json", &form).send().unwrap().json().unwrap();
        sent[0]["id"].to_string()
    };
    let of = |post: &HeardCall| post.form().into_iter().find(|(name, _)| name == "id").unwrap().1;
    // One that wants no more posts is not the others' fault.
    let refused = send(&gone.url("/"));
    assert_eq!(of(&heard(&gone, 1)[0]), refused);
    let first = send(&own.url("/one?of=1"));
    let post = heard(&own, 1).remove(0);
    assert_eq!((post.line.as_str(), of(&post)), ("POST /one?of=1 HTTP/1.1", first));
    assert_signed(&post, secret);
    let second = send(&own.url("/two"));
    assert_eq!(of(&heard(&own, 2)[1]), second);
    assert_eq!(heard(&everybodys, 3).len(), 3, "the account's own callback hears of all");
    let listed: Value = harness.get("/api/v1/account/callbacks.json").send().unwrap().json().unwrap();
    let stands_for_all = listed.as_array().unwrap().iter().find(|callback| callback["id"] == made["id"]).unwrap();
    assert_eq!((&stands_for_all["url"], &stands_for_all["disabled_at"]), (&json!(""), &Value::Null));
    let path = format!("/api/v1/account/callbacks/{}.json", made["id"]);
    let change = |form: &[(&str, &str)]| {
        harness.client().put(harness.url(&path)).basic_auth("username", Some("password")).form(form).send().unwrap()
    };
    assert_eq!(change(&[("url", "http://client.example/")]).status(), 409);
    assert_eq!(change(&[("format", "json")]).status(), 200);
    send(&own.url("/three"));
    assert_eq!(heard(&own, 3)[2].header("content-type"), "application/json");
}

#[test]
fn a_post_that_fails_is_tried_again_until_it_arrives_under_the_same_id() {
    let harness = quick_site();
    let _router = harness.run();
    let client = CallbackListener::answering(&[500, 302, 404, 201]);
    let secret = create(&harness, "sms_received", &client.url("/"))["secret"].as_str().unwrap().to_owned();
    receive(&harness, "m1");
    let posts = heard(&client, 4);
    for post in &posts {
        assert_eq!(post.header("webhook-id"), posts[0].header("webhook-id"));
        assert_eq!(post.body, posts[0].body);
        assert_signed(post, &secret);
    }
    // It arrived: what follows is the next one.
    receive(&harness, "m2");
    assert!(heard(&client, 5)[4].body.contains("m2"));
    assert!(words(&harness.vumi(&["callbacks", "list"])).contains("none were given up"));
}

#[test]
fn what_was_given_up_is_parked_listed_and_replayed() {
    let harness = quick_site();
    // The first failure is the last attempt.
    harness.add_to("callbacks", "give_up_after = \"1us\"");
    let _router = harness.run();
    let client = CallbackListener::answering(&[500, 500, 200]);
    let url = client.url("/in");
    create(&harness, "sms_received", &url);
    receive(&harness, "m1");
    receive(&harness, "m2");
    let listed = eventually("both are given up", || {
        let listed = words(&harness.vumi(&["callbacks", "list"]));
        (listed.matches(&url).count() == 2).then_some(listed)
    });
    assert!(listed.contains("sms_received") && listed.contains("500"), "{listed}");
    assert_eq!(client.heard().len(), 2);
    let short = words(&harness.vumi(&["callbacks", "list", "--limit", "1"]));
    assert!(short.contains("1 of 2 that were given up; `--limit 2` shows all"), "{short}");

    let number = listed.split_whitespace().next().unwrap();
    let replayed = words(&harness.vumi(&["callbacks", "replay", number]));
    assert!(replayed.starts_with("1 will be posted again"), "{replayed}");
    heard(&client, 3);
    let replayed = words(&harness.vumi(&["callbacks", "replay", "--all"]));
    assert!(replayed.starts_with("1 will be posted again"), "{replayed}");
    let posts = heard(&client, 4);
    let mut ids: Vec<&str> = posts.iter().map(|post| post.header("webhook-id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 2, "a replay has the id of the first attempt");
    assert!(words(&harness.vumi(&["callbacks", "list"])).contains("none were given up"));
}

#[test]
fn a_url_that_is_gone_gets_no_more_posts_until_its_client_changes_the_callback() {
    let harness = quick_site();
    let _router = harness.run();
    let (gone, other) = (CallbackListener::answering(&[410]), CallbackListener::answering(&[200]));
    let callback = create(&harness, "sms_received", &gone.url("/in"));
    assert_eq!(callback["disabled_at"], Value::Null);
    let one = format!("/api/v1/account/callbacks/{}.json", callback["id"]);
    create(&harness, "sms_received", &other.url("/"));
    receive(&harness, "m1");
    let shown = eventually("it is disabled", || {
        let shown: Value = harness.get(&one).send().unwrap().json().unwrap();
        shown["disabled_at"].is_string().then_some(shown)
    });
    assert!(shown["disabled_because"].as_str().unwrap().contains("410"), "{shown}");
    let listed = words(&harness.vumi(&["callbacks", "list"]));
    let line = format!("callback {} is disabled since {}", callback["id"], shown["disabled_at"].as_str().unwrap());
    assert!(listed.contains(&line), "{listed}");
    let replayed = words(&harness.vumi(&["callbacks", "replay", "--all"]));
    assert!(replayed.contains("1 stay: their callbacks are disabled"), "{replayed}");

    // The other one shows when the next events have been dealt with.
    receive(&harness, "m2");
    receive(&harness, "m3");
    heard(&other, 3);
    assert_eq!(gone.heard().len(), 1);

    let again = CallbackListener::answering(&[200]);
    let url = again.url("/new");
    let put = harness.client().put(harness.url(&one)).basic_auth("username", Some("password"));
    let changed: Value = put.form(&[("url", &url)]).send().unwrap().json().unwrap();
    assert_eq!((&changed["disabled_at"], &changed["url"]), (&Value::Null, &json!(url)));
    receive(&harness, "m4");
    let posts = heard(&again, 1);
    assert!(posts[0].body.contains("m4"), "{posts:?}");
    heard(&other, 4);
    assert_eq!((gone.heard().len(), again.heard().len()), (1, 1));
}

#[test]
fn a_callback_may_choose_json_and_is_signed_as_the_specification_says() {
    let harness = quick_site();
    let _router = harness.run();
    let (json, form) = (CallbackListener::answering(&[200]), CallbackListener::answering(&[200]));
    let url = json.url("/");
    let fields = [("name", "sms_received"), ("url", url.as_str()), ("format", "json")];
    let created: Value = harness.post("/api/v1/account/callbacks.json", &fields).send().unwrap().json().unwrap();
    assert_eq!(created["format"], "json");
    let secret = created["secret"].as_str().unwrap();
    assert_eq!(create(&harness, "sms_received", &form.url("/"))["format"], "form");
    receive(&harness, "m1");
    let post = heard(&json, 1).remove(0);
    assert_eq!(post.header("content-type"), "application/json");
    assert_signed(&post, secret);
    let body: serde_json::Map<String, Value> = serde_json::from_str(&post.body).unwrap();
    if let Some(read) = read_by_library(&post, secret) {
        assert_eq!(read, Value::Object(body.clone()));
    }
    assert_eq!(body["message"], "crème & brûlée");
    let fields: BTreeMap<_, _> = heard(&form, 1)[0].form().into_iter().collect();
    let same: BTreeMap<_, _> =
        body.into_iter().map(|(name, value)| (name, value.as_str().unwrap().to_owned())).collect();
    assert_eq!(same, fields);

    // The same URL in another format is no new callback.
    let fields = [("name", "sms_received"), ("url", url.as_str()), ("format", "form")];
    let answer = harness.post("/api/v1/account/callbacks.json", &fields).send().unwrap();
    assert_eq!(answer.status(), 409);
}

#[test]
fn an_account_has_ten_urls_for_an_event_each_once() {
    let harness = quick_site();
    let _router = harness.run();
    let all = "/api/v1/account/callbacks.json";
    let first = create(&harness, "sms_received", "http://127.0.0.1:9/0");
    for n in 1..10 {
        create(&harness, "sms_received", &format!("http://127.0.0.1:9/{n}"));
    }
    let again = create(&harness, "sms_received", "http://127.0.0.1:9/0");
    assert_eq!((&again["id"], again.get("secret")), (&first["id"], None), "it is the one that there is");
    let eleventh = [("name", "sms_received"), ("url", "http://127.0.0.1:9/10")];
    let answer = harness.post(all, &eleventh).send().unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (400, &"application/problem+json".parse().unwrap())
    );
    let problem: Value = answer.json().unwrap();
    assert_eq!(problem["errors"][0]["field"], "name");
    assert!(problem["errors"][0]["detail"].as_str().unwrap().contains("10 callbacks"), "{problem}");
    assert_eq!(harness.get(all).send().unwrap().json::<Value>().unwrap().as_array().unwrap().len(), 10);
    create(&harness, "sms_receipt", "http://127.0.0.1:9/10");
}

#[test]
fn internal_addresses_are_refused_unless_the_settings_allow_them() {
    let harness = quick_site();
    harness.edit(|text| text.replace("allow_internal = true", "allow_internal = false"));
    let _router = harness.run();
    let client = CallbackListener::answering(&[200]);
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"] {
        create(&harness, "sms_received", &format!("http://{host}:{}/", client.port));
    }
    receive(&harness, "m1");
    let listed = eventually("all are refused", || {
        let listed = words(&harness.vumi(&["callbacks", "list"]));
        (listed.matches("internal address").count() == 4).then_some(listed)
    });
    assert!(listed.contains("allow_internal"), "the operator is told the setting: {listed}");
    assert!(client.heard().is_empty());
}

#[test]
fn a_url_that_does_not_answer_delays_no_other() {
    let harness = quick_site();
    // A post to the silent URL ends after the deadline of this test: a delivery that waits for one fails it. The silent
    // URL has more deliveries due than there are posts at once, and they are due first.
    harness.add_to("callbacks", "limit = \"2m\"\nmost_at_once = 4\nmost_per_callback = 4");
    let _router = harness.run();
    // The kernel accepts connections, and nobody reads them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    create(&harness, "sms_received", &format!("http://{}/", silent.local_addr().unwrap()));
    for number in 0..10 {
        receive(&harness, &format!("m{number}"));
    }
    let client = CallbackListener::answering(&[200]);
    create(&harness, "sms_received", &client.url("/"));
    for number in 10..30 {
        receive(&harness, &format!("m{number}"));
    }
    heard(&client, 20);
}

#[test]
fn callbacks_are_created_listed_read_changed_and_deleted_each_by_its_account_only() {
    let harness = quick_site();
    let _router = harness.run();
    let clinic = Clinic::new(&harness);
    let all = "/api/v1/account/callbacks.json";
    let (first, second, theirs) =
        (CallbackListener::answering(&[200]), CallbackListener::answering(&[200]), CallbackListener::answering(&[200]));
    let created = create(&harness, "sms_receipt", &first.url("/a"));
    assert!(created["secret"].as_str().unwrap().starts_with("whsec_"));
    let one = format!("/api/v1/account/callbacks/{}.json", created["id"]);

    // The secret is shown once.
    let shown: Value = harness.get(&one).send().unwrap().json().unwrap();
    assert_eq!(shown.get("secret"), None);
    for key in ["id", "name", "url", "format", "disabled_at", "created_at", "updated_at"] {
        assert_eq!(shown[key], created[key], "{key}");
    }
    assert_eq!(harness.get(all).send().unwrap().json::<Value>().unwrap(), json!([shown]));

    // Another account neither sees, changes nor deletes it.
    let their_url = theirs.url("/");
    let form = [("name", "sms_received"), ("url", their_url.as_str())];
    let their_callback: Value = clinic.post(all, &form).send().unwrap().json().unwrap();
    let listed: Value = clinic.get(all).send().unwrap().json().unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["id"], their_callback["id"]);
    for method in [reqwest::Method::GET, reqwest::Method::PUT, reqwest::Method::DELETE] {
        let answer = clinic.request(method, &one).form(&[("name", "sms_received")]).send().unwrap();
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
    }
    assert_eq!(harness.get(&one).send().unwrap().json::<Value>().unwrap(), shown);

    // A field left out keeps its value.
    let put = |form: &[(&str, &str)]| {
        let request = harness.client().put(harness.url(&one)).basic_auth("username", Some("password")).form(form);
        let answer = request.send().unwrap();
        assert_eq!(answer.status(), 200);
        answer.json::<Value>().unwrap()
    };
    let changed = put(&[("name", "sms_received")]);
    assert_eq!((&changed["name"], &changed["url"]), (&json!("sms_received"), &created["url"]));
    assert_eq!(changed["created_at"], created["created_at"]);
    let second_url = second.url("/b");
    let changed = put(&[("url", &second_url)]);
    assert_eq!((&changed["name"], &changed["url"]), (&json!("sms_received"), &json!(second_url)));
    assert_eq!(harness.get(&one).send().unwrap().json::<Value>().unwrap(), changed);

    receive(&harness, "m1");
    assert_eq!(heard(&second, 1)[0].line, "POST /b HTTP/1.1");

    let gone = harness.client().delete(harness.url(&one)).basic_auth("username", Some("password")).send().unwrap();
    assert_eq!(gone.status(), 204);
    assert_eq!(gone.text().unwrap(), "");
    assert_eq!(harness.get(&one).send().unwrap().status(), 404);
    assert_eq!(harness.get(all).send().unwrap().json::<Value>().unwrap(), json!([]));

    // A third callback shows when the next SMS has been dealt with: none but it was told.
    let third = CallbackListener::answering(&[200]);
    create(&harness, "sms_received", &third.url("/"));
    receive(&harness, "m2");
    heard(&third, 1);
    assert_eq!((first.heard().len(), second.heard().len(), theirs.heard().len()), (0, 1, 0));
}
