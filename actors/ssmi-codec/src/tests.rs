//! Tests of the whole codec.

mod proptests;
