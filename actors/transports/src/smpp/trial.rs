//! A trial of an SMSC: connects and binds as the transport would, asks whether the SMSC is there, submits an SMS if there
//! is one, and unbinds.

use std::{io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::{Instant, timeout, timeout_at},
};
use vumi_kit::{
    address::{Address, Msisdn},
    clock::{Clock, Timestamp},
    kind::{Problem, read_settings},
    sms::{Decision, Submission},
    sms_options::{Content, Priority},
};
use vumi_smpp_codec::{
    BadLength, BindMode, EncodeError, IncomingPdu, Message, MessageResp, OutgoingPdu, Pdu, SmppCodec, esm_class, status,
};

use super::{
    Settings,
    bind::{bind_pdu, bound, connect},
    message,
};
use crate::tls::ServerSocket;

/// How long the SMS may be delivered that a trial submits.
const VALID: Duration = Duration::from_secs(3600);

/// An SMS that a trial submits.
#[derive(Clone, Debug)]
pub struct TrialSms {
    /// Who gets it.
    pub to: Msisdn,
    /// The sender shown.
    pub from: Address,
    /// Its text.
    pub text: String,
    /// How long receipts are waited for once it is taken.
    pub listen: Duration,
}

/// What happens in a trial.
#[derive(Debug)]
pub enum TrialStep<'a> {
    /// The connection is made, TLS included.
    Connected {
        /// Host and port.
        server: &'a str,
        /// Whether it is by TLS.
        tls: bool,
    },
    /// A PDU of ours went out.
    Sent(&'a OutgoingPdu),
    /// A PDU came.
    Received(&'a IncomingPdu),
}

/// Why a trial failed. The text says what to check.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// No connection, TLS included.
    #[error("{server}: {why}")]
    Connect {
        /// Host and port.
        server: String,
        /// The cause.
        why: String,
    },
    /// No answer in time.
    #[error("no answer to {request} within {limit:?}: is it an SMSC, and does it want TLS?")]
    NoAnswer {
        /// The request's name.
        request: &'static str,
        /// How long was waited.
        limit: Duration,
    },
    /// The connection was closed while an answer was waited for.
    #[error(
        "the SMSC closed the connection instead of answering {0}: it may let in certain addresses only, or want TLS"
    )]
    Closed(&'static str),
    /// The answer refuses.
    #[error("{0}")]
    Refused(String),
    /// What came is not SMPP.
    #[error("what came is no SMPP: {0}")]
    NoSmpp(#[from] BadLength),
    /// A field is longer than SMPP allows.
    #[error("{0}")]
    Encode(#[from] EncodeError),
    /// The connection failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The SMS can't be written as PDUs.
    #[error("the SMS can't be sent: {0}")]
    Sms(String),
}

/// The trial of one SMSC.
pub struct SmppTrial {
    settings: Settings,
}

impl SmppTrial {
    /// With the settings of a transport of the kind `smpp`, without `kind`; what is wrong with them.
    pub fn read(settings: &Value) -> Result<Self, Vec<Problem>> {
        let settings: Settings = read_settings(settings).map_err(|problem| vec![problem])?;
        let problems = settings.check();
        if problems.is_empty() { Ok(Self { settings }) } else { Err(problems) }
    }

    pub(super) const fn of(settings: Settings) -> Self {
        Self { settings }
    }

    /// Binds each connection of a session as the settings say; what `vumi check --connect` says of it.
    pub(super) async fn try_connect(self) -> Result<String, String> {
        for mode in self.settings.bind.modes() {
            self.run(*mode, None, &mut |_| {}).await.map_err(|error| error.to_string())?;
        }
        let how = if self.settings.tls { ", by TLS" } else { "" };
        Ok(format!("{}: bound and unbound{how}", self.settings.address()))
    }

    /// Runs to the end; each step is shown as it happens. SMS of people and receipts of other SMS are put off: the SMSC sends
    /// them again.
    pub async fn run(
        &self,
        mode: BindMode,
        sms: Option<&TrialSms>,
        show: &mut dyn FnMut(TrialStep<'_>),
    ) -> Result<(), TrialError> {
        let server = self.settings.address();
        let limit = self.settings.connect_limit;
        let no_way = |why: String| TrialError::Connect { server: server.clone(), why };
        let stream = timeout(limit, connect(&self.settings)).await;
        let stream =
            stream.map_err(|_| no_way(format!("no connection within {limit:?}: does a firewall keep it away?")))?;
        let stream = stream.map_err(no_way)?;
        show(TrialStep::Connected { server: &server, tls: self.settings.tls });
        let mut trial = TrialSession {
            stream,
            codec: SmppCodec::default(),
            buffer: BytesMut::new(),
            sequence: 0,
            ids: Vec::new(),
            show,
        };
        let limit = self.settings.bind_limit;
        let answer = trial.ask("the bind", bind_pdu(&self.settings, mode), limit).await?;
        bound(answer.status).map_err(|end| TrialError::Refused(end.why))?;
        trial.ask("enquire_link", Pdu::EnquireLink, limit).await?;
        if let Some(sms) = sms {
            self.submit(&mut trial, sms).await?;
        }
        trial.ask("unbind", Pdu::Unbind, limit).await.map(drop)
    }

    async fn submit(&self, trial: &mut TrialSession<'_>, sms: &TrialSms) -> Result<(), TrialError> {
        let now = Clock::system().now();
        let messages = message::of(&self.settings, &submission(sms, now), now).map_err(|decision| {
            TrialError::Sms(match decision {
                Decision::Rejected { provider_response, .. } => provider_response,
                other => format!("{other:?}"),
            })
        })?;
        let mut refused = None;
        for message in messages {
            let answer = trial.ask("submit_sm", Pdu::SubmitSm(Box::new(message)), self.settings.outbox.call_limit);
            let answer = answer.await?;
            if answer.status != status::ESME_ROK {
                refused = Some(super::statuses::in_words(answer.status));
                break;
            }
            if let Ok(Pdu::SubmitSmResp(MessageResp { message_id, .. })) = answer.body {
                trial.ids.push(message_id);
            }
        }
        let until = Instant::now() + sms.listen;
        while refused.is_none()
            && let Some(frame) = trial.next_until(until).await?
        {
            trial.respond(&frame).await?;
        }
        refused.map_or(Ok(()), |why| Err(TrialError::Refused(format!("the SMS was refused: {why}"))))
    }
}

/// A submission that no ledger has.
fn submission(sms: &TrialSms, now: Timestamp) -> Submission {
    Submission {
        id: now.micros() / 1_000_000,
        to: sms.to.clone(),
        from: sms.from.clone(),
        message: sms.text.clone(),
        content: Content::Text,
        segments: 1,
        priority: Priority::Normal,
        reference: None,
        attempts: 0,
        unknown_outcomes: 0,
        due_at: now,
        lease_until: now.plus(VALID),
        parts: Vec::new(),
        give_up_at: now.plus(VALID),
        limited: true,
        begun: true,
        renewed: false,
        claim_token: Arc::from(""),
    }
}

struct TrialSession<'s> {
    stream: Box<dyn ServerSocket>,
    codec: SmppCodec,
    buffer: BytesMut,
    sequence: u32,
    /// The ids of what it submitted.
    ids: Vec<Bytes>,
    show: &'s mut dyn FnMut(TrialStep<'_>),
}

impl TrialSession<'_> {
    async fn send(&mut self, status: u32, sequence: u32, pdu: Pdu) -> Result<(), TrialError> {
        let command = OutgoingPdu { status, sequence, pdu };
        let mut out = BytesMut::new();
        command.encode_into(&mut out)?;
        (self.show)(TrialStep::Sent(&command));
        self.stream.write_all(&out).await?;
        Ok(self.stream.flush().await?)
    }

    /// The next PDU; none when the time is over or the connection closed.
    async fn next_until(&mut self, until: Instant) -> Result<Option<IncomingPdu>, TrialError> {
        loop {
            if let Some(frame) = self.codec.next(&mut self.buffer).transpose()? {
                (self.show)(TrialStep::Received(&frame));
                return Ok(Some(frame));
            }
            match timeout_at(until, self.stream.read_buf(&mut self.buffer)).await {
                Err(_) | Ok(Ok(0)) => return Ok(None),
                Ok(read) => read?,
            };
        }
    }

    /// Sends a request and waits for its answer; other requests of the SMSC are answered in between.
    async fn ask(&mut self, request: &'static str, pdu: Pdu, limit: Duration) -> Result<IncomingPdu, TrialError> {
        self.sequence += 1;
        self.send(status::ESME_ROK, self.sequence, pdu).await?;
        let until = Instant::now() + limit;
        while let Some(frame) = self.next_until(until).await? {
            if frame.command.is_response() && frame.sequence == self.sequence {
                return Ok(frame);
            }
            self.respond(&frame).await?;
        }
        let in_time = Instant::now() < until;
        Err(if in_time { TrialError::Closed(request) } else { TrialError::NoAnswer { request, limit } })
    }

    /// Answers a request of the SMSC.
    async fn respond(&mut self, frame: &IncomingPdu) -> Result<(), TrialError> {
        let Some(pdu) = Pdu::bare_response(frame.command) else { return Ok(()) };
        let status = match &frame.body {
            Err(fault) => fault.status(),
            Ok(Pdu::EnquireLink | Pdu::Unbind) => status::ESME_ROK,
            Ok(Pdu::DeliverSm(message)) if self.is_ours(message) => status::ESME_ROK,
            Ok(Pdu::DeliverSm(_) | Pdu::DataSm(_)) => status::ESME_RX_T_APPN,
            Ok(_) => status::ESME_RINVCMDID,
        };
        self.send(status, frame.sequence, pdu).await
    }

    /// Whether it is a receipt of what this trial submitted.
    fn is_ours(&self, message: &Message) -> bool {
        let names = |id: &Bytes| !id.is_empty() && message.octets().windows(id.len()).any(|octets| octets == id);
        esm_class::is_receipt(message.esm_class) && self.ids.iter().any(names)
    }
}
