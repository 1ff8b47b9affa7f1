//! Limits for each person: so many SMS within a time.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use vumi_kit::{
    clock::Clock,
    kind::Problem,
    middleware::{Middleware, PassingSms, SmsDirection, Verdict},
    settings_schema::HumanDuration,
};

use crate::{
    kind::{MiddlewareContext, MiddlewareKind},
    window_count::WindowCount,
};

/// Refuses SMS to or from a person beyond a number within a time. Each process counts for itself, from its start; of
/// 100,000 people at once.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// SMS of each person, each direction for itself.
    #[schemars(example = 5)]
    most: u32,
    /// Within this time, from the first of them.
    #[serde(with = "humantime_serde")]
    #[schemars(with = "HumanDuration", example = "1h")]
    within: Duration,
}

pub(crate) struct Limit {
    most: u32,
    within: Duration,
    counts: WindowCount<(SmsDirection, String)>,
    clock: Clock,
}

impl MiddlewareKind for Limit {
    const NAME: &'static str = "limit";
    const EXAMPLE: &'static str = r#"
most = 5
within = "1h"
"#;
    type Settings = Settings;

    fn new(Settings { most, within }: Settings, context: &MiddlewareContext) -> Result<Self, Problem> {
        if most == 0 {
            return Err(Problem::new("most", "expected 1 or more"));
        }
        if within.is_zero() {
            return Err(Problem::new("within", "expected a time above zero, such as `1h`"));
        }
        Ok(Self { most, within, counts: WindowCount::new(within), clock: context.clock.clone() })
    }
}

#[async_trait]
impl Middleware for Limit {
    async fn pass(&self, sms: &mut PassingSms) -> Verdict {
        let count = self.counts.count((sms.direction, sms.person().as_str().to_owned()), self.clock.now());
        if count <= self.most {
            return Verdict::Pass;
        }
        Verdict::Refuse(format!("the person has {} SMS within {:?}: later", self.most, self.within))
    }
}
