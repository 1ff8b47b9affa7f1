//! USSD over SMPP: what a PDU with a ussd_service_op does, and the screens that go out.

mod answers;
pub(super) mod profile;
mod screens;
mod sent_screens;

pub(super) use screens::{SentScreen, SmppScreens};
pub(super) use sent_screens::{LostScreens, SentScreens};

use serde_json::Map;
use vumi_kit::{address::UssdCode, clock::Timestamp};
use vumi_smpp_codec::{
    Alphabet, Message,
    data_coding::{DataCharset, coding},
    esm_class, status, tag, ussd_service_op as op,
};

use self::profile::SmppDialogue;
use super::{
    Settings, addresses,
    settings::{CodeIn, SmppUssdSettings},
};
use crate::ussd::{InputKind, UssdInput};

/// The service_type of USSD.
const USSD: &[u8] = b"USSD";

/// The bits of esm_class that say what a message is.
const KIND: u8 = 0x3c;

/// What a message of a gateway does.
pub(super) enum UssdPdu {
    /// Something of a person.
    Input(Box<UssdInput<SmppDialogue>>),
    /// Nothing follows: a notification was seen, or the end that we asked for is confirmed.
    Confirmed,
    /// It can't be taken: the command_status, and why.
    Refused(u32, &'static str),
}

/// Whether a deliver_sm or data_sm belongs to USSD: it is never an SMS then.
pub(super) fn is_ussd(message: &Message) -> bool {
    message.tlvs.get(tag::USSD_SERVICE_OP).is_some() || message.service_type[..] == *USSD
}

/// Reads it. `connection`: the one that it came over.
pub(super) fn read(settings: &Settings, message: &Message, connection: usize, at: Timestamp) -> UssdPdu {
    let Some(ussd) = &settings.ussd else {
        return UssdPdu::Refused(status::ESME_RX_P_APPN, "USSD refused: the transport has no `ussd`");
    };
    let Some(person) = addresses::read(&message.source).and_then(|address| address.msisdn()) else {
        return UssdPdu::Refused(status::ESME_RINVSRCADR, "USSD refused: the person's number can't be read");
    };
    let dialogue = SmppDialogue::of(ussd.profile, message, connection);
    let text = text(settings, message);
    let aborts = message.esm_class & KIND == esm_class::CONVERSATION_ABORT || dialogue.is_ended(ussd.profile);
    let kind = match message.tlvs.octet(tag::USSD_SERVICE_OP) {
        Some(op::USSREL) => InputKind::End,
        Some(op::PSSD_INDICATION | op::PSSR_INDICATION) if !aborts => InputKind::New,
        Some(op::USSN_CONFIRM | op::PSSD_RESPONSE | op::PSSR_RESPONSE) => return UssdPdu::Confirmed,
        _ if aborts => InputKind::End,
        Some(op::USSR_CONFIRM) => InputKind::Answer,
        None => InputKind::Either,
        Some(_) => return UssdPdu::Refused(status::ESME_RX_P_APPN, "USSD refused: an operation of an unknown kind"),
    };
    let text = if kind == InputKind::New { dialled(ussd, message, text) } else { text };
    let (metadata, provider) = (Map::new(), None);
    UssdPdu::Input(Box::new(UssdInput { person, kind, text, dialogue, metadata, provider, at }))
}

/// The code that was dialled. A gateway that writes it into the other field is understood, too.
fn dialled(ussd: &SmppUssdSettings, message: &Message, text: String) -> String {
    let destination = Alphabet::Latin1.decode(&message.destination.addr);
    let (usual, other) = match ussd.code_in {
        CodeIn::ShortMessage => (text, destination),
        CodeIn::DestinationAddr => (destination, text),
    };
    if UssdCode::parse(&usual).is_err() && UssdCode::parse(&other).is_ok() { other } else { usual }
}

fn text(settings: &Settings, message: &Message) -> String {
    let alphabet = match coding(message.data_coding).charset {
        DataCharset::Default => settings.sms.alphabet.alphabet(),
        DataCharset::Ascii => Alphabet::Ascii,
        DataCharset::Latin1 => Alphabet::Latin1,
        DataCharset::Ucs2 => Alphabet::Ucs2,
        // Others carry no USSD; septets are nearest.
        _ => Alphabet::Gsm7,
    };
    alphabet.decode(message.octets())
}
