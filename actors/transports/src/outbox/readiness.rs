//! Whether what an outbox submits through can submit now.

use vumi_kit::transport_board::Sendability;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubmitReadiness {
    Ready {
        /// Places: submissions in flight at once, each as many as it takes.
        window: usize,
    },
    /// There is no connection.
    Unconnected,
    /// There is none since the provider refuses our account or settings.
    Refused,
}

impl SubmitReadiness {
    /// The places; none while it can't submit.
    pub(crate) const fn window(self) -> usize {
        match self {
            Self::Ready { window } => window,
            Self::Unconnected | Self::Refused => 0,
        }
    }

    /// What those hear who choose transports; none: nothing is wrong.
    pub(crate) const fn fault(self) -> Option<Sendability> {
        match self {
            Self::Ready { .. } => None,
            Self::Unconnected => Some(Sendability::Unavailable),
            Self::Refused => Some(Sendability::Misconfigured),
        }
    }
}
