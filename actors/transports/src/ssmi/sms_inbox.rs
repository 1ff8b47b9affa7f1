//! SMS from people and delivery reports, until the ledger has them.

use std::{collections::VecDeque, rc::Rc};

use vumi_kit::{
    address::{Address, Msisdn},
    clock::Timestamp,
    sms::{InboundSms, Receipt, TransportStatus},
};
use vumi_ssmi_codec::{Coding, ReturnCode, ServerCommand};

use super::{Settings, server_link::ServerLink};

/// See the module.
pub(super) struct SmsInbox {
    settings: Rc<Settings>,
    /// Since when the account is missing to which SMS and reports belong: they wait for it.
    pub(super) no_account_since: Option<Timestamp>,
    pub(super) received: VecDeque<InboundSms>,
    pub(super) receipts: VecDeque<Receipt>,
}

impl SmsInbox {
    pub(super) fn new(settings: Rc<Settings>) -> Self {
        Self { settings, no_account_since: None, received: VecDeque::new(), receipts: VecDeque::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.received.len() + self.receipts.len()
    }

    /// Whether more may be read. While the account is missing reading goes on, for the same connection carries people's
    /// sessions; what exceeds `queue` is lost then.
    pub(super) fn lets_read(&self) -> bool {
        self.no_account_since.is_some() || self.len() < self.settings.queue
    }

    /// Takes an SMS from a person or a delivery report; other commands are none of its business.
    pub(super) fn on_command(&mut self, command: ServerCommand, link: &mut ServerLink, now: Timestamp) {
        match command {
            ServerCommand::DeliveryReport { msisdn, sequence, code } => self.report(msisdn, sequence, code, link),
            ServerCommand::Mo { msisdn, sequence, message } => {
                self.receive(&msisdn, sequence, None, message, link, now);
            }
            ServerCommand::PremiumMo { msisdn, sequence, destination, message } => {
                self.receive(&msisdn, sequence, Some(&destination), message, link, now);
            }
            ServerCommand::BinaryMo { msisdn, sequence, coding, hex, .. } => {
                self.receive(&msisdn, sequence, None, text_of(coding, hex), link, now);
            }
            ServerCommand::PremiumBinaryMo { msisdn, sequence, coding, destination, hex, .. } => {
                self.receive(&msisdn, sequence, Some(&destination), text_of(coding, hex), link, now);
            }
            _ => {}
        }
    }

    fn is_full(&self, link: &mut ServerLink) -> bool {
        let full = self.no_account_since.is_some() && self.len() >= self.settings.queue;
        if full {
            let hint = "as many wait for their account as `queue` allows: create it";
            link.faults.record("SMS from people and delivery reports lost", hint);
        }
        full
    }

    fn report(&mut self, msisdn: String, sequence: String, code: ReturnCode, link: &mut ServerLink) {
        if self.settings.account.is_none() {
            let hint = "set `account` to the account whose SMS they speak of";
            link.faults.record("delivery reports not kept", hint);
            return;
        }
        if self.is_full(link) {
            return;
        }
        self.receipts.push_back(Receipt {
            provider_id: Some(sequence.clone()),
            to: Msisdn::parse(&msisdn).ok(),
            provider_status: Some(u32::from(code).to_string()),
            ..Receipt::new(
                status_of(code),
                vec![
                    ("msisdn".to_owned(), msisdn),
                    ("sequence".to_owned(), sequence),
                    ("return_code".to_owned(), u32::from(code).to_string()),
                ],
            )
        });
        link.signals.ledger.notify_one();
    }

    fn receive(
        &mut self,
        msisdn: &str,
        sequence: String,
        destination: Option<&str>,
        message: String,
        link: &mut ServerLink,
        now: Timestamp,
    ) {
        let Ok(from) = Address::inbound(msisdn) else {
            link.faults.record("malformed frames skipped", "an SMS without a sender");
            return;
        };
        let to = destination.and_then(|to| Address::inbound(to).ok()).or_else(|| self.settings.short_code.clone());
        let (Some(to), Some(_)) = (to, &self.settings.account) else {
            link.faults.record(
                "SMS from people not kept",
                "set `account` to the account they are for, and `short_code` to the number people write to",
            );
            return;
        };
        if self.is_full(link) {
            return;
        }
        let charset = Some("ISO-8859-1".to_owned());
        self.received.push_back(InboundSms {
            from,
            to,
            message,
            charset,
            provider_id: Some(sequence),
            at: Some(now),
            part: None,
        });
        link.signals.ledger.notify_one();
    }
}

fn status_of(code: ReturnCode) -> TransportStatus {
    match code {
        ReturnCode::Success => TransportStatus::Delivered,
        ReturnCode::Expired => TransportStatus::Expired,
        ReturnCode::SimFull | ReturnCode::Barred | ReturnCode::Blacklisted => TransportStatus::DeliveryError,
        ReturnCode::Invalid => TransportStatus::RoutingError,
        // Kept for the operator to see; it decides nothing.
        ReturnCode::Other(_) => TransportStatus::AtGateway,
    }
}

/// The text of a binary SMS whose bytes are printable characters; otherwise its hex digits.
fn text_of(coding: Coding, hex: String) -> String {
    let shown = |byte: u8| matches!(byte, b'\n' | b' '..=b'~') || (coding == Coding::EightBit && byte >= 0xa0);
    let byte = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    if !matches!(coding, Coding::SevenBit | Coding::EightBit) || !hex.len().is_multiple_of(2) {
        return hex;
    }
    let text: Option<String> =
        hex.as_bytes().chunks(2).map(|pair| byte(pair).filter(|&byte| shown(byte)).map(char::from)).collect();
    text.filter(|text| !text.is_empty()).unwrap_or(hex)
}

#[cfg(test)]
mod tests {
    use vumi_ssmi_codec::Coding;

    use super::text_of;

    #[test]
    fn a_binary_sms_is_read_where_it_is_text_and_kept_as_hex_where_not() {
        for (coding, hex, text) in [
            (Coding::SevenBit, "48656c6c6f", "Hello"),
            (Coding::EightBit, "6372e86d65", "crème"),
            (Coding::SevenBit, "6372e86d65", "6372e86d65"),
            (Coding::EightBit, "0003ff", "0003ff"),
            (Coding::Other(8), "0041", "0041"),
            (Coding::EightBit, "abc", "abc"),
            (Coding::EightBit, "é1", "é1"),
            (Coding::EightBit, "", ""),
        ] {
            assert_eq!(text_of(coding, hex.to_owned()), text, "{hex}");
        }
    }
}
