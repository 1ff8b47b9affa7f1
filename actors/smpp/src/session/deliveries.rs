//! What is delivered to the ESME, and its answers.

use tokio::time::Instant;
use vumi_kit::{callback::DeliveryThen, esme::EsmeDelivery};
use vumi_smpp_codec::{Command, status};

use super::EsmeSession;
use crate::deliver::{self, EsmeVerdict};

/// A delivery on its way.
pub(super) struct SentDelivery {
    delivery: EsmeDelivery,
    at: Instant,
}

impl EsmeSession {
    /// Sends a delivery. One that can't be written is given up.
    pub(super) fn deliver(&mut self, delivery: EsmeDelivery) {
        let Some(bound) = self.bound.as_ref().filter(|bound| !bound.silent) else {
            return self.give_back(&delivery, "its bind takes nothing now");
        };
        let (tlvs, alphabet) = (bound.tlvs, self.state.settings.default_alphabet.alphabet());
        let Some(pdu) = delivery.event.as_ref().map(|event| deliver::pdu_of(event, alphabet, tlvs)) else {
            return self.ended(
                &delivery,
                DeliveryThen::Parked,
                Some("its text was removed, as old ones are".to_owned()),
            );
        };
        let sequence = self.next_sequence();
        match self.write(&Command { status: status::ESME_ROK, sequence, pdu }) {
            Ok(()) => {
                self.delivering.insert(sequence, SentDelivery { delivery, at: Instant::now() });
            }
            Err(error) => self.ended(&delivery, DeliveryThen::Parked, Some(error.to_string())),
        }
    }

    /// The ESME has answered one of ours, maybe one that was given back since: it is given deliveries again.
    pub(super) fn delivery_answered(&mut self, sequence: u32, status: u32) {
        if let Some(SentDelivery { delivery, .. }) = self.delivering.remove(&sequence) {
            let now = self.state.context.clock.now();
            let EsmeVerdict { then, error } = deliver::answered(status, &delivery, now, &self.state.settings);
            self.ended(&delivery, then, error);
        }
        if let Some(bound) = self.bound.as_mut().filter(|bound| bound.silent) {
            bound.silent = false;
            let free = self.state.settings.deliver_window.saturating_sub(self.delivering.len());
            bound.place.entry.room.set(free);
        }
    }

    /// When the oldest delivery should be answered.
    pub(super) fn first_unanswered(&self) -> Option<Instant> {
        self.delivering.values().map(|sent| sent.at + self.state.settings.answer_within).min()
    }

    /// Deliveries that were not answered in time go to another bind, or later to this one: it is given no more until it
    /// answers.
    pub(super) fn look_for_unanswered(&mut self, now: Instant) {
        let within = self.state.settings.answer_within;
        let late = self.delivering.iter().filter(|(_, sent)| now >= sent.at + within);
        let late: Vec<u32> = late.map(|(sequence, _)| *sequence).collect();
        if late.is_empty() {
            return;
        }
        vumi_kit::warn_limited!("unanswered", peer = %self.peer, "an ESME does not answer what is delivered to it");
        if let Some(bound) = &mut self.bound {
            bound.silent = true;
        }
        for sequence in late {
            if let Some(SentDelivery { delivery, .. }) = self.delivering.remove(&sequence) {
                self.give_back(&delivery, "the ESME did not answer in time");
            }
        }
        if let Some(bound) = &self.bound {
            bound.place.entry.room.set(0);
        }
    }

    /// Gives back all that is on its way.
    pub(super) fn return_deliveries(&mut self, why: &'static str) {
        for (_, SentDelivery { delivery, .. }) in std::mem::take(&mut self.delivering) {
            self.give_back(&delivery, why);
        }
    }

    /// A delivery goes out again, at its old place.
    pub(super) fn give_back(&mut self, delivery: &EsmeDelivery, why: &'static str) {
        self.ended(delivery, DeliveryThen::Again(delivery.created_at), Some(why.to_owned()));
    }

    fn ended(&mut self, delivery: &EsmeDelivery, then: DeliveryThen, error: Option<String>) {
        if let Some(bound) = self.bound.as_ref().filter(|bound| !bound.silent) {
            let room = &bound.place.entry.room;
            room.set(room.get() + 1);
        }
        let at = self.state.context.clock.now();
        self.state.deliveries.ended(deliver::attempt(delivery, at, then, error));
    }
}
