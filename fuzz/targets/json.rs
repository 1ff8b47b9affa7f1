//! JSON as others write it: in UTF-16 or UTF-32, with `NaN` and half surrogates. What the standard allows is read as the
//! standard says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use vumi_kit::{charset::Charset, json};

fuzz_target!(|data: &[u8]| {
    let read = json::read::<Value>(data).ok();
    if let Ok(standard) = serde_json::from_slice::<Value>(data) {
        assert_eq!(read.as_ref(), Some(&standard));
    }
    if let Some(read) = read {
        let written = serde_json::to_vec(&read).expect("what was read can be written");
        assert!(json::read::<Value>(&written).is_ok());
        // The same document in other encodings.
        let text = String::from_utf8(written).expect("written in UTF-8");
        let in_utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let in_utf32: Vec<u8> = text.chars().flat_map(|character| u32::from(character).to_be_bytes()).collect();
        for wide in [in_utf16, in_utf32] {
            assert_eq!(json::wide_text(&wide).as_deref(), Some(text.as_str()));
        }
    }
    let _text = json::text(data, &Charset::default());
});
