//! A receipt of SMPP as the ledger takes it.

use vumi_kit::{
    address::Msisdn,
    clock::Timestamp,
    sent_parts::IdSpellings,
    sms::{Receipt, TransportStatus},
};
use vumi_smpp_codec::{
    Message, MessageState, PduAddress, esm_class,
    receipt::{NetworkError, SmppReceipt},
    time::read_date,
};

use super::{Settings, addresses, settings::MessageIds};

/// A shorter number is no phone's.
const SHORTEST_PHONE: usize = 7;

/// The bits of esm_class that say what a message is.
const KIND: u8 = 0x3c;

/// The receipt, and what is odd about it.
pub(super) fn report(settings: &Settings, message: &Message, receipt: &SmppReceipt) -> (Receipt, Option<&'static str>) {
    let state = receipt.state();
    let underway = message.esm_class & KIND == esm_class::INTERMEDIATE;
    let status = match state {
        Some(state) if !underway => status_of(state),
        _ => TransportStatus::AtGateway,
    };
    let mut ids = receipt.ids();
    let provider_id = ids.next().map(str::to_owned);
    let other = ids.next();
    let spellings = provider_id.as_deref().map(|id| spellings(settings.receipts.message_ids, id, other));
    let words = [receipt.stat.as_deref(), receipt.err.as_deref()];
    let provider_status: Vec<&str> = words.into_iter().flatten().collect();
    let provider_status = (!provider_status.is_empty()).then(|| provider_status.join(" "));
    let done = receipt.done_date.as_deref().and_then(read_date);
    let odd = match (&provider_id, state) {
        (None, _) => Some("receipts without an id"),
        (_, None | Some(MessageState::Other(_))) => Some("receipts with a state that SMPP does not have"),
        _ => None,
    };
    let report = Receipt {
        provider_id,
        spellings,
        to: recipient(message),
        provider_status: provider_status.or_else(|| receipt.tlv_state.map(|state| state.word().to_owned())),
        at: done.map(|done| Timestamp::from_micros(done.timestamp_micros())),
        ..Receipt::new(status, fields(message, receipt))
    };
    (report, odd)
}

/// A state on our scale. UNKNOWN and ACCEPTD are not final: SMSC mean by them that they have it.
const fn status_of(state: MessageState) -> TransportStatus {
    match state {
        MessageState::Delivered => TransportStatus::Delivered,
        MessageState::Expired => TransportStatus::Expired,
        MessageState::Deleted => TransportStatus::Cancelled,
        MessageState::Undeliverable | MessageState::Rejected | MessageState::Skipped => TransportStatus::DeliveryError,
        MessageState::Scheduled
        | MessageState::Enroute
        | MessageState::Accepted
        | MessageState::Unknown
        | MessageState::Other(_) => TransportStatus::AtGateway,
    }
}

/// How the answer to the submission may have spelled the id; `other` is a second id that the receipt names.
fn spellings(ids: MessageIds, id: &str, other: Option<&str>) -> IdSpellings {
    let mut spellings = ids.spellings_of_receipt(id);
    if let Some(IdSpellings { folded, others }) = other.map(|other| ids.spellings_of_receipt(other)) {
        spellings.others.push(folded);
        spellings.others.extend(others);
    }
    spellings
}

/// The person's number: the sender of a receipt; where the SMSC does not swap the addresses, that is our short code.
fn recipient(message: &Message) -> Option<Msisdn> {
    let phone = |address: &PduAddress| {
        let number = addresses::read(address)?.msisdn()?;
        (number.as_str().len() >= SHORTEST_PHONE).then_some(number)
    };
    phone(&message.source).or_else(|| phone(&message.destination))
}

/// What it says, in the order of the book, in the provider's own spelling.
fn fields(message: &Message, receipt: &SmppReceipt) -> Vec<(String, String)> {
    let address = |address: &PduAddress| addresses::read(address).map(|address| address.as_str().to_owned());
    let network = receipt.network_error.map(|NetworkError { network, code }| format!("{network}:{code}"));
    let state = receipt.tlv_state.map(|state| u8::from(state).to_string());
    let named = [
        ("source_addr", address(&message.source)),
        ("destination_addr", address(&message.destination)),
        ("receipted_message_id", receipt.tlv_id.clone()),
        ("message_state", state),
        ("network_error_code", network),
        ("id", receipt.id.clone()),
        ("sub", receipt.sub.clone()),
        ("dlvrd", receipt.dlvrd.clone()),
        ("submit_date", receipt.submit_date.clone()),
        ("done_date", receipt.done_date.clone()),
        ("stat", receipt.stat.clone()),
        ("err", receipt.err.clone()),
    ];
    named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
