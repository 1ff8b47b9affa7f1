//! How long an SMS may wait, and from when on it may be sent.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime};
use humantime_serde::re::humantime::{format_duration, parse_duration};

use super::SmsTimes;
use crate::clock::Timestamp;

const SHORTEST: Duration = Duration::from_secs(1);

/// Whole seconds, or a time such as `10m`.
pub(super) fn validity(text: &str, longest: Duration) -> Result<Duration, String> {
    let is_digit = |c: char| c.is_ascii_digit();
    let validity = if text.chars().all(is_digit) {
        text.parse().ok().map(Duration::from_secs)
    } else {
        parse_duration(text).ok().filter(|_| text.starts_with(is_digit))
    };
    validity
        .filter(|validity| (SHORTEST..=longest).contains(validity))
        .ok_or_else(|| format!("is 1 second to {}: in seconds (`600`), or as `10m`, `2h`", format_duration(longest)))
}

/// A moment from now on; one that is hardly past is now.
pub(super) fn send_at(text: &str, now: Timestamp, times: &SmsTimes) -> Result<Timestamp, String> {
    let within = times.schedule_within;
    let at = moment(text).ok_or_else(|| {
        "is a time in RFC 3339 (`2026-12-24T18:00:00+02:00`), or `YYYY-MM-DD HH:MM:SS` in UTC".to_owned()
    })?;
    if at < now.minus(times.late_by) {
        Err(format!("is past: now it is {} UTC; leave it out to send at once", now.to_seconds_text()))
    } else if at > now.plus(within) {
        let last = now.plus(within).to_seconds_text();
        Err(format!("is more than {} ahead: {last} UTC is the last (`store.schedule_within`)", format_duration(within)))
    } else {
        Ok(at.max(now))
    }
}

fn moment(text: &str) -> Option<Timestamp> {
    let with_offset = DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp_micros());
    let in_utc = || Some(NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok()?.and_utc().timestamp_micros());
    with_offset.or_else(in_utc).map(Timestamp::from_micros)
}
