//! The list of providers that speak HTTP. To add one: its file in `providers/`, its `mod` line, and its line in [`list`].

pub(crate) mod africas_talking;
pub(crate) mod clickatell;
pub(crate) mod clickatell_platform;
pub(crate) mod e_scape;
pub(crate) mod opera;
pub(crate) mod techsys;
pub(crate) mod twilio;

/// Passes the list to a macro: each provider's file, which is also the name of its table in the settings, and its
/// settings. `GET /` shows the providers in this order.
macro_rules! list {
    ($receiver:ident) => {
        $receiver! {
            /// Clickatell, HTTP API 2.x.
            clickatell::ClickatellSettings,
            /// Clickatell, the present platform.
            clickatell_platform::ClickatellPlatformSettings,
            /// Opera.
            opera::OperaSettings,
            /// E-Scape.
            e_scape::EScapeSettings,
            /// Techsys.
            techsys::TechsysSettings,
            /// Africa's Talking.
            africas_talking::AfricasTalkingSettings,
            /// Twilio.
            twilio::TwilioSettings,
        }
    };
}
pub(crate) use list;
