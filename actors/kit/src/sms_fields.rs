//! What a client asks of an SMS beside its text and addresses, as named texts: one reader for all front-ends.

mod binary;
mod times;

use std::{borrow::Cow, time::Duration};

use crate::{
    callback::check_callback_url,
    clock::Timestamp,
    field_errors::{FieldError, FieldErrors},
    sms_options::{Content, Occasion, Priority, SmsOptions},
};

/// The longest `reference`, in bytes.
pub const MAX_REFERENCE: usize = 128;

/// How long SMS may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmsTimes {
    /// The longest validity: so long the router tries.
    pub give_up_after: Duration,
    /// How far ahead `send_at` may lie.
    pub schedule_within: Duration,
    /// How long ago it may lie: then it is now. Clocks differ, and calls take time.
    pub late_by: Duration,
}

impl SmsTimes {
    /// For calls by hand: a moment that is past by more than a minute is a mistake.
    #[must_use]
    pub const fn new(give_up_after: Duration, schedule_within: Duration) -> Self {
        Self { give_up_after, schedule_within, late_by: Duration::from_secs(60) }
    }

    /// For messages that may have waited on their way, however long.
    #[must_use]
    pub const fn however_late(self) -> Self {
        Self { late_by: Duration::MAX, ..self }
    }
}

impl Default for SmsTimes {
    fn default() -> Self {
        Self::new(Duration::from_secs(24 * 3600), Duration::from_secs(30 * 24 * 3600))
    }
}

/// The fields of a call that may be given once, each as its client wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SmsFields<'a> {
    validity: Option<Cow<'a, str>>,
    send_at: Option<Cow<'a, str>>,
    priority: Option<Cow<'a, str>>,
    callback_url: Option<Cow<'a, str>>,
    reference: Option<Cow<'a, str>>,
    flash: Option<Cow<'a, str>>,
    data: Option<Cow<'a, str>>,
    udh: Option<Cow<'a, str>>,
}

/// What the fields of a call ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedOptions {
    /// For every SMS of the call.
    pub options: SmsOptions,
    /// The octets of a binary SMS in hex, in place of a text.
    pub data: Option<String>,
}

impl<'a> SmsFields<'a> {
    /// The names of the fields.
    pub const NAMES: [&'static str; 8] =
        ["validity", "send_at", "priority", "callback_url", "reference", "flash", "data", "udh"];

    /// Takes the value of each field that is given.
    pub fn collect(mut value: impl FnMut(&'static str) -> Option<Cow<'a, str>>) -> Self {
        Self {
            validity: value("validity"),
            send_at: value("send_at"),
            priority: value("priority"),
            callback_url: value("callback_url"),
            reference: value("reference"),
            flash: value("flash"),
            data: value("data"),
            udh: value("udh"),
        }
    }

    /// Whether the SMS is binary: `data` stands in place of its text.
    #[must_use]
    pub const fn is_binary(&self) -> bool {
        self.data.is_some()
    }

    /// Reads all of them. What it gives is whole only if it adds no error. `text_field` is the field of the text, where one
    /// is given.
    pub fn read(
        &self,
        text_field: Option<&str>,
        times: &SmsTimes,
        now: Timestamp,
        errors: &mut FieldErrors,
    ) -> AskedOptions {
        let mut read = FieldReader { errors };
        let validity = read.field("validity", &self.validity, |text| times::validity(text, times.give_up_after));
        let send_at = read.field("send_at", &self.send_at, |text| times::send_at(text, now, times));
        let priority = read.field("priority", &self.priority, priority).unwrap_or_default();
        let callback_url =
            read.field("callback_url", &self.callback_url, |text| check_callback_url(text).map(|()| text.to_owned()));
        let reference = read.field("reference", &self.reference, reference);
        let flash = read.field("flash", &self.flash, flash).unwrap_or_default();
        let udh = read.field("udh", &self.udh, binary::user_data_header);
        let data = read.field("data", &self.data, |text| {
            let header = udh.as_ref().map_or(0, |udh| udh.len() / 2);
            binary::data(text, header)
        });
        self.check_together(text_field, flash, read.errors);
        let content = match (&self.data, flash) {
            (Some(_), _) => Content::Binary { udh },
            (None, true) => Content::Flash,
            (None, false) => Content::Text,
        };
        AskedOptions {
            options: SmsOptions {
                priority,
                send_at,
                validity,
                reference,
                callback_url,
                receipts: None,
                content,
                held: None,
                occasion: Occasion::Unasked,
            },
            data,
        }
    }

    fn check_together(&self, text_field: Option<&str>, flash: bool, errors: &mut FieldErrors) {
        let mut wrong = |field: &str, value: &str, detail: String| errors.push(FieldError::new(field, value, detail));
        match (&self.data, &self.udh) {
            (Some(data), _) => {
                if let Some(text_field) = text_field {
                    wrong("data", data, format!("stands in place of a text: leave it out, or `{text_field}`"));
                }
                if flash {
                    wrong("flash", "true", "only a text can be flash: leave it out, or `data`".to_owned());
                }
            }
            (None, Some(udh)) => wrong("udh", udh, "is the header of `data`: give that, too".to_owned()),
            (None, None) => {}
        }
    }
}

/// Reads fields, and keeps what is wrong with them.
struct FieldReader<'e> {
    errors: &'e mut FieldErrors,
}

impl FieldReader<'_> {
    fn field<T>(
        &mut self,
        name: &str,
        value: &Option<Cow<'_, str>>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = value.as_deref()?;
        read(text).map_err(|detail| self.errors.push(FieldError::new(name, text, detail))).ok()
    }
}

fn priority(text: &str) -> Result<Priority, String> {
    let known = Priority::ALL.into_iter().find(|priority| priority.as_str() == text);
    known.ok_or_else(|| format!("is one of: {}", Priority::ALL.map(Priority::as_str).join(", ")))
}

fn reference(text: &str) -> Result<String, String> {
    let short = text.len() <= MAX_REFERENCE && !text.trim().is_empty();
    let good = short && !text.contains(char::is_control);
    if good {
        Ok(text.to_owned())
    } else {
        Err(format!("has 1 to {MAX_REFERENCE} bytes, not only spaces, and no control character"))
    }
}

fn flash(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("is `true` or `false`".to_owned()),
    }
}

#[cfg(test)]
mod tests;
