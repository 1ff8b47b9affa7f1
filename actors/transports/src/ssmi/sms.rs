//! SMS: those the outbox submits, those people send, and delivery reports.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};
use vumi_kit::{
    address::Msisdn,
    sms::{Decision, InboundSms, Receipt, Submission, TransportStatus},
    ssmi::{ClientCommand, Coding, ReturnCode, ServerCommand},
};

use super::core::{Core, Shared};
use crate::outbox::Provider;

/// What is known of SMS under way.
#[derive(Default)]
pub(super) struct SmsDesk {
    /// Sent, and not numbered by the server yet; in order, for it numbers them by person only.
    unnumbered: HashMap<Msisdn, VecDeque<Unnumbered>>,
    /// For the ledger.
    pub(super) received: VecDeque<InboundSms>,
    /// For the ledger.
    pub(super) receipts: VecDeque<Receipt>,
}

struct Unnumbered {
    sent: Instant,
    number: oneshot::Sender<String>,
}

/// A sent SMS whose number is this late will get none.
const NUMBER_LIMIT: Duration = Duration::from_secs(60);

impl SmsDesk {
    pub(super) fn for_ledger(&self) -> usize {
        self.received.len() + self.receipts.len()
    }

    pub(super) fn lose_link(&mut self) {
        self.unnumbered.clear();
    }

    /// Gives the person's oldest SMS its number. One that nobody waits for any more takes its number all the
    /// same: it belongs to no later one.
    fn numbered(&mut self, person: &Msisdn, number: String) -> bool {
        let Some(queue) = self.unnumbered.get_mut(person) else { return false };
        while queue.front().is_some_and(|first| first.number.is_closed() && first.sent.elapsed() > NUMBER_LIMIT) {
            queue.pop_front();
        }
        let first = queue.pop_front();
        if queue.is_empty() {
            self.unnumbered.remove(person);
        }
        first.is_some_and(|first| first.number.send(number).is_ok())
    }

    /// Forgets those that got no number and that nobody waits for.
    pub(super) fn sweep(&mut self) {
        self.unnumbered.retain(|_, queue| {
            queue.retain(|one| !(one.number.is_closed() && one.sent.elapsed() > NUMBER_LIMIT));
            !queue.is_empty()
        });
    }
}

impl Core {
    /// Sends an SMS. Answers where its number will come, and which characters were replaced.
    fn send_sms(&mut self, submission: &Submission) -> Result<(oneshot::Receiver<String>, Vec<char>), Decision> {
        if !self.wire.up {
            let said = format!("not connected to {}", self.settings.address());
            return Err(Decision::Retry { said, unsure: false });
        }
        if !self.wire.has_room() {
            return Err(Decision::Retry { said: "the server does not read".to_owned(), unsure: false });
        }
        let (number, numbered) = oneshot::channel();
        let replaced = self.say(&ClientCommand::SendSms {
            validity: self.settings.sms_validity_min,
            msisdn: submission.to.as_str().to_owned(),
            message: submission.message.clone(),
        });
        let waiting = Unnumbered { sent: Instant::now(), number };
        self.sms.unnumbered.entry(submission.to.clone()).or_default().push_back(waiting);
        Ok((numbered, replaced))
    }

    pub(super) fn hear_sms(&mut self, command: ServerCommand) {
        match command {
            ServerCommand::Seq { msisdn, sequence } => {
                let known = Msisdn::parse(&msisdn).is_ok_and(|person| self.sms.numbered(&person, sequence));
                if !known {
                    self.complaints.add("SEQs that belong to no SMS", "it was sent before, or came too late");
                }
            }
            ServerCommand::DeliveryReport { msisdn, sequence, code } => self.report(msisdn, sequence, code),
            ServerCommand::Mo { msisdn, sequence, message } => self.receive(&msisdn, sequence, None, message),
            ServerCommand::PremiumMo { msisdn, sequence, destination, message } => {
                self.receive(&msisdn, sequence, Some(&destination), message);
            }
            ServerCommand::BinaryMo { msisdn, sequence, coding, hex, .. } => {
                self.receive(&msisdn, sequence, None, text_of(coding, hex));
            }
            ServerCommand::PremiumBinaryMo { msisdn, sequence, coding, destination, hex, .. } => {
                self.receive(&msisdn, sequence, Some(&destination), text_of(coding, hex));
            }
            _ => {}
        }
    }

    fn report(&mut self, msisdn: String, sequence: String, code: ReturnCode) {
        if self.settings.account.is_none() {
            self.complaints.add("delivery reports not kept", "set `account` to the account whose SMS they speak of");
            return;
        }
        let status = match code {
            ReturnCode::Success => TransportStatus::DELIVERED,
            ReturnCode::Expired => TransportStatus::EXPIRED,
            ReturnCode::SimFull | ReturnCode::Barred | ReturnCode::Blacklisted => TransportStatus::DELIVERY_ERROR,
            ReturnCode::Invalid => TransportStatus::ROUTING_ERROR,
            // Kept for the operator to see; it decides nothing.
            ReturnCode::Other(_) => TransportStatus::AT_GATEWAY,
        };
        self.sms.receipts.push_back(Receipt {
            provider_id: Some(sequence.clone()),
            sms: None,
            to: Msisdn::parse(&msisdn).ok(),
            status,
            at: None,
            fields: vec![
                ("msisdn".to_owned(), msisdn),
                ("sequence".to_owned(), sequence),
                ("return_code".to_owned(), u32::from(code).to_string()),
            ],
        });
        self.signals.ledger.notify_one();
    }

    fn receive(&mut self, msisdn: &str, sequence: String, destination: Option<&str>, message: String) {
        let Ok(from) = Msisdn::parse(msisdn) else {
            self.complaints.add("malformed frames skipped", "an SMS without a valid MSISDN");
            return;
        };
        let to = destination.and_then(|to| Msisdn::parse(to).ok()).or_else(|| self.settings.short_code.clone());
        let (Some(to), Some(_)) = (to, &self.settings.account) else {
            self.complaints.add(
                "SMS from people not kept",
                "set `account` to the account they are for, and `short_code` to the number people write to",
            );
            return;
        };
        let at = Some(self.clock.now());
        let charset = Some("ISO-8859-1".to_owned());
        self.sms.received.push_back(InboundSms { from, to, message, charset, provider_id: Some(sequence), at });
        self.signals.ledger.notify_one();
    }
}

/// The text of a binary SMS, where it is one: a character in each byte. Otherwise its hex digits.
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

/// The transport as a provider of SMS: the server answers a submission with its number (SEQ).
pub(super) struct Desk(pub(super) Shared);

impl Provider for Desk {
    async fn submit(&self, submission: &Submission) -> Decision {
        let sent = self.0.borrow_mut().send_sms(submission);
        let (numbered, replaced) = match sent {
            Ok(sent) => sent,
            Err(decision) => return decision,
        };
        match numbered.await {
            Ok(number) => Decision::Accepted {
                said: accepted_said(&number, &replaced),
                provider_id: Some(number),
                status: TransportStatus::AT_GATEWAY,
            },
            Err(_) => {
                Decision::Retry { said: "the connection was lost before it was numbered".to_owned(), unsure: true }
            }
        }
    }
}

fn accepted_said(number: &str, replaced: &[char]) -> String {
    if replaced.is_empty() {
        return format!("SEQ {number}");
    }
    let replaced = replaced.iter().collect::<String>();
    format!("SEQ {number}; characters beyond ISO-8859-1 were replaced: {replaced}")
}

#[cfg(test)]
mod tests {
    use vumi_kit::ssmi::Coding;

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
