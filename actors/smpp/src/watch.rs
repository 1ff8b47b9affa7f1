//! Accounts that change while their ESMEs are bound: another limit counts at once, and who may not be bound any more is
//! unbound.

use std::{rc::Rc, sync::Arc, time::Duration};

use vumi_kit::{account::CountAccountChanges, store::Ask};

use crate::{login::no_access_now, state::SmppServerState};

/// Time between looks: whoever is locked out is out within a second.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Looks until the server stops.
pub(crate) async fn watch(state: Rc<SmppServerState>) {
    let mut known = None;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = state.context.clock.wall();
        for bound in state.binds.accounts() {
            let account = Arc::clone(&bound.account.borrow());
            if let Some(why) = no_access_now(&account, now) {
                bound.close(why);
            }
        }
        // While the store can't tell, what is known counts.
        let Ok(changes) = state.context.store.accounts.ask(CountAccountChanges).await else { continue };
        if known == Some(changes) {
            continue;
        }
        if look_at_all(&state).await {
            known = Some(changes);
        }
    }
}

/// Reads all bound accounts again; false: the store did not answer for all of them.
async fn look_at_all(state: &SmppServerState) -> bool {
    for bound in state.binds.accounts() {
        let before = Arc::clone(&bound.account.borrow());
        let Ok(found) = state.login.find(&before.username).await else { return false };
        match found.filter(|account| account.id == bound.id) {
            None => bound.close("its account is gone"),
            Some(account) => {
                let hash =
                    |account: &vumi_kit::account::Account| account.smpp.as_ref().map(|smpp| smpp.password_hash.clone());
                if hash(&account) != hash(&before) {
                    bound.close("its account has another password for SMPP, or none");
                }
                *bound.account.borrow_mut() = Arc::new(account);
            }
        }
    }
    true
}
