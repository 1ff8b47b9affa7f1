//! What the server says.

use serde_json::{Map, Value};
use vumi_kit::{
    address::{Msisdn, UssdCode},
    clock::Timestamp,
    message::SessionEvent,
};
use vumi_ssmi_codec::{AckKind, ClientCommand, Genfields, Malformed, Phase, ServerCommand, UssdType};

use super::{
    core::{Core, Keep, ToRouter},
    pages::{Rest, first_page},
    sessions::Opened,
};

/// A USSD message, plain or extended.
struct Ussd {
    person: Msisdn,
    kind: UssdType,
    phase: Phase,
    genfields: Option<Genfields>,
    text: String,
    at: Timestamp,
}

impl Core {
    /// Hears a command after the login. An error ends the connection.
    pub(super) fn hear(&mut self, heard: Result<ServerCommand, Malformed>) -> Result<(), String> {
        match heard {
            Err(malformed) => self.complaints.add("malformed frames skipped", malformed),
            Ok(ServerCommand::Ack { kind: AckKind::LinkCheck }) => self.unanswered_check = false,
            Ok(ServerCommand::Ussd { msisdn, kind, phase, message }) => {
                self.hear_ussd(&msisdn, kind, phase, None, message);
            }
            Ok(ServerCommand::ExtendedUssd { msisdn, kind, phase, genfields, message }) => {
                self.hear_ussd(&msisdn, kind, phase, Some(genfields), message);
            }
            Ok(ServerCommand::RemoteLogout { .. }) => return Err("the server logged us out".to_owned()),
            Ok(ServerCommand::Nack { kind }) => self.complaints.add("NACKs from the server", format!("type {kind}")),
            Ok(ServerCommand::FreeText { text }) => {
                tracing::debug!(transport = %self.name, length = text.len(), "the server sent free text");
            }
            Ok(ServerCommand::Ack { .. } | ServerCommand::ImsiReply { .. }) => {
                self.complaints.add("answers to nothing we asked", "an ACK or IMSI reply");
            }
            Ok(
                sms @ (ServerCommand::Seq { .. }
                | ServerCommand::DeliveryReport { .. }
                | ServerCommand::Mo { .. }
                | ServerCommand::BinaryMo { .. }
                | ServerCommand::PremiumMo { .. }
                | ServerCommand::PremiumBinaryMo { .. }),
            ) => self.hear_sms(sms),
        }
        Ok(())
    }

    fn hear_ussd(&mut self, msisdn: &str, kind: UssdType, phase: Phase, genfields: Option<Genfields>, text: String) {
        let Ok(person) = Msisdn::parse(msisdn) else {
            self.complaints.add("malformed frames skipped", "a USSD message without a valid MSISDN");
            return;
        };
        let at = self.clock.now();
        if let Some(session) = self.table.close_if_over(&person, at) {
            self.tell_over(person.clone(), session, None, at);
        }
        let said = Ussd { person, kind, phase, genfields, text, at };
        match kind {
            UssdType::New => self.begin(said),
            UssdType::Response => self.go_on(said),
            UssdType::End | UssdType::Timeout => self.end(said),
            // Handed on by another service, or begun by the network: with a code it is a session's beginning.
            UssdType::Redirect | UssdType::NetworkInitiated => {
                if UssdCode::parse(&said.text).is_ok() {
                    self.begin(said);
                } else {
                    self.go_on(said);
                }
            }
            UssdType::Other(number) => {
                self.complaints.add("USSD messages of an unknown type ignored", format!("type {number}"));
            }
        }
    }

    fn begin(&mut self, said: Ussd) {
        let Ok(code) = UssdCode::parse(&said.text) else {
            self.complaints.add("new sessions without a USSD code refused", "the text is no code");
            self.say_last_word(&said.person, self.settings.texts.unavailable.clone());
            return;
        };
        if self.draining {
            self.say_last_word(&said.person, self.settings.texts.unavailable.clone());
            return;
        }
        let mut message = self.message(&said.person, code.as_str(), SessionEvent::New, said.at);
        let first_id = message.message_id.clone();
        message.transport_metadata = metadata(&said);
        message.provider = operator(said.genfields.as_ref());
        match self.table.open(&said.person, code.into(), first_id.clone(), said.at) {
            Opened::Fresh => {}
            Opened::Replaced(old) => self.tell_over(said.person.clone(), *old, None, said.at),
            Opened::Full => {
                self.complaints.add("new sessions refused: as many open as `max_sessions` allows", self.table.len());
                self.say_last_word(&said.person, self.settings.texts.full.clone());
                return;
            }
        }
        self.save(&said.person);
        self.to_router.push(said.person, ToRouter { message, first_id });
    }

    fn go_on(&mut self, mut said: Ussd) {
        let Some(session) = self.table.get_mut(&said.person) else {
            tracing::debug!(transport = %self.name, "a message of a session that is not open: closed");
            self.say_last_word(&said.person, self.settings.texts.gone.clone());
            return;
        };
        if session.closing {
            tracing::debug!(transport = %self.name, "a message of a session that is being closed");
            return;
        }
        let (code, first_id) = (session.code.clone(), session.first_id.clone());
        if let Some(rest) = session.rest.take() {
            if rest.closes || said.text.trim() == self.settings.texts.more_key() {
                self.turn_page(&said.person, rest, said.at);
                return;
            }
            self.save(&said.person);
        }
        if self.table.touch(&said.person, true, said.at) {
            self.save(&said.person);
        }
        let mut message = self.message(&said.person, &code, SessionEvent::Resume, said.at);
        message.transport_metadata = metadata(&said);
        message.provider = operator(said.genfields.as_ref());
        message.content = Some(std::mem::take(&mut said.text));
        self.to_router.push(said.person, ToRouter { message, first_id });
    }

    /// Shows the next page of a long text.
    fn turn_page(&mut self, person: &Msisdn, rest: Rest, now: Timestamp) {
        let (page, further) = first_page(&rest.text, &self.settings.texts.more);
        let ends = rest.closes && further.is_none();
        let kind = if ends { UssdType::End } else { UssdType::Response };
        self.say(&ClientCommand::Ussd { msisdn: person.as_str().to_owned(), kind, message: page });
        if ends {
            self.table.close(person);
            self.to_store.push(person.clone(), Keep::Close);
            return;
        }
        self.table.touch(person, false, now);
        if let Some(session) = self.table.get_mut(person) {
            session.rest = further.map(|text| Rest { text, closes: rest.closes });
        }
        self.save(person);
    }

    fn end(&mut self, said: Ussd) {
        let Some(session) = self.table.close(&said.person) else {
            tracing::debug!(transport = %self.name, "the end of a session that is not open");
            return;
        };
        self.tell_over(said.person, session, (!said.text.is_empty()).then_some(said.text), said.at);
    }
}

/// The protocol's own fields, for whoever wants them: `phase`, `ussd_type`, and of an extended message
/// `genfields`, raw and by label.
fn metadata(said: &Ussd) -> Map<String, Value> {
    let mut metadata = Map::new();
    metadata.insert("ussd_type".to_owned(), u32::from(said.kind).into());
    metadata.insert("phase".to_owned(), u32::from(said.phase).into());
    if let Some(genfields) = &said.genfields {
        let mut labelled = Map::new();
        labelled.insert("raw".to_owned(), genfields.0.clone().into());
        labelled.extend(genfields.labelled().map(|(label, value)| (label.to_owned(), value.into())));
        metadata.insert("genfields".to_owned(), labelled.into());
    }
    metadata
}

fn operator(genfields: Option<&Genfields>) -> Option<String> {
    genfields?.get("operator_id").map(str::to_owned)
}
