//! command_status: what a response says, with the specification's names (3.4, and 5.0 where it adds one).

macro_rules! statuses {
    ($($NAME:ident = $code:literal $meaning:literal,)+) => {
        $(#[doc = $meaning] pub const $NAME: u32 = $code;)+

        /// The name of a status; `"unknown"` where the specification has none, as for vendors' (0x400 to 0x4FF).
        #[must_use]
        pub const fn name(status: u32) -> &'static str {
            match status {
                $($code => stringify!($NAME),)+
                _ => "unknown",
            }
        }

        /// What a status means, for operators; empty where the specification has no name.
        #[must_use]
        pub const fn meaning(status: u32) -> &'static str {
            match status {
                $($code => $meaning,)+
                _ => "",
            }
        }
    };
}

statuses! {
    ESME_ROK = 0x00 "Success",
    ESME_RINVMSGLEN = 0x01 "The length of the message is invalid",
    ESME_RINVCMDLEN = 0x02 "The length of the PDU is invalid",
    ESME_RINVCMDID = 0x03 "The command id is not known",
    ESME_RINVBNDSTS = 0x04 "The session's state does not allow the command",
    ESME_RALYBND = 0x05 "The session is bound already",
    ESME_RINVPRTFLG = 0x06 "The priority is invalid",
    ESME_RINVREGDLVFLG = 0x07 "registered_delivery is invalid",
    ESME_RSYSERR = 0x08 "System error",
    ESME_RINVSRCADR = 0x0A "The source address is invalid",
    ESME_RINVDSTADR = 0x0B "The destination address is invalid",
    ESME_RINVMSGID = 0x0C "The message id is invalid",
    ESME_RBINDFAIL = 0x0D "The bind failed",
    ESME_RINVPASWD = 0x0E "The password is wrong",
    ESME_RINVSYSID = 0x0F "The system_id is wrong",
    ESME_RCANCELFAIL = 0x11 "The message cannot be cancelled",
    ESME_RREPLACEFAIL = 0x13 "The message cannot be replaced",
    ESME_RMSGQFUL = 0x14 "The queue of messages is full",
    ESME_RINVSERTYP = 0x15 "The service type is invalid",
    ESME_RINVNUMDESTS = 0x33 "The number of destinations is invalid",
    ESME_RINVDLNAME = 0x34 "The name of the distribution list is invalid",
    ESME_RINVDESTFLAG = 0x40 "dest_flag is invalid",
    ESME_RINVSUBREP = 0x42 "Submit with replace is not possible",
    ESME_RINVESMCLASS = 0x43 "esm_class is invalid",
    ESME_RCNTSUBDL = 0x44 "The distribution list cannot be submitted to",
    ESME_RSUBMITFAIL = 0x45 "The submission failed",
    ESME_RINVSRCTON = 0x48 "The source's type of number is invalid",
    ESME_RINVSRCNPI = 0x49 "The source's numbering plan is invalid",
    ESME_RINVDSTTON = 0x50 "The destination's type of number is invalid",
    ESME_RINVDSTNPI = 0x51 "The destination's numbering plan is invalid",
    ESME_RINVSYSTYP = 0x53 "The system_type is invalid",
    ESME_RINVREPFLAG = 0x54 "replace_if_present_flag is invalid",
    ESME_RINVNUMMSGS = 0x55 "The number of messages is invalid",
    ESME_RTHROTTLED = 0x58 "The allowed rate was exceeded",
    ESME_RINVSCHED = 0x61 "The scheduled delivery time is invalid",
    ESME_RINVEXPIRY = 0x62 "The validity period is invalid",
    ESME_RINVDFTMSGID = 0x63 "The predefined message is invalid or missing",
    ESME_RX_T_APPN = 0x64 "The receiver has a temporary error",
    ESME_RX_P_APPN = 0x65 "The receiver has a permanent error",
    ESME_RX_R_APPN = 0x66 "The receiver refuses the message",
    ESME_RQUERYFAIL = 0x67 "The query failed",
    ESME_RINVTLVSTREAM = 0xC0 "The optional part of the PDU is invalid",
    ESME_RTLVNOTALLWD = 0xC1 "The TLV is not allowed",
    ESME_RINVTLVLEN = 0xC2 "The length of a TLV is invalid",
    ESME_RMISSINGTLV = 0xC3 "An expected TLV is missing",
    ESME_RINVTLVVAL = 0xC4 "The value of a TLV is invalid",
    ESME_RDELIVERYFAILURE = 0xFE "The delivery failed",
    ESME_RUNKNOWNERR = 0xFF "Unknown error",
    ESME_RSERTYPUNAUTH = 0x100 "The service type is not authorised",
    ESME_RPROHIBITED = 0x101 "The operation is prohibited",
    ESME_RSERTYPUNAVAIL = 0x102 "The service type is unavailable",
    ESME_RSERTYPDENIED = 0x103 "The service type is denied",
    ESME_RINVDCS = 0x104 "The data coding is invalid",
    ESME_RINVSRCADDRSUBUNIT = 0x105 "The source's subunit is invalid",
    ESME_RINVDSTADDRSUBUNIT = 0x106 "The destination's subunit is invalid",
    ESME_RINVBCASTFREQINT = 0x107 "The broadcast's frequency is invalid",
    ESME_RINVBCASTALIAS_NAME = 0x108 "The broadcast's alias is invalid",
    ESME_RINVBCASTAREAFMT = 0x109 "The format of the broadcast's area is invalid",
    ESME_RINVNUMBCAST_AREAS = 0x10A "The number of the broadcast's areas is invalid",
    ESME_RINVBCASTCNTTYPE = 0x10B "The broadcast's content type is invalid",
    ESME_RINVBCASTMSGCLASS = 0x10C "The broadcast's message class is invalid",
    ESME_RBCASTFAIL = 0x10D "The broadcast failed",
    ESME_RBCASTQUERYFAIL = 0x10E "The query of the broadcast failed",
    ESME_RBCASTCANCELFAIL = 0x10F "The broadcast cannot be cancelled",
    ESME_RINVBCAST_REP = 0x110 "The number of the broadcast's repetitions is invalid",
    ESME_RINVBCASTSRVGRP = 0x111 "The broadcast's service group is invalid",
    ESME_RINVBCASTCHANIND = 0x112 "The broadcast's channel is invalid",
}

/// The highest status that the specification has.
const LAST: u32 = 0x112;

/// Reads a status as people write it: by its name, with or without `ESME_` and in any case, or by its number, decimal or
/// hexadecimal with `0x`.
#[must_use]
pub fn parse(text: &str) -> Option<u32> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u32::from_str_radix(digits, 16).ok();
    }
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let is_named = |status: &u32| {
        let bare = name(*status).strip_prefix("ESME_");
        bare.is_some_and(|bare| bare.eq_ignore_ascii_case(text) || name(*status).eq_ignore_ascii_case(text))
    };
    (0..=LAST).find(is_named)
}

#[cfg(test)]
mod tests {
    #[test]
    fn statuses_have_the_specifications_names() {
        assert_eq!(super::name(0x58), "ESME_RTHROTTLED");
        assert_eq!(super::name(0x0B), "ESME_RINVDSTADR");
        assert_eq!(super::name(0x55F), "unknown");
        assert_eq!(super::meaning(0x14), "The queue of messages is full");
        for text in ["ESME_RTHROTTLED", "rthrottled", "88", "0x58"] {
            assert_eq!(super::parse(text), Some(0x58), "{text}");
        }
        assert_eq!(super::parse("0x55F"), Some(0x55F));
        for text in ["unknown", "", "ESME_", "0x", "-1"] {
            assert_eq!(super::parse(text), None, "{text}");
        }
    }
}
