//! A client's connection: how long each part of it may last, how much of an answer may wait to be read, and what ends it.
//!
//! actix bounds the time of a first request's head and of an idle connection, and nothing else: a later head may come
//! byte by byte, a chunked body that no handler reads is read for as long as it is sent, and an answer that its client
//! does not read is kept for ever. So the connection that actix gets is a [`stream::ClientStream`], which has limits of
//! its own.

pub(crate) mod idle;
pub(crate) mod life;
pub(crate) mod per_address;
pub(crate) mod stream;
pub(crate) mod track;
pub(crate) mod unread;
