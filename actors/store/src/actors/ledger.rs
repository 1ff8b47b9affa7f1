//! The ledger's actor.

use vumi_kit::ledger::{
    AcceptSms, ClaimReceived, ClaimSms, CloseOutbox, CountWaiting, FindSms, KeepReceived, ListSms,
    ListUnmatchedReceipts, OpenOutbox, RecordOutcomes, RecordReceipts, ReleaseReceived, ReleaseSms, SettleReceived,
    SmsTimeline,
};

super::desk! {
    Ledger
    writes AcceptSms, OpenOutbox, CloseOutbox, ClaimSms, RecordOutcomes, ReleaseSms, RecordReceipts, KeepReceived,
        ClaimReceived, ReleaseReceived, SettleReceived;
    reads FindSms, ListSms, SmsTimeline, CountWaiting, ListUnmatchedReceipts
}
