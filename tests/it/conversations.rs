//! Menus that accounts post run at once.

use reqwest::blocking::Response;
use serde_json::{Value, json};

use crate::black_box::{Harness, eventually, words};

const CODE: &str = "*120*663*81#";

const WATER: &str = "- question: How do you get water?\n  options: [tap, tank, river]\n\
                     - question: Who fetches it?\n  options: [me, a child, somebody else]\n\
                     - end: Thank you, that was all.\n";

fn post(harness: &Harness, query: &str, text: &str) -> Response {
    harness
        .post_body(&format!("/api/v1/conversation.yaml?{query}"), "application/x-yaml", text.to_owned())
        .send()
        .unwrap()
}

/// Posts, and waits until it runs: within a second or so.
fn posted(harness: &Harness, query: &str, text: &str) {
    let answer = post(harness, query, text);
    assert_eq!(answer.status(), 201, "{}", answer.text().unwrap());
    assert_eq!(answer.text().unwrap(), "Created");
}

fn handset(harness: &Harness, key: &str, body: &Value) -> (String, bool) {
    let answer = harness.handset(key, body);
    assert_eq!(answer.status(), 200, "{}", answer.text().unwrap());
    let shown: Value = answer.json().unwrap();
    (shown["screen"].as_str().unwrap_or_default().to_owned(), shown["session"] == "open")
}

fn dial(harness: &Harness, code: &str) -> (String, bool) {
    handset(harness, "dial", &json!({ "msisdn": "27831234567", "code": code }))
}

fn say(harness: &Harness, text: &str) -> (String, bool) {
    handset(harness, "answer", &json!({ "msisdn": "27831234567", "text": text }))
}

/// Dials until a screen has these words.
fn runs(harness: &Harness, code: &str, words: &str) -> (String, bool) {
    eventually("the conversation runs", || Some(dial(harness, code)).filter(|(screen, _)| screen.contains(words)))
}

#[test]
fn a_menu_of_2010_is_posted_and_dialled_and_other_methods_are_not_allowed() {
    let harness = Harness::new();
    let _router = harness.run();
    harness.wait_for_network();
    let answer = post(&harness, "name=water&ussd=*120*663*81%23", WATER);
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["location"], "/api/v1/conversations/water.yaml");
    assert_eq!(answer.text().unwrap(), "Created");
    let first = runs(&harness, CODE, "How do you");
    assert_eq!(first, ("How do you get water?\n1: tap\n2: tank\n3: river".to_owned(), true));
    assert_eq!(say(&harness, "9").0, first.0, "what is no option asks again");
    assert!(say(&harness, "TANK").0.starts_with("Who fetches it?"));
    assert_eq!(say(&harness, "1"), ("Thank you, that was all.".to_owned(), false));
    for method in ["GET", "PUT", "DELETE"] {
        let url = harness.url("/api/v1/conversation.yaml");
        let other = harness.client().request(method.parse().unwrap(), url).basic_auth("username", Some("password"));
        let refused = other.send().unwrap();
        assert_eq!(
            (refused.status().as_u16(), refused.headers()["allow"].to_str().unwrap()),
            (405, "POST"),
            "{method}"
        );
    }
    let list: Value = harness.get("/api/v1/conversations.json").send().unwrap().json().unwrap();
    assert_eq!((&list[0]["name"], &list[0]["version"], &list[0]["ussd"]), (&json!("water"), &json!(1), &json!(CODE)));
    let text = harness.get("/api/v1/conversations/water.yaml").send().unwrap();
    assert_eq!(text.headers()["content-type"], "application/yaml; charset=utf-8");
    assert_eq!(text.text().unwrap(), WATER);
}

#[test]
fn a_new_version_takes_new_dialogues_and_open_ones_finish_on_theirs_also_after_a_restart() {
    let harness = Harness::new();
    let router = harness.run();
    harness.wait_for_network();
    posted(&harness, "name=water&ussd=*120*663*81%23", WATER);
    runs(&harness, CODE, "How do you");
    assert!(say(&harness, "1").0.starts_with("Who fetches it?"));
    let url = harness.url("/api/v1/conversations/water.yaml");
    let put = harness.client().put(&url).basic_auth("username", Some("password"));
    let replaced = put.header("content-type", "text/yaml").body("- end: Closed for today.\n").send().unwrap();
    assert_eq!(replaced.status(), 200);
    let view: Value = replaced.json().unwrap();
    assert_eq!((&view["version"], &view["ussd"]), (&json!(2), &json!(CODE)));
    let other = json!({ "msisdn": "27830000001", "code": CODE });
    eventually("the new version runs", || (handset(&harness, "dial", &other).0 == "Closed for today.").then_some(()));
    assert!(
        say(&harness, "none of these").0.starts_with("Who fetches it?"),
        "the open one goes on with the old version"
    );
    assert_eq!(router.stop(), 0);
    let _router = harness.run();
    harness.wait_for_network();
    eventually("the new version runs", || (handset(&harness, "dial", &other).0 == "Closed for today.").then_some(()));
    let delete =
        || harness.client().delete(&url).basic_auth("username", Some("password")).send().unwrap().status().as_u16();
    assert_eq!((delete(), delete()), (204, 404));
    eventually("the default route has the code again", || {
        (dial(&harness, CODE).0 != "Closed for today.").then_some(())
    });
}

#[test]
fn what_is_wrong_is_refused_with_its_place_and_nothing_is_kept() {
    let harness = Harness::new();
    harness.add_to("http.rates", "conversations = 0");
    let _router = harness.run();
    let wrong = post(&harness, "name=water", "- question: How?\n  colour: red\n");
    assert_eq!(
        (wrong.status().as_u16(), &wrong.headers()["content-type"]),
        (400, &"application/problem+json".parse().unwrap())
    );
    let problem: Value = wrong.json().unwrap();
    assert_eq!((&problem["errors"][0]["line"], &problem["errors"][0]["column"]), (&json!(2), &json!(3)), "{problem}");
    let long = format!("- end: {}\n- question: a\n", "x".repeat(200));
    let problem: Value = post(&harness, "", &long).json().unwrap();
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2, "all at once: {problem}");
    let other =
        |kind: &str| harness.post_body("/api/v1/conversation.yaml", kind, WATER).send().unwrap().status().as_u16();
    assert_eq!([other("application/json"), other("text/plain"), other("application/yaml")], [415, 415, 201]);
    for (query, field) in [
        ("ussd=38080", "ussd"),
        ("sms=two+words", "sms"),
        ("name=No+name", "name"),
        ("ussd=*120*663*79%23", "ussd"),
        ("sms=quiz", "sms"),
    ] {
        let refused = post(&harness, query, WATER);
        assert_eq!(refused.status(), 400, "{query}");
        assert_eq!(refused.json::<Value>().unwrap()["errors"][0]["field"], field, "{query}");
    }
    assert_eq!(post(&harness, "", &"- end: a\n".repeat(10_000)).status(), 413);
    let list: Value = harness.get("/api/v1/conversations.json").send().unwrap().json().unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1, "the one of application/yaml: {list}");
}

#[test]
fn an_account_uses_the_codes_that_the_operator_grants_and_five_posts_in_ten_minutes() {
    let harness = Harness::new();
    let _router = harness.run();
    let password = |name: &str| {
        let made = harness.vumi(&["account", "add", name]);
        assert!(made.status.success(), "{}", words(&made));
        words(&made).split_whitespace().last().unwrap().to_owned()
    };
    let (school, clinic) = (password("school"), password("clinic"));
    let granted = harness.vumi(&["account", "codes", "school", "*120*9#", "WATER"]);
    assert!(granted.status.success(), "{}", words(&granted));
    let by = |name: &str, password: &str| {
        let url = harness.url("/api/v1/conversation.yaml?name=water&ussd=*120*9%23");
        let post = harness.client().post(url).basic_auth(name, Some(password));
        post.header("content-type", "application/yaml").body(WATER).send().unwrap()
    };
    let refused = by("clinic", &clinic);
    assert_eq!(refused.status(), 400);
    assert!(refused.text().unwrap().contains("vumi account codes clinic '*120*9#'"));
    assert_eq!(by("school", &school).status(), 201);
    posted(&harness, "name=mine&ussd=*120*8%23", WATER);
    assert_eq!(post(&harness, "name=mine&ussd=*120*9%23", WATER).status(), 409, "another account has it");
    let statuses: Vec<u16> = (0..5).map(|_| post(&harness, "name=mine", WATER).status().as_u16()).collect();
    assert_eq!(statuses, [201, 201, 201, 429, 429]);
}

/// A person writes to a short code, by way of Clickatell.
fn writes(harness: &Harness, id: &str, text: &str) {
    let fields = [
        ("api_id", "1234"),
        ("from", "27830000009"),
        ("to", "38080"),
        ("timestamp", "2010-07-22 21:27:24"),
        ("text", text),
        ("charset", "ISO-8859-1"),
        ("moMsgId", id),
    ];
    assert_eq!(harness.post("/api/v1/sms/clickatell/receive.json", &fields).send().unwrap().status(), 200);
}

/// Waits for an SMS to that person with this text.
fn is_sent(harness: &Harness, text: &str) {
    eventually("the answer is sent", || {
        let page = harness.get("/api/v1/sms/clickatell/status.json?since=2010-01-01").send().unwrap();
        let sent: Value = page.json().unwrap();
        let texts = sent.as_array().unwrap().iter();
        texts.filter(|sms| sms["to_msisdn"] == "27830000009").any(|sms| sms["message"] == text).then_some(())
    });
}

#[test]
fn a_conversation_of_a_keyword_is_answered_by_sms_of_its_account() {
    let harness = Harness::new();
    let _router = harness.run();
    posted(&harness, "name=water&sms=Water", WATER);
    posted(&harness, "name=dial&ussd=*120*663*81%23", WATER);
    harness.wait_for_network();
    // Codes of both are known at the same time.
    runs(&harness, CODE, "How do you");
    writes(&harness, "mo-1", "water, please");
    is_sent(&harness, "How do you get water?\n1: tap\n2: tank\n3: river");
    writes(&harness, "mo-2", "WATER 2");
    is_sent(&harness, "Who fetches it?\n1: me\n2: a child\n3: somebody else");
    writes(&harness, "mo-3", "Water a child");
    is_sent(&harness, "Thank you, that was all.");
}
