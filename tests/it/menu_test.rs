//! Test files of campaigns: a session that somebody dialled becomes one, and `vumi menu test` runs it without a router.

use std::{
    fs,
    io::Write,
    process::{Output, Stdio},
};

use crate::black_box::{Harness, words};

/// Dials with `--record FILE`, types this and hangs up at the end of it.
fn record(harness: &Harness, file: &str, typed: &[u8]) -> Output {
    let mut phone = harness
        .command(&["dial", "*120*663*79#", "--msisdn", "27829998877", "--record", file])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    phone.stdin.take().unwrap().write_all(typed).unwrap();
    phone.wait_with_output().unwrap()
}

#[test]
fn a_session_that_was_dialled_becomes_a_test_that_runs_without_a_router() {
    let harness = Harness::new();
    let router = harness.run();
    harness.wait_for_network();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quiz.test.yaml");
    let file = path.to_str().unwrap();
    for typed in ["1\n9\n", "2\n1\n1\n"] {
        let output = record(&harness, file, typed.as_bytes());
        assert!(output.status.success(), "{}", words(&output));
    }
    drop(router);

    let recorded = fs::read_to_string(&path).unwrap();
    assert!(!recorded.contains("27829998877"), "{recorded}");
    assert_eq!(recorded.matches("  A session of ").count(), 2, "{recorded}");

    let test = || harness.command(&["menu", "test", file]).output().unwrap();
    let refused = test();
    assert!(!refused.status.success());
    assert!(words(&refused).contains("campaign: {kind: quiz}"), "{}", words(&refused));

    let whole = format!("campaign: {{kind: quiz}}\n{recorded}");
    fs::write(&path, &whole).unwrap();
    let passed = test();
    // The second session goes on where the first was left, and a test begins with nobody's answers.
    assert!(words(&passed).contains("2 tests, 1 failed"), "{}", words(&passed));
    assert!(!passed.status.success());
    assert!(words(&passed).contains("- Can a person who looks healthy have HIV?"), "{}", words(&passed));
    assert!(words(&passed).contains("+ When did you last test for HIV?"), "{}", words(&passed));

    let accepted = harness.command(&["menu", "test", "--accept", file]).output().unwrap();
    assert!(words(&accepted).contains("what was seen is written into it"), "{}", words(&accepted));
    let now_passes = test();
    assert!(now_passes.status.success(), "{}", words(&now_passes));
    assert!(words(&now_passes).contains("2 tests, 0 failed"), "{}", words(&now_passes));
}

#[test]
fn a_test_file_that_can_not_be_read_is_refused_by_line_and_column() {
    let harness = Harness::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quiz.test.yaml");
    fs::write(&path, "campaign: {kind: quizz}\ntests:\n  A:\n    - dail: \"*120#\"\n").unwrap();
    let file = path.to_str().unwrap();
    let refused = harness.command(&["menu", "test", file]).output().unwrap();
    assert!(!refused.status.success());
    assert!(
        words(&refused).contains("quiz.test.yaml:4:7: `dail` is no key here: did you mean `dial`?"),
        "{}",
        words(&refused)
    );

    fs::write(&path, "campaign: {kind: quizz}\ntests:\n  A:\n    - dial: \"*120#\"\n").unwrap();
    let refused = harness.command(&["menu", "test", file]).output().unwrap();
    assert!(words(&refused).contains("there is no kind of campaign `quizz`"), "{}", words(&refused));

    fs::write(&path, "some: thing\n").unwrap();
    let refused = harness.command(&["dial", "*120#", "--record", file]).output().unwrap();
    assert!(!refused.status.success());
    assert!(words(&refused).contains("is there and no test file"), "{}", words(&refused));
}
