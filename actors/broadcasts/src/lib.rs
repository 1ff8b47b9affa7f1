//! Turns the lines of broadcasts into SMS of the ledger, step by step: one actor asks the store what is due, prepares each SMS as a
//! client's, and has the store keep them in one transaction with the count of the lines taken. So 100,000 lines hold nobody up,
//! live in no memory, and each is one SMS, whatever crashes. Several processes may do so at once: a step that another one took
//! first does nothing.

mod broadcaster;
mod steps;

pub use broadcaster::start;
