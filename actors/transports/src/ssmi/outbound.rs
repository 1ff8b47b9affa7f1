//! The campaigns' replies. Each gets exactly one ack, when its frame is on the socket, or one nack.

use serde_json::Value;
use vumi_kit::{
    address::Msisdn,
    clock::Timestamp,
    message::{Event, SessionEvent, TransportType, UserMessage},
    router::{Happened, Refused},
};
use vumi_ssmi_codec::{ClientCommand, SCREEN_UNITS, UssdType, screen_units, to_latin1};

use super::{
    core::{Core, Keep, LinkState, ToRouter},
    pages::{Rest, first_page, pages},
    wire::Reply,
};

const STOPPED: &str = "the transport is stopping";

/// A reply as it will be shown.
struct Screen {
    person: Msisdn,
    first_id: String,
    page: String,
    rest: Option<Rest>,
    kind: UssdType,
    replaced: Vec<char>,
}

impl Core {
    /// Takes a reply, or refuses it for want of room: then nothing is told of it.
    pub(super) fn reply(&mut self, message: UserMessage) -> Result<(), Refused> {
        if self.wire.replies() + self.held.len() + self.happened.len() >= self.settings.queue {
            self.complaints.add("replies refused: as many wait as `queue` allows", self.settings.queue);
            return Err(Refused::Busy(self.name.clone()));
        }
        if self.link == LinkState::Starting {
            // The sessions are not read yet.
            self.held.push_back(message);
        } else {
            self.write_or_hold(message);
        }
        Ok(())
    }

    /// Writes a reply, keeps it for the next connection, or says why it can't be sent.
    pub(super) fn write_or_hold(&mut self, message: UserMessage) {
        let now = self.clock.now();
        match self.screen(&message, now) {
            Err(reason) => self.nack(&message, reason, now),
            Ok(_) if self.link == LinkState::Stopping => self.nack(&message, STOPPED.to_owned(), now),
            Ok(_) if !self.wire.up => self.held.push_back(message),
            Ok(screen) => self.show(message, screen, now),
        }
    }

    fn screen(&self, message: &UserMessage, now: Timestamp) -> Result<Screen, String> {
        if message.transport_type != TransportType::Ussd {
            return Err("this transport takes replies to USSD sessions; SMS go by the outbox".to_owned());
        }
        let person = Msisdn::parse(&message.to_addr).map_err(|_| "`to_addr` is not an MSISDN")?;
        let session = self.table.get(&person).ok_or("the session is over")?;
        if session.last.plus(self.settings.lifetime) <= now {
            return Err("the session's lifetime is over".to_owned());
        }
        if session.closing {
            return Err("an earlier reply closes the session".to_owned());
        }
        // Our ids are ordered by time, and all as long.
        let of_another = |id: &String| id.len() == session.first_id.len() && *id < session.first_id;
        if message.from_addr != session.code || message.in_reply_to.as_ref().is_some_and(of_another) {
            return Err("the session it answers was replaced by a new one".to_owned());
        }
        let (text, replaced) = to_latin1(message.content.as_deref().unwrap_or_default());
        let (more, most) = (&self.settings.texts.more, self.settings.max_pages);
        if screen_units(&text) > SCREEN_UNITS && pages(&text, more, most) > most {
            return Err(format!("the text takes more than {most} USSD screens (`max_pages`)"));
        }
        let closes = message.session_event == Some(SessionEvent::Close);
        let (page, rest) = first_page(&text, more);
        let kind = if closes && rest.is_none() { UssdType::End } else { UssdType::Response };
        let rest = rest.map(|text| Rest { text, closes });
        Ok(Screen { person, first_id: session.first_id.clone(), page, rest, kind, replaced })
    }

    fn show(&mut self, message: UserMessage, screen: Screen, now: Timestamp) {
        let Screen { person, first_id, page, rest, kind, replaced } = screen;
        let frame = ClientCommand::Ussd { msisdn: person.as_str().to_owned(), kind, message: page };
        if let Err(bad) = self.wire.frame(&frame) {
            self.nack(&message, bad.to_string(), now);
            return;
        }
        let ends = kind == UssdType::End;
        let mut save = self.table.touch(&person, false, now) && !ends;
        if let Some(session) = self.table.get_mut(&person) {
            save |= session.rest != rest;
            session.rest = rest;
            session.closing = ends;
        }
        if save {
            self.save(&person);
        }
        self.wire.carries(Reply { message, person, first_id, ends, replaced });
        self.signals.writable.notify_one();
    }

    /// So many more bytes are on the socket.
    pub(super) fn wrote(&mut self, bytes: usize) {
        let written = self.wire.wrote(bytes);
        let now = self.clock.now();
        for reply in written {
            if reply.ends && self.table.close_if(&reply.person, &reply.first_id).is_some() {
                self.to_store.push(reply.person, Keep::Close);
            }
            let mut event = Event::ack(&reply.message, now);
            if !reply.replaced.is_empty() {
                tracing::debug!(transport = %self.name, message = reply.message.message_id,
                    count = reply.replaced.len(), "characters beyond ISO-8859-1 were replaced");
                let replaced = reply.replaced.iter().map(|c| Value::from(c.to_string())).collect();
                event.transport_metadata.insert("replaced_characters".to_owned(), Value::Array(replaced));
            }
            self.tell(reply.message, event);
        }
        self.signals.progress();
    }

    /// The connection is gone: replies that were not written whole wait for the next one.
    pub(super) fn lose_link(&mut self) {
        self.sms.lose_link(self.wire.written());
        let mut waiting: Vec<_> = self.wire.lose().into_iter().collect();
        while let Some(reply) = waiting.pop() {
            if let Some(session) = self.table.get_mut(&reply.person)
                && session.first_id == reply.first_id
            {
                session.closing = false;
            }
            self.held.push_front(reply.message);
        }
        self.unanswered_check = false;
        self.reading_stood_still = false;
        self.signals.progress();
    }

    /// Logged in: what waited is sent.
    pub(super) fn gain_link(&mut self) {
        self.wire.up = true;
        self.link = LinkState::Up;
        for message in std::mem::take(&mut self.held) {
            self.write_or_hold(message);
        }
    }

    /// Refuses what still waits for a connection, when there will be none.
    pub(super) fn give_up_held(&mut self) {
        let now = self.clock.now();
        for message in std::mem::take(&mut self.held) {
            self.nack(&message, STOPPED.to_owned(), now);
        }
    }

    fn nack(&mut self, message: &UserMessage, reason: String, now: Timestamp) {
        self.complaints.add("replies that could not be sent", &reason);
        let event = Event::nack(message, reason, now);
        self.happened.push_back(Happened { service: message.from_addr.clone(), event });
        self.signals.happened.notify_one();
    }

    fn tell(&mut self, message: UserMessage, event: Event) {
        self.happened.push_back(Happened { service: message.from_addr, event });
        self.signals.happened.notify_one();
    }

    /// The router did not take a message, but may do so later: the person is not left without an answer.
    pub(super) fn not_routed(&mut self, person: &Msisdn, undelivered: &Undelivered, why: String, later: bool) {
        self.complaints.add(undelivered.kind, why);
        if undelivered.event == Some(SessionEvent::Close) {
            return;
        }
        if later && undelivered.event == Some(SessionEvent::Resume) {
            self.ask_again(person, &undelivered.first_id);
            return;
        }
        if self.table.close_if(person, &undelivered.first_id).is_some() {
            self.to_store.push(person.clone(), Keep::Close);
            self.say_last_word(person, self.settings.texts.unavailable.clone());
        }
    }
}

/// A message that did not reach a campaign.
pub(super) struct Undelivered {
    pub(super) kind: &'static str,
    pub(super) event: Option<SessionEvent>,
    pub(super) first_id: String,
}

impl Undelivered {
    pub(super) fn of(job: &ToRouter) -> Self {
        let event = job.message.session_event;
        Self { kind: "messages the router did not take", event, first_id: job.first_id.clone() }
    }
}
