//! The broker's errors in words that say what to do.

use lapin::{
    Error, ErrorKind,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
};

/// What went wrong, and what to do about it.
pub(super) fn explain(error: &Error) -> String {
    let advice = match error.kind() {
        ErrorKind::ProtocolError(said) => advice(said.kind(), said.get_message().as_str()),
        ErrorKind::IOError(_) => {
            Some("is the broker running, and can it be reached under `amqp.host` and `amqp.port`?")
        }
        ErrorKind::MissingHeartbeatError => Some("the broker or the network between stands still"),
        _ => None,
    };
    match advice {
        Some(advice) => format!("{error}: {advice}"),
        None => error.to_string(),
    }
}

fn advice(kind: &AMQPErrorKind, said: &str) -> Option<&'static str> {
    match kind {
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) if said.contains("Login") || said.contains("login") => {
            Some("check `amqp.user` and `amqp.password`, or `rabbitmqctl change_password`")
        }
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => {
            Some("allow it: rabbitmqctl set_permissions -p VHOST USER '.*' '.*' '.*'")
        }
        AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => {
            Some("check `amqp.vhost`; create it with `rabbitmqctl add_vhost`, and `rabbitmqctl set_permissions`")
        }
        AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => Some(
            "the exchange or queue exists with other properties: it must be durable and have no arguments; delete it, \
             and set what the arguments said by a policy",
        ),
        _ => None,
    }
}
