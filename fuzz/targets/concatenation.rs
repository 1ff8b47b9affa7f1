//! Which part of a longer SMS an SMS is: by its user data header, and by fields.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vumi_transports::fuzzing::{part_of_fields, part_of_header};

fuzz_target!(|text: &str| {
    let mut fields = text.splitn(3, '&');
    let [reference, total, number] = [(); 3].map(|()| fields.next().unwrap_or_default());
    for part in [part_of_header(text), part_of_fields(reference, total, number)].into_iter().flatten() {
        assert!(part.total >= 2 && (1..=part.total).contains(&part.number) && !part.reference.is_empty());
    }
});
