//! The centre behind the connections: who is bound, what was taken, what is to be delivered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};
use vumi_kit::clock::Timestamp;
use vumi_smpp_codec::{Bind, BindMode, Message, status};

use super::{
    counts::SmscCounts,
    delivery::{DeliveryContent, SmscDelivery},
    esme_queue::EsmeQueue,
    handsets::SmscHandsets,
    reassembly::Reassembly,
    settings::SmscSettings,
    taken::{TakenMessages, TakenSms},
    text::{PduText, hex},
};
use crate::{
    behaviour::SubmissionPlan,
    provider_core::{ProviderCore, accepts},
    seen::Seen,
};

/// How many different system_ids are known at once.
const MAX_ESMES: usize = 64;
/// Seconds since 1970 of 2020: ids count from there.
const EPOCH: i64 = 1_577_836_800;
/// How many ids there are to a second of the start: a sandbox that starts later gives other ids.
const IDS_PER_SECOND: u64 = 1 << 20;

/// How many receipts wait, and how often one is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiptLimits {
    pub(crate) queue: usize,
    pub(crate) attempts: u32,
}

#[derive(Debug, Default)]
struct SmscState {
    esmes: Vec<Arc<EsmeQueue>>,
    taken: TakenMessages,
    reassembly: Reassembly,
    counts: SmscCounts,
    /// The last submission.
    last: Option<Message>,
    turns: usize,
}

/// The centre of one sandbox.
#[derive(Debug)]
pub(crate) struct SmscNetwork {
    pub(crate) core: Arc<ProviderCore>,
    pub(super) settings: SmscSettings,
    limits: ReceiptLimits,
    /// Long SMS as one, single ones as they are.
    whole: Seen,
    first_id: u64,
    /// Changes when all connections have to close.
    drops: watch::Sender<()>,
    state: Mutex<SmscState>,
    /// Handsets in USSD dialogues.
    pub(super) handsets: Mutex<SmscHandsets>,
}

impl SmscNetwork {
    pub(crate) fn new(core: Arc<ProviderCore>, settings: SmscSettings, limits: ReceiptLimits, max_ids: usize) -> Self {
        let seconds = u64::try_from(core.clock.now().micros() / 1_000_000 - EPOCH).unwrap_or(0);
        Self {
            core,
            settings,
            limits,
            whole: Seen::new(max_ids),
            first_id: seconds * IDS_PER_SECOND,
            drops: watch::Sender::new(()),
            state: Mutex::default(),
            handsets: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, SmscState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to the counts.
    pub(super) fn count(&self, add: impl FnOnce(&mut SmscCounts)) {
        add(&mut self.state().counts);
    }

    /// What `/seen/smsc` shows of it; with `ids` also each whole SMS, and the last submission.
    pub(crate) fn shown(&self, ids: bool) -> Value {
        let state = self.state();
        let mut shown = json!({
            "smpp": state.counts,
            "ussd": self.handsets.lock().unwrap_or_else(PoisonError::into_inner).counts,
            "sms": self.whole.record().counts.submissions,
            "sessions": state.esmes.iter().map(|esme| esme.sessions()).sum::<usize>(),
        });
        if ids && let Some(shown) = shown.as_object_mut() {
            shown.insert("texts".to_owned(), json!(self.whole.ids()));
            shown.insert("last".to_owned(), json!(state.last.as_ref().map(fields)));
        }
        shown
    }

    pub(crate) fn reset(&self) {
        self.core.seen.reset();
        self.whole.reset();
        let mut state = self.state();
        (state.counts, state.last) = (SmscCounts::default(), None);
    }

    /// How many connections are bound.
    pub(crate) fn sessions(&self) -> usize {
        self.state().esmes.iter().map(|esme| esme.sessions()).sum()
    }

    /// Closes every connection.
    pub(crate) fn drop_connections(&self) {
        self.drops.send_replace(());
    }

    /// Changes when the connection has to close.
    pub(super) fn drops(&self) -> watch::Receiver<()> {
        self.drops.subscribe()
    }

    /// Who binds; or the status that refuses it.
    pub(super) fn bind(&self, bind: &Bind) -> Result<Arc<EsmeQueue>, u32> {
        let found = self.authenticate(bind);
        self.count(|counts| {
            let count = if found.is_ok() { &mut counts.binds } else { &mut counts.binds_refused };
            *count += 1;
        });
        found
    }

    fn authenticate(&self, bind: &Bind) -> Result<Arc<EsmeQueue>, u32> {
        let refusal = &self.core.behaviour.rules().smpp.refuse_bind;
        if !refusal.is_empty() {
            return Err(status::parse(refusal).unwrap_or(status::ESME_RBINDFAIL));
        }
        let system_id = String::from_utf8_lossy(&bind.system_id);
        let given = String::from_utf8_lossy(&bind.password.0);
        let wanted = self.settings.password.as_ref().map(|password| password.expose_secret());
        if !accepts(self.settings.system_id.as_deref(), &system_id) {
            return Err(status::ESME_RINVSYSID);
        }
        if !accepts(wanted, &given) {
            return Err(status::ESME_RINVPASWD);
        }
        self.esme(&system_id).ok_or(status::ESME_RBINDFAIL)
    }

    /// The one with that system_id; none if too many are known.
    fn esme(&self, system_id: &str) -> Option<Arc<EsmeQueue>> {
        let mut state = self.state();
        if let Some(known) = state.esmes.iter().find(|esme| esme.system_id == system_id) {
            return Some(Arc::clone(known));
        }
        if state.esmes.len() >= MAX_ESMES {
            state.esmes.retain(|esme| !esme.is_idle());
        }
        if state.esmes.len() >= MAX_ESMES {
            return None;
        }
        let esme = Arc::new(EsmeQueue::new(system_id.to_owned()));
        state.esmes.push(Arc::clone(&esme));
        Some(esme)
    }

    /// One that takes deliveries, each in turn.
    pub(super) fn receiver(&self) -> Option<Arc<EsmeQueue>> {
        let mut state = self.state();
        state.turns = state.turns.wrapping_add(1);
        let receivers: Vec<_> = state.esmes.iter().filter(|esme| esme.receives()).collect();
        let nth = state.turns.checked_rem(receivers.len())?;
        receivers.get(nth).map(|esme| Arc::clone(esme))
    }

    /// Takes a submission; what is kept of it.
    pub(super) fn take(&self, message: &Message, text: PduText, plan: &SubmissionPlan) -> Arc<TakenSms> {
        let to = String::from_utf8_lossy(&message.destination.addr).into_owned();
        let seen_id = match text.concat {
            Some(part) => format!("{to} {}/{} {}", part.number, part.total, text.text),
            None => format!("{to} {}", text.text),
        };
        let taken = self.core.take(&seen_id);
        let at = Timestamp::from_micros(taken.at);
        let sms = TakenSms::new(
            self.first_id + taken.number,
            (&message.source, &message.destination),
            message.registered_delivery,
            (at, at.plus(plan.rules.receipt_delay)),
            (plan.receipt_status("DELIVRD"), &text.text),
        );
        let mut state = self.state();
        state.counts.parts += u64::from(text.concat.is_some());
        state.last = Some(message.clone());
        state.taken.put(Arc::clone(&sms));
        let whole = match text.concat {
            Some(part) => state.reassembly.add(message, part, text.text),
            None => Some(text.text),
        };
        drop(state);
        if let Some(whole) = whole {
            self.core.show_on_handset(&String::from_utf8_lossy(&message.source.addr), &to, &whole);
            self.whole.take(&format!("{to} {whole}"), taken);
        }
        sms
    }

    /// The submission with the id that an answer spelt.
    pub(super) fn find(&self, id: &[u8]) -> Option<Arc<TakenSms>> {
        let id = std::str::from_utf8(id).ok()?;
        let number = self.core.behaviour.rules().smpp.answer_ids.number_of(id)?;
        self.state().taken.get(number).cloned()
    }

    /// Cancels all from one address to another that are on their way; how many.
    pub(super) fn cancel_between(&self, source: &[u8], destination: &[u8], now: Timestamp) -> usize {
        self.state().taken.between(source, destination).filter(|sms| sms.cancel(now)).count()
    }

    /// Queues a receipt, as often as the rules say.
    pub(super) fn queue_receipts(&self, esme: &EsmeQueue, sms: &Arc<TakenSms>, plan: &SubmissionPlan, due: Instant) {
        for _ in 0..plan.rules.receipts.times() {
            let delivery = SmscDelivery::new(DeliveryContent::Receipt(Arc::clone(sms)));
            if esme.put(due, delivery, self.limits.queue).is_err() {
                self.give_up("the queue is full (sandbox.receipt_queue)");
            }
        }
    }

    /// Queues an inbound message, unless the queue is full.
    pub(super) fn queue_inbound(
        &self,
        esme: &EsmeQueue,
        due: Instant,
        delivery: SmscDelivery,
    ) -> Result<(), SmscDelivery> {
        esme.put(due, delivery, self.limits.queue)
    }

    /// The router has answered a delivery with this status: counts it, and sends a refused receipt again.
    pub(super) fn acknowledged(&self, esme: &EsmeQueue, mut delivery: SmscDelivery, status: u32) {
        let taken = status == status::ESME_ROK;
        if let DeliveryContent::Inbound { answered, .. } = delivery.content {
            self.count(|counts| {
                let count = if taken { &mut counts.inbound_taken } else { &mut counts.inbound_refused };
                *count += 1;
            });
            let _nobody_waits = answered.send(status);
            return;
        }
        if taken {
            self.core.seen.record().counts.receipts_posted += 1;
            return;
        }
        self.core.seen.record().counts.receipts_failed += 1;
        delivery.attempts += 1;
        if delivery.attempts >= self.limits.attempts {
            self.give_up(status::name(status));
        } else {
            esme.put_back(delivery);
        }
    }

    fn give_up(&self, why: &str) {
        self.core.seen.give_up_receipt(self.core.name, why);
    }
}

/// The fields of a submission, for a person who looks at what the router sends.
fn fields(message: &Message) -> Value {
    let octets = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let tlvs: Vec<_> =
        message.tlvs.iter().map(|tlv| json!({"tag": format!("{:#06x}", tlv.tag), "value": hex(&tlv.value)})).collect();
    json!({
        "service_type": octets(&message.service_type),
        "source": {"ton": message.source.ton, "npi": message.source.npi, "addr": octets(&message.source.addr)},
        "destination": {
            "ton": message.destination.ton, "npi": message.destination.npi, "addr": octets(&message.destination.addr),
        },
        "esm_class": message.esm_class,
        "protocol_id": message.protocol_id,
        "priority_flag": message.priority_flag,
        "schedule_delivery_time": octets(&message.schedule_delivery_time),
        "validity_period": octets(&message.validity_period),
        "registered_delivery": message.registered_delivery,
        "data_coding": message.data_coding,
        "short_message": hex(&message.short_message),
        "tlvs": tlvs,
    })
}

/// Whether connections of that mode take submissions, and whether they take deliveries.
pub(super) const fn directions(mode: BindMode) -> (bool, bool) {
    match mode {
        BindMode::Receiver => (false, true),
        BindMode::Transmitter => (true, false),
        BindMode::Transceiver => (true, true),
    }
}
