//! The phone in the browser: its files, and what its page asks for.

use serde_json::{Value, json};

use super::harness::SandboxHarness;
use crate::SandboxSettings;

async fn start() -> SandboxHarness {
    SandboxHarness::start(SandboxSettings::default(), &[]).await
}

async fn get(harness: &SandboxHarness, path: &str) -> (u16, Value) {
    let answer = harness.client.get(harness.url(path)).send().await.unwrap();
    (answer.status().as_u16(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

#[tokio::test]
async fn the_page_and_its_files_run_nothing_but_themselves() {
    let harness = start().await;
    let page = harness.client.get(harness.url("phone")).send().await.unwrap().text().await.unwrap();
    let linked = page.split('"').filter(|text| text.starts_with("phone/"));
    let mut files: Vec<String> = linked.map(str::to_owned).collect();
    for script in ["main.js", "handset.js", "misbehaviour.js", "behind.js", "messages.js"] {
        let path = format!("phone/{script}");
        let text = harness.client.get(harness.url(&path)).send().await.unwrap().text().await.unwrap();
        let imported = text.split('"').filter_map(|text| text.strip_prefix("./")).map(|file| format!("phone/{file}"));
        files.extend(imported);
    }
    assert!(files.len() > 10, "{files:?}");
    for file in files.iter().map(String::as_str).chain(["phone"]) {
        let answer = harness.client.get(harness.url(file)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{file}");
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert!(header("content-security-policy").starts_with("default-src 'none'; script-src 'self';"), "{file}");
        assert_eq!(header("x-content-type-options"), "nosniff");
    }
    assert!(!page.contains("style=") && !page.contains("onclick"), "the policy lets nothing inline through");
    assert_eq!(get(&harness, "phone/none.js").await.0, 404);
}

#[tokio::test]
async fn a_page_reads_what_happened_on_its_handsets_and_waits_for_more() {
    let harness = start().await;
    let (_, first) = get(&harness, "phone/events.json?msisdn=27831234567").await;
    assert_eq!((&first["events"], &first["sessions"], &first["routers"]), (&json!([]), &json!([]), &json!(0)));
    let path = format!("phone/events.json?msisdn=27831234567&wait=true&after={}", first["last"]);
    let dial = json!({"msisdn": "27831234567", "code": "*120#"});
    let ((_, waited), (status, problem)) = tokio::join!(get(&harness, &path), harness.json("handset/dial", dial));
    assert_eq!(status, 503);
    let event = &waited["events"][0];
    assert_eq!([&event["what"], &event["text"]], [&json!("failed"), &problem["detail"]]);

    // A router that logs in ends the wait as well.
    let path = format!("phone/events.json?msisdn=27831234567&wait=true&after={}", event["n"]);
    let router = async {
        let mut socket = tokio::net::TcpStream::connect(harness.running.truteq_address()).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut socket, b"SSMI,1,user,pass\r").await.unwrap();
        socket
    };
    let ((_, waited), _router) = tokio::join!(get(&harness, &path), router);
    assert_eq!((&waited["routers"], &waited["events"]), (&json!(1), &json!([])));

    let sms = json!({"from": "27831234567", "to": "38080", "text": "hi"});
    let sent = harness.client.post(harness.url("inbound/clickatell")).body(sms.to_string()).send().await.unwrap();
    assert_eq!(sent.status(), 201);
    let after = event["n"].as_i64().unwrap();
    let (_, more) = get(&harness, &format!("phone/events.json?msisdn=27831234567&after={after}")).await;
    let event = &more["events"][0];
    let said = ["what", "provider", "other", "text"].map(|key| event[key].as_str().unwrap());
    assert_eq!(said, ["sms_sent", "clickatell", "38080", "hi"]);
}

#[tokio::test]
async fn a_page_has_so_many_handsets_and_so_many_pages_wait() {
    let harness = start().await;
    for numbers in ["", "a", "27831234567,", "2783000001,2783000002,2783000003,2783000004,2783000005"] {
        let (status, problem) = get(&harness, &format!("phone/events.json?msisdn={numbers}")).await;
        assert!(status == 400 && problem["detail"].as_str().unwrap().contains("1 to 4 numbers"), "{problem}");
    }
    let (_, setup) = get(&harness, "phone/setup.json").await;
    assert_eq!(setup["handsets"], 4);
    assert_eq!(setup["providers"][0], json!({"name": "truteq", "inbound": true, "misbehaves": false}));
    let last = get(&harness, "phone/events.json?msisdn=27831234567").await.1["last"].clone();
    let path = format!("phone/events.json?msisdn=27831234567&wait=true&after={last}");
    // One more than there are places: it does not wait, and says so; the others hear of the next event.
    let mut waiting: Vec<_> = (0..17).map(|_| Box::pin(get(&harness, &path))).collect();
    let ((_, refused), _, others) = futures_util::future::select_all(waiting.drain(..)).await;
    assert_eq!(refused["live"], json!(false));
    let dial = json!({"msisdn": "27831234567", "code": "*120#"});
    let (heard, _) = tokio::join!(futures_util::future::join_all(others), harness.json("handset/dial", dial));
    assert!(heard.iter().all(|(_, heard)| heard["live"] == true && heard["events"][0]["what"] == "failed"));
}
