//! The phone in the browser: people dial, answer and write SMS on the sandbox's page, in Debian's Chromium. `.ci/run` installs it,
//! and axe-core; without them these tests say that they were left out.

use std::io::Write as _;

use serde_json::json;

use crate::black_box::{
    Harness, Process,
    browser::{Browser, ENTER, ESCAPE, TAB},
    eventually,
};

const SCREEN: &str = ".handset .screen";
const TYPED: &str = ".handset .typed";

/// A router with its sandbox, and a browser on the phone's page.
fn open_phone() -> Option<(Harness, Process, Browser)> {
    let browser = Browser::start()?;
    let harness = Harness::new();
    let router = harness.run();
    harness.wait_for_network();
    browser.open(&harness.provider_url("/phone"));
    browser.wait_for_text("#link", "A router is connected");
    Some((harness, router, browser))
}

#[test]
fn a_quiz_is_played_with_the_keyboard_alone_and_saved_as_a_test() {
    let Some((_harness, _router, browser)) = open_phone() else { return };
    // The skip link, the button for another phone, the number, the two views, the screen: then what is typed.
    let focused = "document.activeElement.className";
    for _ in 0..12 {
        browser.press(TAB);
        if browser.value(focused, &[]) == "typed" {
            break;
        }
    }
    browser.press(&format!("*120*663*79#{ENTER}"));
    browser.wait_for_text(SCREEN, "1.");
    browser.wait_for_text(".handset .count", "/182 GSM-7");
    let question = browser.text(SCREEN);
    assert_eq!(browser.value("document.querySelector('.screen').getAttribute('aria-live')", &[]), "polite");

    // Digits work with the focus on a key, too, and Enter there presses the key.
    browser.press(TAB);
    browser.press("9");
    assert_eq!(browser.value("document.querySelector('.typed').value", &[]), "9");
    browser.type_into(TYPED, ENTER);
    browser.wait_for_text(SCREEN, "Please send the number");
    browser.press(&format!("1{ENTER}"));
    browser.wait_until("document.querySelectorAll('.trail li').length", |n| *n == 6);
    assert!(browser.text(".trail li:nth-child(2)").contains("after "), "how long the answer took");
    browser.press(ESCAPE);
    browser.wait_for_text(SCREEN, "You hung up");
    browser.wait_for_text(".state", "no session");

    browser.click(".save button");
    let saved = browser.downloaded("menu.test.yaml");
    let lines: Vec<&str> = saved.lines().collect();
    assert_eq!(
        lines[1..5],
        ["menu: menu.yaml", "tests:", "  \"A person dials *120*663*79#\":", "    - dial: \"*120*663*79#\""]
    );
    let screen: Vec<String> = question.lines().map(|line| format!("        {line}")).collect();
    assert!(saved.contains(&format!("      see: |\n{}\n    - send: 9\n", screen.join("\n"))), "{saved}");
    assert!(saved.ends_with("    - hang_up: true\n"), "{saved}");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn phones_side_by_side_have_sessions_of_their_own_and_what_people_type_is_only_text() {
    let Some((harness, _router, browser)) = open_phone() else { return };
    browser.click("#add");
    let second = ".handset:nth-child(2)";
    browser.type_into(&format!("{second} .typed"), &format!("*120*1#{ENTER}"));
    browser.wait_for_text(&format!("{second} .state"), "in session");
    assert_eq!(browser.text(".handset:nth-child(1) .state"), "no session");

    let markup = "<img src=x onerror=document.title='hacked'>";
    let long = format!("{markup}{}", "x".repeat(500));
    // The field takes 500 characters.
    browser.type_into(&format!("{second} .typed"), &format!("{long}{ENTER}"));
    browser.wait_for_text(&format!("{second} .screen"), markup);
    // A phone on SSMI can't type it, and says so.
    browser.run("document.querySelectorAll('.typed')[1].value = 'smile 😀'");
    browser.click(&format!("{second} .call"));
    browser.wait_for_text(&format!("{second} .note"), "😀");

    // By the SMPP centre it can: there and back again.
    browser.click(".view-messages");
    browser.run("document.querySelector('.by').value = 'smsc'");
    browser.type_into(".to", "38080");
    browser.run(
        "const text = document.querySelector('.text'); text.value = '<b>hello</b> 😀'; text.dispatchEvent(new Event('input'))",
    );
    assert_eq!(browser.text(".text-count"), "15/70 UCS-2");
    browser.click(".call");
    browser.wait_until("document.querySelector('.inbox').children.length", |n| *n == 2);
    assert!(browser.text(".inbox li:nth-child(2)").contains("<b>hello</b> 😀"));

    // What the API sends to the second phone is there without a reload, and counted as new.
    harness.send("clickatell", "27831234568", "Your clinic is open");
    browser.wait_for_text(&format!("{second} .unread"), "(1 new)");
    browser.wait_for_text(&format!("{second} .trail"), "Your clinic is open");

    assert_eq!(browser.value("document.querySelectorAll('main img, main b').length", &[]), 0);
    assert_ne!(browser.value("document.title", &[]), "hacked");
    for width in [1280, 360] {
        browser.look(width, "light");
        assert_eq!(browser.overflow(), 0, "nothing is beyond the edge at {width} pixels");
    }
    // A reload finds the phones, their sessions and what happened on them.
    browser.open(&harness.provider_url("/phone"));
    browser.wait_for_text(&format!("{second} .trail"), "Your clinic is open");
    browser.wait_for_text(&format!("{second} .state"), "in session");
    // The phone that could not type it has a 400 in the browser's log, and nothing else is there.
    assert!(browser.complaints().iter().all(|line| line.contains("handset/answer")));
}

#[test]
fn the_switches_make_a_provider_misbehave_and_behave_again() {
    let Some((harness, _router, browser)) = open_phone() else { return };
    let refuses = || -> u64 {
        let rules = harness.client().get(harness.provider_url("/misbehave/clickatell")).send().unwrap();
        rules.json::<serde_json::Value>().unwrap()["refuse_every"].as_u64().unwrap()
    };
    browser.run(
        "const by = document.querySelector('#provider'); by.value = 'clickatell'; by.dispatchEvent(new Event('change'))",
    );
    let switch = "[...document.querySelectorAll('.switch')].find(one => one.textContent.startsWith('Refuses'))";
    browser.wait_until(&format!("{switch} !== undefined"), |there| *there == true);
    browser.wait_until("document.querySelectorAll('.switch').length", |n| *n == 5);
    browser.run(&format!("{switch}.click()"));
    eventually("every second SMS is refused", || (refuses() == 2).then_some(()));
    browser.wait_until(&format!("{switch}.getAttribute('aria-pressed')"), |pressed| pressed == "true");
    browser.wait_for_text("#rules-say", "clickatell: Refuses every second SMS.");
    browser.click("#rules summary");
    assert_eq!(browser.value("document.querySelector('[name=refuse_every]').value", &[]), "2");
    browser.click("#behave");
    eventually("nothing is refused", || (refuses() == 0).then_some(()));
    browser.wait_for_text("#rules-say", "clickatell behaves.");
}

#[test]
fn a_page_without_its_router_or_its_sandbox_says_so() {
    let Some(browser) = Browser::start() else { return };
    let harness = Harness::new();
    // A sandbox that no router is connected to.
    let sandbox = harness.start(&["sandbox"]);
    browser.open(&harness.provider_url("/phone"));
    browser.wait_for_text("#link", "No router is connected");
    browser.click(".call");
    browser.wait_for_text(".note", "no router is logged in");
    drop(sandbox);
    browser.wait_for_text("#link", "The sandbox does not answer");
    let _again = harness.start(&["sandbox"]);
    browser.wait_for_text("#link", "No router is connected");
}

#[test]
fn axe_finds_nothing_that_keeps_people_out() {
    let Some(path) = std::env::var_os("VUMI_TEST_AXE") else {
        let printed = "left out: VUMI_TEST_AXE is not set to axe-core's axe.min.js; .ci/run gets it by npm";
        let _nobody_reads = writeln!(std::io::stderr(), "{printed}");
        return;
    };
    let Some((harness, _router, browser)) = open_phone() else { return };
    let axe = std::fs::read_to_string(path).unwrap();
    browser.click("#add");
    browser.click(".handset:nth-child(2) .view-messages");
    browser.click(".call");
    browser.wait_for_text(SCREEN, "1.");
    harness.handset("answer", &json!({"msisdn": "27831234567", "text": "й"}));
    browser.wait_for_text(".trail", "No answer");
    browser.click("#rules summary");
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")] {
        browser.look(width, scheme);
        assert_eq!(browser.broken_rules(&axe), Vec::<String>::new(), "{width} {scheme}");
    }
    // It would have found something.
    browser.run("document.querySelector('#add').textContent = ''");
    assert!(!browser.broken_rules(&axe).is_empty(), "a button without a name");
}
