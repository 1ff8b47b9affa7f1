//! The sandbox's settings: the table `[sandbox]`.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use reqwest::Url;
use secrecy::SecretString;
use serde::Deserialize;
use vumi_kit::{address::listen_address, kind::Problem, name::Name};

pub use crate::{
    carriers::{
        africas_talking::AfricasTalkingSettings, clickatell::ClickatellSettings,
        clickatell_platform::ClickatellPlatformSettings, e_scape::EScapeSettings, opera::OperaSettings,
        techsys::TechsysSettings, twilio::TwilioSettings,
    },
    truteq::TruteqSettings,
};

/// Where the carriers listen, where they call the router, and how each of them behaves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SandboxSettings {
    /// Where the carriers that speak HTTP listen, and the pages that show and steer them. Default `127.0.0.1:8010`;
    /// port 0 takes any free one.
    #[serde(deserialize_with = "listen_address")]
    pub http_bind: SocketAddr,
    /// Where TruTeq listens for SSMI. Default `127.0.0.1:50008`; port 0 takes any free one.
    #[serde(deserialize_with = "listen_address")]
    pub truteq_bind: SocketAddr,
    /// Below this URL the carriers call the router: `{callback_url}/{transport}/receipt.json`.
    /// Default `http://127.0.0.1:8000/api/v1/sms`.
    pub callback_url: String,
    /// The user of those calls. Default `username`.
    pub username: String,
    /// That user's password. Default `password`.
    pub password: SecretString,
    /// How many receipts can wait to be posted; as many again can wait between two attempts. A receipt that finds no
    /// room is given up, counted and logged: an answer to the router never waits for one. Default 500000, which is
    /// a minute at 8,000 a second; one takes about 400 bytes.
    pub receipt_queue: usize,
    /// How many receipts are posted at the same time, each on a connection that is kept. Default 64:
    /// 12,000 a second where the router takes 5 ms to commit one.
    pub receipt_connections: usize,
    /// How often a receipt is posted until the router answers 2xx; the waits between grow from 250 ms to 10 s.
    /// Default 10 times, 45 s in all.
    pub receipt_attempts: u32,
    /// How long the router may take to answer a call. Default `10s`.
    #[serde(with = "humantime_serde")]
    pub call_limit: Duration,
    /// How many different SMS each carrier remembers for `/seen`; those past it are only counted, as `untracked`.
    /// Default 2000000; one with a number as its id takes about 60 bytes.
    pub seen_ids: usize,
    /// Clickatell, HTTP API 2.x.
    pub clickatell: ClickatellSettings,
    /// Clickatell, the present platform.
    pub clickatell_platform: ClickatellPlatformSettings,
    /// Opera.
    pub opera: OperaSettings,
    /// E-Scape.
    pub e_scape: EScapeSettings,
    /// Techsys.
    pub techsys: TechsysSettings,
    /// Africa's Talking.
    pub africas_talking: AfricasTalkingSettings,
    /// Twilio.
    pub twilio: TwilioSettings,
    /// TruTeq.
    pub truteq: TruteqSettings,
}

impl Default for SandboxSettings {
    fn default() -> Self {
        Self {
            http_bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 8010)),
            truteq_bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 50008)),
            callback_url: "http://127.0.0.1:8000/api/v1/sms".to_owned(),
            username: "username".to_owned(),
            password: SecretString::from("password"),
            receipt_queue: 500_000,
            receipt_connections: 64,
            receipt_attempts: 10,
            call_limit: Duration::from_secs(10),
            seen_ids: 2_000_000,
            clickatell: ClickatellSettings::default(),
            clickatell_platform: ClickatellPlatformSettings::default(),
            opera: OperaSettings::default(),
            e_scape: EScapeSettings::default(),
            techsys: TechsysSettings::default(),
            africas_talking: AfricasTalkingSettings::default(),
            twilio: TwilioSettings::default(),
            truteq: TruteqSettings::default(),
        }
    }
}

impl SandboxSettings {
    /// What is wrong with settings that parse.
    #[must_use]
    pub fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !Url::parse(&self.callback_url).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            problems.push(Problem::new("callback_url", "give the router's URL: http://127.0.0.1:8000/api/v1/sms"));
        }
        for (key, n) in [("receipt_queue", self.receipt_queue), ("receipt_connections", self.receipt_connections)] {
            if n == 0 {
                problems.push(Problem::new(key, "has to be 1 or more"));
            }
        }
        for (table, transport) in [
            ("clickatell", &self.clickatell.transport),
            ("clickatell_platform", &self.clickatell_platform.transport),
            ("opera", &self.opera.transport),
            ("e_scape", &self.e_scape.transport),
            ("techsys", &self.techsys.transport),
            ("africas_talking", &self.africas_talking.transport),
            ("twilio", &self.twilio.transport),
        ] {
            if let Err(wrong) = Name::parse(transport) {
                problems.push(Problem::new(format!("{table}.transport"), wrong.to_string()));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::SandboxSettings;

    #[test]
    fn the_defaults_are_right_and_unknown_keys_are_refused() {
        assert_eq!(SandboxSettings::default().check(), vec![]);
        let read = serde_json::from_str::<SandboxSettings>;
        let settings =
            read(r#"{"opera":{"transport":"opera-2","misbehave":{"refuse_every":3,"delay":"1s"}}}"#).unwrap();
        assert_eq!(settings.opera.misbehave.refuse_every, 3);
        assert!(read(r#"{"htpp_bind":"127.0.0.1:1"}"#).is_err());
        assert!(read(r#"{"opera":{"misbehave":{"refuse":1}}}"#).is_err());
    }

    #[test]
    fn settings_that_can_not_work_are_named() {
        let settings = SandboxSettings {
            callback_url: "localhost:8000".to_owned(),
            receipt_connections: 0,
            ..SandboxSettings::default()
        };
        let keys: Vec<_> = settings.check().into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["callback_url", "receipt_connections"]);
    }
}
