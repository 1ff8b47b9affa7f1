//! The memory that bodies may take: of all together, and where the senders are not known, of each network of theirs.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::response::error::ApiError;

/// The bytes of each body that need no memory budget, so that small bodies are read whatever the large ones take. The
/// limit on connections bounds these.
const UNCOUNTED: usize = 16 * 1024;

/// The memory of bodies.
#[derive(Clone)]
pub(super) struct BodyBudget {
    /// A permit for each byte.
    all: Arc<Semaphore>,
    shares: Option<Arc<NetworkShares>>,
}

/// The bytes that each network takes.
struct NetworkShares {
    taken: Mutex<HashMap<Option<IpAddr>, usize>>,
    most: usize,
}

impl NetworkShares {
    fn lock(&self) -> MutexGuard<'_, HashMap<Option<IpAddr>, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BodyBudget {
    /// So many bytes in all.
    pub(super) fn new(bytes: usize) -> Self {
        Self { all: Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))), shares: None }
    }

    /// So many at the most for each network.
    pub(super) fn shared(self, most: usize) -> Self {
        Self { shares: Some(Arc::new(NetworkShares { taken: Mutex::default(), most })), ..self }
    }

    /// A part of it for a body from this network, of no bytes yet.
    pub(super) fn reservation(&self, network: Option<IpAddr>) -> Reservation {
        Reservation { budget: self.clone(), network, bytes: 0, permit: None }
    }
}

/// A body's part of the budget, given back when it is dropped.
pub(super) struct Reservation {
    budget: BodyBudget,
    network: Option<IpAddr>,
    /// Those counted for the network.
    bytes: usize,
    permit: Option<OwnedSemaphorePermit>,
}

impl Reservation {
    /// Grows to a body of `length` bytes.
    pub(super) fn grow(&mut self, length: usize) -> Result<(), ApiError> {
        let counted = length.saturating_sub(UNCOUNTED);
        let more = counted - self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits).min(counted);
        if more == 0 {
            return Ok(());
        }
        let full = || ApiError::Unavailable(1, "too many large bodies are under way, nothing was kept");
        let permits = u32::try_from(more).map_err(|_| full())?;
        let permit = Arc::clone(&self.budget.all).try_acquire_many_owned(permits).map_err(|_| full())?;
        if !self.take_of_share(more) {
            return Err(full());
        }
        match &mut self.permit {
            Some(reserved) => reserved.merge(permit),
            none => *none = Some(permit),
        }
        Ok(())
    }

    fn take_of_share(&mut self, more: usize) -> bool {
        let Some(shares) = &self.budget.shares else { return true };
        let mut taken = shares.lock();
        let of_network = taken.entry(self.network).or_default();
        if *of_network + more > shares.most {
            if *of_network == 0 {
                taken.remove(&self.network);
            }
            return false;
        }
        *of_network += more;
        self.bytes += more;
        true
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let Some(shares) = self.budget.shares.as_ref().filter(|_| self.bytes > 0) else { return };
        let mut taken = shares.lock();
        if let Some(of_network) = taken.get_mut(&self.network) {
            *of_network = of_network.saturating_sub(self.bytes);
            // The map is bounded by the bodies under way.
            if *of_network == 0 {
                taken.remove(&self.network);
            }
        }
    }
}
