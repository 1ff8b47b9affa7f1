//! Which operation a PDU is.

use std::fmt;

/// The bit that marks a response.
const RESPONSE: u32 = 0x8000_0000;

/// A command_id as it stands in the header; ids without a name are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommandId(pub u32);

macro_rules! ids {
    ($($Name:ident $text:literal = $id:literal,)+) => {
        #[expect(missing_docs, reason = "the specification's own names")]
        impl CommandId {
            $(pub const $Name: Self = Self($id);)+

            /// The name in the specification; `None` where it has none.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($id => Some($text),)+
                    _ => None,
                }
            }
        }
    };
}

ids! {
    BIND_RECEIVER "bind_receiver" = 0x1,
    BIND_TRANSMITTER "bind_transmitter" = 0x2,
    QUERY_SM "query_sm" = 0x3,
    SUBMIT_SM "submit_sm" = 0x4,
    DELIVER_SM "deliver_sm" = 0x5,
    UNBIND "unbind" = 0x6,
    REPLACE_SM "replace_sm" = 0x7,
    CANCEL_SM "cancel_sm" = 0x8,
    BIND_TRANSCEIVER "bind_transceiver" = 0x9,
    OUTBIND "outbind" = 0xB,
    ENQUIRE_LINK "enquire_link" = 0x15,
    SUBMIT_MULTI "submit_multi" = 0x21,
    ALERT_NOTIFICATION "alert_notification" = 0x102,
    DATA_SM "data_sm" = 0x103,
    BROADCAST_SM "broadcast_sm" = 0x111,
    QUERY_BROADCAST_SM "query_broadcast_sm" = 0x112,
    CANCEL_BROADCAST_SM "cancel_broadcast_sm" = 0x113,
    GENERIC_NACK "generic_nack" = 0x8000_0000,
    BIND_RECEIVER_RESP "bind_receiver_resp" = 0x8000_0001,
    BIND_TRANSMITTER_RESP "bind_transmitter_resp" = 0x8000_0002,
    QUERY_SM_RESP "query_sm_resp" = 0x8000_0003,
    SUBMIT_SM_RESP "submit_sm_resp" = 0x8000_0004,
    DELIVER_SM_RESP "deliver_sm_resp" = 0x8000_0005,
    UNBIND_RESP "unbind_resp" = 0x8000_0006,
    REPLACE_SM_RESP "replace_sm_resp" = 0x8000_0007,
    CANCEL_SM_RESP "cancel_sm_resp" = 0x8000_0008,
    BIND_TRANSCEIVER_RESP "bind_transceiver_resp" = 0x8000_0009,
    ENQUIRE_LINK_RESP "enquire_link_resp" = 0x8000_0015,
    SUBMIT_MULTI_RESP "submit_multi_resp" = 0x8000_0021,
    DATA_SM_RESP "data_sm_resp" = 0x8000_0103,
    BROADCAST_SM_RESP "broadcast_sm_resp" = 0x8000_0111,
    QUERY_BROADCAST_SM_RESP "query_broadcast_sm_resp" = 0x8000_0112,
    CANCEL_BROADCAST_SM_RESP "cancel_broadcast_sm_resp" = 0x8000_0113,
}

impl CommandId {
    /// Whether it answers a request; generic_nack does.
    #[must_use]
    pub const fn is_response(self) -> bool {
        self.0 & RESPONSE != 0
    }

    /// What answers a request. `None` for responses, and for outbind and alert_notification, which get no answer. A
    /// request without a name is answered by generic_nack.
    #[must_use]
    pub const fn response(self) -> Option<Self> {
        match self {
            Self::OUTBIND | Self::ALERT_NOTIFICATION => None,
            id if id.is_response() => None,
            id if id.name().is_none() => Some(Self::GENERIC_NACK),
            id => Some(Self(id.0 | RESPONSE)),
        }
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "0x{:08X}", self.0),
        }
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::CommandId as Id;

    #[test]
    fn requests_have_their_responses() {
        assert_eq!(Id::SUBMIT_SM.response(), Some(Id::SUBMIT_SM_RESP));
        assert_eq!(Id::BIND_TRANSCEIVER.response(), Some(Id::BIND_TRANSCEIVER_RESP));
        for unanswered in [Id::OUTBIND, Id::ALERT_NOTIFICATION, Id::GENERIC_NACK, Id::DELIVER_SM_RESP] {
            assert_eq!(unanswered.response(), None, "{unanswered}");
        }
        assert_eq!(Id(0x7777).response(), Some(Id::GENERIC_NACK));
    }
}
