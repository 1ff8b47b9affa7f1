//! How settings whose Rust type does not say it look in the generated documentation.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A time as operators write it, such as `10s` or `1h 30m`: `#[schemars(with = "HumanDuration")]` beside
/// `#[serde(with = "humantime_serde")]`.
#[derive(Debug)]
pub struct HumanDuration;

/// A text that is never shown: `#[schemars(with = "Secret")]` on a `SecretString`.
#[derive(Debug)]
pub struct Secret;

fn text(format: &str) -> Schema {
    json_schema!({ "type": "string", "format": format })
}

impl JsonSchema for HumanDuration {
    fn schema_name() -> Cow<'static, str> {
        "HumanDuration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text("duration")
    }
}

impl JsonSchema for Secret {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        text("secret")
    }
}
