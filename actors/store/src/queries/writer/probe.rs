//! What is written to find out whether the database keeps anything at all.

use diesel::{connection::SimpleConnection, prelude::*, result::Error};
use vumi_kit::account::AccountId;

use super::super::{Conn, Failed, Tx, Write};
use crate::{schema::idempotency_keys, writer::commands::Probe};

/// Whether the database keeps anything at all: a row of no account, taken back.
pub(super) fn write_and_take_back(conn: &mut Conn) -> Result<(), Error> {
    conn.batch_execute("SAVEPOINT probe")?;
    insert_probe(conn, "")?;
    conn.batch_execute("ROLLBACK TO probe; RELEASE probe")
}

/// No account's number.
const NOBODY: AccountId = -1;

fn insert_probe(conn: &mut Conn, content: &str) -> Result<(), Error> {
    diesel::insert_into(idempotency_keys::table)
        .values((
            idempotency_keys::account.eq(NOBODY),
            idempotency_keys::key.eq(""),
            idempotency_keys::request_digest.eq(content),
            idempotency_keys::sms_ids.eq(""),
            idempotency_keys::expires_at.eq(0),
        ))
        .execute(conn)
        .map(drop)
}

/// What a probe writes: more than free pages hold by chance.
const PROBE_BYTES: usize = 256 * 1024;

impl Write for Probe {
    fn rows(&self) -> usize {
        PROBE_BYTES / 1024
    }

    fn write(self, tx: &mut Tx<'_>) -> Result<(), Failed> {
        let probe = idempotency_keys::table.find((NOBODY, ""));
        diesel::delete(probe).execute(tx.conn)?;
        insert_probe(tx.conn, &"x".repeat(PROBE_BYTES))?;
        // It has expired already: the sweep removes it.
        Ok(())
    }
}
