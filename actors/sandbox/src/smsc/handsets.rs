//! USSD of the centre: handsets dial, answer and hang up, and the router's screens come back, in the dialect of a gateway.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use std::{collections::HashMap, sync::PoisonError, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{sync::oneshot, time::Instant};
use vumi_smpp_codec::{
    Alphabet, Message, PduAddress, Tlvs,
    address::{npi, ton},
    data_coding, status, tag, ussd_service_op as op,
};

use super::{
    delivery::{DeliveryContent, SmscDelivery},
    network::SmscNetwork,
    text::PduText,
};
use crate::{
    phone::HandsetEvent,
    provider_core::is_msisdn,
    truteq::{HandsetError, HandsetScreen},
};

/// How many handsets can have a session at once.
const MAX_SESSIONS: usize = 10_000;

/// The bit of its_session_info that ends a dialogue.
const END_BIT: u16 = 1;

/// The ops of last screens.
const LAST_OPS: [u8; 2] = [op::PSSR_RESPONSE, 0x17];

/// The dialect of USSD that the centre speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SmscUssdDialect {
    /// By the specification: octet 1 of its_session_info tells the session.
    #[default]
    Spec,
    /// Tata's: 15 bits of its_session_info, the last bit ends.
    Tata,
    #[serde(rename = "6d")]
    SixD,
    /// As Mica does: user_message_reference tells the session.
    Mica,
    /// Nothing names the dialogue.
    None,
}

impl SmscUssdDialect {
    /// The TLVs of a message of the dialogue with this number, which is the `nth` of it.
    fn tlvs(self, op: u8, number: u16, nth: u16, ends: bool) -> Tlvs {
        let tlvs = Tlvs::new().with(tag::USSD_SERVICE_OP, vec![op]);
        let end = if ends { END_BIT } else { 0 };
        match self {
            Self::Spec => {
                let info = ((number & 0xff) << 8) | ((nth & 0x7f) << 1) | end;
                tlvs.with(tag::ITS_SESSION_INFO, info.to_be_bytes().to_vec())
            }
            Self::Tata | Self::SixD => {
                let info = (number << 1) | end;
                tlvs.with(tag::ITS_SESSION_INFO, info.to_be_bytes().to_vec())
            }
            Self::Mica => tlvs.with(tag::USER_MESSAGE_REFERENCE, number.to_be_bytes().to_vec()),
            Self::None => tlvs,
        }
    }

    /// The number in a message; none where the dialect names none.
    fn number(self, message: &Message) -> Option<u16> {
        let integer = |tag| message.tlvs.integer(tag).and_then(|number| u16::try_from(number).ok());
        match self {
            Self::Spec => integer(tag::ITS_SESSION_INFO).map(|info| info >> 8),
            Self::Tata | Self::SixD => integer(tag::ITS_SESSION_INFO).map(|info| info >> 1),
            Self::Mica => integer(tag::USER_MESSAGE_REFERENCE),
            Self::None => None,
        }
    }
}

/// What `/seen/smsc` shows of USSD.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct SmscUssdCounts {
    /// Sessions begun by a handset.
    dialled: u64,
    /// Sessions begun by the router.
    pushed: u64,
    /// Texts of the router that wanted no answer.
    notified: u64,
    /// Screens of the router that were taken.
    screens: u64,
    /// Screens for a dialogue that is not there.
    refused: u64,
}

#[derive(Debug)]
struct SmscHandset {
    number: u16,
    /// Messages of the dialogue that went to the router.
    nth: u16,
    /// The address of the service.
    service: PduAddress,
    waiter: Option<oneshot::Sender<HandsetScreen>>,
    touched: Instant,
}

/// The handsets in a dialogue.
#[derive(Debug, Default)]
pub(super) struct SmscHandsets {
    open: HashMap<String, SmscHandset>,
    last_number: u16,
    pub(super) counts: SmscUssdCounts,
}

/// What a handset does.
enum Press<'a> {
    Answer(&'a str),
    HangUp,
}

impl SmscNetwork {
    /// A handset dials. This ends the session it had.
    pub(crate) async fn dial(&self, msisdn: &str, code: &str) -> Result<HandsetScreen, HandsetError> {
        let msisdn = read_msisdn(msisdn)?;
        if !code.starts_with('*') {
            return Err(HandsetError::NotACode(code.to_owned()));
        }
        let (message, reply) = {
            let mut handsets = self.handsets.lock().unwrap_or_else(PoisonError::into_inner);
            if handsets.open.len() >= MAX_SESSIONS && !handsets.open.contains_key(&msisdn) {
                return Err(HandsetError::TooMany);
            }
            // Fits what every dialect has for it.
            handsets.last_number = if handsets.last_number >= 0xff { 1 } else { handsets.last_number + 1 };
            let number = handsets.last_number;
            let dialect = self.settings.ussd;
            // By the book the code is the text; other gateways dial the address.
            let by_text = dialect == SmscUssdDialect::Spec;
            let address = if by_text { "120" } else { code };
            let service = PduAddress::new(ton::UNKNOWN, npi::UNKNOWN, address.to_owned());
            let text = if by_text { code } else { "" };
            let tlvs = dialect.tlvs(op::PSSR_INDICATION, number, 0, false);
            let message = ussd_message(&msisdn, service.clone(), text, tlvs);
            let (waiter, reply) = oneshot::channel();
            let waiter = Some(waiter);
            let handset = SmscHandset { number, nth: 0, service, waiter, touched: Instant::now() };
            handsets.open.insert(msisdn.clone(), handset);
            handsets.counts.dialled += 1;
            (message, reply)
        };
        self.core.journal.record(&msisdn, || HandsetEvent::Dialled { text: code.to_owned() });
        self.tell(&msisdn, message).await?;
        self.screen(reply).await
    }

    /// A person answers in the handset's session.
    pub(crate) async fn answer(&self, msisdn: &str, text: &str) -> Result<HandsetScreen, HandsetError> {
        let msisdn = read_msisdn(msisdn)?;
        let (message, reply) = self.press(&msisdn, &Press::Answer(text))?;
        self.core.journal.record(&msisdn, || HandsetEvent::Answered { text: text.to_owned() });
        self.tell(&msisdn, message).await?;
        self.screen(reply).await
    }

    /// A handset ends its session.
    pub(crate) async fn hang_up(&self, msisdn: &str) -> Result<HandsetScreen, HandsetError> {
        let msisdn = read_msisdn(msisdn)?;
        let (message, _) = self.press(&msisdn, &Press::HangUp)?;
        self.core.journal.record(&msisdn, || HandsetEvent::HungUp);
        self.tell(&msisdn, message).await?;
        Ok(HandsetScreen { text: String::new(), open: false })
    }

    fn press(
        &self,
        msisdn: &str,
        press: &Press<'_>,
    ) -> Result<(Message, oneshot::Receiver<HandsetScreen>), HandsetError> {
        let mut handsets = self.handsets.lock().unwrap_or_else(PoisonError::into_inner);
        let handset = handsets.open.get_mut(msisdn).ok_or(HandsetError::NoSession)?;
        // A waiter that gave up has closed its end.
        if handset.waiter.as_ref().is_some_and(|waiter| !waiter.is_closed()) && !matches!(press, Press::HangUp) {
            return Err(HandsetError::StillWaiting);
        }
        handset.nth += 1;
        let (waiter, reply) = oneshot::channel();
        (handset.waiter, handset.touched) = (Some(waiter), Instant::now());
        let (number, nth, service) = (handset.number, handset.nth, handset.service.clone());
        let (op, text, ends) = match press {
            Press::Answer(text) => (op::USSR_CONFIRM, *text, false),
            Press::HangUp => (op::USSREL, "", true),
        };
        if ends {
            handsets.open.remove(msisdn);
        }
        Ok((ussd_message(msisdn, service, text, self.settings.ussd.tlvs(op, number, nth, ends)), reply))
    }

    /// Gives a message to a router.
    async fn tell(&self, msisdn: &str, message: Message) -> Result<(), HandsetError> {
        let esme = self.receiver().ok_or(HandsetError::NoRouter)?;
        let (answered, answer) = oneshot::channel();
        let delivery = SmscDelivery::new(DeliveryContent::Inbound { message: Box::new(message), answered });
        self.queue_inbound(&esme, Instant::now(), delivery).map_err(|_| HandsetError::Stuck)?;
        let limit = self.settings.answer_limit;
        match tokio::time::timeout(limit, answer).await {
            Ok(Ok(status::ESME_ROK)) => Ok(()),
            Ok(_) => {
                self.handsets.lock().unwrap_or_else(PoisonError::into_inner).open.remove(msisdn);
                Err(HandsetError::Interrupted)
            }
            Err(_) => Err(HandsetError::NoReply(limit)),
        }
    }

    async fn screen(&self, reply: oneshot::Receiver<HandsetScreen>) -> Result<HandsetScreen, HandsetError> {
        let limit = self.settings.answer_limit;
        match tokio::time::timeout(limit, reply).await {
            Ok(Ok(screen)) => Ok(screen),
            Ok(Err(_)) => Err(HandsetError::Interrupted),
            Err(_) => Err(HandsetError::NoReply(limit)),
        }
    }

    /// A screen of a router; the command_status that answers it.
    pub(super) fn show(&self, message: &Message) -> u32 {
        let msisdn = String::from_utf8_lossy(&message.destination.addr).trim_start_matches('+').to_owned();
        let (text, op) = (PduText::read(message).text, message.tlvs.octet(tag::USSD_SERVICE_OP).unwrap_or_default());
        let dialect = self.settings.ussd;
        let has_bit = message.tlvs.integer(tag::ITS_SESSION_INFO).is_some_and(|info| info & u32::from(END_BIT) != 0);
        let last = LAST_OPS.contains(&op) || (dialect == SmscUssdDialect::Tata && has_bit);
        let mut handsets = self.handsets.lock().unwrap_or_else(PoisonError::into_inner);
        if op == op::USSN_REQUEST {
            handsets.counts.notified += 1;
            drop(handsets);
            self.core.journal.record(&msisdn, || HandsetEvent::Screen { text, open: false, asked: false });
            return status::ESME_ROK;
        }
        let number = dialect.number(message);
        let ours = |handset: &SmscHandset| number.is_none_or(|number| number == handset.number);
        let known = handsets.open.get(&msisdn).is_some_and(ours);
        if !known && (last || handsets.open.len() >= MAX_SESSIONS || handsets.open.contains_key(&msisdn)) {
            handsets.counts.refused += 1;
            return status::ESME_RSUBMITFAIL;
        }
        if !known {
            handsets.counts.pushed += 1;
            let (service, touched) = (message.source.clone(), Instant::now());
            let number = number.unwrap_or_default();
            handsets.open.insert(msisdn.clone(), SmscHandset { number, nth: 0, service, waiter: None, touched });
        }
        handsets.counts.screens += 1;
        let waiter = handsets.open.get_mut(&msisdn).and_then(|handset| handset.waiter.take());
        if last {
            handsets.open.remove(&msisdn);
        }
        drop(handsets);
        let asked = waiter.is_some();
        self.core.journal.record(&msisdn, || HandsetEvent::Screen { text: text.clone(), open: !last, asked });
        if let Some(waiter) = waiter {
            let _nobody_waits = waiter.send(HandsetScreen { text, open: !last });
        }
        status::ESME_ROK
    }

    /// Ends the sessions that had no message within `limit`; the router is told.
    pub(crate) fn expire_handsets(&self, limit: Duration) {
        let over: Vec<(String, SmscHandset)> = {
            let mut handsets = self.handsets.lock().unwrap_or_else(PoisonError::into_inner);
            handsets.open.extract_if(|_, handset| handset.touched.elapsed() > limit).collect()
        };
        for (msisdn, handset) in over {
            let tlvs = self.settings.ussd.tlvs(op::USSREL, handset.number, handset.nth + 1, true);
            let message = ussd_message(&msisdn, handset.service, "", tlvs);
            let (answered, _nobody) = oneshot::channel();
            let delivery = SmscDelivery::new(DeliveryContent::Inbound { message: Box::new(message), answered });
            // A router that is away ends the session by its own timeout.
            if let Some(esme) = self.receiver()
                && self.queue_inbound(&esme, Instant::now(), delivery).is_err()
            {
                tracing::debug!("the end of a session could not be sent");
            }
        }
    }
}

fn ussd_message(msisdn: &str, service: PduAddress, text: &str, tlvs: Tlvs) -> Message {
    let (octets, data_coding) = match Alphabet::Gsm7.encode(text) {
        Ok(octets) => (octets, data_coding::DEFAULT),
        Err(_) => (Alphabet::Ucs2.encode(text).unwrap_or_default(), data_coding::UCS2),
    };
    Message {
        service_type: "USSD".into(),
        source: PduAddress::new(ton::INTERNATIONAL, npi::ISDN, msisdn.to_owned()),
        destination: service,
        data_coding,
        short_message: octets.into(),
        tlvs,
        ..Message::default()
    }
}

fn read_msisdn(text: &str) -> Result<String, HandsetError> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if is_msisdn(digits) { Ok(digits.to_owned()) } else { Err(HandsetError::NotAnMsisdn(text.to_owned())) }
}
