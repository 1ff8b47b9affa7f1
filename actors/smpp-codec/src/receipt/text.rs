//! The text of a receipt that a server sends.

use chrono::{DateTime, Utc};

use crate::{MessageState, time::write_date};

/// How many octets of the message a receipt repeats at most.
const TEXT: usize = 20;

/// The eight fields of a receipt's text, in the specification's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the specification's own names")]
pub struct ReceiptText<'a> {
    /// As submit_sm_resp spelled it.
    pub id: &'a str,
    /// Messages submitted; 3 digits.
    pub sub: u16,
    /// Messages delivered; 3 digits.
    pub dlvrd: u16,
    pub submit_date: DateTime<Utc>,
    pub done_date: DateTime<Utc>,
    pub stat: MessageState,
    /// 3 digits, `000` for none.
    pub err: &'a str,
    /// The front of the message, in ASCII; its first 20 characters are written.
    pub text: &'a str,
}

impl ReceiptText<'_> {
    /// The text, in ASCII where `id`, `err` and `text` are.
    #[must_use]
    pub fn write(&self) -> String {
        let text: String = self.text.chars().take(TEXT).collect();
        format!(
            "id:{} sub:{:03} dlvrd:{:03} submit date:{} done date:{} stat:{} err:{} text:{text}",
            self.id,
            self.sub,
            self.dlvrd,
            write_date(self.submit_date),
            write_date(self.done_date),
            self.stat.word(),
            self.err,
        )
    }
}
