//! What people answered to a campaign, as CSV, JSON Lines and counts.

use serde_json::{Value, json};

use crate::black_box::{Harness, words};

#[test]
fn the_answers_of_a_campaign_are_written_as_csv_and_json_lines_and_counted_while_it_runs() {
    let harness = Harness::new();
    let _router = harness.run();
    harness.wait_for_network();
    for (msisdn, answer) in [("27831234567", "1"), ("27831234568", "1"), ("27831234569", "2")] {
        harness.handset("dial", &json!({"msisdn": msisdn, "code": "*120*663*79#"}));
        for _ in 0..3 {
            harness.handset("answer", &json!({"msisdn": msisdn, "text": answer}));
        }
    }
    let csv = words(&harness.vumi(&["results", "quiz"]));
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!((lines[0], lines.len()), ("person,question,answer", 10), "{csv}");
    assert!(lines[1].starts_with("27831234567,"), "{csv}");
    let jsonl = words(&harness.vumi(&["results", "quiz", "--jsonl"]));
    let rows: Vec<Value> = jsonl.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((rows.len(), &rows[8]["person"]), (9, &json!("27831234569")), "{jsonl}");
    let counts = words(&harness.vumi(&["results", "quiz", "--jsonl", "--counts"]));
    let mut counted: Vec<i64> =
        counts.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["count"].as_i64().unwrap()).collect();
    counted.sort_unstable();
    assert_eq!(counted, [1, 1, 1, 2, 2, 2], "{counts}");
    assert_eq!(words(&harness.vumi(&["results", "echo"])), "person,question,answer\r\n");
}
