//! SMS from people, as `POST /inbound/smsc` gives them.

use serde_json::{Value, json};
use tokio::{sync::oneshot, time::Instant};
use vumi_smpp_codec::{
    Alphabet, Message, PduAddress,
    address::{npi, ton},
    data_coding,
    parts::{MessagePart, Method, split},
    status,
};

use super::{
    delivery::{DeliveryContent, SmscDelivery},
    network::SmscNetwork,
};
use crate::{provider_core::is_msisdn, sandbox_provider::InboundOrder};

/// The most digits of a short code.
const SHORT_CODE: usize = 6;

/// Why an inbound SMS was not taken. The text is for the person who ordered it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InboundError {
    #[error("give `from` and `to`, of 1 to 20 characters each")]
    NoAddress,
    #[error("`method` is how a long SMS is cut: udh8, udh16, sar or payload")]
    NoMethod,
    #[error("the text is too long: {0}")]
    TooLong(String),
    #[error("no router is bound as a receiver or transceiver")]
    NoReceiver,
    #[error("too many receipts and SMS wait for the router")]
    Full,
    #[error("the router did not answer every part within {0:?}")]
    NoAnswer(std::time::Duration),
}

impl SmscNetwork {
    /// Sends an SMS to a router; the status that it gave to each part.
    pub(crate) async fn send_sms(&self, order: &InboundOrder) -> Result<Value, InboundError> {
        let rules = self.core.behaviour.rules();
        let taken = self.core.next_number();
        let messages = messages(order, taken.number)?;
        let esme = self.receiver().ok_or(InboundError::NoReceiver)?;
        let mut sent = Vec::new();
        for (number, message) in (1_usize..).zip(messages) {
            if number != usize::from(rules.smpp.lose_part) {
                sent.push((number, message));
            }
        }
        if rules.smpp.out_of_order > 0 {
            sent.reverse();
        }
        let mut waiting = Vec::new();
        for (number, message) in sent {
            let (answered, answer) = oneshot::channel();
            let delivery = SmscDelivery::new(DeliveryContent::Inbound { message: Box::new(message), answered });
            self.queue_inbound(&esme, Instant::now(), delivery).map_err(|_| InboundError::Full)?;
            waiting.push((number, answer));
        }
        let limit = self.settings.answer_limit;
        let answers = async {
            let mut parts = Vec::new();
            for (number, answer) in waiting {
                let status = answer.await.ok()?;
                parts.push(json!({"part": number, "status": status, "name": status::name(status)}));
            }
            Some(parts)
        };
        let parts = tokio::time::timeout(limit, answers).await.ok().flatten();
        parts.map(|parts| json!({ "parts": parts })).ok_or(InboundError::NoAnswer(limit))
    }
}

/// The PDUs of an order, in their order.
fn messages(order: &InboundOrder, number: u64) -> Result<Vec<Message>, InboundError> {
    let method = match order.method.as_deref() {
        None | Some("udh8") => Method::Udh8,
        Some("udh16") => Method::Udh16,
        Some("sar") => Method::Sar,
        Some("payload") => Method::Payload,
        Some(_) => return Err(InboundError::NoMethod),
    };
    let (source, destination) = (address(&order.from)?, address(&order.to)?);
    let (alphabet, data_coding) = match Alphabet::Gsm7.encode(&order.text) {
        Ok(_) => (Alphabet::Gsm7, data_coding::DEFAULT),
        Err(_) => (Alphabet::Ucs2, data_coding::UCS2),
    };
    // The reference of a long SMS: 0 is one like others.
    let reference = u16::try_from(number % 0x1_0000).unwrap_or_default();
    let parts =
        split(alphabet, &order.text, method, reference).map_err(|error| InboundError::TooLong(error.to_string()))?;
    let message = |part: MessagePart| {
        let (source, destination) = (source.clone(), destination.clone());
        let mut message = Message { source, destination, data_coding, ..Message::default() };
        part.put_into(&mut message);
        message
    };
    Ok(parts.into_iter().map(message).collect())
}

/// An address by its looks: a number, a short code or a name.
pub(super) fn address(text: &str) -> Result<PduAddress, InboundError> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if is_msisdn(digits) && digits.len() > SHORT_CODE {
        return Ok(PduAddress::new(ton::INTERNATIONAL, npi::ISDN, digits.to_owned()));
    }
    if text.is_empty() || text.len() > 20 {
        return Err(InboundError::NoAddress);
    }
    let number_type =
        if digits.bytes().all(|b| b.is_ascii_digit()) { ton::NETWORK_SPECIFIC } else { ton::ALPHANUMERIC };
    Ok(PduAddress::new(number_type, npi::UNKNOWN, text.to_owned()))
}
