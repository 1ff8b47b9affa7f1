//! An operator exports the ledger, makes a backup of the running router, and puts it back.

use std::fs;

use crate::black_box::{Harness, words};

#[test]
fn a_backup_of_the_running_router_is_verified_and_restored_and_what_waited_is_held() {
    let harness = Harness::quiet();
    let router = harness.run();
    let first = harness.send("opera", "27831234567", "before the backup");
    let made = harness.vumi(&["store", "backup", "backup.db"]);
    assert!(made.status.success() && words(&made).contains("the log of changes grew by"), "{}", words(&made));
    let again = harness.vumi(&["store", "backup", "backup.db"]);
    assert!(!again.status.success() && words(&again).contains("--force"), "{}", words(&again));
    let itself = harness.vumi(&["store", "backup", "--force", "vumi.db"]);
    assert!(!itself.status.success() && words(&itself).contains("the database itself"), "{}", words(&itself));
    harness.send("opera", "27831234567", "after the backup");
    let verified = harness.vumi(&["store", "verify", "backup.db"]);
    assert!(verified.status.success() && words(&verified).contains("sound") && words(&verified).contains("1 SMS,"));

    let refused = harness.vumi(&["store", "restore", "backup.db"]);
    assert!(!refused.status.success() && words(&refused).contains("in use by another vumi"), "{}", words(&refused));
    router.stop();
    let restored = harness.vumi(&["store", "restore", "backup.db"]);
    let said = words(&restored);
    assert!(restored.status.success() && said.contains("1 SMS waited") && said.contains("vumi.db.replaced-"), "{said}");

    let exported = harness.vumi(&["ledger", "export", "--format", "jsonl"]);
    assert!(exported.status.success(), "{}", words(&exported));
    let lines: Vec<serde_json::Value> = exported
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!((lines.len(), &lines[0]["id"], &lines[0]["message"]), (1, &first.into(), &"before the backup".into()));
    let _router = harness.run();
}

#[test]
fn an_export_is_a_file_that_no_spreadsheet_runs_and_wrong_options_are_named() {
    let harness = Harness::quiet();
    let router = harness.run();
    harness.send("opera", "27831234567", "=HYPERLINK(\"http://x\")");
    harness.send("opera", "27831234568", "two, \"quoted\"\nlines");
    let exported =
        harness.vumi(&["ledger", "export", "--account", "username", "--transport", "opera", "--out", "out.csv"]);
    assert!(exported.status.success() && words(&exported).contains("2 SMS; for what comes after them: --after"));
    let csv = fs::read_to_string(harness.folder.path().join("out.csv")).unwrap();
    assert!(csv.starts_with("id,account,transport,to,from,message,"), "{csv}");
    assert!(csv.contains(",27831234567,27123456789,\"'=HYPERLINK(\"\"http://x\"\")\",text,1,normal,"), "{csv}");
    assert!(csv.contains("\"two, \"\"quoted\"\"\nlines\""), "{csv}");
    for (wrong, named) in [
        (&["--out", "out.csv"][..], "--force"),
        (&["--out", "gone/out.csv"], "folder"),
        (&["--account", "nobody"], "`nobody`"),
        (&["--from", "yesterday"], "YYYY-MM-DD"),
        (&["--from", "2026-11-02", "--to", "2026-11-01"], "--from is not before --to"),
        (&["--transport", "no/name"], "--transport"),
    ] {
        let refused = harness.vumi(&[&["ledger", "export"], wrong].concat());
        assert!(!refused.status.success() && words(&refused).contains(named), "{wrong:?}: {}", words(&refused));
    }
    router.stop();
}
