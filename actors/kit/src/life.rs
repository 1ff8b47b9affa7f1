//! The life of an SMS to a person: its states, and every step from one to another.
//!
//! The state is no column of the ledger: [`SmsState::of`] reads it off the row, so that a process of the version before,
//! which knows no state, can leave no wrong one. [`STEPS`] is the whole machine; `docs/message-life.md` shows it, and the
//! store takes no step that is not in it.

use std::{
    fmt::{self, Write as _},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, sms::TransportStatus};

/// Where an SMS is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmsState {
    /// It waits in the ledger for its transport: new, or to be tried again.
    Accepted,
    /// It waits for the time that its client asked for.
    Scheduled,
    /// It is held back until somebody releases it.
    Held,
    /// Its transport has it, and is about to submit it or is submitting it.
    Claimed,
    /// The provider has it, and no receipt has said how it ended.
    Submitted,
    /// It is on the person's phone.
    Delivered,
    /// The provider refused it, or a receipt says that it failed.
    Failed,
    /// Its time ran out before it was submitted, or at the provider.
    Expired,
    /// Somebody cancelled it before it was submitted, or the provider says so.
    Cancelled,
    /// It was submitted, every answer was lost, and it is not submitted again: it may have arrived.
    Unknown,
}

impl SmsState {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 10] = [
        Self::Accepted,
        Self::Scheduled,
        Self::Held,
        Self::Claimed,
        Self::Submitted,
        Self::Delivered,
        Self::Failed,
        Self::Expired,
        Self::Cancelled,
        Self::Unknown,
    ];

    /// As the API, the command line and the documents write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Scheduled => "scheduled",
            Self::Held => "held",
            Self::Claimed => "claimed",
            Self::Submitted => "submitted",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }

    /// What it means, for the documents.
    const fn meaning(self) -> &'static str {
        match self {
            Self::Accepted => "it waits in the ledger for its transport: new, or to be tried again",
            Self::Scheduled => "it waits for its `send_at`",
            Self::Held => "it is held back until somebody releases it; its time runs on",
            Self::Claimed => "its transport has it, and is about to submit it or is submitting it",
            Self::Submitted => "the provider has it, and no receipt has said how it ended",
            Self::Delivered => "it is on the person's phone",
            Self::Failed => "the provider refused it, or a receipt says that it failed",
            Self::Expired => "its time ran out before it was submitted, or at the provider",
            Self::Cancelled => "somebody cancelled it before it was submitted, or the provider says so",
            Self::Unknown => {
                "it was submitted, every answer was lost, and it is not submitted again: it may have arrived"
            }
        }
    }

    /// The numbers that `transport_status` can have, for the documents.
    const fn shown_numbers(self) -> &'static str {
        match self {
            Self::Accepted | Self::Scheduled | Self::Held => "0",
            Self::Claimed => "2",
            Self::Submitted => "3; 8 or 11 where the provider says so",
            Self::Delivered => "4",
            Self::Failed | Self::Unknown => "5, 7, 9, 12 or 14",
            Self::Expired => "10",
            Self::Cancelled => "6",
        }
    }

    /// Whether it is at rest: only a receipt moves it on, or somebody who sends it again.
    #[must_use]
    pub const fn is_at_rest(self) -> bool {
        !matches!(self, Self::Accepted | Self::Scheduled | Self::Held | Self::Claimed)
    }

    /// The state of a row of the ledger.
    #[must_use]
    pub fn of(row: &RowFacts, now: Timestamp) -> Self {
        if row.status == TransportStatus::Delivered {
            return Self::Delivered;
        }
        if row.next_attempt_at.is_none() {
            let undecided = matches!(row.status, TransportStatus::Pending | TransportStatus::UnknownMessage);
            return if row.held && undecided { Self::Held } else { Self::at_rest(row.status, row.unknown_outcome) };
        }
        match row.scheduled_at {
            _ if row.claimed => Self::Claimed,
            Some(at) if at > now => Self::Scheduled,
            _ => Self::Accepted,
        }
    }

    /// The state of an SMS that nothing more is to be done with, by its status; `unknown_outcome`: no answer said how its
    /// submission went.
    #[must_use]
    pub const fn at_rest(status: TransportStatus, unknown_outcome: bool) -> Self {
        match status {
            TransportStatus::Delivered => Self::Delivered,
            TransportStatus::Cancelled => Self::Cancelled,
            TransportStatus::Expired => Self::Expired,
            failed if failed.is_final() => {
                if unknown_outcome {
                    Self::Unknown
                } else {
                    Self::Failed
                }
            }
            _ => Self::Submitted,
        }
    }

    /// What clients see as `transport_status` of an SMS in this state whose status in the ledger is this.
    #[must_use]
    pub const fn shown(self, status: TransportStatus) -> TransportStatus {
        match self {
            Self::Accepted | Self::Scheduled | Self::Held => TransportStatus::Pending,
            Self::Claimed => TransportStatus::Queued,
            Self::Submitted if matches!(status, TransportStatus::Queued) => TransportStatus::AtGateway,
            _ => status,
        }
    }
}

impl fmt::Display for SmsState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which states there are, for somebody who named another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no state; the states are {list}", list = SmsState::ALL.map(SmsState::as_str).join(", "))]
pub struct NoSuchState(String);

impl FromStr for SmsState {
    type Err = NoSuchState;

    fn from_str(text: &str) -> Result<Self, NoSuchState> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| NoSuchState(text.to_owned()))
    }
}

/// What the state is read off.
#[derive(Clone, Copy, Debug)]
pub struct RowFacts {
    /// Its status in the ledger.
    pub status: TransportStatus,
    /// When it is due, or until when its claim holds; none: nothing is to be done.
    pub next_attempt_at: Option<Timestamp>,
    /// Whether a transport has claimed it.
    pub claimed: bool,
    /// Whether it was held, and not released since.
    pub held: bool,
    /// Not to be sent before.
    pub scheduled_at: Option<Timestamp>,
    /// Whether an attempt was made whose result nobody knows.
    pub unknown_outcome: bool,
}

/// What moves an SMS from state to state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LifeEvent {
    /// A client hands it in, and it is committed.
    Accept,
    /// Its `send_at` has come.
    ComeDue,
    /// Its transport takes it.
    Claim,
    /// Its transport marks it, just before its first byte goes out.
    Begin,
    /// It goes back to the ledger: to be tried again, or its transport can't take it now, or has ended.
    Return,
    /// The provider takes it, or says where it is.
    Submit,
    /// The provider refuses it.
    Refuse,
    /// Its answers were lost, and it may not be submitted again.
    LoseTrack,
    /// Its time runs out.
    Expire,
    /// Its person wants no SMS.
    OptOut,
    /// A receipt of its provider comes: the SMS goes on, or reaches an end.
    Receipt,
    /// Somebody holds it back.
    Hold,
    /// An operator lets it go on that is held.
    Release,
    /// Its client or an operator ends it before it goes out.
    Cancel,
    /// An operator sends it again.
    Resend,
}

impl LifeEvent {
    /// In words, for the documents.
    const fn words(self) -> &'static str {
        match self {
            Self::Accept => "a client hands it in",
            Self::ComeDue => "its `send_at` has come",
            Self::Claim => "its transport takes it",
            Self::Begin => "it is marked as begun, just before its first byte goes out",
            Self::Return => "it goes back: to be tried again, or its transport can't take it now",
            Self::Submit => "the provider takes it, or is asked and says where it is",
            Self::Refuse => "the provider refuses it",
            Self::LoseTrack => "its answers were lost, and it may not be submitted again",
            Self::Expire => "its time runs out",
            Self::OptOut => "its person has opted out",
            Self::Receipt => "a receipt comes",
            Self::Hold => "it is held",
            Self::Release => "it is released",
            Self::Cancel => "it is cancelled",
            Self::Resend => "an operator sends it again",
        }
    }
}

/// A step of a life: from where (none: it is new), by what, to where.
pub type LifeStep = (Option<SmsState>, LifeEvent, SmsState);

macro_rules! steps {
    ($($from:tt $event:ident => $($to:ident),+;)+) => {
        &[$($((steps!(@from $from), LifeEvent::$event, SmsState::$to),)+)+]
    };
    (@from new) => { None };
    (@from $state:ident) => { Some(SmsState::$state) };
}

/// All steps there are. Of one that is claimed only what has not begun is held or cancelled. An answer may come late, after the
/// claim has ended and a receipt has come, or somebody has held the SMS.
pub const STEPS: &[LifeStep] = steps! {
    new Accept => Accepted, Scheduled, Held, Claimed;
    Accepted Claim => Claimed;
    Accepted Expire => Expired;
    Accepted OptOut => Failed;
    Accepted Hold => Held;
    Accepted Cancel => Cancelled;
    Accepted Receipt => Submitted, Delivered, Failed, Expired, Cancelled;
    Accepted Submit => Submitted, Delivered;
    Accepted Refuse => Failed, Expired, Cancelled;
    Accepted LoseTrack => Unknown;
    Scheduled ComeDue => Accepted;
    Scheduled Hold => Held;
    Scheduled Cancel => Cancelled;
    Scheduled Receipt => Submitted, Delivered, Failed, Expired, Cancelled;
    Held Release => Accepted, Scheduled;
    Held Expire => Expired;
    Held Cancel => Cancelled;
    Held Receipt => Submitted, Delivered, Failed, Expired, Cancelled;
    Held Submit => Submitted, Delivered;
    Held Refuse => Failed, Expired, Cancelled;
    Held LoseTrack => Unknown;
    Claimed Claim => Claimed;
    Claimed Begin => Claimed;
    Claimed Return => Accepted;
    Claimed Submit => Submitted, Delivered;
    Claimed Refuse => Failed, Expired, Cancelled;
    Claimed LoseTrack => Unknown;
    Claimed Expire => Expired;
    Claimed OptOut => Failed;
    Claimed Hold => Held;
    Claimed Cancel => Cancelled;
    Claimed Receipt => Submitted, Delivered, Failed, Expired, Cancelled;
    Submitted Submit => Submitted, Delivered;
    Submitted Refuse => Failed, Expired, Cancelled;
    Submitted Receipt => Submitted, Delivered, Failed, Expired, Cancelled;
    Failed Receipt => Delivered;
    Failed Submit => Delivered;
    Failed Resend => Accepted;
    Expired Receipt => Delivered;
    Expired Submit => Delivered;
    Expired Resend => Accepted;
    Cancelled Receipt => Delivered;
    Cancelled Submit => Delivered;
    Cancelled Resend => Accepted;
    Unknown Receipt => Delivered;
    Unknown Submit => Delivered;
    Unknown Resend => Accepted;
};

/// Whether there is such a step. To stay where one is needs none.
#[must_use]
pub fn is_step(from: SmsState, event: LifeEvent, to: SmsState) -> bool {
    from == to || STEPS.contains(&(Some(from), event, to))
}

/// Whether anything follows from this event in this state.
#[must_use]
pub fn allows(from: SmsState, event: LifeEvent) -> bool {
    STEPS.iter().any(|(state, by, _)| *state == Some(from) && *by == event)
}

/// The tables of `docs/message-life.md`: the states, and the steps.
#[must_use]
pub fn as_markdown() -> String {
    let mut text = "| state | `transport_status` | meaning |\n|---|---|---|\n".to_owned();
    for state in SmsState::ALL {
        let _to_a_string = writeln!(text, "| {state} | {} | {} |", state.shown_numbers(), state.meaning());
    }
    text.push_str("\n| from | when | to |\n|---|---|---|\n");
    let mut rest = STEPS;
    while let Some((from, event, _)) = rest.first() {
        let alike = rest.iter().take_while(|(state, by, _)| state == from && by == event).count();
        let (these, others) = rest.split_at(alike);
        let to: Vec<&str> = these.iter().map(|(_, _, to)| to.as_str()).collect();
        let from = from.map_or("(new)", SmsState::as_str);
        let _to_a_string = writeln!(text, "| {from} | {} | {} |", event.words(), to.join(", "));
        rest = others;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{LifeEvent, RowFacts, STEPS, SmsState, allows, as_markdown, is_step};
    use crate::{clock::Timestamp, sms::TransportStatus};

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn waiting() -> RowFacts {
        RowFacts {
            status: TransportStatus::Pending,
            next_attempt_at: Some(NOW),
            claimed: false,
            held: false,
            scheduled_at: None,
            unknown_outcome: false,
        }
    }

    #[test]
    fn the_state_is_read_off_the_row() {
        let later = Timestamp::from_seconds(1_800_000_060);
        let ended = |status: i16, unknown_outcome| RowFacts {
            status: status.into(),
            next_attempt_at: None,
            unknown_outcome,
            ..waiting()
        };
        for (row, expected) in [
            (waiting(), SmsState::Accepted),
            (RowFacts { unknown_outcome: true, ..waiting() }, SmsState::Accepted),
            (RowFacts { status: TransportStatus::UnknownMessage, ..waiting() }, SmsState::Accepted),
            (RowFacts { next_attempt_at: Some(later), scheduled_at: Some(later), ..waiting() }, SmsState::Scheduled),
            (RowFacts { scheduled_at: Some(NOW), ..waiting() }, SmsState::Accepted),
            (RowFacts { claimed: true, scheduled_at: Some(NOW), ..waiting() }, SmsState::Claimed),
            (RowFacts { held: true, next_attempt_at: None, ..waiting() }, SmsState::Held),
            (RowFacts { held: true, ..ended(7, false) }, SmsState::Failed),
            (RowFacts { claimed: true, ..ended(4, false) }, SmsState::Delivered),
            (ended(2, false), SmsState::Submitted),
            (ended(3, true), SmsState::Submitted),
            (ended(8, false), SmsState::Submitted),
            (ended(11, false), SmsState::Submitted),
            (ended(77, false), SmsState::Submitted),
            (ended(4, true), SmsState::Delivered),
            (ended(5, false), SmsState::Failed),
            (ended(14, false), SmsState::Failed),
            (ended(7, true), SmsState::Unknown),
            (ended(6, true), SmsState::Cancelled),
            (ended(10, true), SmsState::Expired),
        ] {
            assert_eq!(SmsState::of(&row, NOW), expected, "{row:?}");
        }
    }

    #[test]
    fn clients_see_clickatells_scale() {
        let shown = |state: SmsState, status: i16| i16::from(state.shown(status.into()));
        for state in [SmsState::Accepted, SmsState::Scheduled, SmsState::Held] {
            assert_eq!((shown(state, 0), shown(state, 1)), (0, 0), "{state}");
        }
        assert_eq!(shown(SmsState::Claimed, 0), 2);
        assert_eq!([2, 3, 8, 11].map(|status| shown(SmsState::Submitted, status)), [3, 3, 8, 11]);
        assert_eq!([5, 7, 9, 12].map(|status| shown(SmsState::Unknown, status)), [5, 7, 9, 12]);
        assert_eq!(shown(SmsState::Delivered, 4), 4);
    }

    #[test]
    fn every_state_can_be_reached_and_what_rests_is_moved_by_receipts_and_operators_only() {
        for state in SmsState::ALL {
            assert!(STEPS.iter().any(|(_, _, to)| *to == state), "{state}");
            assert_eq!(state.as_str().parse(), Ok(state));
        }
        for (from, event, to) in STEPS {
            let Some(from) = from else { continue };
            // An answer may come after the receipt, or after its SMS was taken for lost.
            let by_answer = matches!(event, LifeEvent::Submit | LifeEvent::Refuse);
            let by_report = matches!(event, LifeEvent::Receipt | LifeEvent::Resend);
            assert!(!from.is_at_rest() || by_report || by_answer, "{from} {event:?} {to}");
        }
        assert!(STEPS.iter().all(|(from, ..)| *from != Some(SmsState::Delivered)), "nothing leaves delivered");
    }

    #[test]
    fn no_step_is_written_twice_and_others_are_none() {
        for (at, step) in STEPS.iter().enumerate() {
            assert!(!STEPS[at + 1..].contains(step), "{step:?}");
        }
        assert!(is_step(SmsState::Held, LifeEvent::Release, SmsState::Accepted));
        assert!(!is_step(SmsState::Delivered, LifeEvent::Receipt, SmsState::Failed));
        assert!(allows(SmsState::Held, LifeEvent::Cancel) && !allows(SmsState::Submitted, LifeEvent::Cancel));
        assert!(
            "sent".parse::<SmsState>().unwrap_err().to_string().contains("the states are accepted, scheduled, held")
        );
    }

    #[test]
    fn the_page_of_the_documentation_has_the_tables_as_they_are() {
        let page = include_str!("../../../docs/message-life.md");
        assert!(page.contains(&as_markdown()), "put these tables into docs/message-life.md:\n\n{}", as_markdown());
    }
}
