//! The queue for dead letters: what could not be decoded, or failed for good, with the reason in a header.
//!
//! Listing does not remove letters: the broker has them back when the connection is closed.

use lapin::{
    BasicProperties, Channel,
    options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::time::timeout;
use vumi_kit::{clock::Timestamp, ids};

use super::{
    connection::{CannotConnect, close, open},
    explain::explain,
    publication::{PERSISTENT, Publication, json_properties},
    queues::{EXCHANGE, declare_own},
    settings::AmqpSettings,
};

/// Header: the queue that the letter came from.
const FROM: &str = "x-vumi-queue";
/// Header: why it could not be used.
const REASON: &str = "x-vumi-reason";
/// Header: since when, `YYYY-MM-DD HH:MM:SS`, UTC.
const AT: &str = "x-vumi-at";

/// A message that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its own id, not that of the message in it; empty if a policy of the broker put it here.
    pub id: String,
    /// The queue that it came from, and goes back to when it is replayed.
    pub queue: Option<String>,
    /// Why it could not be used.
    pub reason: String,
    /// Since when: `YYYY-MM-DD HH:MM:SS`, UTC.
    pub at: String,
    /// The body, as it came.
    pub body: Vec<u8>,
}

/// Which letters to replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// All that were there when the replay began.
    All,
    /// The one with this id.
    One(String),
}

/// A dead letter to be published.
pub(super) fn dead_letter(dead_letters: &str, queue: &str, reason: &str, at: Timestamp, body: Vec<u8>) -> Publication {
    let mut headers = FieldTable::default();
    for (key, value) in [(FROM, queue), (REASON, reason), (AT, &at.to_seconds_text())] {
        headers.insert(key.into(), AMQPValue::LongString(value.into()));
    }
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_message_id(ids::message_id().into())
        .with_headers(headers);
    Publication { exchange: "", queue: dead_letters.to_owned(), body, properties, may_be_gone: false }
}

/// The oldest letters, `limit` at the most.
pub async fn list(settings: &AmqpSettings, limit: usize) -> Result<Vec<DeadLetter>, CannotConnect> {
    let mut letters = Vec::new();
    with_queue(settings, async |channel| {
        while letters.len() < limit {
            let Some((letter, _)) = get(settings, channel).await? else { break };
            letters.push(letter);
        }
        Ok(())
    })
    .await?;
    Ok(letters)
}

/// How many letters there are.
pub async fn count(settings: &AmqpSettings) -> Result<u32, CannotConnect> {
    let mut count = 0;
    with_queue(settings, async |channel| {
        count = letter_count(settings, channel).await?;
        Ok(())
    })
    .await?;
    Ok(count)
}

/// The letter with an id.
pub async fn show(settings: &AmqpSettings, id: &str) -> Result<Option<DeadLetter>, CannotConnect> {
    let mut found = None;
    with_queue(settings, async |channel| {
        while let Some((letter, _)) = get(settings, channel).await? {
            if letter.id == id {
                found = Some(letter);
                break;
            }
        }
        Ok(())
    })
    .await?;
    Ok(found)
}

/// Puts letters back into the queues they came from and answers how many. Each is removed here when it is confirmed
/// there. A letter whose queue is not known, or does not exist any more, stays.
pub async fn replay(settings: &AmqpSettings, which: &Replay) -> Result<usize, CannotConnect> {
    let mut replayed = 0;
    with_queue(settings, async |channel| {
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(|error| failed(&error))?;
        // A replayed letter can come back meanwhile. It is behind these, and is not replayed again.
        let mut left = letter_count(settings, channel).await?;
        while left > 0 {
            let Some((letter, acker)) = get(settings, channel).await? else { break };
            left -= 1;
            let wanted = match which {
                Replay::All => true,
                Replay::One(id) => letter.id == *id,
            };
            if wanted && put_back(settings, channel, letter).await? {
                acker.ack(BasicAckOptions::default()).await.map_err(|error| failed(&error))?;
                replayed += 1;
            }
        }
        Ok(())
    })
    .await?;
    Ok(replayed)
}

async fn put_back(settings: &AmqpSettings, channel: &Channel, letter: DeadLetter) -> Result<bool, CannotConnect> {
    let Some(queue) = letter.queue else { return Ok(false) };
    let mandatory = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let published = async {
        let key = queue.as_str().into();
        channel.basic_publish(EXCHANGE.into(), key, mandatory, &letter.body, json_properties()).await?.await
    };
    let confirmed = within(settings, published).await?;
    Ok(matches!(confirmed, lapin::Confirmation::Ack(None)))
}

async fn letter_count(settings: &AmqpSettings, channel: &Channel) -> Result<u32, CannotConnect> {
    let passive = QueueDeclareOptions { durable: true, passive: true, ..QueueDeclareOptions::default() };
    let declared = channel.queue_declare(settings.dead_letters.as_str().into(), passive, FieldTable::default());
    Ok(within(settings, declared).await?.message_count())
}

/// Uses the queue; what was not acknowledged goes back to it afterwards.
async fn with_queue(
    settings: &AmqpSettings,
    use_queue: impl AsyncFnOnce(&Channel) -> Result<(), CannotConnect>,
) -> Result<(), CannotConnect> {
    let (connection, channel) = open(settings, "vumi dead").await?;
    within(settings, declare_own(&channel, &settings.dead_letters)).await?;
    let used = use_queue(&channel).await;
    close(&connection).await;
    used
}

async fn get(settings: &AmqpSettings, channel: &Channel) -> Result<Option<(DeadLetter, lapin::Acker)>, CannotConnect> {
    let got = channel.basic_get(settings.dead_letters.as_str().into(), BasicGetOptions::default());
    Ok(within(settings, got).await?.map(|message| {
        let delivery = message.delivery;
        (read(&delivery.properties, delivery.data), delivery.acker)
    }))
}

fn read(properties: &BasicProperties, body: Vec<u8>) -> DeadLetter {
    let header = |key: &str| {
        let value = properties.headers().as_ref()?.inner().get(key)?;
        Some(String::from_utf8_lossy(value.as_long_string()?.as_bytes()).into_owned())
    };
    DeadLetter {
        id: properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default(),
        // The broker sets the others when a policy put the letter here.
        queue: header(FROM).or_else(|| header("x-first-death-queue")),
        reason: header(REASON).or_else(|| header("x-first-death-reason")).unwrap_or_default(),
        at: header(AT).unwrap_or_default(),
        body,
    }
}

async fn within<T>(settings: &AmqpSettings, call: impl Future<Output = lapin::Result<T>>) -> Result<T, CannotConnect> {
    match timeout(settings.connect_within, call).await {
        Ok(done) => done.map_err(|error| failed(&error)),
        Err(_) => Err(CannotConnect(format!("no answer within {:?}", settings.connect_within))),
    }
}

fn failed(error: &lapin::Error) -> CannotConnect {
    CannotConnect(explain(error))
}
