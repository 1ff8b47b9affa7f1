//! PDUs as lines for an operator, who may hand them on: no password, number or text is in them.

use std::{fmt::Write as _, time::Instant};

use vumi_smpp_codec::{BindMode, CommandId, IncomingPdu, Message, OutgoingPdu, Pdu, PduAddress, Tlvs, status, tag};
use vumi_transports::TrialStep;

/// Prints what happens, with the time since the start.
pub(super) struct Printer {
    begun: Instant,
}

impl Printer {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now() }
    }

    #[expect(clippy::print_stdout, reason = "what the command is for")]
    pub(super) fn print(&mut self, step: &TrialStep<'_>) {
        println!("{:>6} ms  {}", self.begun.elapsed().as_millis(), line(step));
    }
}

fn line(step: &TrialStep<'_>) -> String {
    match step {
        TrialStep::Connected { server, tls } => format!("connected to {server}{}", if *tls { ", TLS" } else { "" }),
        TrialStep::Sent(OutgoingPdu { status, sequence, pdu }) => {
            let head = head("->", pdu.command_id(), *sequence, *status);
            format!("{head}{}", fields(pdu))
        }
        TrialStep::Received(IncomingPdu { command, status, sequence, body }) => {
            let head = head("<-", *command, *sequence, *status);
            match body {
                Ok(pdu) => format!("{head}{}", fields(pdu)),
                Err(fault) => format!("{head}  can't be read: {fault}"),
            }
        }
    }
}

fn head(arrow: &str, command: CommandId, sequence: u32, code: u32) -> String {
    let mut head = format!("{arrow} {:<21}  seq {sequence}", name(command));
    if command.is_response() || code != status::ESME_ROK {
        let _written_to_a_string = write!(head, "  {code:#04x} {}", status::name(code));
        if code != status::ESME_ROK && !status::meaning(code).is_empty() {
            let _written_to_a_string = write!(head, " ({})", status::meaning(code));
        }
    }
    head
}

/// The specification's name of a command.
fn name(command: CommandId) -> String {
    let known = [
        (CommandId::BIND_RECEIVER, "bind_receiver"),
        (CommandId::BIND_TRANSMITTER, "bind_transmitter"),
        (CommandId::BIND_TRANSCEIVER, "bind_transceiver"),
        (CommandId::BIND_RECEIVER_RESP, "bind_receiver_resp"),
        (CommandId::BIND_TRANSMITTER_RESP, "bind_transmitter_resp"),
        (CommandId::BIND_TRANSCEIVER_RESP, "bind_transceiver_resp"),
        (CommandId::OUTBIND, "outbind"),
        (CommandId::SUBMIT_SM, "submit_sm"),
        (CommandId::SUBMIT_SM_RESP, "submit_sm_resp"),
        (CommandId::DELIVER_SM, "deliver_sm"),
        (CommandId::DELIVER_SM_RESP, "deliver_sm_resp"),
        (CommandId::DATA_SM, "data_sm"),
        (CommandId::DATA_SM_RESP, "data_sm_resp"),
        (CommandId::UNBIND, "unbind"),
        (CommandId::UNBIND_RESP, "unbind_resp"),
        (CommandId::ENQUIRE_LINK, "enquire_link"),
        (CommandId::ENQUIRE_LINK_RESP, "enquire_link_resp"),
        (CommandId::ALERT_NOTIFICATION, "alert_notification"),
        (CommandId::GENERIC_NACK, "generic_nack"),
    ];
    let found = known.into_iter().find(|(id, _)| *id == command).map(|(_, name)| name.to_owned());
    found.unwrap_or_else(|| format!("command {:#010x}", command.0))
}

fn fields(pdu: &Pdu) -> String {
    match pdu {
        Pdu::Bind(bind) => {
            let password = if bind.password.0.is_empty() { "none" } else { "***" };
            let version = bind.interface_version;
            let mode = match bind.mode {
                BindMode::Transceiver => "both ways",
                BindMode::Transmitter => "sends",
                BindMode::Receiver => "receives",
            };
            format!(
                "  {mode}, system_id={}, password={password}, interface_version={version:#04x}",
                octets(&bind.system_id)
            )
        }
        Pdu::BindResp(resp) => format!("  system_id={}{}", octets(&resp.system_id), tlvs(&resp.tlvs)),
        Pdu::SubmitSm(message) | Pdu::DeliverSm(message) => message_fields(message),
        Pdu::SubmitSmResp(resp) | Pdu::DeliverSmResp(resp) | Pdu::DataSmResp(resp) if !resp.message_id.is_empty() => {
            format!("  message_id={}{}", octets(&resp.message_id), tlvs(&resp.tlvs))
        }
        Pdu::DataSm(data) => {
            format!("  from {} to {}{}", address(&data.source), address(&data.destination), tlvs(&data.tlvs))
        }
        _ => String::new(),
    }
}

fn message_fields(message: &Message) -> String {
    format!(
        "  from {} to {}, esm_class={:#04x}, data_coding={}, registered_delivery={}, {} octets of text{}",
        address(&message.source),
        address(&message.destination),
        message.esm_class,
        message.data_coding,
        message.registered_delivery,
        message.octets().len(),
        tlvs(&message.tlvs),
    )
}

/// Type, plan and the first digits: which country and network, and not who.
fn address(address: &PduAddress) -> String {
    let text = octets(&address.addr);
    let known: String = text.chars().take(if text.chars().count() > 6 { 5 } else { 6 }).collect();
    let hidden = "*".repeat(text.chars().count() - known.chars().count());
    format!("{}/{}/{known}{hidden}", address.ton, address.npi)
}

/// The tags, and the values that tell of nobody.
fn tlvs(tlvs: &Tlvs) -> String {
    tlvs.iter().fold(String::new(), |mut line, tlv| {
        let _written_to_a_string = match tlv.tag {
            tag::SC_INTERFACE_VERSION | tag::MESSAGE_STATE => {
                write!(line, ", {:#06x}={:#04x}", tlv.tag, tlvs.integer(tlv.tag).unwrap_or_default())
            }
            tag::RECEIPTED_MESSAGE_ID => {
                write!(line, ", {:#06x}={}", tlv.tag, octets(tlvs.c_string(tlv.tag).unwrap_or_default()))
            }
            other => write!(line, ", {other:#06x} of {} octets", tlv.value.len()),
        };
        line
    })
}

fn octets(octets: &[u8]) -> String {
    octets.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use vumi_smpp_codec::{Bind, BindPassword, IncomingPdu, Message, OutgoingPdu, Pdu, PduAddress, status};
    use vumi_transports::TrialStep;

    use super::line;

    #[test]
    fn a_line_names_what_came_and_neither_password_number_nor_text() {
        let bind = Bind { system_id: "acme".into(), password: BindPassword("hunter2".into()), ..Bind::default() };
        let bind = OutgoingPdu { status: 0, sequence: 1, pdu: Pdu::Bind(Box::new(bind)) };
        let shown = line(&TrialStep::Sent(&bind));
        assert!(
            shown.contains("bind_transceiver") && shown.contains("system_id=acme") && shown.contains("***"),
            "{shown}"
        );
        assert!(!shown.contains("hunter2"));
        let message = Message {
            source: PduAddress::new(1, 1, "27831234567"),
            destination: PduAddress::new(3, 0, "38080"),
            short_message: "a secret".into(),
            ..Message::default()
        };
        let pdu = Pdu::DeliverSm(Box::new(message));
        let frame = IncomingPdu { command: pdu.command_id(), status: 0, sequence: 7, body: Ok(pdu) };
        let shown = line(&TrialStep::Received(&frame));
        assert!(shown.contains("from 1/1/27831****** to 3/0/38080") && shown.contains("8 octets"), "{shown}");
        assert!(!shown.contains("234567") && !shown.contains("secret"), "{shown}");
        let pdu = Pdu::GenericNack;
        let frame =
            IncomingPdu { command: pdu.command_id(), status: status::ESME_RINVCMDID, sequence: 7, body: Ok(pdu) };
        assert!(line(&TrialStep::Received(&frame)).ends_with("0x03 ESME_RINVCMDID (The command id is not known)"));
    }
}
