//! Test files of campaigns in Rust.

use std::path::Path;

use chrono::NaiveDateTime;
use vumi_campaign_kit::{
    Campaign,
    rehearsal::{Rehearsal, Rehearse},
};
use vumi_kit::clock::Timestamp;

use crate::{
    report,
    runner::{CampaignFactory, TestedCampaign, run},
    test_file::TestFile,
};

/// Makes campaigns of one type; their time zone is UTC.
pub struct RustCampaign<F>(pub F);

impl<C: Campaign, F: Fn() -> C> CampaignFactory for RustCampaign<F> {
    fn open(&self, now: NaiveDateTime) -> Result<Box<dyn TestedCampaign>, String> {
        let rehearsal = Rehearsal::new((self.0)(), Timestamp::from_micros(now.and_utc().timestamp_micros()))
            .map_err(|error| error.to_string())?;
        Ok(Box::new(rehearsal))
    }
}

impl<C: Campaign> TestedCampaign for Rehearsal<C> {
    fn rehearsal(&self) -> &dyn Rehearse {
        self
    }
}

/// Runs a test file with campaigns that `campaign` makes, one for each test; `file` is a path from the crate's folder. Panics,
/// which fails the test, with what differs, or with what can't be read.
#[track_caller]
#[expect(clippy::panic, reason = "it is for tests")]
pub fn assert_file<C: Campaign>(file: impl AsRef<Path>, campaign: impl Fn() -> C) {
    let path = file.as_ref();
    let name = path.display();
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
    let read = TestFile::read(&text).unwrap_or_else(|problems| {
        let problems: Vec<String> = problems.iter().map(|problem| format!("{name}:{problem}")).collect();
        panic!("{}", problems.join("\n"))
    });
    let outcome = run(&read, &RustCampaign(campaign));
    let failed = outcome.failed(&read);
    assert!(
        failed == 0,
        "{failed} of {} tests differ\n{}",
        read.tests.len(),
        report(&name.to_string(), &read, &outcome)
    );
}
