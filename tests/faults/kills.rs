//! `kill -9` under load, again and again.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{
    comparison::compare,
    fixture::{FaultFixture, WINDOW, rounds},
    load::ClientsBook,
};

const CLIENTS: usize = 8;
/// A router that was killed is ready and answers again within this.
const BACK: Duration = Duration::from_secs(20);

#[test]
fn nothing_is_lost_by_kills_on_sqlite() {
    killed(&FaultFixture::sqlite(), "SQLite");
}

#[test]
fn nothing_is_lost_by_kills_on_postgresql() {
    let Some((fixture, _database)) = FaultFixture::postgres() else { return };
    killed(&fixture, "PostgreSQL");
}

fn killed(fixture: &FaultFixture, database: &str) {
    let kills = rounds();
    let seed = u64::from(std::process::id());
    let mut chance = StdRng::seed_from_u64(seed);
    let clients = ClientsBook::default();
    let mut router = Some(fixture.run());
    let mut longest = Duration::ZERO;
    std::thread::scope(|threads| {
        let _until_the_end = clients.stopper();
        clients.send(threads, &fixture.harness, CLIENTS);
        for _ in 0..kills {
            clients.wait_for_more(10, BACK);
            std::thread::park_timeout(Duration::from_millis(chance.random_range(20..500)));
            if let Some(router) = router.take() {
                router.kill();
            }
            router = Some(fixture.run());
            longest = longest.max(clients.wait_for_more(1, BACK));
        }
    });
    let books = compare(&fixture.harness, &clients);
    books.show(&format!("{kills} kills on {database} (seed {seed}), back within {longest:?}"));
    books.assert_kept();
    // What the provider was sent and had not answered, or had answered and was not recorded yet.
    assert!(books.sent_twice <= kills * 2 * WINDOW, "more than can have been under way: {}", books.sent_twice);
    drop(router);
}
