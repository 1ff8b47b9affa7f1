//! Opens and closes connections to the broker.

use lapin::{Channel, Connection, ConnectionProperties, uri::AMQPUri};
use tokio::time::{Duration, timeout};

use super::{
    explain::explain_at,
    queues::{declare_connector, declare_own},
    settings::AmqpSettings,
    topology::AmqpTopology,
};

/// How long the broker may take to answer a close.
pub(super) const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Why the broker could not be used, in words that say what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CannotConnect(pub(super) String);

/// Connects, declares the topology as the front-end would at its start, and closes again. Finds out whether address,
/// user, vhost and permissions are right, and whether a queue exists with other properties.
pub async fn try_connect(settings: &AmqpSettings, topology: &AmqpTopology) -> Result<(), CannotConnect> {
    let uri = address(settings)?;
    let (connection, channel) = open(settings, "vumi check").await?;
    let declared = async {
        declare_own(&channel, &settings.dead_letters).await?;
        for connector in topology.connectors() {
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

/// Opens a connection with a channel. The broker shows the connection by its name.
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

/// Closes a connection; does not wait for a broker that does not answer.
pub(super) async fn close(connection: &Connection) {
    let _gone_already = timeout(CLOSE_WITHIN, connection.close(200, "bye".into())).await;
}

fn address(settings: &AmqpSettings) -> Result<AMQPUri, CannotConnect> {
    settings.uri().map_err(|problem| CannotConnect(format!("amqp.{}: {}", problem.key, problem.what)))
}
