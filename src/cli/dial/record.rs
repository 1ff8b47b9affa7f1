//! `vumi dial --record`: a session becomes a test.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use vumi_campaign_tests::{TestFile, recording::SessionRecording};
use vumi_kit::clock::Clock;

use crate::cli::menu::shown_problems;

/// How the name of a test file ends.
const ENDING: &str = ".test.yaml";

/// The file that a recording goes to.
pub(super) struct Recorder {
    file: PathBuf,
    /// What the file holds already.
    before: Option<String>,
}

impl Recorder {
    /// Looks whether the file can take a test, before anybody dials.
    pub(super) fn new(file: &Path) -> anyhow::Result<Self> {
        let name = file.display();
        let before = match fs::read_to_string(file) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("{name} can't be read")),
        };
        if let Some(Err(problems)) = before.as_deref().map(TestFile::read) {
            bail!("{name} is there and no test file: give another name\n{}", shown_problems(file, &problems));
        }
        if !name.to_string().ends_with(ENDING) {
            bail!("{name}: the name of a test file ends in {ENDING}, such as clinic{ENDING} beside clinic.yaml");
        }
        Ok(Self { file: file.to_owned(), before })
    }

    /// Writes the session as a test, and says so.
    #[expect(clippy::print_stdout, reason = "what became of the recording")]
    pub(super) fn write(&self, recording: &SessionRecording) -> anyhow::Result<()> {
        let now = Clock::system().wall();
        let name = format!("A session of {} UTC", now.format("%Y-%m-%d %H:%M"));
        let text = match &self.before {
            Some(before) => recording
                .appended_to(before, &name)
                .map_err(|problems| anyhow::anyhow!("{}", shown_problems(&self.file, &problems)))?,
            None => {
                let local = DateTime::<Utc>::from_timestamp_micros(now.micros()).unwrap_or_default().naive_utc();
                recording.to_file(self.menu().as_deref(), local, &name)
            }
        };
        fs::write(&self.file, text).with_context(|| format!("{} can't be written", self.file.display()))?;
        let file = self.file.display();
        println!(
            "written as a test: {file}. Look for personal data before you share it; `vumi menu test {file}` runs it"
        );
        Ok(())
    }

    /// The menu beside the file: clinic.yaml of clinic.test.yaml, where it is there.
    fn menu(&self) -> Option<String> {
        let name = self.file.file_name()?.to_str()?;
        let menu = format!("{}.yaml", name.strip_suffix(ENDING)?);
        self.file.with_file_name(&menu).is_file().then_some(menu)
    }
}
