//! The connection: made, kept, and made again when it is lost.
//!
//! lapin can recover by itself, but leaves publishing without an answer while the broker is away, and says nothing
//! when it is lost. Here a lost connection is the end of one life, and the next one declares everything anew: also
//! after the broker was emptied, or a queue deleted.

use std::rc::Rc;

use futures_util::{StreamExt, future::OptionFuture, stream::FuturesUnordered};
use lapin::{
    Channel, Connection,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions},
    types::{FieldTable, ShortString},
};
use tokio::time::{Duration, interval, sleep, timeout};

use super::{
    connection::{CLOSE_WITHIN, CannotConnect, close, open},
    core::{AmqpCore, Link, add},
    explain::explain,
    intake::{Stream, consume},
    topology::{declare_connector, declare_own},
    watch::leave_watch,
};

/// How often the connection is looked at while nothing goes over it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

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
                add(&core.counts.overdue, overdue.len() as u64);
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
    leave_watch(core);
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
