//! The sessions' actor.

use vumi_kit::session::{CloseSession, CountAnswers, FindAnswers, FindSession, OpenSessions, SaveSession};

super::desk! {
    Sessions
    writes FindSession, SaveSession, CloseSession;
    reads OpenSessions, CountAnswers, FindAnswers
}
