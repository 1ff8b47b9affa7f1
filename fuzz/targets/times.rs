//! The times that providers write, by declared formats and by their looks.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use vumi_kit::clock::Timestamp;
use vumi_transports::fuzzing::read_time;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const DAY: Duration = Duration::from_secs(24 * 3600);
const FORMATS: [&str; 10] = [
    "seconds", "milliseconds", "rfc3339", "rfc2822", "yymmddhhmm", "yymmddhhmmss", "yyyymmddhhmm", "yyyymmddhhmmss",
    "yyyymmdd", "%d/%m/%Y %H:%M",
];

fuzz_target!(|text: &str| {
    let (format, own) = text.split_once('\n').unwrap_or(("", text));
    let read = FORMATS.iter().map(|format| Some(*format)).chain([None, Some(format)]);
    for at in read.filter_map(|format| read_time(own, format, NOW)) {
        assert!(at >= Timestamp::from_seconds(946_684_800) && at <= NOW.plus(DAY), "{at:?}");
    }
});
