//! USSD over HTTP, as aggregators speak it: they call a URL for each step of a session and show its answer.
//!
//! A [`UssdShape`] says how one aggregator names things. With it
//! - [`UssdShape::read_call`] and [`UssdShape::write_answer`] serve the aggregator's calls;
//! - [`UssdShape::write_call`] and [`UssdShape::read_answer`] call an application as the aggregator would.
//!
//! [`presets`] has the shapes by name. Some aggregators send the inputs of a session joined: [`joined`] takes them apart.
//! Nothing here does I/O or knows a clock.

mod answer;
mod call;
pub mod joined;
mod named_fields;
pub mod presets;
mod shape;
mod xml_leaves;

#[cfg(test)]
mod tests;

pub use answer::{UssdAnswer, WrittenAnswer, WrongAnswer};
pub use call::{CallBytes, CallEvent, UssdCall, WrittenCall, WrongCall};
pub use shape::{
    AnswerMark, AnswerShape, CallFields, CallFormat, CallMethod, EventField, FieldAnswer, InputStyle, PrefixAnswer,
    UssdShape, XmlAnswer,
};
