//! The server of the tests, and a schema of each test's own.

use std::{io::Write, sync::OnceLock};

use diesel::{Connection, PgConnection, connection::SimpleConnection};
use vumi_kit::ids::message_id;

use crate::StoreSettings;
use crate::dialect::postgres as dialect;

/// Where the tests' PostgreSQL is.
const VARIABLE: &str = "VUMI_TEST_POSTGRES";

/// The server. Without [`VARIABLE`] this machine's own, and where none answers its tests are left out, which is said once.
fn server() -> Option<&'static str> {
    static SERVER: OnceLock<Option<String>> = OnceLock::new();
    SERVER.get_or_init(|| find_server(std::env::var(VARIABLE).ok())).as_deref()
}

fn find_server(named: Option<String>) -> Option<String> {
    let own = "postgres://postgres@127.0.0.1:5432/postgres?connect_timeout=2";
    let url = named.as_deref().unwrap_or(own);
    match PgConnection::establish(url) {
        Ok(_) => Some(url.to_owned()),
        Err(error) => {
            assert!(named.is_none(), "the server that {VARIABLE} names does not answer: {error}");
            // Past the test runner, which would keep it to itself.
            let left_out = format!(
                "left out: the store's tests on PostgreSQL ({error}); {VARIABLE}=postgres://user@host/database names one"
            );
            let _nobody_reads = writeln!(std::io::stderr(), "{left_out}");
            None
        }
    }
}

#[test]
#[should_panic(expected = "VUMI_TEST_POSTGRES names does not answer")]
fn a_server_that_is_named_and_down_fails_the_tests() {
    find_server(Some("postgres://postgres@127.0.0.1:1/postgres?connect_timeout=2".to_owned()));
}

/// A schema of a test's own, dropped at its end.
pub(super) struct Fixture {
    pub(super) server: &'static str,
    pub(super) schema: String,
    /// Whether it is entered as a role of its own, which can be shut out.
    role: bool,
}

impl Fixture {
    pub(super) fn new() -> Option<Self> {
        let server = server()?;
        let fixture = Self { server, schema: format!("t{}", message_id()), role: false };
        PgConnection::establish(server).unwrap().batch_execute(&format!("CREATE SCHEMA {}", fixture.schema)).unwrap();
        Some(fixture)
    }

    pub(super) fn settings(&self) -> StoreSettings {
        let joint = if self.server.contains('?') { '&' } else { '?' };
        let login = if self.role { format!("user={0}&password={0}&", self.schema) } else { String::new() };
        let url = format!(
            "{}{joint}{login}application_name={}&options=-csearch_path%3D{}",
            self.server, self.schema, self.schema
        );
        StoreSettings { url, node: Some("local".to_owned().try_into().unwrap()), ..StoreSettings::default() }
    }

    /// Another program's connection.
    pub(super) fn connect(&self) -> dialect::Conn {
        let settings = self.settings();
        dialect::connect(&settings.url, settings.synchronous).unwrap()
    }
}

impl Fixture {
    pub(super) fn with_role() -> Option<Self> {
        let mut fixture = Self::new()?;
        fixture.role = true;
        fixture
            .as_owner(&format!("CREATE ROLE {0} LOGIN PASSWORD '{0}'; ALTER SCHEMA {0} OWNER TO {0}", fixture.schema));
        Some(fixture)
    }

    fn as_owner(&self, statements: &str) {
        PgConnection::establish(self.server).unwrap().batch_execute(statements).unwrap();
    }

    /// Ends all connections of the test's store, as a restart of the server would.
    pub(super) fn cut_all(&self) {
        self.as_owner(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{}'",
            self.schema
        ));
    }
}

/// For as long as it is held, the server does not let the test's store in.
pub(super) struct Away<'a>(&'a Fixture);

impl<'a> Away<'a> {
    pub(super) fn begin(fixture: &'a Fixture) -> Self {
        fixture.as_owner(&format!("ALTER ROLE {} NOLOGIN", fixture.schema));
        fixture.cut_all();
        Self(fixture)
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        self.0.as_owner(&format!("ALTER ROLE {} LOGIN", self.0.schema));
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if let Ok(mut conn) = PgConnection::establish(self.server) {
            let drop = format!("SET lock_timeout = '5s'; DROP SCHEMA {} CASCADE", self.schema);
            let _left_behind = conn.batch_execute(&drop);
            if self.role {
                let _left_behind = conn.batch_execute(&format!("DROP ROLE {}", self.schema));
            }
        }
    }
}

/// A database that speaks German to its role; none where the server has no such locale.
pub(super) fn german() -> Option<Fixture> {
    let database = Fixture::with_role()?;
    let german = format!("ALTER ROLE {} SET lc_messages = 'de_DE.UTF-8'", database.schema);
    let mut owner = PgConnection::establish(database.server).unwrap();
    if let Err(error) = owner.batch_execute(&german) {
        // Past the test runner, which would keep it to itself.
        let left_out = format!("left out: the store on a PostgreSQL that speaks German ({error})");
        let _nobody_reads = writeln!(std::io::stderr(), "{left_out}");
        return None;
    }
    let refused = database.connect().batch_execute("SELECT 1 / 0").unwrap_err().to_string();
    assert_eq!(refused, "Division durch Null");
    Some(database)
}
