//! An ESME: a client of the SMPP server, over a socket of its own, with the codec and nothing else of ours.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use vumi_smpp_codec::{
    Address, Bind, BindMode, Codec, Command, CommandId, Frame, Message, MessageResp, Password, Pdu, registered_delivery,
};

use super::{DEADLINE, Harness, free_port, words};

/// Adds an SMPP server to the settings, whose SMS go over a transport; answers its port.
pub(crate) fn serve_smpp(harness: &Harness, transport: &str, more: &str) -> u16 {
    let port = free_port();
    let table = format!("\n[smpp]\nbind = \"127.0.0.1:{port}\"\ntransport = \"{transport}\"\n{more}\n");
    harness.edit(|text| text + &table);
    port
}

/// Gives an account a password for SMPP.
pub(crate) fn smpp_password(harness: &Harness, account: &str) -> String {
    let made = harness.vumi(&["account", "smpp", account]);
    assert!(made.status.success(), "{}", words(&made));
    let text = words(&made);
    text.split("shown once: ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
}

/// A socket to the server.
pub(crate) struct EsmeSocket {
    socket: TcpStream,
    codec: Codec,
    read: BytesMut,
    /// What came while something else was waited for.
    other: VecDeque<Frame>,
    sequence: u32,
}

impl EsmeSocket {
    pub(crate) fn connect(port: u16) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_nodelay(true).unwrap();
        Self { socket, codec: Codec::default(), read: BytesMut::new(), other: VecDeque::new(), sequence: 0 }
    }

    /// Connects and binds.
    pub(crate) fn bound(port: u16, mode: BindMode, system_id: &str, password: &str) -> Self {
        let mut esme = Self::connect(port);
        assert_eq!(esme.bind(mode, system_id, password), 0, "the status of the bind");
        esme
    }

    /// Binds, and answers the status.
    pub(crate) fn bind(&mut self, mode: BindMode, system_id: &str, password: &str) -> u32 {
        let bind = Bind {
            mode,
            system_id: system_id.to_owned().into(),
            password: Password(password.to_owned().into()),
            interface_version: 0x34,
            ..Bind::default()
        };
        self.ask(Pdu::Bind(Box::new(bind))).status
    }

    /// Sends a request; answers its sequence_number.
    pub(crate) fn send(&mut self, pdu: Pdu) -> u32 {
        self.sequence += 1;
        self.write(&Command { status: 0, sequence: self.sequence, pdu });
        self.sequence
    }

    /// Sends octets as they are.
    pub(crate) fn send_raw(&mut self, octets: &[u8]) {
        self.socket.write_all(octets).unwrap();
    }

    fn write(&mut self, command: &Command) {
        let mut octets = BytesMut::new();
        command.encode_into(&mut octets).unwrap();
        self.send_raw(&octets);
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn ask(&mut self, pdu: Pdu) -> Frame {
        let sequence = self.send(pdu);
        self.answer_to(sequence)
    }

    /// Waits for the answer to a request.
    pub(crate) fn answer_to(&mut self, sequence: u32) -> Frame {
        self.find(DEADLINE, |frame| frame.command.is_response() && frame.sequence == sequence).unwrap()
    }

    /// Waits for a request of the server's; none: none came within that time.
    pub(crate) fn request(&mut self, command: CommandId, within: Duration) -> Option<Frame> {
        self.find(within, |frame| frame.command == command)
    }

    fn find(&mut self, within: Duration, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        if let Some(at) = self.other.iter().position(&wanted) {
            return self.other.remove(at);
        }
        let deadline = Instant::now() + within;
        loop {
            let frame = self.next(deadline)?;
            if wanted(&frame) {
                return Some(frame);
            }
            self.other.push_back(frame);
        }
    }

    /// The next PDU; none: none came in time, or the server has closed.
    fn next(&mut self, deadline: Instant) -> Option<Frame> {
        loop {
            if let Some(frame) = self.codec.next(&mut self.read) {
                return Some(frame.unwrap());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.socket.set_read_timeout(Some(left)).unwrap();
            let mut octets = [0; 4096];
            match self.socket.read(&mut octets) {
                Ok(0) => return None,
                Ok(count) => self.read.extend_from_slice(octets.get(..count).unwrap()),
                Err(error) => {
                    let kind = error.kind();
                    let ends = [ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::ConnectionReset].contains(&kind);
                    assert!(ends, "{error}");
                    return None;
                }
            }
        }
    }

    /// Waits until the server has closed; what came before is dropped.
    pub(crate) fn wait_for_close(&mut self) {
        let deadline = Instant::now() + DEADLINE;
        while self.next(deadline).is_some() {}
        assert!(Instant::now() < deadline, "the server does not close");
    }

    /// Submits a text, and answers its message_id.
    pub(crate) fn submit(&mut self, to: &str, text: &str) -> String {
        let answer = self.ask(Pdu::SubmitSm(Box::new(message(to, text))));
        assert_eq!(answer.status, 0);
        message_id(&answer)
    }

    /// Answers a deliver_sm.
    pub(crate) fn acknowledge(&mut self, delivered: &Frame, status: u32) {
        let (sequence, pdu) = (delivered.sequence, Pdu::DeliverSmResp(MessageResp::default()));
        self.write(&Command { status, sequence, pdu });
    }

    /// The next deliver_sm.
    pub(crate) fn delivered(&mut self) -> (Frame, Message) {
        let frame = self.request(CommandId::DELIVER_SM, DEADLINE).unwrap();
        let message = match &frame.body {
            Ok(Pdu::DeliverSm(message)) => Some((**message).clone()),
            _ => None,
        };
        (frame, message.unwrap())
    }
}

/// A text to a number, with a receipt asked for.
pub(crate) fn message(to: &str, text: &str) -> Message {
    Message {
        source: Address::new(5, 0, "MYCLINIC"),
        destination: Address::new(1, 1, to.to_owned()),
        registered_delivery: registered_delivery::ALWAYS,
        short_message: text.to_owned().into(),
        ..Message::default()
    }
}

/// The message_id of an answer.
pub(crate) fn message_id(answer: &Frame) -> String {
    let id = match &answer.body {
        Ok(Pdu::SubmitSmResp(body) | Pdu::DataSmResp(body)) => Some(body.message_id.to_vec()),
        Ok(Pdu::SubmitMultiResp(body)) => Some(body.message_id.to_vec()),
        _ => None,
    };
    String::from_utf8(id.unwrap()).unwrap()
}
