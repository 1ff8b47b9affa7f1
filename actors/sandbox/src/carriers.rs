//! The carriers that speak HTTP. To add one: its file here, its table in the settings, its line in [`all`].

use std::sync::Arc;

use axum::Router;

use crate::{
    carrier::{Call, Carrier, InboundOrder},
    post::Post,
    settings::SandboxSettings,
};

pub(crate) mod africas_talking;
pub(crate) mod clickatell;
pub(crate) mod clickatell_platform;
pub(crate) mod e_scape;
pub(crate) mod opera;
pub(crate) mod techsys;
pub(crate) mod twilio;

/// A carrier's side that its provider decides.
pub(crate) trait Provider: Send + Sync {
    /// What all carriers have.
    fn carrier(&self) -> &Arc<Carrier>;

    /// Its routes, below `/{name}`.
    fn routes(self: Arc<Self>) -> Router;

    /// What `GET /` says of it: the paths a transport's `url` leads to.
    fn serves(&self) -> &'static str;

    /// The call that delivers an SMS from a person; none where the provider delivers none.
    fn inbound(&self, order: &InboundOrder) -> Option<Call>;
}

/// All of them, in the order `GET /` shows them.
pub(crate) fn all(settings: &SandboxSettings, post: &Post) -> Result<Vec<Arc<dyn Provider>>, String> {
    Ok(vec![
        Arc::new(clickatell::Clickatell::new(settings, post)?),
        Arc::new(clickatell_platform::ClickatellPlatform::new(settings, post)?),
        Arc::new(opera::Opera::new(settings, post)?),
        Arc::new(e_scape::EScape::new(settings, post)?),
        Arc::new(techsys::Techsys::new(settings, post)?),
        Arc::new(africas_talking::AfricasTalking::new(settings, post)?),
        Arc::new(twilio::Twilio::new(settings, post)?),
    ])
}
