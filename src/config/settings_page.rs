//! `docs/settings.md`: every key of the settings with its type, default, example and meaning, made of the structs that
//! read them. Written by `vumi settings docs`; a test compares the file.

mod keys;

use schemars::JsonSchema;
use serde_json::Value;
use vumi_amqp::AmqpSettings;
use vumi_callbacks::CallbackSettings;
use vumi_http::{HealthSettings, HttpSettings};
use vumi_kit::{
    consent::ConsentSettings,
    kind::{KindEntry, Registry, settings_schema},
    price::PriceSettings,
    transport_settings::TransportSettings,
};
use vumi_middleware::MiddlewareSettings;
use vumi_router::{OutboundRoute, Route, RouterSettings};
use vumi_sandbox::SandboxSettings;
use vumi_smpp::SmppSettings;
use vumi_store::StoreSettings;

use super::{EMBEDDED_DEFAULT, Kinds};
use crate::supervisor::SupervisorSettings;
use keys::{Key, keys};

const HEAD: &str = "# Settings

Every key, made from the code by `make docs`. `vumi check` says what is wrong with a settings file; `vumi kinds` prints \
the kinds with settings to start from.

- A key without a default has to be given, unless its default is *none*.
- A *time* is written `200ms`, `10s`, `5m`, `24h` or `1h 30m`.
- A *secret* is never shown or logged. As with any key, a file can hold it: `password_file = \"/run/secrets/x\"` gives the
  content of that file as `password`.
- A dotted key such as `retry.first` is a key of an inner table: `retry = { first = \"5s\" }`.
- The environment overrides single keys: `VUMI__HTTP__BIND=0.0.0.0:8000` is `bind` under `[http]`. A name's `-` is
  written `_`.
";

/// Settings files that ship with vumi: the examples of keys are theirs.
const SHIPPED: [&str; 3] = [
    include_str!("../../settings/production.example.toml"),
    include_str!("../../settings/cluster.example.toml"),
    EMBEDDED_DEFAULT,
];

/// Tables that several kinds share, each with the heading it is documented under once.
const SHARED: [(&str, &str); 4] = [
    ("webhooks", "[transports.NAME.webhooks]"),
    ("outbox", "[transports.NAME.outbox]"),
    ("limits", "[campaigns.NAME.limits]"),
    ("misbehave", "[sandbox.PROVIDER.misbehave]"),
];

/// The page, for these kinds.
#[must_use]
pub fn settings_page(kinds: &Kinds) -> String {
    let mut page = Page { text: HEAD.to_owned(), shipped: SHIPPED.iter().filter_map(|text| example(text)).collect() };
    page.section::<StoreSettings>("store");
    page.section::<ConsentSettings>("consent");
    page.section::<HttpSettings>("http");
    page.section::<HealthSettings>("health");
    page.section::<AmqpSettings>("amqp");
    page.section::<SmppSettings>("smpp");
    page.section::<CallbackSettings>("callbacks");
    page.section::<RouterSettings>("router");
    page.section::<SupervisorSettings>("supervisor");
    page.lines::<Route>("routes");
    page.lines::<PriceSettings>("price");
    page.lines::<OutboundRoute>("outbound");
    page.middleware();
    page.kinds("transports", &kinds.transports);
    page.kinds("campaigns", &kinds.campaigns);
    page.section::<SandboxSettings>("sandbox");
    page.shared("misbehave", &[settings_schema::<SandboxSettings>().to_value()]);
    page.text
}

struct Page {
    text: String,
    shipped: Vec<Value>,
}

impl Page {
    fn section<T: JsonSchema>(&mut self, name: &str) {
        let schema = settings_schema::<T>().to_value();
        let examples: Vec<Value> = self.shipped.iter().filter_map(|file| file.get(name)).cloned().collect();
        self.table(&format!("## [{name}]"), &schema, &examples);
    }

    /// A list of tables.
    fn lines<T: JsonSchema>(&mut self, name: &str) {
        let schema = settings_schema::<T>().to_value();
        let of_files = self.shipped.iter().filter_map(|file| file.get(name)?.as_array());
        let examples: Vec<Value> = of_files.flatten().cloned().collect();
        self.table(&format!("## [[{name}]]"), &schema, &examples);
    }

    fn middleware(&mut self) {
        self.table("## [[middleware]]", &settings_schema::<MiddlewareSettings>().to_value(), &[]);
        for kind in vumi_middleware::kinds() {
            let heading = format!("### middleware of kind = \"{}\"", kind.name);
            self.kind_table(&heading, kind.name, kind.example, &(kind.schema)().to_value());
        }
    }

    fn kinds(&mut self, section: &str, registry: &Registry) {
        self.text.push_str(&format!(
            "\n## [{section}.NAME]\n\n`kind` says which of the kinds below it is. NAME is yours: the API, the routes and \
             the log use it.\n"
        ));
        if section == "transports" {
            self.table("### Keys of any kind", &settings_schema::<TransportSettings>().to_value(), &[]);
        }
        let schemas: Vec<Value> = registry.iter().map(|kind| (kind.schema)().to_value()).collect();
        for (kind, schema) in registry.iter().zip(&schemas) {
            self.kind(kind, schema);
        }
        for shared in ["outbox", "webhooks", "limits"] {
            self.shared(shared, &schemas);
        }
    }

    fn kind(&mut self, kind: &KindEntry, schema: &Value) {
        self.kind_table(&format!("### kind = \"{}\"", kind.name), kind.name, kind.example, schema);
    }

    fn kind_table(&mut self, heading: &str, name: &str, text: &str, schema: &Value) {
        let examples: Vec<Value> = example(text).into_iter().collect();
        self.table(heading, schema, &examples);
        self.text.push_str(&format!("\n```toml\nkind = \"{name}\"\n{}\n```\n", text.trim()));
    }

    /// A table that several schemas have below this name, or one of them somewhere within.
    fn shared(&mut self, name: &str, schemas: &[Value]) {
        let Some(schema) = schemas.iter().find_map(|schema| find_property(schema, name)) else { return };
        let heading = SHARED.iter().find(|(shared, _)| *shared == name).map_or(name, |(_, heading)| heading);
        let examples: Vec<Value> = self.shipped.iter().filter_map(|file| find_table(file, name)).cloned().collect();
        self.table(&format!("### {heading}"), schema, &examples);
    }

    fn table(&mut self, heading: &str, schema: &Value, examples: &[Value]) {
        self.text.push_str(&format!("\n{heading}\n\n"));
        let about = keys::description(schema);
        if !about.is_empty() {
            self.text.push_str(&format!("{about}\n\n"));
        }
        self.text.push_str("| Key | Type | Default | Example | Meaning |\n|---|---|---|---|---|\n");
        for key in keys(schema, examples) {
            self.text.push_str(&row(&key));
        }
    }
}

fn row(key: &Key) -> String {
    let shared = SHARED.iter().find(|(name, _)| *name == key.last_part());
    let meaning = match shared {
        Some((_, heading)) => format!("{} See `{heading}`.", key.meaning),
        None => key.meaning.clone(),
    };
    let code = |value: &Option<Value>| value.as_ref().map(|value| format!("`{}`", keys::toml(value)));
    let default = match (code(&key.default), key.required) {
        (Some(default), _) => default,
        (None, true) => "**required**".to_owned(),
        (None, false) => "none".to_owned(),
    };
    let is_table = key.kind == "table" && !key.required;
    let default = if is_table { String::new() } else { default };
    let cells = [format!("`{}`", key.name), key.kind.clone(), default, code(&key.example).unwrap_or_default(), meaning];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

fn example(text: &str) -> Option<Value> {
    toml::from_str(text).ok()
}

fn find_property<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    let properties = schema.get("properties")?.as_object()?;
    properties.get(name).or_else(|| properties.values().find_map(|inner| find_property(inner, name)))
}

fn find_table<'a>(file: &'a Value, name: &str) -> Option<&'a Value> {
    let table = file.as_object()?;
    table.get(name).or_else(|| table.values().find_map(|inner| find_table(inner, name)))
}

#[cfg(test)]
mod tests;
