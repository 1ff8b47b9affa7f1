//! The connection: made, kept, and made again when it is lost.
//!
//! lapin can recover by itself, but leaves publishing without an answer while the broker is away, and says nothing
//! when it is lost. Here a lost connection is the end of one life, and the next one declares everything anew: also
//! after the broker was emptied, or a queue deleted.

use std::rc::Rc;

use futures_util::{StreamExt, future::OptionFuture, stream::FuturesUnordered};
use lapin::{
    Channel, Connection, ConnectionProperties,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions},
    types::{FieldTable, ShortString},
    uri::AMQPUri,
};
use tokio::time::{Duration, interval, sleep, timeout};

use super::{
    core::{AmqpCore, Connector, Link},
    explain::{explain, explain_at},
    intake::{Stream, consume},
    settings::AmqpSettings,
    topology::{declare_connector, declare_own},
};

/// How often the connection is looked at while nothing goes over it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the broker may take to say goodbye.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Why the broker could not be used; in words that say what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CannotConnect(pub(super) String);

/// Connects, declares the topology as the front-end would at its start, and closes again: whether address, user,
/// vhost and permissions are right, and no queue stands in the way.
pub async fn try_connect(settings: &AmqpSettings) -> Result<(), CannotConnect> {
    let uri = address(settings)?;
    let (connection, channel) = open(settings, "vumi check").await?;
    let declared = async {
        declare_own(&channel, &settings.dead_letters).await?;
        for connector in Connector::all(settings) {
            declare_connector(&channel, &connector.queues).await?;
        }
        Ok(())
    };
    let declared = timeout(settings.connect_within, declared).await;
    close(&connection).await;
    match declared {
        Ok(declared) => declared.map_err(|error: lapin::Error| CannotConnect(explain_at(&error, &uri))),
        Err(_) => Err(CannotConnect(format!("nothing was declared within {:?}", settings.connect_within))),
    }
}

fn address(settings: &AmqpSettings) -> Result<AMQPUri, CannotConnect> {
    settings.uri().map_err(|problem| CannotConnect(format!("amqp.{}: {}", problem.key, problem.what)))
}

/// A connection with a channel.
pub(super) async fn open(settings: &AmqpSettings, name: &str) -> Result<(Connection, Channel), CannotConnect> {
    let uri = address(settings)?;
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let opened = async {
        let connection = Connection::connect_uri(uri.clone(), properties).await?;
        let channel = connection.create_channel().await?;
        Ok::<_, lapin::Error>((connection, channel))
    };
    match timeout(settings.connect_within, opened).await {
        Ok(Ok(opened)) => Ok(opened),
        Ok(Err(error)) => Err(CannotConnect(explain_at(&error, &uri))),
        Err(_) => Err(CannotConnect(format!("no answer within {:?}", settings.connect_within))),
    }
}

/// Says goodbye; a broker that does not answer is left.
pub(super) async fn close(connection: &Connection) {
    let _gone_already = timeout(CLOSE_WITHIN, connection.close(200, "bye".into())).await;
}

/// Keeps the link until the front-end stops.
pub(super) async fn keep(core: Rc<AmqpCore>) {
    let mut stopping = core.stopping.subscribe();
    let mut failures = 0;
    loop {
        let life = live(&core).await;
        let why = match life {
            Life::Stopped => {
                *core.link.borrow_mut() = Link::Down { since: core.clock.now(), why: "vumi is stopping".to_owned() };
                return;
            }
            Life::NeverBegan(why) => why,
            Life::Lost(why) => {
                failures = 0;
                why
            }
        };
        failures += 1;
        let wait = core.settings.reconnect.wait(failures);
        down(&core, why);
        tokio::select! {
            () = sleep(wait) => {}
            // The sender lives in the core.
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

fn down(core: &AmqpCore, why: String) {
    let mut link = core.link.borrow_mut();
    let since = match &*link {
        Link::Down { since, .. } => *since,
        Link::Up { .. } => core.clock.now(),
    };
    if matches!(&*link, Link::Down { why: before, .. } if *before == why) {
        tracing::debug!(%why, "the broker is still away");
    } else {
        tracing::warn!(%why, "the broker is away: it is tried again");
    }
    *link = Link::Down { since, why };
}

enum Life {
    Stopped,
    NeverBegan(String),
    Lost(String),
}

/// Two connections: while an alarm lasts, the broker reads nothing from one that publishes, acknowledgements included.
struct Connections {
    publishing: Connection,
    consuming: Connection,
    /// Closed when dropped, and what was delivered on one can't be acknowledged then.
    channels: Vec<Channel>,
    streams: Vec<Stream>,
}

async fn live(core: &Rc<AmqpCore>) -> Life {
    let begun = timeout(core.settings.connect_within * 3, begin(core)).await;
    let connections = match begun {
        Ok(Ok(begun)) => begun,
        Ok(Err(CannotConnect(why))) => return Life::NeverBegan(why),
        Err(_) => return Life::NeverBegan("the broker did not declare queues and consumers in time".to_owned()),
    };
    let Connections { publishing, consuming, channels, streams } = connections;
    tracing::info!(connectors = core.connectors.len(), "connected to the broker");
    let life = serve(core, streams, &publishing).await;
    match &life {
        // At once: who publishes meanwhile is to know.
        Life::Lost(why) | Life::NeverBegan(why) => down(core, why.clone()),
        Life::Stopped => {
            for channel in channels {
                // Its answer says that the broker has what was acknowledged last.
                let _gone_already = timeout(CLOSE_WITHIN, channel.close(200, "bye".into())).await;
            }
        }
    }
    close(&consuming).await;
    close(&publishing).await;
    life
}

async fn begin(core: &Rc<AmqpCore>) -> Result<Connections, CannotConnect> {
    let (publishing, channel) = open(&core.settings, "vumi publishing").await?;
    let (consuming, declaring) = open(&core.settings, "vumi consuming").await?;
    let consumed = declare_and_consume(core, &channel, &consuming, &declaring).await;
    let (channels, streams) = consumed.map_err(|error| CannotConnect(explain(&error)))?;
    core.generation.set(core.generation.get() + 1);
    core.suspicion.take();
    let since = core.clock.now();
    *core.link.borrow_mut() = Link::Up { since, channel, status: publishing.status().clone() };
    core.event_waits.notify_one();
    Ok(Connections { publishing, consuming, channels, streams })
}

async fn declare_and_consume(
    core: &AmqpCore,
    publish_on: &Channel,
    consuming: &Connection,
    declaring: &Channel,
) -> lapin::Result<(Vec<Channel>, Vec<Stream>)> {
    publish_on.confirm_select(ConfirmSelectOptions::default()).await?;
    declare_own(declaring, &core.settings.dead_letters).await?;
    for connector in &core.connectors {
        declare_connector(declaring, &connector.queues).await?;
    }
    let (mut channels, mut streams) = (Vec::new(), Vec::new());
    for connector in &core.connectors {
        let channel = consuming.create_channel().await?;
        // On RabbitMQ the count is each consumer's.
        channel.basic_qos(core.settings.prefetch, BasicQosOptions::default()).await?;
        for &source in connector.end.sources() {
            let queue = source.queue(connector).into();
            let options = BasicConsumeOptions::default();
            let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await?;
            streams.push(Stream { connector: connector.clone(), source, channel: channel.clone(), consumer });
        }
        channels.push(channel);
    }
    Ok((channels, streams))
}

/// Consumes until the connection is lost or the front-end stops.
async fn serve(core: &Rc<AmqpCore>, streams: Vec<Stream>, publishing: &Connection) -> Life {
    let mut stopping = core.stopping.subscribe();
    let consumed: Vec<(Channel, ShortString)> =
        streams.iter().map(|stream| (stream.channel.clone(), stream.consumer.tag())).collect();
    let mut consumers: FuturesUnordered<_> = streams.into_iter().map(|stream| consume(core.clone(), stream)).collect();
    let mut look = interval(LOOK_EVERY);
    loop {
        let consumer_ended: OptionFuture<_> = (!consumers.is_empty()).then(|| consumers.next()).into();
        tokio::select! {
            Some(ended) = consumer_ended => {
                return Life::Lost(ended.unwrap_or_else(|| "nothing is consumed any more".to_owned()));
            }
            () = core.suspected.notified() => {
                // A suspicion against an earlier connection was taken back when this one was made.
                if let Some(why) = core.suspicion.take() {
                    return Life::Lost(why);
                }
            }
            _ = look.tick() => {
                let overdue = core.in_flight.borrow_mut().settle_overdue(tokio::time::Instant::now());
                super::core::add(&core.counts.overdue, overdue.len() as u64);
                for acker in overdue {
                    core.acknowledge(Some(acker)).await;
                }
                if !publishing.status().connected() {
                    return Life::Lost("the connection that publishes was closed".to_owned());
                }
            }
            _ = stopping.wait_for(|stopping| *stopping) => break,
        }
    }
    // No more comes in: what was not begun goes back at once, for others; what is under way still goes out.
    let ending = async {
        for (channel, tag) in consumed {
            // Where the connection is gone, the broker has everything back.
            let _gone_already = channel.basic_cancel(tag, BasicCancelOptions::default()).await;
        }
        while consumers.next().await.is_some() {}
    };
    let _what_is_left_goes_back_with_the_channel = timeout(CLOSE_WITHIN, ending).await;
    drop(consumers);
    core.leave_watch();
    loop {
        let progress = core.progress.notified();
        if core.is_idle() || !publishing.status().connected() {
            return Life::Stopped;
        }
        tokio::select! {
            () = progress => {}
            _ = look.tick() => {}
        }
    }
}
