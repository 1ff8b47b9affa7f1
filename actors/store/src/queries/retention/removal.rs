//! How texts and rows are removed, whichever have come to their end.

use diesel::prelude::*;

use super::super::{Fixed, Tx};
use crate::{
    schema::{receipts, received_sms, sms, sms_attempts, sms_events, sms_parts},
    settings::OldTexts,
};

/// Takes the texts out of SMS, and out of what was said of them.
pub(super) fn remove_texts(tx: &mut Tx<'_>, ids: &[i64]) -> QueryResult<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let now = Some(tx.now.micros());
    match tx.rules.retention.old_texts {
        OldTexts::Remove => {
            let these = sms::table.filter(among!(sms::id, "sms.id", ids));
            let gone = (sms::message.eq(""), sms::udh.eq(None::<String>), sms::text_removed_at.eq(now));
            diesel::update(these).set(gone).execute(tx.conn)?;
        }
        OldTexts::Mask => {
            let these = sms::table.filter(among!(sms::id, "sms.id", ids)).select((sms::id, sms::message));
            for (id, text) in these.load::<(i64, String)>(tx.conn)? {
                let masked =
                    (sms::message.eq(masked(&text)), sms::udh.eq(None::<String>), sms::text_removed_at.eq(now));
                Fixed(diesel::update(sms::table.find(id)).set(masked)).execute(tx.conn)?;
            }
        }
    }
    forget_receipts(tx, ids)
}

/// What providers sent with receipts of SMS.
pub(in super::super) fn forget_receipts(tx: &mut Tx<'_>, ids: &[i64]) -> QueryResult<()> {
    let theirs = receipts::table.filter(among!(receipts::sms, "receipts.sms", ids));
    diesel::update(theirs).set(receipts::fields.eq("")).execute(tx.conn).map(drop)
}

pub(super) fn remove_received_texts(tx: &mut Tx<'_>, ids: &[i64]) -> QueryResult<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let now = Some(tx.now.micros());
    let these = received_sms::table.filter(among!(received_sms::id, "received_sms.id", ids));
    match tx.rules.retention.old_texts {
        OldTexts::Remove => {
            let gone = (received_sms::message.eq(""), received_sms::text_removed_at.eq(now));
            diesel::update(these).set(gone).execute(tx.conn)?;
        }
        OldTexts::Mask => {
            let texts = these.select((received_sms::id, received_sms::message));
            for (id, text) in texts.load::<(i64, String)>(tx.conn)? {
                let masked = (received_sms::message.eq(masked(&text)), received_sms::text_removed_at.eq(now));
                Fixed(diesel::update(received_sms::table.find(id)).set(masked)).execute(tx.conn)?;
            }
        }
    }
    Ok(())
}

/// Removes SMS with all that belongs to them; what was posted of them goes by its own age.
pub(super) fn remove_sms(tx: &mut Tx<'_>, ids: &[i64]) -> QueryResult<()> {
    if ids.is_empty() {
        return Ok(());
    }
    diesel::delete(sms_attempts::table.filter(among!(sms_attempts::sms, "sms_attempts.sms", ids))).execute(tx.conn)?;
    diesel::delete(receipts::table.filter(among!(receipts::sms, "receipts.sms", ids))).execute(tx.conn)?;
    diesel::delete(sms_parts::table.filter(among!(sms_parts::sms, "sms_parts.sms", ids))).execute(tx.conn)?;
    diesel::delete(sms_events::table.filter(among!(sms_events::sms, "sms_events.sms", ids))).execute(tx.conn)?;
    diesel::delete(sms::table.filter(among!(sms::id, "sms.id", ids))).execute(tx.conn).map(drop)
}

/// A text of which only the shape is left.
fn masked(text: &str) -> String {
    let shape = |c: char| match c {
        c if c.is_alphabetic() => 'x',
        c if c.is_numeric() => '0',
        c => c,
    };
    text.chars().map(shape).collect()
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn of_a_masked_text_the_length_is_left() {
        assert_eq!(masked("Your code is 4711, Zoë!"), "xxxx xxxx xx 0000, xxx!");
        assert_eq!(masked("\u{4f60}\u{597d} 👍"), "xx 👍");
    }
}
