//! A guard against two machines that answer each other without end.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use vumi_kit::{
    clock::Clock,
    kind::Problem,
    middleware::{Middleware, PassingSms, Verdict},
    settings_schema::HumanDuration,
};

use crate::{
    kind::{MiddlewareContext, MiddlewareKind},
    window_count::WindowCount,
};

/// Stops automatic answers that answer each other: what a person (or a machine) writes to a service goes to no campaign,
/// and what a campaign answers is not sent, once there were too many within a time. People who write at people's speed do not
/// meet it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// SMS between one person and one service, each direction for itself. Default 20.
    most: u32,
    /// SMS among them with the same text. Default 5.
    same: u32,
    /// Within this time, from the first of them. Default 1m.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration")]
    within: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { most: 20, same: 5, within: Duration::from_secs(60) }
    }
}

pub(crate) struct LoopGuard {
    settings: Settings,
    all: WindowCount<u64>,
    same: WindowCount<u64>,
    clock: Clock,
}

impl MiddlewareKind for LoopGuard {
    const NAME: &'static str = "loop-guard";
    const EXAMPLE: &'static str = r#"
most = 20
same = 5
within = "1m"
"#;
    type Settings = Settings;

    fn new(settings: Settings, context: &MiddlewareContext) -> Result<Self, Problem> {
        for (key, number) in [("most", settings.most), ("same", settings.same)] {
            if number == 0 {
                return Err(Problem::new(key, "expected 1 or more"));
            }
        }
        if settings.within.is_zero() {
            return Err(Problem::new("within", "expected a time above zero, such as `1m`"));
        }
        let counts = || WindowCount::new(settings.within);
        Ok(Self { all: counts(), same: counts(), clock: context.clock.clone(), settings })
    }
}

fn hash(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[async_trait]
impl Middleware for LoopGuard {
    async fn pass(&self, sms: &mut PassingSms) -> Verdict {
        let (now, pair) = (self.clock.now(), (sms.direction, sms.person(), sms.service()));
        let Settings { most, same, within } = self.settings;
        let (all, alike) = (self.all.count(hash(pair), now), self.same.count(hash((&pair, &sms.message)), now));
        if all > most || alike > same {
            return Verdict::Refuse(format!(
                "it looks like two machines that answer each other: {all} SMS, {alike} of them with this text, within {within:?}"
            ));
        }
        Verdict::Pass
    }
}
