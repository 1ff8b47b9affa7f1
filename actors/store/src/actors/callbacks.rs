//! The callbacks' actor.

use vumi_kit::callback::{
    ChangeCallback, ClaimDeliveries, CreateCallback, DeleteCallback, FindCallback, ListCallbacks, ListParked,
    RecordDeliveryAttempts, ReplayParked,
};

super::desk! {
    Callbacks
    writes CreateCallback, ChangeCallback, DeleteCallback, ClaimDeliveries, RecordDeliveryAttempts, ReplayParked;
    reads ListCallbacks, FindCallback, ListParked
}
