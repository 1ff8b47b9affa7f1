//! Open sessions by person. The code that the person dialled is the address of all further messages of the session.

use std::{collections::HashMap, time::Duration};

use serde::{Deserialize, Serialize};
use vumi_kit::{address::Msisdn, clock::Timestamp, name::Name, session::SessionRecord};

use super::{network::DialogueKey, paging::UnshownText};

/// An open session.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct UssdSession<D> {
    /// The code dialled, closing `#` included.
    pub(super) code: String,
    /// The id of the message that began it: it tells this session from the person's earlier ones, and since ids
    /// are ordered by time, an answer to a message before it belongs to another session.
    pub(super) first_id: String,
    /// The time of the last message in it.
    pub(super) last: Timestamp,
    /// Until when the store remembers it.
    pub(super) stored_until: Timestamp,
    /// The part of a long text that was not shown yet.
    pub(super) unshown: Option<UnshownText>,
    /// The person waits for the campaign.
    pub(super) waits: bool,
    /// The screen that ends it waits to be written.
    pub(super) closing: bool,
    /// The network begins it, and its first screen is not written yet.
    pub(super) pushed: bool,
    /// The campaign that the network began it for; where there is none, the one that serves the code.
    pub(super) campaign: Option<Name>,
    /// How the network knows it.
    pub(super) dialogue: D,
}

/// How a session begins.
pub(super) struct SessionStart<D> {
    /// The code, closing `#` included.
    pub(super) code: String,
    /// The id of its first message.
    pub(super) first_id: String,
    /// The campaign that it is begun for; none: the one that serves the code.
    pub(super) campaign: Option<Name>,
    /// The network begins it.
    pub(super) pushed: bool,
    pub(super) dialogue: D,
}

/// What a session's row holds beyond its columns. The fields of the unshown text stand beside the others, as versions wrote them
/// that knew nothing else.
#[derive(Default, Serialize, Deserialize)]
struct StoredSession<D: Default + PartialEq> {
    #[serde(flatten)]
    unshown: Option<UnshownText>,
    #[serde(default, skip_serializing_if = "is_default")]
    dialogue: D,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    campaign: Option<Name>,
    #[serde(default, skip_serializing_if = "is_default")]
    pushed: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl<D: DialogueKey> UssdSession<D> {
    /// What the store keeps beside the code, the id and the time.
    pub(super) fn state_text(&self) -> String {
        let stored = StoredSession {
            unshown: self.unshown.clone(),
            dialogue: self.dialogue.clone(),
            campaign: self.campaign.clone(),
            pushed: self.pushed,
        };
        serde_json::to_string(&stored).unwrap_or_default()
    }
}

/// The result of opening a session.
#[derive(Debug, PartialEq)]
pub(super) enum Opened<D> {
    /// The person had none.
    Fresh,
    /// It takes the place of one.
    Replaced(Box<UssdSession<D>>),
    /// There are as many as there may be.
    Full,
}

/// The open sessions.
#[derive(Debug)]
pub(super) struct SessionTable<D> {
    lifetime: Duration,
    most: usize,
    sessions: HashMap<Msisdn, UssdSession<D>>,
    waiting: usize,
}

impl<D: DialogueKey> SessionTable<D> {
    pub(super) fn new(lifetime: Duration, most: usize) -> Self {
        Self { lifetime, most, sessions: HashMap::new(), waiting: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// How many people wait for a campaign.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Opens a session that waits for its campaign.
    pub(super) fn open(&mut self, person: &Msisdn, start: SessionStart<D>, now: Timestamp) -> Opened<D> {
        let before = self.close(person);
        if before.is_none() && self.sessions.len() >= self.most {
            return Opened::Full;
        }
        let SessionStart { code, first_id, campaign, pushed, dialogue } = start;
        let session = UssdSession {
            code,
            first_id,
            pushed,
            campaign,
            dialogue,
            last: now,
            stored_until: now.plus(self.lifetime),
            unshown: None,
            waits: true,
            closing: false,
        };
        self.waiting += 1;
        self.sessions.insert(person.clone(), session);
        before.map_or(Opened::Fresh, |session| Opened::Replaced(Box::new(session)))
    }

    /// Restores a session from the store. Answers false where its person is no MSISDN.
    pub(super) fn restore(&mut self, record: SessionRecord) -> bool {
        let Ok(person) = Msisdn::parse(&record.person) else { return false };
        let stored: StoredSession<D> = serde_json::from_str(&record.state).unwrap_or_default();
        let session = UssdSession {
            code: record.address,
            first_id: record.last_message_id,
            last: Timestamp::from_micros(
                record.expires_at.micros() - i64::try_from(self.lifetime.as_micros()).unwrap_or(0),
            ),
            stored_until: record.expires_at,
            unshown: stored.unshown,
            waits: false,
            closing: false,
            pushed: stored.pushed,
            campaign: stored.campaign,
            dialogue: stored.dialogue,
        };
        self.sessions.insert(person, session).is_none()
    }

    pub(super) fn get(&self, person: &Msisdn) -> Option<&UssdSession<D>> {
        self.sessions.get(person)
    }

    pub(super) fn get_mut(&mut self, person: &Msisdn) -> Option<&mut UssdSession<D>> {
        self.sessions.get_mut(person)
    }

    /// Notes a message. Answers whether the session must be saved: half of the lifetime in the store has passed.
    pub(super) fn touch(&mut self, person: &Msisdn, waits: bool, now: Timestamp) -> bool {
        let lifetime = self.lifetime;
        let Some(session) = self.sessions.get_mut(person) else { return false };
        session.last = now;
        match (std::mem::replace(&mut session.waits, waits), waits) {
            (false, true) => self.waiting += 1,
            (true, false) => self.waiting -= 1,
            _ => {}
        }
        let due = session.stored_until < now.plus(lifetime / 2);
        if due {
            session.stored_until = now.plus(lifetime);
        }
        due
    }

    pub(super) fn close(&mut self, person: &Msisdn) -> Option<UssdSession<D>> {
        let session = self.sessions.remove(person)?;
        self.waiting -= usize::from(session.waits);
        Some(session)
    }

    /// Closes the person's session if it is the one that began with this message.
    pub(super) fn close_if(&mut self, person: &Msisdn, first_id: &str) -> Option<UssdSession<D>> {
        self.get(person).filter(|session| session.first_id == first_id)?;
        self.close(person)
    }

    fn over(&self, session: &UssdSession<D>, now: Timestamp) -> bool {
        session.last.plus(self.lifetime) <= now
    }

    /// Closes the person's session if its lifetime is over.
    pub(super) fn close_if_over(&mut self, person: &Msisdn, now: Timestamp) -> Option<UssdSession<D>> {
        self.get(person).filter(|session| self.over(session, now))?;
        self.close(person)
    }

    /// The people who have seen nothing of the session that the network was to begin.
    pub(super) fn unseen(&self) -> Vec<Msisdn> {
        let unseen = self.sessions.iter().filter(|(_, session)| session.pushed);
        unseen.map(|(person, _)| person.clone()).collect()
    }

    /// The people whose session's lifetime is over.
    pub(super) fn all_over(&self, now: Timestamp) -> Vec<Msisdn> {
        let over = self.sessions.iter().filter(|(_, session)| self.over(session, now));
        over.map(|(person, _)| person.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vumi_kit::{address::Msisdn, clock::Timestamp, name::Name, session::SessionRecord};

    use super::{Opened, SessionStart, SessionTable};

    const LIFETIME: Duration = Duration::from_secs(300);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_000_000 + seconds)
    }

    fn person(number: u64) -> Msisdn {
        Msisdn::parse(&(27_831_000_000 + number).to_string()).unwrap()
    }

    fn open(table: &mut SessionTable<()>, number: u64, id: &str, seconds: i64) -> Opened<()> {
        let start = SessionStart {
            code: "*120#".to_owned(),
            first_id: id.to_owned(),
            campaign: None,
            pushed: false,
            dialogue: (),
        };
        table.open(&person(number), start, at(seconds))
    }

    #[test]
    fn a_new_session_replaces_the_one_that_is_open() {
        let mut table = SessionTable::new(LIFETIME, 10);
        assert_eq!(open(&mut table, 1, "a", 0), Opened::Fresh);
        let Opened::Replaced(old) = open(&mut table, 1, "b", 10) else { panic!("the old one was not replaced") };
        assert_eq!(old.first_id, "a");
        assert_eq!((table.len(), table.waiting()), (1, 1));
        assert!(table.close_if(&person(1), "a").is_none());
        assert!(table.close_if(&person(1), "b").is_some());
        assert_eq!((table.len(), table.waiting()), (0, 0));
    }

    #[test]
    fn a_full_table_takes_no_new_person_but_a_new_session_of_one_it_has() {
        let mut table = SessionTable::new(LIFETIME, 1);
        open(&mut table, 1, "a", 0);
        assert_eq!(open(&mut table, 2, "b", 0), Opened::Full);
        assert!(matches!(open(&mut table, 1, "c", 0), Opened::Replaced(_)));
    }

    #[test]
    fn a_session_lives_its_lifetime_from_the_last_message() {
        let mut table = SessionTable::new(LIFETIME, 10);
        open(&mut table, 1, "a", 0);
        table.touch(&person(1), false, at(200));
        assert!(table.close_if_over(&person(1), at(499)).is_none());
        assert_eq!(table.all_over(at(499)), []);
        assert_eq!(table.all_over(at(500)), [person(1)]);
        assert!(table.close_if_over(&person(1), at(500)).is_some());
    }

    #[test]
    fn the_store_is_told_again_when_half_of_what_it_knows_is_used_up() {
        let mut table = SessionTable::new(LIFETIME, 10);
        open(&mut table, 1, "a", 0);
        assert!(!table.touch(&person(1), false, at(150)));
        assert!(table.touch(&person(1), true, at(151)));
        assert!(!table.touch(&person(1), true, at(200)));
    }

    #[test]
    fn a_session_comes_back_from_the_store_with_what_is_left_to_see() {
        let mut table = SessionTable::<()>::new(LIFETIME, 10);
        let record = SessionRecord {
            owner: Name::parse("truteq").unwrap(),
            person: person(1).to_string(),
            address: "*120#".to_owned(),
            last_message_id: "a".to_owned(),
            state: r#"{"text": "rest", "closes": true}"#.to_owned(),
            expires_at: at(300),
        };
        assert!(table.restore(record.clone()));
        assert!(!table.restore(SessionRecord { person: "nobody".to_owned(), ..record }));
        let session = table.get(&person(1)).unwrap();
        assert_eq!((session.last, session.code.as_str()), (at(0), "*120#"));
        assert_eq!(session.unshown.as_ref().unwrap().text, "rest");
    }

    #[test]
    fn what_the_store_keeps_of_a_session_is_read_back_whatever_version_wrote_it() {
        let mut table = SessionTable::new(LIFETIME, 10);
        open(&mut table, 1, "a", 0);
        assert_eq!(table.get(&person(1)).unwrap().state_text(), "{}");
        let campaign = Some(Name::parse("quiz").unwrap());
        let start =
            SessionStart { code: "*1#".to_owned(), first_id: "b".to_owned(), campaign, pushed: true, dialogue: () };
        table.open(&person(1), start, at(0));
        let state = table.get(&person(1)).unwrap().state_text();
        for (state, pushed, unshown) in [
            (state.as_str(), true, None),
            ("null", false, None),
            ("{}", false, None),
            (r#"{"text":"rest","closes":false}"#, false, Some("rest")),
            ("no JSON", false, None),
        ] {
            let mut fresh = SessionTable::<()>::new(LIFETIME, 10);
            let record = SessionRecord {
                owner: Name::parse("truteq").unwrap(),
                person: person(1).to_string(),
                address: "*120#".to_owned(),
                last_message_id: "a".to_owned(),
                state: state.to_owned(),
                expires_at: at(300),
            };
            assert!(fresh.restore(record));
            let session = fresh.get(&person(1)).unwrap();
            assert_eq!((session.pushed, session.campaign.is_some()), (pushed, pushed), "{state}");
            assert_eq!(session.unshown.as_ref().map(|unshown| unshown.text.as_str()), unshown, "{state}");
        }
    }
}
