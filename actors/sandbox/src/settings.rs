//! The sandbox's settings: the table `[sandbox]`.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use reqwest::Url;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use vumi_kit::{
    address::listen_address,
    kind::Problem,
    name::Name,
    settings_schema::{HumanDuration, Secret},
};

use crate::{
    provider_core::{ProviderCore, SharedContext},
    providers,
    sandbox_provider::{SandboxProvider, SandboxProviderSettings},
    smsc::{SmscSettings, wrong_status},
    truteq::TruteqSettings,
};

/// Defines [`SandboxSettings`] with a table for each provider of the list.
macro_rules! sandbox_settings {
    ($($(#[$doc:meta])* $table:ident::$Settings:ident,)*) => {
        $(pub use crate::providers::$table::$Settings;)*

        /// Where the providers listen, where they call the router, and how each of them behaves.
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct SandboxSettings {
            /// Where the providers that speak HTTP listen, and the pages that show and steer them. Default
            /// `127.0.0.1:8010`; port 0 takes any free one.
            #[serde(deserialize_with = "listen_address")]
            pub http_bind: SocketAddr,
            /// Where TruTeq listens for SSMI. Default `127.0.0.1:50008`; port 0 takes any free one.
            #[serde(deserialize_with = "listen_address")]
            pub truteq_bind: SocketAddr,
            /// Where the SMPP centre listens. Default `127.0.0.1:2776`; port 0 takes any free one.
            #[serde(deserialize_with = "listen_address")]
            pub smsc_bind: SocketAddr,
            /// Below this URL the providers call the router: `{callback_url}/{transport}/receipt.json`.
            pub callback_url: String,
            /// The user of those calls.
            pub username: String,
            /// That user's password.
            #[schemars(with = "Secret", extend("default" = "password"))]
            pub password: SecretString,
            /// How many receipts can wait to be posted; as many again can wait between two attempts. A receipt that
            /// finds the queue full is given up, counted and logged: an answer to the router never waits for one.
            /// Default 500000, which is a minute at 8,000 a second; one takes about 400 bytes.
            pub receipt_queue: usize,
            /// How many receipts are posted at the same time, each on a connection that is kept. Default 64: 12,000 a
            /// second where the router takes 5 ms to commit one.
            pub receipt_connections: usize,
            /// How often a receipt is posted until the router answers 2xx; the waits between grow from 250 ms to 10 s.
            /// Default 10 times, 45 s in all.
            pub receipt_attempts: u32,
            /// How long the router may take to answer a call.
            #[serde(with = "humantime_serde")]
            #[schemars(with = "HumanDuration")]
            pub call_limit: Duration,
            /// How many different SMS each provider remembers for `/seen`; those past it are only counted, as
            /// `untracked`. Default 2000000; one with a number as its id takes about 60 bytes.
            pub seen_ids: usize,
            $($(#[$doc])* pub $table: $Settings,)*
            /// TruTeq.
            pub truteq: TruteqSettings,
            /// An SMPP centre.
            pub smsc: SmscSettings,
        }

        impl Default for SandboxSettings {
            fn default() -> Self {
                Self {
                    http_bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 8010)),
                    truteq_bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 50008)),
                    smsc_bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 2776)),
                    callback_url: "http://127.0.0.1:8000/api/v1/sms".to_owned(),
                    username: "username".to_owned(),
                    password: SecretString::from("password"),
                    receipt_queue: 500_000,
                    receipt_connections: 64,
                    receipt_attempts: 10,
                    call_limit: Duration::from_secs(10),
                    seen_ids: 2_000_000,
                    $($table: $Settings::default(),)*
                    truteq: TruteqSettings::default(),
                    smsc: SmscSettings::default(),
                }
            }
        }

        impl SandboxSettings {
            /// Each provider's table and its transport.
            fn transports(&self) -> Vec<(&'static str, &str)> {
                vec![$((stringify!($table), self.$table.transport()),)*]
            }

            /// The servers of the providers that speak HTTP.
            pub(crate) fn servers(&self, context: &SharedContext) -> Result<Vec<Arc<dyn SandboxProvider>>, String> {
                Ok(vec![$(server(&self.$table, context)?,)*])
            }
        }
    };
}
providers::list!(sandbox_settings);

fn server<S: SandboxProviderSettings>(
    settings: &S,
    context: &SharedContext,
) -> Result<Arc<dyn SandboxProvider>, String> {
    let paths = (settings.transport(), S::RECEIVE);
    Ok(settings.server(ProviderCore::new(S::NAME, paths, settings.misbehave(), context)?))
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
        for (table, transport) in self.transports() {
            if let Err(wrong) = Name::parse(transport) {
                problems.push(Problem::new(format!("{table}.transport"), wrong.to_string()));
            }
        }
        if self.smsc.window == 0 {
            problems.push(Problem::new("smsc.window", "has to be 1 or more"));
        }
        if let Some(wrong) = wrong_status(&self.smsc.misbehave) {
            problems.push(Problem::new("smsc.misbehave", wrong));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::{OperaSettings, SandboxSettings};

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
            opera: OperaSettings { transport: "no name".to_owned(), ..OperaSettings::default() },
            ..SandboxSettings::default()
        };
        let keys: Vec<_> = settings.check().into_iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["callback_url", "receipt_connections", "opera.transport"]);
    }
}
