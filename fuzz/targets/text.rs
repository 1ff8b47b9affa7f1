//! What an SMS is measured and transliterated to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vumi_kit::text::{Encoding, FORCED_SHOWN, is_gsm, measure, transliterate};

fuzz_target!(|text: &str| {
    let measured = measure(text);
    assert_eq!(measured.encoding == Encoding::Gsm7, text.chars().all(is_gsm));
    assert!(measured.forced_ucs2.len() <= FORCED_SHOWN);
    let (single, part, segments) = (measured.encoding.single(), measured.encoding.part(), measured.segments as usize);
    if measured.units <= single {
        assert_eq!(segments, usize::from(measured.units > 0));
        assert_eq!(measured.left_in_segment, single - measured.units);
    } else {
        assert!(segments >= 2 && measured.units + measured.left_in_segment <= segments * part);
        assert!(measured.units + measured.left_in_segment + (segments - 1) >= segments * part);
    }
    assert_eq!(measure(&transliterate(text).0).encoding, Encoding::Gsm7);
});
