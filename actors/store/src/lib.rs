//! The ledger, callbacks, sessions and accounts, kept with diesel.
