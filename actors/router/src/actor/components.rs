//! Which components run, and how each is reached.

use std::collections::HashMap;

use vumi_kit::{name::Name, router::Endpoints, start_token::StartToken};

/// The components by name, and which start of it each is.
#[derive(Debug, Default)]
pub(super) struct Components(HashMap<Name, (Endpoints, StartToken)>);

impl Components {
    /// Adds a component, in the place of an earlier one of its name.
    pub(super) fn insert(&mut self, name: Name, endpoints: Endpoints, token: StartToken) {
        self.0.insert(name, (endpoints, token));
    }

    pub(super) fn remove(&mut self, name: &Name) {
        self.0.remove(name);
    }

    /// How many there are, those that were replaced and have not gone yet among them.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Where a component is reached; none where it was replaced.
    pub(super) fn get(&self, name: &Name) -> Option<&Endpoints> {
        self.0.get(name).filter(|(_, token)| !token.is_replaced()).map(|(endpoints, _)| endpoints)
    }

    /// The campaign that was started with a token, if it is one alone.
    pub(super) fn campaign_of(&self, token: &StartToken) -> Option<&Name> {
        let started = |(_, (endpoints, of)): &(&Name, &(Endpoints, StartToken))| {
            of.is(token) && matches!(endpoints, Endpoints::Campaign { .. })
        };
        let mut campaigns = self.0.iter().filter(started).map(|(name, _)| name);
        campaigns.next().filter(|_| campaigns.next().is_none())
    }

    /// Whether there is any campaign but this one, which runs in every process.
    pub(super) fn any_campaign_but(&self, everywhere: Option<&Name>) -> bool {
        let is_campaign = |(name, (endpoints, token)): (&Name, &(Endpoints, StartToken))| {
            Some(name) != everywhere && !token.is_replaced() && matches!(endpoints, Endpoints::Campaign { .. })
        };
        self.0.iter().any(is_campaign)
    }
}
