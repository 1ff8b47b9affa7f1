//! Ends a query that takes too long from within: SQLite asks a function of ours for each row that it looks at. Its own ways to
//! interrupt a statement are not diesel's.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use diesel::{
    QueryResult, declare_sql_function,
    serialize::{self, IsNull, Output, ToSql},
    sql_types::Bool,
    sqlite::Sqlite,
};

use super::Conn;

#[declare_sql_function]
extern "SQL" {
    /// True; an error once the time of the thread's query is over.
    fn in_time() -> Bool;
}

thread_local! {
    /// When the time of this thread's query is over.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// What [`in_time`] answers.
#[derive(Debug)]
struct InTime;

impl ToSql<Bool, Sqlite> for InTime {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        if DEADLINE.get().is_some_and(|deadline| Instant::now() >= deadline) {
            return Err("the query took too long".into());
        }
        out.set_value(1_i32);
        Ok(IsNull::No)
    }
}

/// Makes the function known to a connection.
pub(super) fn register(conn: &mut Conn) -> QueryResult<()> {
    in_time_utils::register_nondeterministic_impl(conn, || InTime)
}

/// Runs queries of this thread; those that ask [`in_time`] fail once they have taken so long.
pub(crate) fn within<T>(limit: Duration, read: impl FnOnce() -> T) -> T {
    DEADLINE.set(Instant::now().checked_add(limit));
    let answer = read();
    DEADLINE.set(None);
    answer
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use diesel::{RunQueryDsl, connection::SimpleConnection, sql_types::BigInt};

    use super::{register, within};
    use crate::dialect::sqlite::Conn;

    /// Hours of work.
    const ENDLESS: &str = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 100000000000) \
         SELECT count(*) FROM n WHERE in_time()";

    #[test]
    fn a_query_ends_when_its_time_is_over_and_the_connection_goes_on() {
        let mut conn = <Conn as diesel::Connection>::establish(":memory:").unwrap();
        register(&mut conn).unwrap();
        let started = Instant::now();
        let endless = diesel::dsl::sql::<BigInt>(ENDLESS);
        let ended = within(Duration::from_millis(50), || endless.get_result::<i64>(&mut conn));
        assert!(ended.is_err() && started.elapsed() < Duration::from_secs(10), "{ended:?}");
        conn.batch_execute("SELECT 1 WHERE in_time()").unwrap();
    }
}
