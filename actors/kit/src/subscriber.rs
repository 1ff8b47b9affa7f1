//! What is kept of one person, for the operator: to be handed out to them, or to be forgotten. SMS are read by the pages of
//! [`crate::export`]; here is what else there is, and how the person is taken out of it.
//!
//! No index leads to a person: each request looks at so many rows along a table's numbers or keys, and says where the next
//! one goes on.

use crate::{
    address::Msisdn,
    export::{ExportPage, NumberRange},
    ids,
    request::{Operation, Reads, Writes},
    session::SessionRecord,
    sms::{ReceivedId, SmsId},
};

/// A person's number in every spelling that is looked for, and what stands in its place once the person is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// Digits alone: with the country code, and with 00 before it as some clients write.
    pub numbers: Vec<Msisdn>,
    /// A number that nobody can have, made by chance: nothing leads back from it.
    pub pseudonym: Msisdn,
}

impl Subscriber {
    /// Reads a number as people write it: with spaces, `-`, `.`, `/` or brackets, with `+` or `00` before the country code.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_filling = |c: char| c.is_whitespace() || matches!(c, '-' | '.' | '/' | '(' | ')' | '\u{2011}');
        let bare: String = text.chars().filter(|c| !is_filling(*c)).collect();
        let digits = bare.strip_prefix('+').or_else(|| bare.strip_prefix("00")).unwrap_or(&bare);
        let number = Msisdn::parse(digits).map_err(|wrong| wrong.to_string())?;
        let mut numbers = vec![number];
        // A client that wrote 00 is kept as it wrote.
        numbers.extend(Msisdn::parse(&format!("00{digits}")));
        Ok(Self { numbers, pseudonym: pseudonym() })
    }

    /// Whether an address is this person's.
    #[must_use]
    pub fn has(&self, address: &str) -> bool {
        self.numbers.iter().any(|number| number.as_str() == address)
    }

    /// Whether the key of a session or an answer is this person's: a number, or `transport/number`.
    #[must_use]
    pub fn has_key(&self, person: &str) -> bool {
        self.has(person.rsplit_once('/').map_or(person, |(_, number)| number))
    }
}

/// 15 digits behind three zeros, where no country is.
fn pseudonym() -> Msisdn {
    let chance = ids::secret();
    let digits = chance.bytes().filter(u8::is_ascii_hexdigit).map(|digit| char::from(b'0' + digit % 10));
    let text: String = "000".chars().chain(digits.take(12)).collect();
    Msisdn::parse(&text).unwrap_or_else(|_| unreachable!("15 digits are a number"))
}

/// The key of a row that is a person's: the owner of a session or the campaign of an answer, and the person.
pub type PersonKey = (String, String);

/// Tables whose rows have a [`PersonKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PersonTable {
    /// Dialogues that are open.
    Sessions,
    /// What people answered to the questions of campaigns.
    Answers,
}

/// Looks for a person's rows, behind a key.
#[derive(Clone, Debug)]
pub struct FindPerson {
    /// The person whose rows are looked for, in every spelling.
    pub subscriber: Subscriber,
    /// The one table that this request looks at.
    pub table: PersonTable,
    /// Behind this key; two empty texts for the first page.
    pub after: PersonKey,
}
impl Operation for FindPerson {
    type Access = Reads;
    type Answer = PersonPage;
}

/// A page of a person's rows.
#[derive(Clone, Debug, Default)]
pub struct PersonPage {
    /// Sessions that were found.
    pub sessions: Vec<SessionRecord>,
    /// Answers that were found.
    pub answers: Vec<KeptAnswer>,
    /// Behind which key the next page begins; none: this was the last one.
    pub next: Option<PersonKey>,
}

/// What a person answered to a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The campaign and the person.
    pub key: PersonKey,
    /// The campaign's key for what it asked.
    pub question: String,
    /// What the person said, or `erased`.
    pub answer: String,
}

/// Tables whose rows may name a person beside SMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MentionTable {
    /// What was posted, or is to be, of SMS from people.
    Deliveries,
    /// Receipts that matched no SMS.
    Receipts,
    /// Parts of SMS from people.
    Parts,
}

impl MentionTable {
    /// Every table that a person is looked for in, so that none is forgotten.
    pub const ALL: [Self; 3] = [Self::Deliveries, Self::Receipts, Self::Parts];
}

/// Looks for rows that name a person; answers their numbers.
#[derive(Clone, Debug)]
pub struct FindMentions {
    /// The person that is looked for, in every spelling.
    pub subscriber: Subscriber,
    /// The one table that this request looks at.
    pub table: MentionTable,
    /// The rows' numbers that are still to be looked at, a page of them by this request.
    pub range: NumberRange,
}
impl Operation for FindMentions {
    type Access = Reads;
    type Answer = ExportPage<i64>;
}

/// Takes a person out of rows: number and texts. SMS that have not come to rest are left as they are: cancel them first.
/// [`Self::MOST`] rows in one command at the most.
#[derive(Clone, Debug)]
pub struct ErasePerson {
    /// The person that is taken out, and the pseudonym that takes their place.
    pub subscriber: Subscriber,
    /// Rows of one kind, as [`FindPerson`], [`FindMentions`] or an export found them.
    pub rows: PersonRows,
}
impl ErasePerson {
    /// Rows of one command.
    pub const MOST: usize = 100;
}
impl Operation for ErasePerson {
    type Access = Writes;
    type Answer = ErasedRows;
}

/// Rows that a person is taken out of.
#[derive(Clone, Debug)]
pub enum PersonRows {
    /// SMS to the person, or from their number.
    Sms(Vec<SmsId>),
    /// SMS from the person.
    Received(Vec<ReceivedId>),
    /// Sessions by owner and person; they end.
    Sessions(Vec<PersonKey>),
    /// Answers, by campaign and person: they stay under the pseudonym. One that nobody else gave becomes `erased`.
    Answers(Vec<PersonKey>),
    /// Others that name the person; what waits to be posted is not.
    Mentions(MentionTable, Vec<i64>),
}

/// How many rows an [`ErasePerson`] took the person out of, and how many it could not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErasedRows {
    /// Rows that the person is no longer in.
    pub erased: usize,
    /// SMS that are still on their way.
    pub under_way: usize,
}

#[cfg(test)]
mod tests {
    use super::Subscriber;

    #[test]
    fn a_number_is_found_in_every_spelling() {
        for spelling in [
            "27831234567",
            "+27831234567",
            "+27 83 123 4567",
            "0027-83-123-4567",
            " (+27) 83/123.45.67 ",
            "27\u{a0}83\u{2011}1234567",
        ] {
            let subscriber = Subscriber::parse(spelling).unwrap();
            assert!(subscriber.has("27831234567") && subscriber.has("0027831234567"), "{spelling}");
            assert!(subscriber.has_key("opera/27831234567") && subscriber.has_key("27831234567"), "{spelling}");
            assert!(!subscriber.has("2783123456") && !subscriber.has_key("27831234567/27831234568"));
        }
        for wrong in ["", "+", "12", "27 83 ABC", "=1+1", "1234567890123456"] {
            assert!(Subscriber::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pseudonym_is_a_number_that_nobody_has_and_another_one_each_time() {
        let (one, other) = (Subscriber::parse("27831234567").unwrap(), Subscriber::parse("27831234567").unwrap());
        assert!(one.pseudonym.as_str().starts_with("000") && one.pseudonym.as_str().len() == 15);
        assert_ne!(one.pseudonym, other.pseudonym);
    }
}
