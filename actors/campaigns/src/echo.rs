//! Repeats what people send: to try a transport with, and to see how small a campaign can be.
//!
//! Over USSD a session stays open until the person sends `0`. An SMS is answered with its own text and opens no
//! dialogue. Two services that both answer every SMS must not be routed to each other: they would never stop.

use schemars::JsonSchema;
use serde::Deserialize;
use vumi_campaign_kit::{Campaign, Limits, Screen, Session};
use vumi_kit::kind::Problem;

/// The settings of `echo`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EchoSettings {
    /// What a person who dials sees first.
    greeting: String,
    /// What a person sees who sends `0`.
    goodbye: String,
    /// How many messages it takes at once, and when its sessions expire.
    limits: Limits,
}

impl Default for EchoSettings {
    fn default() -> Self {
        Self {
            greeting: "Hello! Send anything, and I say it back. Send 0 to end.".to_owned(),
            goodbye: "Goodbye!".to_owned(),
            limits: Limits::default(),
        }
    }
}

/// The campaign.
pub(crate) struct Echo(EchoSettings);

impl Campaign for Echo {
    const NAME: &'static str = "echo";
    const EXAMPLE: &'static str = r#"greeting = "Hello! Send anything, and I say it back. Send 0 to end."
goodbye = "Goodbye!"
"#;
    type Settings = EchoSettings;
    type State = ();

    fn new(settings: EchoSettings) -> Result<Self, Vec<Problem>> {
        let screens = [("greeting", Screen::ask(&settings.greeting)), ("goodbye", Screen::end(&settings.goodbye))];
        let problem = |(key, screen): (&str, Screen)| Some(Problem::new(key, screen.fits_ussd().err()?.to_string()));
        let problems: Vec<Problem> = screens.into_iter().filter_map(problem).collect();
        if problems.is_empty() { Ok(Self(settings)) } else { Err(problems) }
    }

    async fn answer(&self, session: &mut Session<()>, input: Option<&str>) -> Screen {
        match (input, session.opened_with()) {
            (None, Some("")) => Screen::silence(),
            (None, Some(text)) => Screen::end(text),
            (None | Some(""), _) => Screen::ask(&self.0.greeting),
            (Some("0"), _) => Screen::end(&self.0.goodbye),
            (Some(text), _) => Screen::ask(text),
        }
    }

    fn limits(&self) -> Limits {
        self.0.limits.clone()
    }
}

#[cfg(test)]
mod tests {
    use vumi_campaign_kit::Campaign;
    use vumi_campaign_kit::testing::Phone;

    use super::{Echo, EchoSettings};

    fn phone() -> Phone<Echo> {
        Phone::new(Echo::new(EchoSettings::default()).unwrap())
    }

    #[test]
    fn it_greets_and_repeats_what_is_sent_until_that_is_0() {
        let phone = phone();
        assert!(phone.dial("*120#").contains("Send anything"));
        for text in ["parrot", "00", "a, b"] {
            let shown = phone.send(text);
            assert_eq!(shown, text);
            assert!(shown.is_open());
        }
        assert!(phone.send("").contains("Send anything"));
        let end = phone.send("0");
        assert_eq!(end, "Goodbye!");
        assert!(!end.is_open());
    }

    #[test]
    fn an_sms_is_repeated_and_opens_no_dialogue() {
        let phone = phone();
        assert_eq!(phone.sms("38080", "hello"), "hello");
        assert_eq!(phone.sms("38080", "0"), "0", "there is nothing to end");
        assert!(phone.sms("38080", " ").is_silent());
    }

    #[test]
    fn texts_that_no_phone_can_show_are_refused_by_key() {
        let settings =
            EchoSettings { greeting: "x".repeat(183), goodbye: "Hamba kahle ☺".to_owned(), ..Default::default() };
        let problems = Echo::new(settings).err().unwrap();
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, ["greeting", "goodbye"]);
    }
}
