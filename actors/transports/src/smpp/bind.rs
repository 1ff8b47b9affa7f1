//! The way into a session: connected, bound, or refused and why.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use secrecy::ExposeSecret;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
};
use vumi_smpp_codec::{Bind, BindMode, BindPassword, CommandId, IncomingPdu, OutgoingPdu, Pdu, SmppCodec, status};

use super::{Settings, statuses::in_words};
use crate::tls::{ServerSocket, secured};

pub(super) type PduSource = ReadHalf<Box<dyn ServerSocket>>;
pub(super) type PduSink = WriteHalf<Box<dyn ServerSocket>>;

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// The number of the bind.
const BIND_SEQUENCE: u32 = 1;

/// Why a connection is not bound any more, or never was.
pub(super) struct SessionEnd {
    pub(super) why: String,
    pub(super) cause: EndCause,
    /// How long it was bound.
    pub(super) served: Duration,
}

/// When it is to be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndCause {
    /// Soon, and then less and less soon.
    Temporary,
    /// The SMSC still has our last session.
    AlreadyBound,
    /// Somebody must mend the account or the settings. SMSC lock accounts that knock too often.
    Refused,
}

impl SessionEnd {
    pub(super) fn never_up(why: impl Into<String>) -> Self {
        Self { why: why.into(), cause: EndCause::Temporary, served: Duration::ZERO }
    }
}

/// Connects, by TLS where the settings say so.
pub(super) async fn connect(settings: &Settings) -> Result<Box<dyn ServerSocket>, String> {
    let can_not = |error: io::Error| format!("can't connect: {error}");
    let stream = TcpStream::connect(settings.address()).await.map_err(can_not)?;
    // PDUs are written together already; the kernel need not wait for more.
    stream.set_nodelay(true).map_err(can_not)?;
    secured(settings.tls_target(), stream).await.map_err(|why| format!("can't connect: {why}"))
}

/// The bind that the settings ask for.
pub(super) fn bind_pdu(settings: &Settings, mode: BindMode) -> Pdu {
    let octets = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Pdu::Bind(Box::new(Bind {
        mode,
        system_id: octets(&settings.system_id),
        password: BindPassword(octets(settings.password.expose_secret())),
        system_type: octets(&settings.system_type),
        interface_version: settings.version.number(),
        addr_ton: 0,
        addr_npi: 0,
        address_range: octets(&settings.address_range),
    }))
}

/// Binds; an error says why not. Before the answer the SMSC may only ask whether we are there.
pub(super) async fn bind(
    settings: &Settings,
    mode: BindMode,
    reader: &mut PduReader,
    write: &mut PduSink,
) -> Result<(), SessionEnd> {
    let refused = |why: String| SessionEnd { why, cause: EndCause::Refused, served: Duration::ZERO };
    write_one(write, 0, BIND_SEQUENCE, bind_pdu(settings, mode)).await?;
    loop {
        let frame = reader.next().await.map_err(|why| SessionEnd::never_up(format!("can't bind: {why}")))?;
        match (frame.command, frame.sequence) {
            (CommandId::ENQUIRE_LINK, sequence) => write_one(write, 0, sequence, Pdu::EnquireLinkResp).await?,
            (CommandId::GENERIC_NACK, _) => {
                let hint = "the SMSC does not know this kind of bind: set `bind` to `transmitter_and_receiver`";
                return Err(refused(format!("{hint} ({})", in_words(frame.status))));
            }
            (command, BIND_SEQUENCE) if command.is_response() => return bound(frame.status),
            // Such as outbind.
            _ => {}
        }
    }
}

/// What the answer to a bind says.
pub(super) fn bound(code: u32) -> Result<(), SessionEnd> {
    let said = in_words(code);
    let end = |why: String, cause| Err(SessionEnd { why, cause, served: Duration::ZERO });
    match code {
        status::ESME_ROK => Ok(()),
        status::ESME_RALYBND => end(format!("the SMSC still has our last session: {said}"), EndCause::AlreadyBound),
        status::ESME_RBINDFAIL => {
            let hint =
                "check `system_id` and `password`, how many sessions the account may have, and from which address";
            end(format!("the bind was refused: {said}; {hint}"), EndCause::Refused)
        }
        status::ESME_RINVPASWD | status::ESME_RINVSYSID => {
            end(format!("the bind was refused: {said}; check `system_id` and `password`"), EndCause::Refused)
        }
        status::ESME_RINVSYSTYP => end(format!("the bind was refused: {said}; check `system_type`"), EndCause::Refused),
        status::ESME_RINVBNDSTS
        | status::ESME_RSERTYPUNAUTH
        | status::ESME_RPROHIBITED
        | status::ESME_RSERTYPUNAVAIL
        | status::ESME_RSERTYPDENIED => end(format!("the bind was refused: {said}; check `bind`"), EndCause::Refused),
        _ => end(format!("the bind was put off: {said}"), EndCause::Temporary),
    }
}

async fn write_one(write: &mut PduSink, code: u32, sequence: u32, pdu: Pdu) -> Result<(), SessionEnd> {
    let mut out = BytesMut::new();
    let encoded = OutgoingPdu { status: code, sequence, pdu }.encode_into(&mut out);
    encoded.map_err(|error| SessionEnd::never_up(format!("can't bind: {error}")))?;
    let written = async {
        write.write_all(&out).await?;
        write.flush().await
    };
    written.await.map_err(|error: io::Error| SessionEnd::never_up(format!("can't bind: {error}")))
}

/// Reads PDUs from a connection.
pub(super) struct PduReader {
    read: PduSource,
    pub(super) codec: SmppCodec,
    pub(super) buffer: BytesMut,
}

impl PduReader {
    pub(super) fn new(read: PduSource) -> Self {
        Self { read, codec: SmppCodec::default(), buffer: BytesMut::with_capacity(CHUNK) }
    }

    /// Reads what has come into the buffer; an error says why there is no more.
    pub(super) async fn more(&mut self) -> Result<(), String> {
        self.buffer.reserve(CHUNK);
        match self.read.read_buf(&mut self.buffer).await {
            Ok(0) => Err("the SMSC closed the connection".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn next(&mut self) -> Result<IncomingPdu, String> {
        loop {
            match self.codec.next(&mut self.buffer) {
                Some(Ok(frame)) => return Ok(frame),
                Some(Err(bad)) => return Err(bad.to_string()),
                None => self.more().await?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{EndCause, bound};

    #[test]
    fn answers_to_a_bind_are_told_apart() {
        for (codes, cause) in [
            (&[0x0D, 0x0E, 0x0F, 0x53, 0x04, 0x100, 0x101, 0x102, 0x103][..], EndCause::Refused),
            (&[0x05], EndCause::AlreadyBound),
            (&[0x58, 0x14, 0x08, 0x64, 0xFF, 0x400], EndCause::Temporary),
        ] {
            for code in codes {
                assert_eq!(bound(*code).err().map(|end| end.cause), Some(cause), "0x{code:X}");
            }
        }
        assert!(bound(0).is_ok());
    }
}
