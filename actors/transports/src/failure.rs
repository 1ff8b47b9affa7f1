//! The end of a transport whose work is several futures.

use tokio::task::JoinSet;
use vumi_kit::name::Name;

/// Waits until one of the futures panics, or all have ended: then the actor ends, too.
pub(crate) async fn first_failure(transport: Name, mut work: JoinSet<()>) {
    while let Some(ended) = work.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%transport, %error, "the transport failed inside");
            return;
        }
    }
}
