//! A client without a public URL reads the SMS from people.

use serde_json::Value;

use crate::black_box::Harness;

#[test]
fn sms_from_people_are_listed_once_each_page_by_page_for_their_account_alone() {
    let harness = Harness::new();
    let _router = harness.run();
    let receive = |number: usize| {
        let query = format!(
            "api_id=1234&moMsgId=m{number}&from=%2B27831234567&to=38080&timestamp=2010-07-22+21:27:24&text=hello+{number}"
        );
        let answer = harness.get(&format!("/api/v1/sms/clickatell/receive.json?{query}")).send().unwrap();
        assert_eq!(answer.status(), 200);
    };
    (0..101).for_each(receive);
    let mut next = Some(harness.url("/api/v1/sms/clickatell/received.json?since=2009-01-01"));
    let (mut texts, mut pages) = (Vec::new(), 0);
    while let Some(url) = next {
        let answer = harness.client().get(url).basic_auth("username", Some("password")).send().unwrap();
        assert_eq!(answer.status(), 200);
        next = answer.headers().get("link").map(|link| {
            let (url, rel) = link.to_str().unwrap().trim_start_matches('<').split_once('>').unwrap();
            assert_eq!(rel, "; rel=\"next\"");
            url.to_owned()
        });
        let page: Vec<Value> = answer.json().unwrap();
        texts.extend(page.iter().map(|sms| sms["message"].as_str().unwrap().to_owned()));
        assert_eq!(page[0]["from_msisdn"], "27831234567");
        pages += 1;
    }
    assert_eq!(pages, 2);
    assert_eq!(texts, (0..101).map(|number| format!("hello {number}")).collect::<Vec<_>>());
    let later = harness.get("/api/v1/sms/clickatell/received.json?since=2100-01-01").send().unwrap();
    assert_eq!(later.json::<Value>().unwrap(), serde_json::json!([]));
    let elsewhere = harness.get("/api/v1/sms/opera/received.json?since=2009-01-01").send().unwrap();
    assert_eq!(elsewhere.json::<Value>().unwrap(), serde_json::json!([]));
    let wrong = harness.get("/api/v1/sms/clickatell/received.json?since=x&cursor=y").send().unwrap();
    assert_eq!(wrong.status(), 400);
    let named = wrong.text().unwrap();
    assert!(named.contains("since") && named.contains("cursor"), "{named}");
    let other = harness.vumi(&["account", "add", "other"]);
    let said = String::from_utf8(other.stdout).unwrap();
    let password = said.lines().last().unwrap().rsplit(' ').next().unwrap();
    let url = harness.url("/api/v1/sms/clickatell/received.json?since=2009-01-01");
    let others = harness.client().get(url).basic_auth("other", Some(password)).send().unwrap();
    assert_eq!(others.json::<Value>().unwrap(), serde_json::json!([]));
}
