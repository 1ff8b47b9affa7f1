//! The campaigns' replies. Each gets exactly one ack, when its screen is on its way, or one nack.

use std::{collections::VecDeque, rc::Rc};

use serde_json::Value;
use tokio::sync::Notify;
use vumi_kit::{
    address::Msisdn,
    clock::Timestamp,
    message::{Event, SessionEvent, TransportType, UserMessage},
    name::Name,
    router::{Happened, Refused},
};

use super::{
    dialogues::Dialogues,
    network::{DialogueKey, ScreenKind, ScreenNetwork, ScreensState, UssdScreen},
    paging::{UnshownText, first_page, page_count},
    settings::DialogueSettings,
    ussd_sessions::UssdSessions,
};

const STOPPED: &str = "the transport is stopping";

/// A reply on a screen that was given to the network.
#[derive(Debug)]
pub(crate) struct CarriedReply {
    pub(crate) message: UserMessage,
    pub(crate) person: Msisdn,
    /// The id of the message that began its session; empty: there is no session.
    pub(crate) first_id: String,
    /// The session ends with this screen.
    pub(crate) ends: bool,
    /// It is the first screen of a dialogue that the network begins.
    pub(crate) pushed: bool,
    /// Characters that the network lacks.
    pub(crate) replaced: Vec<char>,
}

/// A screen that the network could not write.
#[derive(Debug)]
pub(crate) struct UnwrittenScreen {
    pub(crate) why: String,
    pub(crate) reply: Option<CarriedReply>,
}

/// What the network says of a screen that it did not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScreenFate {
    /// The session goes on: the person may be asked again.
    NotShown,
    /// The network knows the dialogue no more.
    DialogueGone,
}

/// A reply as it will be shown.
struct ReplyScreen<D> {
    person: Msisdn,
    first_id: String,
    dialogue: D,
    page: String,
    unshown: Option<UnshownText>,
    kind: ScreenKind,
    replaced: Vec<char>,
}

/// Replies that wait for the connection, and the events that the router has not got yet.
pub(super) struct Replies {
    transport: Name,
    settings: Rc<DialogueSettings>,
    held: VecDeque<UserMessage>,
    pub(super) events: VecDeque<Happened>,
    pub(super) has_events: Rc<Notify>,
}

impl Replies {
    pub(super) fn new(transport: Name, settings: Rc<DialogueSettings>) -> Self {
        Self { transport, settings, held: VecDeque::new(), events: VecDeque::new(), has_events: Rc::default() }
    }

    /// Refuses where as many wait as may.
    pub(super) fn check_capacity<D>(&self, network: &mut impl ScreenNetwork<D>) -> Result<(), Refused> {
        if network.replies_under_way() + self.held.len() + self.events.len() >= self.settings.queue {
            network.faults().record("replies refused: as many wait as `queue` allows", self.settings.queue);
            return Err(Refused::Busy(self.transport.clone()));
        }
        Ok(())
    }

    /// Takes a reply. A refused one gets no event.
    pub(super) fn take<D: DialogueKey>(
        &mut self,
        message: UserMessage,
        sessions: &mut UssdSessions<D>,
        network: &mut impl ScreenNetwork<D>,
        now: Timestamp,
    ) -> Result<(), Refused> {
        self.check_capacity(network)?;
        if network.state() == ScreensState::Starting {
            // The open sessions are not read yet.
            self.held.push_back(message);
        } else {
            self.write_or_hold(message, sessions, network, now);
        }
        Ok(())
    }

    /// Writes a reply, holds it for the next connection, or refuses it with a nack.
    pub(super) fn write_or_hold<D: DialogueKey>(
        &mut self,
        message: UserMessage,
        sessions: &mut UssdSessions<D>,
        network: &mut impl ScreenNetwork<D>,
        now: Timestamp,
    ) {
        match (self.screen(&message, sessions, network, now), network.state()) {
            (Err(reason), _) => self.nack(&message, reason, network, now),
            (Ok(_), ScreensState::Stopping) => self.nack(&message, STOPPED.to_owned(), network, now),
            (Ok(screen), ScreensState::Up) => self.show(message, screen, sessions, network, now),
            (Ok(_), ScreensState::Starting | ScreensState::Down) => self.held.push_back(message),
        }
    }

    fn screen<D: DialogueKey>(
        &self,
        message: &UserMessage,
        sessions: &UssdSessions<D>,
        network: &impl ScreenNetwork<D>,
        now: Timestamp,
    ) -> Result<ReplyScreen<D>, String> {
        if message.transport_type != TransportType::Ussd {
            return Err("this transport takes replies to USSD sessions; SMS go by the outbox".to_owned());
        }
        let person = Msisdn::parse(&message.to_addr).map_err(|_| "`to_addr` is not an MSISDN")?;
        let session = sessions.table.get(&person).ok_or("the session is over")?;
        if session.last.plus(self.settings.lifetime) <= now {
            return Err("the session's lifetime is over".to_owned());
        }
        if session.closing {
            return Err("an earlier reply closes the session".to_owned());
        }
        // Our ids are ordered by time, and all of one length.
        let of_another = |id: &String| id.len() == session.first_id.len() && *id < session.first_id;
        if message.from_addr != session.code || message.in_reply_to.as_ref().is_some_and(of_another) {
            return Err("the session it answers was replaced by a new one".to_owned());
        }
        let (first_id, dialogue) = (session.first_id.clone(), session.dialogue.clone());
        let pages = self.pages(message, network)?;
        let kind = match (session.pushed, pages.ends()) {
            (false, false) => ScreenKind::Question,
            (false, true) => ScreenKind::Last,
            (true, false) => ScreenKind::PushedQuestion,
            (true, true) => ScreenKind::Notification,
        };
        let FirstPage { page, unshown, replaced, .. } = pages;
        Ok(ReplyScreen { person, first_id, dialogue, page, unshown, kind, replaced })
    }

    fn pages<D>(&self, message: &UserMessage, network: &impl ScreenNetwork<D>) -> Result<FirstPage, String> {
        let (text, replaced) = network.spelled(message.content.as_deref().unwrap_or_default());
        let (more, most, size) = (&self.settings.texts.more, self.settings.max_pages, network.page_size(&text));
        if !size.holds(&text) && page_count(&text, more, size, most) > most {
            return Err(format!("the text takes more than {most} USSD screens (`max_pages`)"));
        }
        let closes = message.session_event == Some(SessionEvent::Close);
        let (page, rest) = first_page(&text, more, size);
        let unshown = rest.map(|text| UnshownText { text, closes });
        Ok(FirstPage { page, unshown, closes, replaced })
    }

    fn show<D: DialogueKey>(
        &mut self,
        message: UserMessage,
        screen: ReplyScreen<D>,
        sessions: &mut UssdSessions<D>,
        network: &mut impl ScreenNetwork<D>,
        now: Timestamp,
    ) {
        let ReplyScreen { person, first_id, dialogue, page, unshown, kind, replaced } = screen;
        let ends = kind.ends();
        let pushed = kind.begins();
        let reply = CarriedReply { message, person: person.clone(), first_id, ends, pushed, replaced };
        let shown = network.show(UssdScreen { person: &person, dialogue: &dialogue, kind, text: page }, Some(reply));
        if let Err(unwritten) = shown {
            let UnwrittenScreen { why, reply } = *unwritten;
            if let Some(reply) = reply {
                self.nack(&reply.message, why, network, now);
            }
            return;
        }
        let mut save = sessions.table.touch(&person, false, now) && !ends;
        if let Some(session) = sessions.table.get_mut(&person) {
            save |= session.unshown != unshown || (session.pushed && !ends);
            session.unshown = unshown;
            session.pushed = false;
            session.closing = ends;
        }
        if save {
            sessions.save(&person);
        }
    }

    /// These replies are on their way to the phone.
    fn written<D: DialogueKey>(&mut self, replies: Vec<CarriedReply>, sessions: &mut UssdSessions<D>, now: Timestamp) {
        for reply in replies {
            if reply.ends {
                sessions.close_if(&reply.person, &reply.first_id);
            }
            let mut event = Event::ack(&reply.message, now);
            if !reply.replaced.is_empty() {
                tracing::debug!(transport = %self.transport, message = reply.message.message_id,
                    count = reply.replaced.len(), "characters that the network lacks were replaced");
                let replaced = reply.replaced.iter().map(|c| Value::from(c.to_string())).collect();
                event.transport_metadata.insert("replaced_characters".to_owned(), Value::Array(replaced));
            }
            self.add_event(&reply.message, event);
        }
    }

    /// These replies were not written, or are to be written again: they wait.
    fn hold<D: DialogueKey>(&mut self, unwritten: Vec<CarriedReply>, sessions: &mut UssdSessions<D>) {
        for reply in unwritten.into_iter().rev() {
            if let Some(session) = sessions.table.get_mut(&reply.person)
                && session.first_id == reply.first_id
            {
                session.closing = false;
                session.pushed = reply.pushed;
            }
            self.held.push_front(reply.message);
        }
    }

    /// Tries again what was held: it is written, held further, or refused where its session is over.
    pub(super) fn retry_held<D: DialogueKey>(
        &mut self,
        sessions: &mut UssdSessions<D>,
        network: &mut impl ScreenNetwork<D>,
        now: Timestamp,
    ) {
        for message in std::mem::take(&mut self.held) {
            self.write_or_hold(message, sessions, network, now);
        }
    }

    fn nack<D>(&mut self, message: &UserMessage, reason: String, network: &mut impl ScreenNetwork<D>, now: Timestamp) {
        network.faults().record("replies that could not be sent", &reason);
        self.add_event(message, Event::nack(message, reason, now));
    }

    fn add_event(&mut self, message: &UserMessage, event: Event) {
        self.events.push_back(Happened { service: message.from_addr.clone(), event });
        self.has_events.notify_one();
    }
}

/// The beginning of a reply.
struct FirstPage {
    page: String,
    unshown: Option<UnshownText>,
    closes: bool,
    replaced: Vec<char>,
}

impl FirstPage {
    const fn ends(&self) -> bool {
        self.closes && self.unshown.is_none()
    }
}

/// What the network tells of the replies that it was given.
impl<D: DialogueKey> Dialogues<D> {
    /// They are on their way to the phone.
    pub(crate) fn written(&mut self, replies: Vec<CarriedReply>) {
        self.replies.written(replies, &mut self.sessions, self.clock.now());
    }

    /// They were not written, or are to be written again: they wait for [`Self::retry_held`].
    pub(crate) fn hold(&mut self, unwritten: Vec<CarriedReply>) {
        self.replies.hold(unwritten, &mut self.sessions);
    }

    /// It was refused, or nobody knows what became of it.
    pub(crate) fn refused(
        &mut self,
        reply: &CarriedReply,
        reason: String,
        fate: ScreenFate,
        network: &mut impl ScreenNetwork<D>,
    ) {
        let now = self.clock.now();
        match fate {
            ScreenFate::DialogueGone => {
                if let Some(session) = self.sessions.table.close_if(&reply.person, &reply.first_id) {
                    self.sessions.ended(reply.person.clone(), session, None, now);
                }
            }
            ScreenFate::NotShown if reply.ends => {
                self.sessions.close_if(&reply.person, &reply.first_id);
            }
            ScreenFate::NotShown => {}
        }
        self.replies.nack(&reply.message, reason, network, now);
    }

    /// Refuses what waits for a connection, when there will be none.
    pub(crate) fn refuse_held(&mut self, network: &mut impl ScreenNetwork<D>) {
        let now = self.clock.now();
        for message in std::mem::take(&mut self.replies.held) {
            self.replies.nack(&message, STOPPED.to_owned(), network, now);
        }
    }
}
