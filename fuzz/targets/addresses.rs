//! The addresses that clients and carriers write, country codes, and the keywords of people.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vumi_kit::address::{Address, CountryCode, Msisdn, UssdCode};
use vumi_router::fuzzing::{keyword, keyword_candidates};

fuzz_target!(|text: &str| {
    for address in [Address::sender(text).ok(), Address::inbound(text).ok()].into_iter().flatten() {
        assert_eq!(Address::inbound(address.as_str()).as_ref(), Ok(&address), "it reads as itself");
        assert!(address.msisdn().is_none_or(|number| number.as_str() == address.as_str()));
    }
    if let Ok(number) = Msisdn::parse(text) {
        assert!((3..=15).contains(&number.as_str().len()) && number.as_str().bytes().all(|byte| byte.is_ascii_digit()));
        assert_eq!(Msisdn::parse(&number.with_plus()), Ok(number.clone()));
        for code in ["27", "1", "353"].into_iter().filter_map(|code| CountryCode::parse(code).ok()) {
            let _in_full = code.international(&number);
        }
    }
    let _code = (CountryCode::parse(text).is_ok(), UssdCode::parse(text).is_ok());
    for candidate in keyword_candidates(text) {
        assert_eq!(keyword(&candidate), candidate, "a keyword is in its form");
    }
});
