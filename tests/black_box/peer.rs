//! A worker of the Vumi family, as those of 0.6 are: plain JSON, no properties, no promises.

use std::sync::{Mutex, PoisonError};

use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    options::{
        BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
        QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, time::timeout};

use super::{DEADLINE, eventually};

/// The exchange of the family.
const EXCHANGE: &str = "vumi";

/// One side of a connector.
pub(crate) struct Peer {
    url: String,
    pub(crate) connector: String,
    runtime: Runtime,
    line: Mutex<Option<(Connection, Channel)>>,
}

impl Peer {
    /// A worker on this broker; it connects when it has something to do.
    pub(crate) fn new(url: &str, connector: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        Self { url: url.to_owned(), connector: connector.to_owned(), runtime, line: Mutex::new(None) }
    }

    pub(crate) fn queue(&self, end: &str) -> String {
        format!("{}.{end}", self.connector)
    }

    /// Does something on its channel, which is made anew when it is lost. `None`: the broker was away.
    pub(crate) fn with<T>(&self, what: impl AsyncFnOnce(&Channel) -> lapin::Result<T>) -> Option<T> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let work = async {
            if line.is_none() {
                *line = Some(connect(&self.url).await?);
            }
            let channel = line.as_ref().map(|(_, channel)| channel.clone());
            match channel {
                Some(channel) => what(&channel).await.map(Some),
                None => Ok(None),
            }
        };
        let done = self.runtime.block_on(async { timeout(DEADLINE / 4, work).await });
        match done {
            Ok(Ok::<_, lapin::Error>(done)) => done,
            Ok(Err(_)) | Err(_) => {
                *line = None;
                None
            }
        }
    }

    /// Deletes a queue of the connector.
    pub(crate) fn delete(&self, end: &str) {
        let queue = self.queue(end);
        let deleted =
            self.with(async |channel| channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await);
        assert!(deleted.is_some(), "{} is deleted", self.queue(end));
    }

    /// Somebody declares a queue of the connector anew, and not plainly.
    pub(crate) fn declare_with_a_limit(&self, end: &str) {
        self.delete(end);
        let mut limit = FieldTable::default();
        limit.insert("x-max-length".into(), AMQPValue::LongInt(10));
        let (queue, durable) = (self.queue(end), QueueDeclareOptions { durable: true, ..Default::default() });
        let declared = self.with(async |channel| channel.queue_declare(queue.into(), durable, limit).await);
        assert!(declared.is_some(), "{} is declared", self.queue(end));
    }

    /// Writes a message to a queue of the connector; whether the broker has confirmed it.
    pub(crate) fn try_publish(&self, end: &str, body: &Value) -> bool {
        let (queue, body) = (self.queue(end), serde_json::to_vec(body).unwrap());
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirmed = self.with(async |channel| {
            // As the family does: nothing but the delivery mode.
            let properties = BasicProperties::default().with_delivery_mode(2);
            channel.basic_publish(EXCHANGE.into(), queue.as_str().into(), options, &body, properties).await?.await
        });
        confirmed == Some(Confirmation::Ack(None))
    }

    /// Writes a message to a queue of the connector.
    pub(crate) fn publish(&self, end: &str, body: &Value) {
        assert!(self.try_publish(end, body), "{} takes a message", self.queue(end));
    }

    /// The next message of a queue, if there is one now.
    pub(crate) fn get(&self, end: &str) -> Option<Value> {
        let queue = self.queue(end);
        self.with(async |channel| {
            let got = channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await?;
            let Some(got) = got else { return Ok(None) };
            got.delivery.acker.ack(BasicAckOptions::default()).await?;
            Ok(Some(serde_json::from_slice(&got.delivery.data).unwrap()))
        })
        .flatten()
    }

    /// The next message of a queue, waited for.
    pub(crate) fn take(&self, end: &str) -> Value {
        eventually(&format!("a message in {}", self.queue(end)), || self.get(end))
    }

    /// A message to a person, in answer to one or of its own accord: with the keys that a worker of 0.6 writes.
    pub(crate) fn outbound(id: &str, more: &Value) -> Value {
        let mut message = json!({
            "message_version": "20110921", "message_type": "user_message", "timestamp": "2012-04-11 09:25:00",
            "message_id": id, "in_reply_to": null, "session_event": null, "transport_metadata": {},
            "helper_metadata": {}, "routing_metadata": {}, "group": null, "provider": null,
        });
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message
    }

    /// The answer to a message from a person.
    pub(crate) fn reply(to: &Value, id: &str, content: &str, session_event: &str) -> Value {
        let more = json!({
            "to_addr": to["from_addr"], "from_addr": to["to_addr"], "in_reply_to": to["message_id"],
            "to_addr_type": to["from_addr_type"], "from_addr_type": to["to_addr_type"],
            "transport_name": to["transport_name"], "transport_type": to["transport_type"],
            "transport_metadata": to["transport_metadata"], "provider": to["provider"],
            "content": content, "session_event": session_event,
        });
        Self::outbound(id, &more)
    }
}

async fn connect(url: &str) -> lapin::Result<(Connection, Channel)> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok((connection, channel))
}
