//! The backlog of each transport: how many SMS are due that nobody holds, and for how long the oldest of them has been.

use vumi_kit::{
    clock::Timestamp,
    ledger::{Backlog, CountBacklog},
    name::Name,
};

use super::{Conn, Failed, Read, rows, waiting};

impl Read for CountBacklog {
    fn read(self, conn: &mut Conn, now: Timestamp) -> Result<Vec<(Name, Backlog)>, Failed> {
        let (mut backlogs, mut after) = (Vec::new(), String::new());
        while let Some(transport) = waiting::next_transport(conn, &after)? {
            if let Some(backlog) = of_transport(conn, &transport, now)? {
                backlogs.push((rows::name(&transport)?, backlog));
            }
            after = transport;
        }
        Ok(backlogs)
    }
}

fn of_transport(conn: &mut Conn, transport: &str, now: Timestamp) -> diesel::QueryResult<Option<Backlog>> {
    let accounts = waiting::accounts(conn, transport, now, waiting::MOST_ACCOUNTS)?;
    let Some(oldest) = accounts.iter().map(|account| account.due).min() else { return Ok(None) };
    let (most, mut due) = (i64::from(Backlog::MOST_COUNTED) + 1, 0);
    for account in &accounts {
        due += waiting::count(conn, transport, account, now, most - due)?;
        if due >= most {
            break;
        }
    }
    Ok(Some(Backlog { due: u32::try_from(due).unwrap_or(u32::MAX), oldest_s: now.since(oldest).as_secs() }))
}
