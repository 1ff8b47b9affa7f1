//! Keeps the connection: makes it, serves it, and makes it again when it is lost.
//!
//! lapin can recover by itself, but then publishing gets no answer while the broker is away, and nobody learns that
//! the connection is lost. So a lost connection ends here, and the next one declares everything again, also after the
//! broker was emptied or a queue deleted.

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
    explain::explain,
    intake::{ConsumedQueue, consume},
    queues::{QueueKind, declare_connector, declare_own, declare_queue},
    state::AmqpState,
};

/// How often the connection and overdue deliveries are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How a connection ended.
enum BrokerConnectionEnd {
    /// The front-end stops.
    Stopped,
    NeverOpened(String),
    Lost(String),
}

/// Two connections: while an alarm lasts, the broker reads nothing from one that publishes, acknowledgements included.
struct BrokerConnections {
    publishing: Connection,
    consuming: Connection,
    /// A channel closes when it is dropped, and what was delivered on it can't be acknowledged then.
    channels: Vec<Channel>,
    queues: Vec<ConsumedQueue>,
}

/// Keeps the connection until the front-end stops.
pub(super) async fn keep_connected(state: Rc<AmqpState>) {
    let mut failures = 0;
    loop {
        let why = match run_connection(&state).await {
            BrokerConnectionEnd::Stopped => {
                state.publisher.disconnected(state.clock.now(), "vumi is stopping");
                return;
            }
            BrokerConnectionEnd::NeverOpened(why) => why,
            BrokerConnectionEnd::Lost(why) => {
                failures = 0;
                why
            }
        };
        failures += 1;
        disconnected(&state, &why);
        tokio::select! {
            () = sleep(state.settings.reconnect.wait(failures)) => {}
            () = state.shutdown.begun() => return,
        }
    }
}

fn disconnected(state: &AmqpState, why: &str) {
    if state.publisher.disconnected(state.clock.now(), why) {
        tracing::warn!(%why, "the broker is away: it is tried again");
    } else {
        tracing::debug!(%why, "the broker is still away");
    }
}

async fn run_connection(state: &Rc<AmqpState>) -> BrokerConnectionEnd {
    let opened = timeout(state.settings.connect_within * 3, open_both(state)).await;
    let connections = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(CannotConnect(why))) => return BrokerConnectionEnd::NeverOpened(why),
        Err(_) => {
            return BrokerConnectionEnd::NeverOpened(
                "the broker did not declare queues and consumers in time".to_owned(),
            );
        }
    };
    let BrokerConnections { publishing, consuming, channels, queues } = connections;
    tracing::info!(connectors = state.correlation.connectors().len(), "connected to the broker");
    let end = serve(state, queues, &publishing).await;
    match &end {
        // At once, so that nobody publishes into the lost connection meanwhile.
        BrokerConnectionEnd::Lost(why) | BrokerConnectionEnd::NeverOpened(why) => disconnected(state, why),
        BrokerConnectionEnd::Stopped => {
            for channel in channels {
                // Its answer says that the broker has the last acknowledgements.
                let _gone_already = timeout(CLOSE_WITHIN, channel.close(200, "bye".into())).await;
            }
        }
    }
    close(&consuming).await;
    close(&publishing).await;
    end
}

async fn open_both(state: &AmqpState) -> Result<BrokerConnections, CannotConnect> {
    let (publishing, channel) = open(&state.settings, "vumi publishing").await?;
    let (consuming, declaring) = open(&state.settings, "vumi consuming").await?;
    let consumed = declare_and_consume(state, &channel, &consuming, &declaring).await;
    let (channels, queues) = consumed.map_err(|error| CannotConnect(explain(&error)))?;
    state.publisher.connected(state.clock.now(), channel, publishing.status().clone());
    state.events.wake();
    Ok(BrokerConnections { publishing, consuming, channels, queues })
}

async fn declare_and_consume(
    state: &AmqpState,
    publish_on: &Channel,
    consuming: &Connection,
    declaring: &Channel,
) -> lapin::Result<(Vec<Channel>, Vec<ConsumedQueue>)> {
    publish_on.confirm_select(ConfirmSelectOptions::default()).await?;
    declare_own(declaring, &state.settings.dead_letters).await?;
    for connector in state.correlation.connectors() {
        declare_connector(declaring, &connector.queues).await?;
    }
    let (mut channels, mut queues) = (Vec::new(), Vec::new());
    for connector in state.correlation.connectors() {
        let channel = consuming.create_channel().await?;
        for &kind in connector.role.consumes() {
            if kind == QueueKind::ParkedEvent {
                declare_queue(declaring, connector.queues.name(kind)).await?;
            }
            // RabbitMQ applies the count to each consumer that follows.
            channel.basic_qos(kind.prefetch(&state.settings), BasicQosOptions::default()).await?;
            let queue = connector.queues.name(kind).into();
            let options = BasicConsumeOptions::default();
            let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default()).await?;
            queues.push(ConsumedQueue { connector: connector.clone(), kind, channel: channel.clone(), consumer });
        }
        channels.push(channel);
    }
    Ok((channels, queues))
}

/// Consumes until the connection is lost or the front-end stops.
async fn serve(state: &Rc<AmqpState>, queues: Vec<ConsumedQueue>, publishing: &Connection) -> BrokerConnectionEnd {
    let consumed: Vec<(Channel, ShortString)> =
        queues.iter().map(|queue| (queue.channel.clone(), queue.consumer.tag())).collect();
    let mut consumers: FuturesUnordered<_> = queues.into_iter().map(|queue| consume(state.clone(), queue)).collect();
    let mut look = interval(LOOK_EVERY);
    loop {
        let consumer_ended: OptionFuture<_> = (!consumers.is_empty()).then(|| consumers.next()).into();
        tokio::select! {
            Some(ended) = consumer_ended => {
                return BrokerConnectionEnd::Lost(ended.unwrap_or_else(|| "nothing is consumed any more".to_owned()));
            }
            why = state.publisher.suspicion() => return BrokerConnectionEnd::Lost(why),
            _ = look.tick() => {
                state.deliveries.settle_overdue().await;
                if !publishing.status().connected() {
                    return BrokerConnectionEnd::Lost("the connection that publishes was closed".to_owned());
                }
            }
            () = state.shutdown.begun() => break,
        }
    }
    // No new delivery comes in and what is not begun goes back at once, for other processes.
    let ending = async {
        for (channel, tag) in consumed {
            // If the connection is gone, the broker has everything back.
            let _gone_already = channel.basic_cancel(tag, BasicCancelOptions::default()).await;
        }
        while consumers.next().await.is_some() {}
    };
    let _the_rest_goes_back_with_the_channel = timeout(CLOSE_WITHIN, ending).await;
    drop(consumers);
    state.sms_follower.stop();
    finish(state, publishing).await;
    BrokerConnectionEnd::Stopped
}

/// Waits until the work in progress is done, or the connection is gone.
async fn finish(state: &AmqpState, publishing: &Connection) {
    let mut look = interval(LOOK_EVERY);
    loop {
        let progress = state.shutdown.progress();
        if state.is_idle() || !publishing.status().connected() {
            return;
        }
        tokio::select! {
            () = progress => {}
            _ = look.tick() => {}
        }
    }
}
