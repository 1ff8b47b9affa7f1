//! The providers of SMS, a file each: how one SMS is submitted, what the answer means, what they post to us.

pub(crate) mod clickatell;
pub(crate) mod clickatell_platform;
pub(crate) mod e_scape;
pub(crate) mod opera;
pub(crate) mod techsys;
