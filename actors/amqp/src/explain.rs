//! The broker's errors in words that say what to do.

use lapin::{
    Error, ErrorKind,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
    uri::AMQPUri,
};

/// What went wrong, and what to do about it.
pub(super) fn explain(error: &Error) -> String {
    let advice = match error.kind() {
        ErrorKind::ProtocolError(reply) => advice(reply.kind(), reply.get_message().as_str()),
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

/// What went wrong, with the commands that mend it on this broker.
pub(super) fn explain_at(error: &Error, uri: &AMQPUri) -> String {
    let (user, vhost) = (&uri.authority.userinfo.username, &uri.vhost);
    let allow = format!("rabbitmqctl set_permissions -p {vhost} {user} '.*' '.*' '.*'");
    let ErrorKind::ProtocolError(reply) = error.kind() else { return explain(error) };
    let text = reply.get_message().as_str();
    let advice = match reply.kind() {
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) if text.to_lowercase().contains("login") => format!(
            "check `amqp.user` and `amqp.password`; rabbitmqctl add_user {user} PASSWORD makes the user, rabbitmqctl \
             change_password {user} PASSWORD gives it another password"
        ),
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => allow,
        AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) if text.contains("not found") => {
            format!("rabbitmqctl add_vhost {vhost} --default-queue-type quorum && {allow}")
        }
        AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => allow,
        _ => return explain(error),
    };
    format!("{}: {advice}", text.trim_end_matches('.'))
}

fn advice(kind: &AMQPErrorKind, text: &str) -> Option<&'static str> {
    match kind {
        AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) if text.contains("Login") || text.contains("login") => {
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
             and set what the arguments set by a policy",
        ),
        _ => None,
    }
}
