//! SMS: those the outbox submits, those people send, and delivery reports.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};
use vumi_kit::{
    address::Msisdn,
    clock::Timestamp,
    sms::{Decision, InboundSms, Receipt, SmsId, Submission, TransportStatus},
};
use vumi_ssmi_codec::{ClientCommand, Coding, ReturnCode, ServerCommand};

use super::core::{Core, Shared};
use crate::outbox::{LookUp, SubmitSms};

/// What is known of SMS under way.
#[derive(Default)]
pub(super) struct SmsDesk {
    /// Sent, and not numbered by the server yet; in order, for it numbers them by person only.
    unnumbered: HashMap<Msisdn, VecDeque<Unnumbered>>,
    /// Numbers that came when nobody waited for them any more.
    late: HashMap<SmsId, Late>,
    /// Since when the account that SMS and reports belong to is not there: they wait for it.
    pub(super) no_account_since: Option<Timestamp>,
    /// For the ledger.
    pub(super) received: VecDeque<InboundSms>,
    /// For the ledger.
    pub(super) receipts: VecDeque<Receipt>,
}

struct Unnumbered {
    id: SmsId,
    sent: Instant,
    /// Where its frame ends on the wire.
    frame_end: u64,
    number: oneshot::Sender<Numbered>,
}

/// What became of a sent SMS; nothing, if the connection was lost once its frame was written.
enum Numbered {
    As(String),
    NeverWritten,
}

struct Late {
    number: String,
    came: Instant,
}

/// A sent SMS whose number is this late will get none.
const NUMBER_LIMIT: Duration = Duration::from_secs(60);
/// Late numbers are kept for the next attempt to find; so long, and so many.
const LATE_KEPT: Duration = Duration::from_secs(3600);
const MOST_LATE: usize = 10_000;

impl SmsDesk {
    pub(super) fn for_ledger(&self) -> usize {
        self.received.len() + self.receipts.len()
    }

    /// The connection is gone, written so far.
    pub(super) fn lose_link(&mut self, written: u64) {
        for waiting in self.unnumbered.drain().flat_map(|(_, queue)| queue) {
            if waiting.frame_end > written {
                // Whose time is up, nobody waits for.
                let _heard = waiting.number.send(Numbered::NeverWritten);
            }
        }
    }

    /// Gives the person's oldest SMS its number. One that nobody waits for any more takes its number all the
    /// same: it belongs to no later one, and the next attempt will ask for it.
    fn numbered(&mut self, person: &Msisdn, number: String) -> bool {
        let Some(queue) = self.unnumbered.get_mut(person) else { return false };
        while queue.front().is_some_and(|first| first.number.is_closed() && first.sent.elapsed() > NUMBER_LIMIT) {
            queue.pop_front();
        }
        let first = queue.pop_front();
        if queue.is_empty() {
            self.unnumbered.remove(person);
        }
        let Some(first) = first else { return false };
        if let Err(Numbered::As(number)) = first.number.send(Numbered::As(number)) {
            if self.late.len() >= MOST_LATE {
                return false;
            }
            self.late.insert(first.id, Late { number, came: Instant::now() });
        }
        true
    }

    fn take_late(&mut self, id: SmsId) -> Option<String> {
        self.late.remove(&id).map(|late| late.number)
    }

    /// Forgets those that got no number and that nobody waits for, and numbers that nobody asked for.
    pub(super) fn sweep(&mut self) {
        self.late.retain(|_, late| late.came.elapsed() < LATE_KEPT);
        self.unnumbered.retain(|_, queue| {
            queue.retain(|one| !(one.number.is_closed() && one.sent.elapsed() > NUMBER_LIMIT));
            !queue.is_empty()
        });
    }
}

impl Core {
    /// Sends an SMS. Answers where its number will come, and which characters were replaced.
    fn send_sms(&mut self, submission: &Submission) -> Result<(oneshot::Receiver<Numbered>, Vec<char>), Decision> {
        if !self.wire.up {
            let provider_response = format!("not connected to {}", self.settings.address());
            return Err(Decision::Retry { provider_response, unknown_outcome: false });
        }
        if !self.wire.has_room() {
            return Err(Decision::Retry {
                provider_response: "the server does not read".to_owned(),
                unknown_outcome: false,
            });
        }
        let (number, numbered) = oneshot::channel();
        let frame = ClientCommand::SendSms {
            validity: self.settings.sms_validity_min,
            msisdn: submission.to.as_str().to_owned(),
            message: submission.message.clone(),
        };
        let replaced = self.wire.frame(&frame).map_err(|bad| Decision::Rejected {
            status: TransportStatus::MessageError,
            provider_response: bad.to_string(),
        })?;
        self.signals.writable.notify_one();
        let frame_end = self.wire.framed();
        let waiting = Unnumbered { id: submission.id, sent: Instant::now(), frame_end, number };
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

    /// While the account is not there, what came for it is held as far as there is room. Reading goes on: the same
    /// connection carries people's sessions.
    fn has_room_for_ledger(&mut self) -> bool {
        let full = self.sms.no_account_since.is_some() && self.sms.for_ledger() >= self.settings.queue;
        if full {
            let hint = "as many wait for their account as `queue` allows: create it";
            self.complaints.add("SMS from people and delivery reports lost", hint);
        }
        !full
    }

    fn report(&mut self, msisdn: String, sequence: String, code: ReturnCode) {
        if self.settings.account.is_none() {
            self.complaints.add("delivery reports not kept", "set `account` to the account whose SMS they speak of");
            return;
        }
        let status = match code {
            ReturnCode::Success => TransportStatus::Delivered,
            ReturnCode::Expired => TransportStatus::Expired,
            ReturnCode::SimFull | ReturnCode::Barred | ReturnCode::Blacklisted => TransportStatus::DeliveryError,
            ReturnCode::Invalid => TransportStatus::RoutingError,
            // Kept for the operator to see; it decides nothing.
            ReturnCode::Other(_) => TransportStatus::AtGateway,
        };
        if !self.has_room_for_ledger() {
            return;
        }
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
        if !self.has_room_for_ledger() {
            return;
        }
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
pub(super) struct SmsSender(pub(super) Shared);

impl SubmitSms for SmsSender {
    async fn submit(&self, submission: &Submission) -> Decision {
        let sent = self.0.borrow_mut().send_sms(submission);
        let (numbered, replaced) = match sent {
            Ok(sent) => sent,
            Err(decision) => return decision,
        };
        match numbered.await {
            Ok(Numbered::As(number)) => accepted(number, &replaced),
            Ok(Numbered::NeverWritten) => Decision::Retry {
                provider_response: "the connection was lost before it was written".to_owned(),
                unknown_outcome: false,
            },
            Err(_) => Decision::Retry {
                provider_response: "the connection was lost before it was numbered".to_owned(),
                unknown_outcome: true,
            },
        }
    }

    /// The server can't be asked, but its answer may have come late.
    async fn look_up(&self, submission: &Submission) -> LookUp {
        let late = self.0.borrow_mut().sms.take_late(submission.id);
        late.map_or(LookUp::Unknown, |number| LookUp::Decided(accepted(number, &[])))
    }
}

fn accepted(number: String, replaced: &[char]) -> Decision {
    let provider_response = accepted_said(&number, replaced);
    Decision::Accepted { provider_response, provider_id: Some(number), status: TransportStatus::AtGateway }
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
    use tokio::{sync::oneshot, time::Instant};
    use vumi_kit::address::Msisdn;
    use vumi_ssmi_codec::Coding;

    use super::{Numbered, SmsDesk, Unnumbered, text_of};

    #[tokio::test]
    async fn what_was_never_written_whole_when_the_connection_was_lost_did_not_arrive() {
        let mut desk = SmsDesk::default();
        let person = Msisdn::parse("27831234567").unwrap();
        let mut numbers = Vec::new();
        for (id, frame_end) in [(1, 100), (2, 200)] {
            let (number, numbered) = oneshot::channel();
            let waiting = Unnumbered { id, sent: Instant::now(), frame_end, number };
            desk.unnumbered.entry(person.clone()).or_default().push_back(waiting);
            numbers.push(numbered);
        }
        desk.lose_link(199);
        assert!(matches!(numbers.pop().unwrap().await, Ok(Numbered::NeverWritten)));
        assert!(numbers.pop().unwrap().await.is_err(), "nobody knows whether the first arrived");
    }

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
