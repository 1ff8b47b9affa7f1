//! How each gateway knows a dialogue, goes on with it and ends it.

use serde::{Deserialize, Serialize};
use vumi_smpp_codec::{Message, PduAddress, Tlvs, tag, ussd_service_op as op};

use crate::{
    smpp::settings::{SmppUssdSettings, UssdProfile},
    ussd::{DialogueKey, ScreenKind},
};

/// The op that ends a dialogue at 6D's and Mica's gateways.
const VENDORS_END: u8 = 0x17;

/// The bit of its_session_info that ends a dialogue.
const END_BIT: u16 = 1;

/// An address as it came, to be written back the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::smpp) struct KnownAddress {
    ton: u8,
    npi: u8,
    /// The octets of the address, each as the Latin-1 character of its number.
    addr: String,
}

impl KnownAddress {
    pub(in crate::smpp) fn of(address: &PduAddress) -> Self {
        let addr = address.addr.iter().map(|octet| char::from(*octet)).collect();
        Self { ton: address.ton, npi: address.npi, addr }
    }

    pub(in crate::smpp) fn address(&self) -> PduAddress {
        let octets: Vec<u8> = self.addr.chars().filter_map(|c| u8::try_from(c).ok()).collect();
        PduAddress::new(self.ton, self.npi, octets)
    }
}

/// How the gateway knows a dialogue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::smpp) struct SmppDialogue {
    profile: Option<UssdProfile>,
    /// its_session_info as it came last.
    info: Option<u16>,
    reference: Option<u16>,
    pub(in crate::smpp) service: KnownAddress,
    pub(in crate::smpp) person: KnownAddress,
    /// We began it, and the gateway has not named it yet.
    begun_here: bool,
    /// The connection that it came over last.
    pub(in crate::smpp) connection: usize,
}

impl SmppDialogue {
    /// As a message names it.
    pub(in crate::smpp) fn of(profile: UssdProfile, message: &Message, connection: usize) -> Self {
        let number = |tag| message.tlvs.integer(tag).and_then(|number| u16::try_from(number).ok());
        Self {
            profile: Some(profile),
            info: number(tag::ITS_SESSION_INFO),
            reference: number(tag::USER_MESSAGE_REFERENCE),
            service: KnownAddress::of(&message.destination),
            person: KnownAddress::of(&message.source),
            begun_here: false,
            connection,
        }
    }

    /// One that we begin, with this number of ours.
    pub(in crate::smpp) fn begun(profile: UssdProfile, number: u16, service: PduAddress) -> Self {
        let (info, reference) = match profile {
            UssdProfile::Spec => (Some(number << 8), None),
            UssdProfile::Tata | UssdProfile::SixD => (Some(number << 1), None),
            UssdProfile::Mica => (None, Some(number)),
            UssdProfile::None => (None, None),
        };
        let service = KnownAddress::of(&service);
        Self { profile: Some(profile), info, reference, service, begun_here: true, ..Self::default() }
    }

    /// What tells it from the person's other dialogues.
    fn id(&self) -> Option<u16> {
        match self.profile? {
            // The second octet counts the messages.
            UssdProfile::Spec => self.info.map(|info| info >> 8),
            UssdProfile::Tata | UssdProfile::SixD => self.info.map(|info| info >> 1),
            UssdProfile::Mica => self.reference,
            UssdProfile::None => None,
        }
    }

    /// Whether the message that names it ends it.
    pub(in crate::smpp) fn is_ended(&self, profile: UssdProfile) -> bool {
        let has_bit = matches!(profile, UssdProfile::Spec | UssdProfile::Tata | UssdProfile::SixD);
        has_bit && self.info.is_some_and(|info| info & END_BIT != 0)
    }

    /// The TLVs of a screen.
    pub(in crate::smpp) fn tlvs(&self, settings: &SmppUssdSettings, kind: ScreenKind) -> Tlvs {
        let ends = kind == ScreenKind::Last;
        let mut tlvs = Tlvs::new().with(tag::USSD_SERVICE_OP, vec![op_of(settings, kind)]);
        match settings.profile {
            UssdProfile::Spec | UssdProfile::Tata | UssdProfile::SixD => {
                if let Some(info) = self.info {
                    let info = if ends { info | END_BIT } else { info & !END_BIT };
                    tlvs.push(tag::ITS_SESSION_INFO, info.to_be_bytes().to_vec());
                }
            }
            UssdProfile::Mica => {
                if let Some(reference) = self.reference {
                    tlvs.push(tag::USER_MESSAGE_REFERENCE, reference.to_be_bytes().to_vec());
                }
            }
            UssdProfile::None => {}
        }
        tlvs
    }
}

impl DialogueKey for SmppDialogue {
    fn goes_on_as(&self, later: &Self) -> bool {
        // A message without a number is of the one dialogue that the person has.
        self.begun_here || self.id().is_none() || later.id().is_none() || self.id() == later.id()
    }
}

fn op_of(settings: &SmppUssdSettings, kind: ScreenKind) -> u8 {
    match kind {
        ScreenKind::Question | ScreenKind::PushedQuestion => op::USSR_REQUEST,
        ScreenKind::Notification => op::USSN_REQUEST,
        ScreenKind::Last => settings.end_op.unwrap_or(match settings.profile {
            UssdProfile::Spec | UssdProfile::None => op::PSSR_RESPONSE,
            UssdProfile::Tata => op::USSR_REQUEST,
            UssdProfile::SixD | UssdProfile::Mica => VENDORS_END,
        }),
    }
}

#[cfg(test)]
mod tests {
    use vumi_smpp_codec::{Message, Tlvs, tag};

    use super::SmppDialogue;
    use crate::{
        smpp::tests::settings,
        ussd::{DialogueKey, ScreenKind},
    };

    fn message(tag: u16, value: u16) -> Message {
        Message { tlvs: Tlvs::new().with(tag, value.to_be_bytes().to_vec()), ..Message::default() }
    }

    #[test]
    fn each_gateway_names_goes_on_with_and_ends_a_dialogue_its_own_way() {
        let (info, reference) = (tag::ITS_SESSION_INFO, tag::USER_MESSAGE_REFERENCE);
        // The TLV, the dialogue, a later message of the same and of another; the screen that goes on, and the last one.
        for (profile, tag, begun, same, other, goes_on, last) in [
            (r#"profile = "spec""#, info, 0x0700, 0x0702, 0x0802, (2, Some(0x0702)), (17, Some(0x0703))),
            (r#"profile = "tata""#, info, 0x1234, 0x1234, 0x1236, (2, Some(0x1234)), (2, Some(0x1235))),
            (r#"profile = "6d""#, info, 0x1234, 0x1234, 0x1236, (2, Some(0x1234)), (0x17, Some(0x1235))),
            (r#"profile = "mica""#, reference, 77, 77, 78, (2, Some(77)), (0x17, Some(77))),
            (r#"profile = "mica", end_op = 17"#, reference, 77, 77, 78, (2, Some(77)), (17, Some(77))),
            (r#"profile = "none""#, info, 1, 2, 0, (2, None), (17, None)),
        ] {
            let settings = settings(&format!("ussd = {{ {profile} }}")).ussd.unwrap();
            let named = |value| SmppDialogue::of(settings.profile, &message(tag, value), 0);
            let (begun, same) = (named(begun), named(same));
            assert!(begun.goes_on_as(&same), "{profile}");
            if goes_on.1.is_some() {
                assert!(!begun.goes_on_as(&named(other)), "{profile}");
            }
            for (kind, (op, number)) in [(ScreenKind::Question, goes_on), (ScreenKind::Last, last)] {
                let tlvs = same.tlvs(&settings, kind);
                assert_eq!(tlvs.octet(tag::USSD_SERVICE_OP), Some(op), "{profile} {kind:?}");
                assert_eq!(tlvs.integer(tag), number, "{profile} {kind:?}");
            }
            let notified = same.tlvs(&settings, ScreenKind::Notification);
            assert_eq!(notified.octet(tag::USSD_SERVICE_OP), Some(3), "{profile}");
            let text = serde_json::to_string(&same).unwrap();
            assert_eq!(serde_json::from_str::<SmppDialogue>(&text).unwrap(), same);
        }
    }

    #[test]
    fn the_end_bit_ends_where_the_gateway_has_one() {
        for (profile, ended) in [("spec", true), ("tata", true), ("6d", true), ("mica", false), ("none", false)] {
            let settings = settings(&format!("ussd = {{ profile = \"{profile}\" }}")).ussd.unwrap();
            let dialogue = SmppDialogue::of(settings.profile, &message(tag::ITS_SESSION_INFO, 0x0301), 0);
            assert_eq!(dialogue.is_ended(settings.profile), ended, "{profile}");
        }
    }
}
