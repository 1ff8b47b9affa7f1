//! Sending by a route: the client names no transport, and one of `[[outbound]]` in the settings chooses it.

use std::{fmt, sync::Arc};

use serde::Serialize;

use crate::{
    address::{Address, Msisdn},
    name::Name,
    sms_options::Content,
};

/// Names that no transport may have: the API has calls of these names beside those of the transports.
pub const NO_TRANSPORT_NAMES: [&str; 3] = ["status", "send", "auto"];

/// What is known of an SMS when its transport is chosen.
#[derive(Clone, Copy, Debug)]
pub struct Routable<'a> {
    /// The name of the account that sends it.
    pub account: &'a str,
    /// The transports that the account may send over; none named: any.
    pub transports: &'a [Name],
    /// The recipient, in international form.
    pub to: &'a Msisdn,
    /// The sender shown to the recipient.
    pub from: &'a Address,
    /// The text; octets in hex where it is binary.
    pub text: &'a str,
    /// What its text is.
    pub content: &'a Content,
    /// The client's own word for what it is, such as `otp`.
    pub tag: Option<&'a str>,
}

/// The transport that a route chose for an SMS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteChoice {
    /// The route that matched.
    pub route: Name,
    /// The transport that is to send it.
    pub transport: Name,
    /// Why that one, in words: for the timeline.
    pub why: String,
}

/// How a choice came about. Nothing is sent by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteExplanation {
    /// The choice; none: no route matches.
    pub chosen: Option<RouteChoice>,
    /// Each route, in the order of the settings, and whether it matches, or why not.
    pub routes: Vec<RouteVerdict>,
}

/// What a route says to an SMS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RouteVerdict {
    /// The route's name in the settings.
    pub route: Name,
    /// Whether it matches, or why it was passed over.
    pub verdict: String,
    /// Its transports in the order in which they are tried, each with its condition; empty where it is passed over.
    pub transports: Vec<String>,
}

/// Chooses the transports of SMS.
pub trait ChooseTransport: fmt::Debug + Send + Sync {
    /// The transport for an SMS; none: no route matches.
    fn choose(&self, sms: &Routable<'_>) -> Option<RouteChoice>;

    /// What [`Self::choose`] would answer now, and why.
    fn explain(&self, sms: &Routable<'_>) -> RouteExplanation;
}

/// The routes outwards, shared by all who send by them.
pub type OutboundRoutes = Arc<dyn ChooseTransport>;
