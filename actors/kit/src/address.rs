//! Addresses: numbers, names and USSD codes of people and services; and where a server listens.

mod country;
mod country_code;
mod listen;
mod msisdn;
mod sms_address;
mod ussd_code;

pub use country_code::{CountryCode, NotACountryCode};
pub use listen::listen_address;
pub use msisdn::{Msisdn, NotAnMsisdn};
pub use sms_address::{Address, NotASender, NotAnAddress};
pub use ussd_code::{NotAUssdCode, UssdCode};
