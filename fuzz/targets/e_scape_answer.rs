//! The page that E-Scape answers a submission with.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|page: &str| {
    let _decision = vumi_transports::fuzzing::read_e_scape_answer(page);
});
