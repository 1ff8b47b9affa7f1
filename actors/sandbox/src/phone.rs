//! The phone in the browser: `GET /phone`. Its page talks to the control pages like any other client, and follows what happens
//! on its handsets by asking again and again.

mod journal;
mod page;
mod waiting;

pub(crate) use journal::{HandsetEvent, HandsetJournal};
pub(crate) use page::mount;
pub(crate) use waiting::LongPolls;
