//! SMS from the outbox: the server answers each with its number (SEQ).

use tokio::sync::oneshot;
use vumi_kit::{
    sms::{Decision, Submission, TransportStatus},
    sms_options::Content,
};
use vumi_ssmi_codec::{ClientCommand, Coding, Pid};

use super::{
    sms_numbers::SmsNumber,
    state::{SharedState, SsmiState},
};
use crate::outbox::{LookUp, SubmitSms, Submitted};

/// Submits SMS over the connection.
pub(super) struct SmsSender(pub(super) SharedState);

impl SubmitSms for SmsSender {
    async fn submit(&self, submission: &Submission) -> Submitted {
        let sent = send(&mut self.0.borrow_mut(), submission);
        let (numbered, replaced) = match sent {
            Ok(sent) => sent,
            Err(decision) => return decision.into(),
        };
        let decision = match numbered.await {
            Ok(SmsNumber::Assigned(number)) => accepted(number, &replaced),
            Ok(SmsNumber::NeverWritten) => retry("the connection was lost before it was written", false),
            Err(_) => retry("the connection was lost before it was numbered", true),
        };
        decision.into()
    }

    /// The server can't be asked, but its answer may have come late.
    async fn look_up(&self, submission: &Submission) -> LookUp {
        let late = self.0.borrow_mut().numbers.take_late(submission.id);
        late.map_or(LookUp::Unknown, |number| LookUp::Decided(accepted(number, &[])))
    }
}

/// Sends an SMS. Answers where its number will come, and which characters were replaced.
fn send(state: &mut SsmiState, submission: &Submission) -> Result<(oneshot::Receiver<SmsNumber>, Vec<char>), Decision> {
    if !state.link.is_up() {
        return Err(retry(&format!("not connected to {}", state.settings.address()), false));
    }
    if state.link.frames.is_full() {
        return Err(retry("the server does not read", false));
    }
    let frame = frame(state, submission);
    let replaced = state.link.frames.add(&frame).map_err(|bad| Decision::Rejected {
        status: TransportStatus::MessageError,
        provider_response: bad.to_string(),
    })?;
    state.link.signals.writable.notify_one();
    let frame_end = state.link.frames.added();
    Ok((state.numbers.expect(&submission.to, submission.id, frame_end), replaced))
}

fn frame(state: &SsmiState, submission: &Submission) -> ClientCommand {
    let (msisdn, text) = (submission.to.as_str().to_owned(), submission.message.clone());
    let usual = state.settings.sms_validity_min;
    let validity = match submission.validity_minutes(state.clock.now()) {
        // 0 is the server's default.
        Some(asked) if usual == 0 => asked,
        Some(asked) => asked.min(usual),
        None => usual,
    };
    match submission.content {
        Content::Text | Content::Flash => ClientCommand::SendSms { validity, msisdn, message: text },
        Content::Binary { .. } | Content::Raw { .. } => {
            let (pid, coding) = (Pid::Standard, Coding::EightBit);
            ClientCommand::SendBinarySms { validity, msisdn, pid, coding, hex: text }
        }
    }
}

fn retry(why: &str, unknown_outcome: bool) -> Decision {
    Decision::Retry { provider_response: why.to_owned(), unknown_outcome }
}

fn accepted(number: String, replaced: &[char]) -> Decision {
    let mut provider_response = format!("SEQ {number}");
    if !replaced.is_empty() {
        let replaced = replaced.iter().collect::<String>();
        provider_response.push_str(&format!("; characters beyond ISO-8859-1 were replaced: {replaced}"));
    }
    Decision::Accepted { provider_response, provider_id: Some(number), status: TransportStatus::AtGateway }
}
