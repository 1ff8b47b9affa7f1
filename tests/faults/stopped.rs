//! The router is stopped for longer than a claim holds (SIGSTOP, as by a debugger or a suspended machine), and goes on.

use std::time::Duration;

use crate::{
    black_box::{Process, database::TestDatabase},
    comparison::compare,
    fixture::{FaultFixture, WINDOW, rounds, started},
    load::ClientsBook,
};

const CLIENTS: usize = 8;
/// How long a claim holds: three times what a call to a provider may take.
const LEASE: &str = "6s";
const CALL_LIMIT: &str = "call_limit = \"1s\"";
/// How long the router stands still.
const STOPPED: Duration = Duration::from_secs(9);
const BACK: Duration = Duration::from_secs(20);

fn fixture(url: &str) -> FaultFixture {
    let transports = ["clickatell", "opera", "techsys", "truteq", "smsc"];
    FaultFixture::with(url, |text| {
        let text = text.replace("[store]\n", &format!("[store]\nlease = \"{LEASE}\"\n"));
        let text = text.replace("outbox = { window", &format!("outbox = {{ {CALL_LIMIT}, window"));
        transports.iter().fold(text, |text, name| {
            let header = format!("[transports.{name}]\n");
            text.replace(&header, &format!("{header}outbox = {{ {CALL_LIMIT} }}\n"))
        })
    })
}

#[test]
fn nothing_is_lost_and_nothing_sent_twice_by_a_router_that_was_stopped_on_sqlite() {
    let fixture = fixture("sqlite://vumi.db");
    let router = fixture.run();
    let twice = stopped(&fixture, &router, "SQLite");
    // Nobody else had it meanwhile, and what the provider answered lies in the sockets.
    assert_eq!(twice, 0);
}

#[test]
fn nothing_is_lost_by_a_router_that_was_stopped_while_another_took_over_on_postgresql() {
    let Some(database) = TestDatabase::start() else { return };
    let fixture = fixture(&database.url());
    let router = fixture.run();
    let other = started(fixture.transport_alone());
    let twice = stopped(&fixture, &router, "PostgreSQL, beside another");
    // Only what was begun may have been sent, and is sent again by the one that takes over.
    assert!(twice <= rounds() * WINDOW, "more than can have been under way: {twice}");
    drop(other);
}

/// Answers how many SMS were sent more than once.
fn stopped(fixture: &FaultFixture, router: &Process, database: &str) -> usize {
    let clients = ClientsBook::default();
    let mut longest = Duration::ZERO;
    std::thread::scope(|threads| {
        let _until_the_end = clients.stopper();
        clients.send(threads, &fixture.harness, CLIENTS);
        for _ in 0..rounds() {
            clients.wait_for_more(50, BACK);
            router.signal("STOP");
            std::thread::park_timeout(STOPPED);
            router.signal("CONT");
            longest = longest.max(clients.wait_for_more(1, BACK));
        }
    });
    let books = compare(&fixture.harness, &clients);
    books.show(&format!("stopped {} times for {STOPPED:?} on {database}, back within {longest:?}", rounds()));
    books.assert_kept();
    books.sent_twice
}
