//! Wrong settings, a taken port, a database that can't be used: one clear line, and an exit status that is not 0.

use std::{fs, net::TcpListener};

use diesel::{Connection, SqliteConnection, connection::SimpleConnection};

use crate::black_box::{Harness, read, words};

/// What `vumi ARGUMENTS` says when it refuses.
fn refusal(harness: &Harness, arguments: &[&str]) -> String {
    let output = harness.vumi(arguments);
    assert!(!output.status.success(), "{}", words(&output));
    let printed = words(&output);
    assert!(!printed.contains("panicked"), "{printed}");
    printed
}

#[test]
fn check_names_file_key_and_what_was_expected() {
    for (from, to, expected) in [
        ("[http]\n", "[http]\nport = 80\n", "http"),
        ("kind = \"clickatell\"", "kind = \"clickatel\"", "transports.clickatell.kind"),
        ("campaign = \"quiz\"", "campaign = \"quizz\"", "there is no campaign `quizz`"),
        ("ussd = \"*120*663*79#\"", "ussd = \"hello\"", "USSD code"),
        ("api_id = \"1234\"", "api_idd = \"1234\"", "api_idd"),
        ("[store]\n", "[stroe]\n", "stroe"),
    ] {
        let harness = Harness::new();
        harness.edit(|text| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        let printed = refusal(&harness, &["check"]);
        assert!(printed.contains(expected), "{to}: {printed}");
        assert!(printed.contains("vumi.toml"), "{to}: {printed}");
        assert!(printed.trim().lines().count() <= 2, "{printed}");
    }
}

#[test]
fn a_key_that_has_another_name_now_is_refused_with_the_new_one_named() {
    for (old, new) in [("hand_over_limit_ms = 500", "hand_over_limit"), ("retry_received_s = 5", "retry_received")] {
        let harness = Harness::new();
        harness.edit(|text| format!("{text}\n[router]\n{old}\n"));
        let printed = refusal(&harness, &["check"]);
        let key = old.split(' ').next().unwrap();
        assert!(printed.contains(&format!("`{key}` is now called `{new}`")), "{printed}");
        assert!(printed.contains(&format!("router.{key}")), "{printed}");
    }
    let harness = Harness::new();
    harness.edit(|text| format!("{text}\n[router]\nhand_over_limit = \"500ms\"\nretry_received = \"0s\"\n"));
    let printed = refusal(&harness, &["check"]);
    assert!(printed.contains("router.retry_received") && !printed.contains("hand_over_limit"), "{printed}");
}

#[test]
fn whether_the_queue_is_skipped_is_said_in_any_of_the_usual_words_and_nonsense_is_an_error() {
    // Left out, [amqp] is not read at all: this one would be refused.
    let mut harness = Harness::new();
    harness.edit(|text| format!("{text}\n[amqp]\nurl = \"nonsense\"\n"));
    assert!(refusal(&harness, &["check"]).contains("amqp"));
    for yes in ["True", "true", "1", "yes", "ON"] {
        harness.set("VUMI_SKIP_QUEUE", yes);
        assert!(harness.vumi(&["check"]).status.success(), "{yes}");
    }
    for no in ["False", "0", "no", "off"] {
        harness.set("VUMI_SKIP_QUEUE", no);
        assert!(refusal(&harness, &["check"]).contains("amqp"), "{no}");
    }
    harness.set("VUMI_SKIP_QUEUE", "maybe");
    let printed = refusal(&harness, &["check"]);
    assert!(
        printed.contains("VUMI_SKIP_QUEUE") && printed.contains("`maybe`") && printed.contains("yes or on"),
        "{printed}"
    );
}

#[test]
fn a_file_that_is_no_toml_and_one_that_is_not_there_are_named() {
    let harness = Harness::new();
    let folder = harness.folder.path().to_str().unwrap();
    assert!(refusal(&harness, &["--settings", folder, "check"]).contains("is a folder"));
    harness.edit(|_| "[http]\nthis is = = no toml".to_owned());
    let printed = refusal(&harness, &["check"]);
    assert!(printed.contains("vumi.toml: line 2, column 6: "), "{printed}");
    assert_eq!(printed.trim().lines().count(), 1, "{printed}");
    assert!(refusal(&harness, &["--settings", "nowhere.toml", "check"]).contains("nowhere.toml"));
}

#[test]
fn the_shipped_settings_are_good() {
    let harness = Harness::new();
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/settings");
    let mut checked = 0;
    for file in fs::read_dir(shipped).unwrap() {
        let path = file.unwrap().path();
        let output = harness.vumi(&["--settings", path.to_str().unwrap(), "check"]);
        assert!(output.status.success(), "{}: {}", path.display(), words(&output));
        checked += 1;
    }
    assert!(checked >= 2);
}

#[test]
fn every_kind_shows_settings_that_pass_the_check() {
    let harness = Harness::new();
    let kinds = words(&harness.vumi(&["kinds"]));
    for kind in ["clickatell", "opera", "e-scape", "techsys", "smpp", "ssmi", "echo", "quiz"] {
        assert!(kinds.contains(&format!("kind = \"{kind}\"")), "{kind} in {kinds}");
    }
    harness.edit(|_| kinds);
    let checked = harness.vumi(&["check"]);
    assert!(checked.status.success(), "{}", words(&checked));
    assert!(refusal(&harness, &["kinds", "nonsense"]).contains("nonsense"));
}

#[test]
fn time_for_requests_that_the_supervisor_would_cut_off_is_named() {
    let harness = Harness::new();
    harness.edit(|text| text.replacen("[http]\n", "[supervisor]\ndrain = \"5s\"\n\n[http]\n", 1));
    let printed = refusal(&harness, &["check"]);
    assert!(printed.contains("http.drain_within: 8s is longer than `supervisor.drain`, 5s"), "{printed}");
}

#[test]
fn a_lease_too_short_for_a_transports_calls_is_named_with_the_least_that_will_do() {
    let harness = Harness::new();
    harness.add_to("store", "lease = \"10s\"");
    harness.add_to("transports.opera", "outbox = { call_limit = \"15s\" }");
    let printed = refusal(&harness, &["check"]);
    assert!(printed.contains("store.lease: 10s is too short for `transports.opera.outbox.call_limit`"), "{printed}");
    assert!(printed.contains("expected 48s or more"), "{printed}");
    harness.edit(|text| text.replace("lease = \"10s\"", "lease = \"48s\""));
    let checked = harness.vumi(&["check"]);
    assert!(checked.status.success(), "{}", words(&checked));
}

#[test]
fn a_variable_overrides_one_key_and_a_secret_can_stand_in_a_file() {
    let mut harness = Harness::new();
    let secret = harness.folder.path().join("secret");
    fs::write(&secret, "vumi\n").unwrap();
    harness.set("VUMI__TRANSPORTS__OPERA__PASSWORD_FILE", secret.to_str().unwrap());
    harness.set("VUMI__HTTP__WORKERS", "1");
    harness.set("VUMI__TRANSPORTS__E_SCAPE__SMSC", "other");
    let checked = harness.vumi(&["check"]);
    assert!(checked.status.success(), "{}", words(&checked));

    harness.set("VUMI__HTTP__WORKERS", "many");
    let printed = refusal(&harness, &["check"]);
    assert!(printed.contains("VUMI__HTTP__WORKERS") && printed.contains("http.workers"), "{printed}");
}

#[test]
fn a_taken_port_is_named() {
    let harness = Harness::new();
    let _taken = TcpListener::bind(("127.0.0.1", harness.http)).unwrap();
    let printed = refusal(&harness, &["run"]);
    assert!(printed.contains(&harness.http.to_string()), "{printed}");
}

#[test]
fn a_file_that_is_no_database_is_left_as_it_is() {
    let harness = Harness::new();
    let path = harness.folder.path().join("vumi.db");
    fs::write(&path, "dear diary, this is not a database, and it must stay as it is").unwrap();
    let printed = refusal(&harness, &["run"]);
    assert!(printed.contains("vumi.db"), "{printed}");
    assert!(read(&path).starts_with("dear diary"));
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let harness = Harness::new();
    harness.edit(|text| text.replace("sqlite://vumi.db", "sqlite://not/here/vumi.db"));
    assert!(refusal(&harness, &["run"]).contains("not/here"));
}

#[test]
fn a_check_shows_no_password() {
    let harness = Harness::new();
    harness.edit(|text| text.replace("sqlite://vumi.db", "postgres://vumi:hidden@127.0.0.1/vumi"));
    let printed = words(&harness.vumi(&["check"]));
    assert!(printed.contains("postgres://vumi:***@127.0.0.1/vumi") && !printed.contains("hidden"), "{printed}");
}

#[test]
fn a_database_that_another_program_holds_is_told_so() {
    let harness = Harness::new();
    assert!(harness.vumi(&["migrate"]).status.success());
    let path = harness.folder.path().join("vumi.db");
    let mut shell = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    shell.batch_execute("BEGIN EXCLUSIVE").unwrap();
    let printed = refusal(&harness, &["run"]);
    assert!(printed.contains("vumi.db is locked by another program: close"), "{printed}");
}

#[test]
fn a_second_router_on_the_same_database_is_refused() {
    let harness = Harness::new();
    let router = harness.run();
    let second = Harness::new();
    let path = harness.folder.path().join("vumi.db");
    second.edit(|text| text.replace("sqlite://vumi.db", &format!("sqlite://{}", path.display())));
    let printed = refusal(&second, &["run"]);
    assert!(printed.contains("vumi.db"), "{printed}");
    assert_eq!(router.stop(), 0);
}

#[test]
fn a_variable_with_one_underscore_too_few_is_refused_and_spelt_right() {
    let mut harness = Harness::new();
    harness.set("VUMI_TEST_SOMETHING__ELSE", "1");
    assert!(harness.vumi(&["check"]).status.success());
    harness.set("VUMI_HTTP__BIND", "127.0.0.1:9000");
    let printed = refusal(&harness, &["check"]);
    assert!(printed.contains("VUMI_HTTP__BIND") && printed.contains("VUMI__HTTP__BIND"), "{printed}");
}

#[test]
fn an_address_to_listen_on_is_an_ip_address_or_localhost() {
    let mut harness = Harness::new();
    harness.set("VUMI__HTTP__BIND", "localhost:8999");
    let checked = harness.vumi(&["check"]);
    assert!(checked.status.success() && words(&checked).contains("127.0.0.1:8999"), "{}", words(&checked));
    harness.set("VUMI__HTTP__BIND", "here.example:80");
    let printed = refusal(&harness, &["check"]);
    assert!(printed.contains("http.bind") && printed.contains("such as 127.0.0.1:8000"), "{printed}");
}

#[test]
fn check_and_run_both_refuse_the_sandboxs_account_where_others_could_use_it() {
    let mut harness = Harness::new();
    harness.set("VUMI__HTTP__BIND", &format!("0.0.0.0:{}", harness.http));
    for command in ["check", "run"] {
        let printed = refusal(&harness, &[command]);
        assert!(printed.contains("http.bind") && printed.contains("[sandbox]"), "{command}: {printed}");
    }
}

#[test]
fn check_warns_of_secrets_that_others_can_read_and_of_a_database_that_nobody_verifies() {
    use std::os::unix::fs::PermissionsExt;
    let harness = Harness::new();
    let secret = harness.folder.path().join("clickatell-password");
    fs::write(&secret, "s3cret\n").unwrap();
    harness.add_to("transports.clickatell", &format!("password_file = {secret:?}"));
    harness.edit(|text| text.replacen("password = \"vumi\"\napi_id", "api_id", 1));
    let mode = |file: &std::path::Path, mode| fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    let settings = harness.settings_file();
    let warned = |file: &std::path::Path| {
        let output = harness.vumi(&["check"]);
        assert!(output.status.success(), "{}", words(&output));
        let named = format!("{} holds secrets", file.file_name().unwrap().display());
        words(&output).contains(&named)
    };
    for (bits, expected) in [(0o644, true), (0o660, true), (0o640, false), (0o600, false)] {
        mode(&secret, bits);
        mode(&settings, 0o600);
        assert_eq!((warned(&secret), warned(&settings)), (expected, false), "{bits:o}");
        mode(&settings, bits);
        mode(&secret, 0o400);
        assert_eq!((warned(&settings), warned(&secret)), (expected, false), "{bits:o}");
    }
    harness.edit(|text| text.replace("sqlite://vumi.db", "postgres://vumi:s3cret@db.internal/vumi?sslmode=require"));
    let printed = words(&harness.vumi(&["check"]));
    assert!(printed.contains("verifies nobody") && printed.contains("sslmode=verify-full"), "{printed}");
    assert!(!printed.contains("s3cret"), "{printed}");
}
