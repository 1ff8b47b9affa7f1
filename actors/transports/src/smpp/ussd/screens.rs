//! Screens on their way out: each is a submit_sm, and its answer says what became of it.

use vumi_kit::{
    address::UssdCode,
    text::{Encoding, measure},
};
use vumi_smpp_codec::{
    Alphabet, Message, Pdu, PduAddress,
    address::{npi, ton},
    data_coding,
};

use super::profile::SmppDialogue;
use crate::{
    fault_log::FaultLog,
    smpp::{
        Settings, addresses,
        link::Link,
        settings::{SCREEN_SEPTETS, ScreenCoding, SmppUssdSettings},
        state::SmscConnection,
    },
    ussd::{CarriedReply, PageSize, ScreenNetwork, ScreensState, UnwrittenScreen, UssdScreen},
};

/// The UCS-2 units of a screen.
const SCREEN_UCS2: usize = 80;

/// The longest address of a service.
const LONGEST_ADDRESS: usize = 20;

/// A screen that was written and is not answered.
pub(in crate::smpp) struct SentScreen {
    /// The reply on it; none: it is one of our own.
    pub(in crate::smpp) reply: Option<CarriedReply>,
}

/// The connections of the transport, for dialogues.
pub(in crate::smpp) struct SmppScreens<'a> {
    pub(in crate::smpp) settings: &'a Settings,
    pub(in crate::smpp) connections: &'a mut Vec<SmscConnection>,
    pub(in crate::smpp) faults: &'a mut FaultLog,
    /// The number of the last dialogue that we began.
    pub(in crate::smpp) last_begun: &'a mut u16,
    pub(in crate::smpp) restored: bool,
    pub(in crate::smpp) stopped: bool,
}

impl SmppScreens<'_> {
    /// The connection that the dialogue came by, or the transmitter beside it; else any that submits.
    fn link(&mut self, connection: usize) -> Option<&mut Link> {
        let usable = |one: &SmscConnection| one.link.as_ref().is_some_and(|link| link.submits() && !link.is_full());
        let near = [connection, connection + 1];
        let found = near.into_iter().find(|at| self.connections.get(*at).is_some_and(usable));
        let found = found.or_else(|| self.connections.iter().position(usable))?;
        self.connections.get_mut(found)?.link.as_mut()
    }

    fn message(&self, ussd: &SmppUssdSettings, screen: &UssdScreen<'_, SmppDialogue>) -> Result<Message, String> {
        let sms = &self.settings.sms;
        let septets = measure(&screen.text).encoding == Encoding::Gsm7;
        let (coding, alphabet) = match (ussd.data_coding, septets) {
            (ScreenCoding::Sms, true) => (sms.data_coding, sms.alphabet.alphabet()),
            (ScreenCoding::Sms, false) => (data_coding::UCS2, Alphabet::Ucs2),
            (ScreenCoding::Cbs, true) => (data_coding::CBS_GSM7, Alphabet::Gsm7),
            (ScreenCoding::Cbs, false) => (data_coding::CBS_UCS2, Alphabet::Ucs2),
        };
        let octets = alphabet.encode(&screen.text).map_err(|lacks| lacks.to_string())?;
        let person = screen.dialogue.person.address();
        let destination = if person.addr.is_empty() { addresses::recipient(sms, screen.person) } else { person };
        Ok(Message {
            service_type: ussd.service_type.clone().into(),
            source: screen.dialogue.service.address(),
            destination,
            data_coding: coding,
            short_message: octets.into(),
            tlvs: screen.dialogue.tlvs(ussd, screen.kind),
            ..Message::default()
        })
    }

    fn write(&mut self, screen: &UssdScreen<'_, SmppDialogue>) -> Result<(usize, u32), String> {
        let Some(ussd) = self.settings.ussd.as_ref() else { return Err("the transport has no `ussd`".to_owned()) };
        let message = self.message(ussd, screen)?;
        let connection = screen.dialogue.connection;
        let link = self.link(connection).ok_or_else(|| "the transport is not bound".to_owned())?;
        let sequence = link.send(0, None, Pdu::SubmitSm(Box::new(message))).map_err(|error| error.to_string())?;
        let id = link.id;
        let at = self.connections.iter().position(|one| one.link.as_ref().is_some_and(|link| link.id == id));
        Ok((at.unwrap_or_default(), sequence))
    }
}

impl ScreenNetwork<SmppDialogue> for SmppScreens<'_> {
    fn state(&self) -> ScreensState {
        let up = self.connections.iter().filter_map(|one| one.link.as_ref());
        match (self.stopped, self.restored, up.into_iter().any(|link| link.submits() && !link.is_full())) {
            (true, ..) => ScreensState::Stopping,
            (_, false, _) => ScreensState::Starting,
            (.., true) => ScreensState::Up,
            _ => ScreensState::Down,
        }
    }

    fn spelled(&self, text: &str) -> (String, Vec<char>) {
        (text.replace("\r\n", "\n").replace('\r', "\n"), Vec::new())
    }

    fn page_size(&self, text: &str) -> PageSize {
        // A text that is shown in UCS-2 as a whole is so on each of its pages.
        match measure(text).encoding {
            Encoding::Gsm7 => PageSize { most: SCREEN_SEPTETS, units: |text| measure(text).units },
            Encoding::Ucs2 => PageSize { most: SCREEN_UCS2, units: |text| text.encode_utf16().count() },
        }
    }

    fn begin(&mut self, code: &UssdCode) -> Result<SmppDialogue, String> {
        let Some(ussd) = &self.settings.ussd else { return Err("the transport has no `ussd`".to_owned()) };
        if code.as_str().len() > LONGEST_ADDRESS {
            return Err(format!("SMPP carries codes of {LONGEST_ADDRESS} characters at the most"));
        }
        // Each number fits what the profiles have for it.
        *self.last_begun = if *self.last_begun >= 0xff { 1 } else { *self.last_begun + 1 };
        let numbering = self.settings.sms.source;
        let (ton, npi) = numbering.map_or((ton::UNKNOWN, npi::UNKNOWN), |set| (set.ton, set.npi));
        let service = PduAddress::new(ton, npi, code.as_str().to_owned());
        Ok(SmppDialogue::begun(ussd.profile, *self.last_begun, service))
    }

    fn show(
        &mut self,
        screen: UssdScreen<'_, SmppDialogue>,
        reply: Option<CarriedReply>,
    ) -> Result<(), Box<UnwrittenScreen>> {
        match self.write(&screen) {
            Ok((at, sequence)) => {
                if let Some(link) = self.connections.get_mut(at).and_then(|one| one.link.as_mut()) {
                    link.screens.sent(sequence, SentScreen { reply }, link.queued());
                }
                Ok(())
            }
            Err(why) => Err(Box::new(UnwrittenScreen { why, reply })),
        }
    }

    fn replies_under_way(&self) -> usize {
        self.connections.iter().filter_map(|one| one.link.as_ref()).map(|link| link.screens.len()).sum()
    }

    fn faults(&mut self) -> &mut FaultLog {
        self.faults
    }
}
