//! Test files of campaigns: `NAME.test.yaml` says what a person does and what they see, for a menu, a campaign in Rust or one
//! over HTTP. `docs/menus.md` describes the format.
//!
//! [`TestFile::read`] reads a file, [`run`] holds its dialogues with a campaign in rehearsal, [`report`] says what differs,
//! [`accepted`] is the file with what was seen, and [`recording`] makes a test of a session that somebody dialled.
//! [`assert_file`] is all of it in a `#[test]`:
//!
//! ```no_run
//! # use vumi_campaign_kit::{Campaign, Screen, Session};
//! # struct Clinic;
//! # impl Campaign for Clinic {
//! #     const NAME: &'static str = "clinic";
//! #     const EXAMPLE: &'static str = "";
//! #     type Settings = ();
//! #     type State = ();
//! #     fn new((): ()) -> Result<Self, Vec<vumi_kit::kind::Problem>> { Ok(Self) }
//! #     async fn answer(&self, _: &mut Session<()>, _: Option<&str>) -> Screen { Screen::end("") }
//! # }
//! #[test]
//! fn the_clinic_does_what_its_test_file_says() {
//!     vumi_campaign_tests::assert_file("tests/clinic.test.yaml", || Clinic);
//! }
//! ```

mod accept;
mod difference;
mod observed;
mod problem;
mod read;
pub mod recording;
mod rendering;
mod report;
mod runner;
mod rust_campaign;
mod test_file;
pub mod yaml;

#[cfg(test)]
mod tests;

pub use accept::accepted;
pub use observed::{Observed, SentSms};
pub use problem::{TestFileProblem, closest};
pub use report::report;
pub use runner::{CampaignFactory, FileOutcome, TestOutcome, TestedCampaign, run};
pub use rust_campaign::{RustCampaign, assert_file};
pub use test_file::{Expectation, Expected, LaterSms, TestAction, TestCase, TestFile, TestStep};
