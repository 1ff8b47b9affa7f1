//! What the transport does with USSD: messages of people, the answers to screens, screens lost with a connection.

use std::{rc::Rc, time::Duration};

use tokio::sync::Notify;
use vumi_kit::{address::Msisdn, message::UserMessage, router::Refused};
use vumi_smpp_codec::{CommandId, Message, status};

use super::{LostScreens, SentScreen, SmppScreens, UssdPdu, profile::SmppDialogue, read};
use crate::{
    fault_log::FaultLog,
    smpp::{
        inbox::ReplyTo,
        state::SmppState,
        statuses::{SubmitStatus, in_words, meaning},
    },
    ussd::{CarriedReply, DialogueOwner, Dialogues, ScreenFate, UndeliveredMessage},
};

impl SmppState {
    /// The dialogues, and the network that carries their screens.
    fn ussd(&mut self) -> (&mut Dialogues<SmppDialogue>, SmppScreens<'_>) {
        let screens = SmppScreens {
            settings: &self.settings,
            connections: &mut self.connections,
            faults: &mut self.faults,
            last_begun: &mut self.last_begun,
            restored: self.restored,
            stopped: self.stopped,
        };
        (&mut self.dialogues, screens)
    }

    /// A deliver_sm or data_sm of USSD: answered first, carried out then.
    pub(in crate::smpp) fn on_ussd(&mut self, place: ReplyTo, command: CommandId, message: &Message) {
        if !self.dialogues.lets_read() {
            self.faults.record("USSD put off: as many messages wait as `ussd.window` allows", command);
            return self.settle(place, status::ESME_RX_T_APPN);
        }
        match read(&self.settings, message, place.connection, self.clock.now()) {
            UssdPdu::Input(input) => {
                self.settle(place, status::ESME_ROK);
                let (dialogues, mut screens) = self.ussd();
                dialogues.on_input(*input, &mut screens);
            }
            UssdPdu::Confirmed => self.settle(place, status::ESME_ROK),
            UssdPdu::Refused(code, why) => {
                self.faults.record(why, command);
                self.settle(place, code);
            }
        }
    }

    /// Takes a campaign's reply, or a push.
    pub(in crate::smpp) fn reply(&mut self, message: UserMessage) -> Result<(), Refused> {
        let (dialogues, mut screens) = self.ussd();
        dialogues.take(message, &mut screens)
    }

    /// The SMSC has answered a screen.
    pub(in crate::smpp) fn on_screen_answer(&mut self, screen: SentScreen, code: u32, nacked: bool) {
        let meaning = meaning(&self.settings, code);
        let Some(reply) = screen.reply else {
            if nacked || meaning != SubmitStatus::Accepted {
                self.faults.record("screens of our own that were refused", in_words(code));
            }
            return self.progressed();
        };
        let gone = matches!(code, status::ESME_RSUBMITFAIL | status::ESME_RINVDSTADR);
        let (dialogues, mut screens) = self.ussd();
        match (nacked, meaning) {
            (false, SubmitStatus::Accepted) => dialogues.written(vec![reply]),
            _ if gone => {
                let why = format!("the network knows the dialogue no more: {}", in_words(code));
                dialogues.refused(&reply, why, ScreenFate::DialogueGone, &mut screens);
            }
            // It is tried again within a second, for as long as the session lives.
            (
                false,
                SubmitStatus::Throttled | SubmitStatus::QueueFull | SubmitStatus::Retry | SubmitStatus::BindAgain,
            ) if !reply.first_id.is_empty() => dialogues.hold(vec![reply]),
            _ => dialogues.refused(&reply, format!("refused: {}", in_words(code)), ScreenFate::NotShown, &mut screens),
        }
        self.progressed();
    }

    /// Screens went with a connection: those that were not written wait for the next one.
    pub(in crate::smpp) fn on_screens_lost(&mut self, lost: LostScreens) {
        let (dialogues, mut screens) = self.ussd();
        for reply in &lost.unknown {
            let why = "the connection was lost before it was answered".to_owned();
            dialogues.refused(reply, why, ScreenFate::NotShown, &mut screens);
        }
        let (held, given_up): (Vec<CarriedReply>, Vec<CarriedReply>) =
            lost.unwritten.into_iter().partition(|reply| !reply.first_id.is_empty());
        for reply in &given_up {
            let why = "the connection was lost before it was written".to_owned();
            dialogues.refused(reply, why, ScreenFate::NotShown, &mut screens);
        }
        dialogues.hold(held);
    }

    /// What was held is shown where that is possible now.
    pub(in crate::smpp) fn retry_screens(&mut self) {
        let (dialogues, mut screens) = self.ussd();
        dialogues.retry_held(&mut screens);
    }

    /// No screen goes out any more.
    pub(in crate::smpp) fn stop_screens(&mut self) {
        self.stopped = true;
        let (dialogues, mut screens) = self.ussd();
        dialogues.refuse_held(&mut screens);
    }

    fn forget_unanswered_screens(&mut self, limit: Duration) {
        let links = self.connections.iter_mut().filter_map(|connection| connection.link.as_mut());
        let overdue: Vec<CarriedReply> = links.flat_map(|link| link.screens.take_overdue(limit)).collect();
        let (dialogues, mut screens) = self.ussd();
        for reply in &overdue {
            dialogues.refused(reply, "no answer in time".to_owned(), ScreenFate::NotShown, &mut screens);
        }
    }
}

impl DialogueOwner for SmppState {
    type Key = SmppDialogue;

    fn dialogues(&mut self) -> &mut Dialogues<SmppDialogue> {
        &mut self.dialogues
    }

    fn faults(&mut self) -> &mut FaultLog {
        &mut self.faults
    }

    fn not_routed(&mut self, person: &Msisdn, undelivered: &UndeliveredMessage, why: String, later: bool) {
        let (dialogues, mut screens) = self.ussd();
        dialogues.not_routed(person, undelivered, why, later, &mut screens);
    }

    fn sweep(&mut self) {
        let limit = self.settings.outbox.call_limit;
        self.forget_unanswered_screens(limit);
        let (dialogues, mut screens) = self.ussd();
        dialogues.sweep(&mut screens);
    }

    fn progressed(&self) {
        self.finished.notify_one();
    }

    fn finished(&self) -> Rc<Notify> {
        self.finished.clone()
    }

    fn is_settled(&self) -> bool {
        let mut links = self.connections.iter().filter_map(|connection| connection.link.as_ref());
        let up = links.clone().any(|link| link.submits());
        self.dialogues.is_settled(up) && links.all(|link| link.screens.len() == 0)
    }
}
