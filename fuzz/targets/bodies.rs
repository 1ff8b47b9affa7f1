//! The bodies that clients post: forms, JSON and multipart, by the first byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vumi_http::fuzzing::{multipart_to_form, read_fields};

const BOUNDARY: &str = "x";

fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = data.split_first() else { return };
    match first % 3 {
        0 => assert!(read_fields("application/x-www-form-urlencoded", body) <= 1_200),
        1 => assert!(read_fields("application/json", body) <= 1_200),
        _ => {
            if let Some(form) = multipart_to_form(BOUNDARY, body) {
                // What is not ASCII takes three bytes each.
                assert!(form.len() <= 3 * body.len() + 1);
                let _kept = read_fields("application/x-www-form-urlencoded", &form);
            }
        }
    }
});
