//! A person who has written many times is answered in the order of the questions.

use std::fs;

use crate::black_box::{Harness, eventually};

const QUESTIONS: usize = 100;

fn write(harness: &Harness, number: usize) {
    let (id, text) = (format!("mo-{number}"), format!("question {number}"));
    let fields = [
        ("api_id", "1234"),
        ("from", "27831234567"),
        ("to", "27123456789"),
        ("timestamp", "2010-07-22 21:27:24"),
        ("text", &text),
        ("charset", "UTF-8"),
        ("moMsgId", &id),
    ];
    let answer = harness.post("/api/v1/sms/clickatell/receive.json", &fields).send().unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().unwrap());
}

#[test]
fn a_hundred_sms_of_one_person_are_answered_in_the_order_they_came() {
    let harness = Harness::new();
    // It takes one while it answers another, and refuses the rest for now.
    harness.add_to("campaigns.echo", "limits = { waiting_per_person = 1 }");
    let with_campaign = fs::read_to_string(harness.settings_file()).unwrap();
    // Behind a broker that is not there: what people write waits in the ledger.
    harness.edit(|text| {
        let start = text.find("[campaigns.echo]").unwrap();
        let end = start + text[start..].find("[campaigns.quiz]").unwrap();
        format!(
            "{}{}\n[amqp]\nurl = \"amqp://guest:guest@127.0.0.1:9/%2F\"\n[amqp.connectors.echo]\nside = \"campaign\"\n",
            &text[..start],
            &text[end..]
        )
    });
    let away = harness.run();
    (0..QUESTIONS).for_each(|number| write(&harness, number));
    drop(away);

    fs::write(harness.settings_file(), with_campaign).unwrap();
    let _router = harness.run();
    // An answer's number is that of its place in the ledger.
    let last = i64::try_from(QUESTIONS).unwrap();
    eventually("all are answered", || {
        let answer = harness.get(&format!("/api/v1/sms/clickatell/status/{last}.json")).send().unwrap();
        (answer.status() == 200).then_some(())
    });
    for number in 0..QUESTIONS {
        let answer = harness.status("clickatell", i64::try_from(number).unwrap() + 1);
        assert_eq!(answer["message"], format!("question {number}"), "{answer}");
    }
}
