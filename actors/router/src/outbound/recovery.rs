//! How much traffic a transport gets: none while its provider fails, and less than usual for a while after it works again.
//! So a provider that comes and goes does not have the traffic come and go.

use std::{collections::HashMap, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::Instant;
use vumi_kit::{kind::Problem, name::Name, settings_schema::HumanDuration, transport_board::Sendability};

use super::Standing;

/// The part of its traffic with which a transport comes back.
const FIRST_SHARE: f64 = 0.05;

/// How traffic comes back to a transport whose provider works again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FailoverSettings {
    /// How long a provider has to work before its transport gets traffic again, where another one works.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub return_after: Duration,
    /// In how long the traffic grows from a twentieth to all of it then.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    pub ramp: Duration,
}

impl Default for FailoverSettings {
    fn default() -> Self {
        Self { return_after: Duration::from_secs(10), ramp: Duration::from_secs(60) }
    }
}

impl FailoverSettings {
    /// What is wrong with them; keys as below `[router]`.
    pub(crate) fn check(&self) -> Vec<Problem> {
        let most = Duration::from_secs(24 * 3600);
        let times = [("failover.return_after", self.return_after), ("failover.ramp", self.ramp)];
        let wrong = times.into_iter().filter(|(_, time)| *time > most);
        wrong.map(|(key, _)| Problem::new(key, "expected 24h at the most, such as `60s`")).collect()
    }
}

/// Where a transport is between failing and its usual traffic. One that is not listed gets its usual traffic.
#[derive(Debug)]
enum FailurePhase {
    Fails { since: Instant },
    ComesBack { since: Instant },
}

/// Remembers which transports failed.
#[derive(Debug)]
pub(super) struct Recovery {
    settings: FailoverSettings,
    phases: HashMap<Name, FailurePhase>,
}

impl Recovery {
    pub(super) fn new(settings: FailoverSettings) -> Self {
        Self { settings, phases: HashMap::new() }
    }

    /// How a transport stands that tells this of itself.
    pub(super) fn standing(&mut self, name: &Name, told: Sendability, wants_probe: bool, now: Instant) -> Standing {
        if told != Sendability::Works {
            let phase = self.phases.entry(name.clone()).or_insert(FailurePhase::Fails { since: now });
            if let FailurePhase::ComesBack { .. } = phase {
                *phase = FailurePhase::Fails { since: now };
            }
            return Standing { works: false, share: 0.0, wants_probe, condition: told.in_words() };
        }
        let since = match self.phases.get_mut(name) {
            None => return Standing::GOOD,
            Some(FailurePhase::ComesBack { since }) => *since,
            Some(phase @ FailurePhase::Fails { .. }) => {
                *phase = FailurePhase::ComesBack { since: now };
                now
            }
        };
        let share = self.share(now.saturating_duration_since(since));
        if share >= 1.0 {
            self.phases.remove(name);
            return Standing::GOOD;
        }
        let condition =
            if share > 0.0 { "works again, with a part of its traffic" } else { "works again, not for long yet" };
        Standing { works: true, share, wants_probe: false, condition }
    }

    /// For how long a transport fails; none: it works.
    pub(super) fn has_failed_for(&self, name: &Name, now: Instant) -> Option<Duration> {
        match self.phases.get(name)? {
            FailurePhase::Fails { since } => Some(now.saturating_duration_since(*since)),
            FailurePhase::ComesBack { .. } => None,
        }
    }

    /// The part of its traffic after it has worked for so long.
    fn share(&self, works_for: Duration) -> f64 {
        let Some(grows_for) = works_for.checked_sub(self.settings.return_after) else { return 0.0 };
        if self.settings.ramp.is_zero() {
            return 1.0;
        }
        FIRST_SHARE + (1.0 - FIRST_SHARE) * grows_for.as_secs_f64() / self.settings.ramp.as_secs_f64()
    }
}
