//! Statements whose text never varies, prepared once.

use diesel::{
    Connection, QueryResult, RunQueryDsl,
    backend::Backend,
    connection::{DefaultLoadingMode, LoadConnection},
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    sql_types::Integer,
};

use super::Conn;

/// A statement that is prepared once for each connection. Diesel prepares anew on each call an update or upsert, since
/// its text could vary with what is set, and what has SQL of ours in it; here all columns are set every time, and our SQL is
/// the same. Parsing was half of their cost.
pub(crate) struct Fixed<Q>(pub(crate) Q);

impl<Q> QueryId for Fixed<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: QueryFragment<DB>, DB: Backend> QueryFragment<DB> for Fixed<Q> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }

    fn is_safe_to_cache_prepared(&self, _: &DB) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<Q: Query> Query for Fixed<Q> {
    type SqlType = Q::SqlType;
}

impl<Q, C> RunQueryDsl<C> for Fixed<Q> {}

impl<Q: QueryFragment<<Conn as Connection>::Backend>> Fixed<Q> {
    /// Runs a statement that answers no rows. [`RunQueryDsl::execute`] would prepare it anew: Diesel 2.3 hands on a reference,
    /// and asks that whether the statement may be kept.
    pub(crate) fn execute(self, conn: &mut Conn) -> QueryResult<()> {
        let mut rows = LoadConnection::<DefaultLoadingMode>::load(conn, WithoutRows(self))?;
        rows.try_for_each(|row| row.map(drop))
    }
}

/// A statement run as a query, which answers no rows.
struct WithoutRows<Q>(Fixed<Q>);

impl<Q> QueryId for WithoutRows<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: QueryFragment<DB>, DB: Backend> QueryFragment<DB> for WithoutRows<Q> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }

    fn is_safe_to_cache_prepared(&self, backend: &DB) -> QueryResult<bool> {
        self.0.is_safe_to_cache_prepared(backend)
    }
}

impl<Q> Query for WithoutRows<Q> {
    type SqlType = Integer;
}
