//! One start of a component, and whether a later one has taken its place.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// The token of one start of a component. What the component asks of the store and the router carries it, and so does
/// its registration. Once the supervisor has replaced the component they refuse it: a thread that was blocked, and goes
/// on, changes nothing any more.
///
/// What belongs to no component, such as a call of the command line, has a token that is never replaced.
#[derive(Clone, Debug, Default)]
pub struct StartToken(Arc<AtomicBool>);

impl StartToken {
    /// The component is replaced: from now on everything that carries the token is refused.
    pub fn replace(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether both are of the same start.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether the component was replaced. It does nothing more where others would see it.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
