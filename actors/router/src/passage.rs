//! Messages on their way through their chain of middleware: SMS from people before they are routed, and campaigns' answers
//! before they are kept. Each has a task of its own, so that a slow middleware delays neither the router nor anybody else.

use std::{collections::HashSet, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::time::{Instant, timeout};
use vumi_kit::{
    address::Address,
    keyed_queue::{Arrival, KeyedQueue},
    message::UserMessage,
    middleware::{ChainOutcome, MiddlewareChains, PassingSms, SmsDirection},
    name::Name,
    router::Refused,
    sms::{Received, ReceivedId},
};

use crate::table::RoutingTable;

/// Received SMS in their chains; more stay in the ledger.
const CAPACITY: usize = 5_000;
/// How long a whole chain may take, and how long an SMS may wait for those before it and its chain: less than the ledger's
/// lease together.
const CHAIN_LIMIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// The chains, and the table that tells whose an SMS is.
#[derive(Clone, Debug)]
pub(crate) struct Passage {
    pub(crate) chains: MiddlewareChains,
    pub(crate) table: Arc<RoutingTable>,
}

impl Passage {
    /// Takes a received SMS through its chain. Answers it as it is then.
    pub(crate) async fn received(&self, mut received: Received, arrived: Instant) -> (Received, ChainOutcome) {
        let (sms, transport) = (&received.sms, received.transport.clone());
        let mut passing = self.inbound(transport, sms.from.clone(), sms.to.clone(), sms.message.clone());
        let outcome = match self.run(&mut passing).await {
            _ if arrived.elapsed() > LONGEST_WAIT => ChainOutcome::Later("those before it took too long".to_owned()),
            outcome => outcome,
        };
        let PassingSms { from, to, message, tags, .. } = passing;
        (received.sms.from, received.sms.to, received.sms.message, received.tags) = (from, to, message, tags);
        (received, outcome)
    }

    /// Takes an SMS that a peer brought through its chain.
    pub(crate) async fn brought(&self, mut message: UserMessage) -> Result<UserMessage, Refused> {
        let Some(ends) = addresses(&message) else { return Ok(message) };
        let text = message.content.clone().unwrap_or_default();
        let mut passing = self.inbound(message.transport_name.clone(), ends.0, ends.1, text);
        let outcome = self.run(&mut passing).await;
        apply(&mut message, passing);
        not_taken(outcome, &message.transport_name).map_or(Ok(message), Err)
    }

    /// Takes a campaign's SMS to a person through its chain. Answers why it is held, where it is.
    pub(crate) async fn answered(
        &self,
        mut message: UserMessage,
        campaign: Option<Name>,
    ) -> Result<(UserMessage, Option<String>), Refused> {
        if !self.chains.see(SmsDirection::Outbound) {
            return Ok((message, None));
        }
        let (Some((from, to)), Some(text)) = (addresses(&message), message.content.clone()) else {
            return Ok((message, None));
        };
        let service = from.as_str();
        let mut passing = PassingSms {
            direction: SmsDirection::Outbound,
            account: self.table.account(&message.transport_name, service, ""),
            transport: message.transport_name.clone(),
            campaign,
            from,
            to,
            message: text,
            is_text: true,
            tags: Vec::new(),
        };
        let outcome = self.run(&mut passing).await;
        apply(&mut message, passing);
        match outcome {
            ChainOutcome::Held(why) => Ok((message, Some(why))),
            other => not_taken(other, &message.transport_name).map_or(Ok((message, None)), Err),
        }
    }

    fn inbound(&self, transport: Name, from: Address, to: Address, message: String) -> PassingSms {
        PassingSms {
            direction: SmsDirection::Inbound,
            account: self.table.account(&transport, to.as_str(), &message),
            campaign: self.table.sms(to.as_str(), &message).cloned(),
            transport,
            from,
            to,
            message,
            is_text: true,
            tags: Vec::new(),
        }
    }

    async fn run(&self, passing: &mut PassingSms) -> ChainOutcome {
        let late = || ChainOutcome::Later(format!("its middleware took more than {CHAIN_LIMIT:?}"));
        timeout(CHAIN_LIMIT, self.chains.run(passing)).await.unwrap_or_else(|_| late())
    }
}

/// Who sends and who gets a message; none where it has no addresses that an SMS can have.
fn addresses(message: &UserMessage) -> Option<(Address, Address)> {
    Some((Address::inbound(&message.from_addr).ok()?, Address::inbound(&message.to_addr).ok()?))
}

fn apply(message: &mut UserMessage, passed: PassingSms) {
    message.from_addr = passed.from.into();
    message.to_addr = passed.to.into();
    message.content = Some(passed.message).filter(|text| !text.is_empty() || message.content.is_some());
    add_tags(message, passed.tags);
}

/// Adds tags to what a campaign reads of a message.
pub(crate) fn add_tags(message: &mut UserMessage, tags: Vec<String>) {
    if !tags.is_empty() {
        message.helper_metadata.insert("tags".to_owned(), tags.into_iter().map(Value::from).collect());
    }
}

/// Why a message does not go on.
fn not_taken(outcome: ChainOutcome, transport: &Name) -> Option<Refused> {
    match outcome {
        ChainOutcome::Passed => None,
        ChainOutcome::Held(why) | ChainOutcome::Refused(why) => Some(Refused::Middleware(why)),
        ChainOutcome::Later(_) => Some(Refused::Busy(transport.clone())),
    }
}

/// A received SMS before its chain.
#[derive(Debug)]
pub(crate) struct ChainJob {
    pub(crate) received: Received,
    /// The ledger handed it out by a claim.
    pub(crate) claimed: bool,
    pub(crate) arrived: Instant,
}

/// Where an arriving SMS is now.
#[derive(Debug)]
pub(crate) enum ChainArrival {
    /// Its chain is to be run.
    Begin(Box<ChainJob>),
    /// Behind others of its person, or in its chain already.
    Waits,
    /// Nowhere: it goes back to the ledger.
    Full,
}

/// Received SMS in their chains: one after the other for each person.
#[derive(Debug)]
pub(crate) struct ChainQueue {
    people: KeyedQueue<String, ChainJob>,
    ids: HashSet<ReceivedId>,
}

impl Default for ChainQueue {
    fn default() -> Self {
        Self { people: KeyedQueue::new(CAPACITY, CAPACITY), ids: HashSet::new() }
    }
}

impl ChainQueue {
    pub(crate) fn arrive(&mut self, received: Received, claimed: bool, now: Instant) -> ChainArrival {
        let (id, person) = (received.id, received.sms.from.as_str().to_owned());
        if self.ids.contains(&id) {
            return ChainArrival::Waits;
        }
        let arrival = match self.people.arrive(person, ChainJob { received, claimed, arrived: now }) {
            Arrival::Full(_) => return ChainArrival::Full,
            Arrival::Waits => ChainArrival::Waits,
            Arrival::Begin(job) => ChainArrival::Begin(Box::new(job)),
        };
        self.ids.insert(id);
        arrival
    }

    /// A person's SMS has left its chain. Returns the next one.
    pub(crate) fn left(&mut self, person: &str, id: ReceivedId) -> Option<ChainJob> {
        self.ids.remove(&id);
        self.people.next(&person.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::Instant;
    use vumi_kit::{
        address::Msisdn,
        clock::Timestamp,
        middleware::MiddlewareChains,
        name::Name,
        sms::{InboundSms, Received},
    };

    use super::{ChainArrival, ChainQueue, Passage};
    use crate::table::RoutingTable;

    fn received(id: i64, from: &str) -> Received {
        Received {
            id,
            account: None,
            transport: Name::parse("opera").unwrap(),
            message_id: format!("m{id}"),
            sms: InboundSms::whole(Msisdn::parse(from).unwrap(), Msisdn::parse("38080").unwrap(), "hi"),
            repeated: false,
            incomplete: false,
            tags: Vec::new(),
            consent: None,
            created_at: Timestamp::from_seconds(0),
            updated_at: Timestamp::from_seconds(0),
        }
    }

    #[tokio::test]
    async fn the_sms_of_one_person_pass_one_after_the_other_and_none_twice() {
        let (mut queue, now) = (ChainQueue::default(), Instant::now());
        let mut arrive = |id, from: &str| queue.arrive(received(id, from), false, now);
        assert!(matches!(arrive(1, "27831"), ChainArrival::Begin(_)));
        assert!(matches!(arrive(2, "27831"), ChainArrival::Waits));
        assert!(matches!(arrive(2, "27831"), ChainArrival::Waits), "it came again from the ledger");
        assert!(matches!(arrive(3, "27832"), ChainArrival::Begin(_)), "another person");
        assert_eq!(queue.left("27831", 1).map(|job| job.received.id), Some(2));
        assert!(queue.left("27831", 2).is_none());
        assert!(matches!(queue.arrive(received(2, "27831"), true, now), ChainArrival::Begin(_)), "released meanwhile");
    }

    #[tokio::test]
    async fn without_middleware_nothing_changes() {
        let passage = Passage { chains: MiddlewareChains::default(), table: Arc::new(RoutingTable::default()) };
        let (passed, outcome) = passage.received(received(1, "27831"), Instant::now()).await;
        assert_eq!((passed, outcome), (received(1, "27831"), vumi_kit::middleware::ChainOutcome::Passed));
    }
}
