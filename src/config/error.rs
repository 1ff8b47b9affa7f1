//! What is wrong with settings: every problem at once, each with its file and key.

use std::fmt;

/// One thing wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsProblem {
    /// The file or variable it stands in, where that is known.
    pub origin: Option<String>,
    /// The key, dotted.
    pub key: String,
    /// What is wrong and what was expected.
    pub what: String,
}

impl fmt::Display for SettingsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)
    }
}

/// Everything wrong with the settings, a line each.
#[derive(Debug, thiserror::Error)]
pub struct SettingsError(pub Vec<SettingsProblem>);

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "{}", lines.join("\n"))
    }
}
