//! SMS from people that belong to no account yet: given to those that the settings name, once there are such accounts.

use std::collections::BTreeMap;

use vumi_kit::{
    ledger::{ListUnowned, OwnReceived},
    sms::ReceivedId,
    store::{Ask, Store, StoreError},
};

use crate::table::RoutingTable;

/// SMS of one step.
const STEP: usize = 200;

/// Where the round through the SMS without an account is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnownedRound {
    after: ReceivedId,
    /// Those of this round that wait.
    left: usize,
    /// Those of the round before.
    pub(crate) waiting: usize,
}

impl UnownedRound {
    /// One step further.
    pub(crate) async fn step(mut self, store: &Store, table: &RoutingTable) -> Result<Self, StoreError> {
        let page = store.ledger.ask(ListUnowned { after: self.after, limit: STEP }).await?;
        let next = page.last().filter(|_| page.len() == STEP).map_or(0, |last| last.id);
        let mut by_account: BTreeMap<String, Vec<ReceivedId>> = BTreeMap::new();
        for received in &page {
            match table.account(&received.transport, received.sms.to.as_str(), &received.sms.message) {
                Some(account) => by_account.entry(account).or_default().push(received.id),
                None => self.left += 1,
            }
        }
        for (account, ids) in by_account {
            let (username, count) = (account.clone(), ids.len());
            if store.ledger.ask(OwnReceived { username, ids }).await? {
                tracing::info!(account, count, "SMS from people that waited for this account are passed on");
            } else {
                self.left += count;
            }
        }
        self.after = next;
        if next == 0 {
            self.end_round();
        }
        Ok(self)
    }

    fn end_round(&mut self) {
        let (before, waiting) = (self.waiting, std::mem::take(&mut self.left));
        self.waiting = waiting;
        if waiting > 0 && before == 0 {
            tracing::warn!(
                count = waiting,
                "SMS from people wait for an account: name one with `account` at their transport or route, and make it with \
                 `vumi account add`"
            );
        }
    }
}
