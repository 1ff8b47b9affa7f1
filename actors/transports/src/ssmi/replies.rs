//! The campaigns' replies. Each gets exactly one ack, when its frame is on the socket, or one nack.

use std::{collections::VecDeque, rc::Rc};

use serde_json::Value;
use vumi_kit::{
    address::Msisdn,
    clock::Timestamp,
    message::{Event, SessionEvent, TransportType, UserMessage},
    name::Name,
    router::{Happened, Refused},
};
use vumi_ssmi_codec::{ClientCommand, SCREEN_UNITS, UssdType, screen_units, to_latin1};

use super::{
    Settings,
    frame_buffer::FramedReply,
    paging::{UnshownText, first_page, page_count},
    server_link::{LinkState, ServerLink},
    ussd_sessions::UssdSessions,
};

const STOPPED: &str = "the transport is stopping";

/// A reply as it will be shown.
struct ReplyScreen {
    person: Msisdn,
    first_id: String,
    page: String,
    unshown: Option<UnshownText>,
    kind: UssdType,
    replaced: Vec<char>,
}

/// Replies that wait for the connection, and the events that the router has not got yet.
pub(super) struct Replies {
    transport: Name,
    settings: Rc<Settings>,
    held: VecDeque<UserMessage>,
    pub(super) events: VecDeque<Happened>,
}

impl Replies {
    pub(super) fn new(transport: Name, settings: Rc<Settings>) -> Self {
        Self { transport, settings, held: VecDeque::new(), events: VecDeque::new() }
    }

    /// Takes a reply. A refused one gets no event.
    pub(super) fn take(
        &mut self,
        message: UserMessage,
        sessions: &mut UssdSessions,
        link: &mut ServerLink,
        now: Timestamp,
    ) -> Result<(), Refused> {
        if link.frames.unwritten_replies() + self.held.len() + self.events.len() >= self.settings.queue {
            link.faults.record("replies refused: as many wait as `queue` allows", self.settings.queue);
            return Err(Refused::Busy(self.transport.clone()));
        }
        if link.state == LinkState::Starting {
            // The open sessions are not read yet.
            self.held.push_back(message);
        } else {
            self.write_or_hold(message, sessions, link, now);
        }
        Ok(())
    }

    /// Writes a reply, holds it for the next connection, or refuses it with a nack.
    fn write_or_hold(
        &mut self,
        message: UserMessage,
        sessions: &mut UssdSessions,
        link: &mut ServerLink,
        now: Timestamp,
    ) {
        match self.screen(&message, sessions, now) {
            Err(reason) => self.nack(&message, reason, link, now),
            Ok(_) if link.state == LinkState::Stopping => self.nack(&message, STOPPED.to_owned(), link, now),
            Ok(_) if !link.is_up() => self.held.push_back(message),
            Ok(screen) => self.show(message, screen, sessions, link, now),
        }
    }

    fn screen(&self, message: &UserMessage, sessions: &UssdSessions, now: Timestamp) -> Result<ReplyScreen, String> {
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
        let first_id = session.first_id.clone();
        self.first_screen(message, person, first_id)
    }

    fn first_screen(&self, message: &UserMessage, person: Msisdn, first_id: String) -> Result<ReplyScreen, String> {
        let (text, replaced) = to_latin1(message.content.as_deref().unwrap_or_default());
        let (more, most) = (&self.settings.texts.more, self.settings.max_pages);
        if screen_units(&text) > SCREEN_UNITS && page_count(&text, more, most) > most {
            return Err(format!("the text takes more than {most} USSD screens (`max_pages`)"));
        }
        let closes = message.session_event == Some(SessionEvent::Close);
        let (page, rest) = first_page(&text, more);
        let kind = if closes && rest.is_none() { UssdType::End } else { UssdType::Response };
        let unshown = rest.map(|text| UnshownText { text, closes });
        Ok(ReplyScreen { person, first_id, page, unshown, kind, replaced })
    }

    fn show(
        &mut self,
        message: UserMessage,
        screen: ReplyScreen,
        sessions: &mut UssdSessions,
        link: &mut ServerLink,
        now: Timestamp,
    ) {
        let ReplyScreen { person, first_id, page, unshown, kind, replaced } = screen;
        let frame = ClientCommand::Ussd { msisdn: person.as_str().to_owned(), kind, message: page };
        if let Err(bad) = link.frames.add(&frame) {
            self.nack(&message, bad.to_string(), link, now);
            return;
        }
        let ends = kind == UssdType::End;
        let mut save = sessions.table.touch(&person, false, now) && !ends;
        if let Some(session) = sessions.table.get_mut(&person) {
            save |= session.unshown != unshown;
            session.unshown = unshown;
            session.closing = ends;
        }
        if save {
            sessions.save(&person);
        }
        link.frames.last_carries(FramedReply { message, person, first_id, ends, replaced });
        link.signals.writable.notify_one();
    }

    /// These replies are on the socket.
    pub(super) fn written(
        &mut self,
        replies: Vec<FramedReply>,
        sessions: &mut UssdSessions,
        link: &ServerLink,
        now: Timestamp,
    ) {
        for reply in replies {
            if reply.ends {
                sessions.close_if(&reply.person, &reply.first_id);
            }
            let mut event = Event::ack(&reply.message, now);
            if !reply.replaced.is_empty() {
                tracing::debug!(transport = %self.transport, message = reply.message.message_id,
                    count = reply.replaced.len(), "characters beyond ISO-8859-1 were replaced");
                let replaced = reply.replaced.iter().map(|c| Value::from(c.to_string())).collect();
                event.transport_metadata.insert("replaced_characters".to_owned(), Value::Array(replaced));
            }
            self.add_event(&reply.message, event, link);
        }
    }

    /// The connection was lost before these replies were written whole: they wait for the next one.
    pub(super) fn hold_unwritten(&mut self, unwritten: Vec<FramedReply>, sessions: &mut UssdSessions) {
        for reply in unwritten.into_iter().rev() {
            if let Some(session) = sessions.table.get_mut(&reply.person)
                && session.first_id == reply.first_id
            {
                session.closing = false;
            }
            self.held.push_front(reply.message);
        }
    }

    /// Tries again what was held: it is written, held further, or refused where its session is over.
    pub(super) fn retry_held(&mut self, sessions: &mut UssdSessions, link: &mut ServerLink, now: Timestamp) {
        for message in std::mem::take(&mut self.held) {
            self.write_or_hold(message, sessions, link, now);
        }
    }

    /// Refuses what waits for a connection, when there will be none.
    pub(super) fn refuse_held(&mut self, link: &mut ServerLink, now: Timestamp) {
        for message in std::mem::take(&mut self.held) {
            self.nack(&message, STOPPED.to_owned(), link, now);
        }
    }

    fn nack(&mut self, message: &UserMessage, reason: String, link: &mut ServerLink, now: Timestamp) {
        link.faults.record("replies that could not be sent", &reason);
        self.add_event(message, Event::nack(message, reason, now), link);
    }

    fn add_event(&mut self, message: &UserMessage, event: Event, link: &ServerLink) {
        self.events.push_back(Happened { service: message.from_addr.clone(), event });
        link.signals.events.notify_one();
    }
}
