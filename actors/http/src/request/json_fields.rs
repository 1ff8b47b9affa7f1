//! Reads a JSON object of strings, whole numbers and lists of them into the fields that a form would have.
//!
//! The object is never built: each value is kept, counted or skipped as it is read.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fields::{FieldCollector, RequestFields, Slot};
use crate::response::error::ApiError;

/// Reads a body.
pub(super) fn read<'a>(body: &'a [u8], mut collector: FieldCollector<'a>) -> Result<RequestFields<'a>, ApiError> {
    let mut reader = ObjectReader { collector: &mut collector, refused: None };
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = json.deserialize_map(&mut reader).and_then(|()| json.end());
    if let Some(refused) = reader.refused {
        return Err(refused);
    }
    read.map_err(|error| ApiError::Unreadable(format!("the body must be a JSON object: {error}")))?;
    collector.finish()
}

struct ObjectReader<'c, 'a> {
    collector: &'c mut FieldCollector<'a>,
    /// The bound that ended the reading.
    refused: Option<ApiError>,
}

impl ObjectReader<'_, '_> {
    /// Ends the reading with an error of the deserializer, whose reason is kept here.
    fn or_end<T, E: Error>(&mut self, result: Result<T, ApiError>) -> Result<T, E> {
        result.map_err(|refused| {
            self.refused = Some(refused);
            E::custom("a bound is met")
        })
    }
}

impl<'a> Visitor<'a> for &mut ObjectReader<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(FieldName(name)) = map.next_key_seed(NameReader)? {
            if self.collector.knows(&name) {
                map.next_value_seed(&mut ValueReader { object: self, name, in_list: false })?;
            } else {
                let counted = self.collector.count_field();
                self.or_end(counted)?;
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// A field's name: borrowed from the body, unless it has escapes.
struct FieldName<'a>(Cow<'a, str>);
struct NameReader;

impl<'a> DeserializeSeed<'a> for NameReader {
    type Value = FieldName<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<FieldName<'a>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for NameReader {
    type Value = FieldName<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'a str) -> Result<FieldName<'a>, E> {
        Ok(FieldName(Cow::Borrowed(name)))
    }

    fn visit_str<E>(self, name: &str) -> Result<FieldName<'a>, E> {
        Ok(FieldName(Cow::Owned(name.to_owned())))
    }
}

/// Reads the value of a field that the call knows, or the values of a list.
struct ValueReader<'r, 'c, 'a> {
    object: &'r mut ObjectReader<'c, 'a>,
    name: Cow<'a, str>,
    in_list: bool,
}

impl<'a> ValueReader<'_, '_, 'a> {
    /// Takes a value, which is made only where it is kept.
    fn take<E: Error>(&mut self, value: impl FnOnce() -> Cow<'a, str>) -> Result<(), E> {
        let slot = self.object.collector.slot(&self.name);
        match self.object.or_end(slot)? {
            Slot::Keep => self.object.collector.keep(self.name.clone(), value()),
            Slot::Count => self.object.collector.count(self.name.clone()),
            Slot::Skip => {}
        }
        Ok(())
    }

    /// Takes a number where the field may be one.
    fn take_number<E: Error>(&mut self, number: impl fmt::Display) -> Result<(), E> {
        if self.object.collector.takes_numbers(&self.name) {
            self.take(|| Cow::Owned(number.to_string()))
        } else {
            self.error(&number.to_string());
            Ok(())
        }
    }

    fn error(&mut self, value: &str) {
        let (numbers, lists) =
            (self.object.collector.takes_numbers(&self.name), self.object.collector.takes_lists(&self.name));
        let wanted = match (numbers, lists) {
            _ if self.object.collector.takes_flags(&self.name) => "must be true or false",
            (true, true) => "must be a text, a whole number, or a list of them",
            (true, false) => "must be a text or a whole number",
            (false, true) => "must be a text or a list of texts",
            (false, false) => "must be a text",
        };
        self.object.collector.error(&self.name, value, wanted);
    }
}

impl<'a> DeserializeSeed<'a> for &mut ValueReader<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for &mut ValueReader<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<(), E> {
        self.take(|| Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.take(|| Cow::Owned(text.to_owned()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.take_number(number)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.take_number(number)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.error(&number.to_string());
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        let text = if value { "true" } else { "false" };
        if self.object.collector.takes_flags(&self.name) {
            return self.take(|| Cow::Borrowed(text));
        }
        self.error(text);
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.error("null");
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<(), A::Error> {
        if self.in_list || !self.object.collector.takes_lists(&self.name) {
            self.error("[…]");
            while list.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        self.in_list = true;
        while list.next_element_seed(&mut *self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut object: A) -> Result<(), A::Error> {
        self.error("{…}");
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
}
