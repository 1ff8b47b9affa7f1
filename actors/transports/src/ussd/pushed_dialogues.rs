//! Push: the network begins a dialogue, or notifies a person.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use vumi_kit::{
    address::{Msisdn, UssdCode},
    clock::Timestamp,
    message::{SessionEvent, UserMessage},
    name::Name,
    router::Refused,
    ussd_push::UssdPush,
};

use super::{
    dialogues::Dialogues,
    network::{DialogueKey, ScreenKind, ScreenNetwork, ScreensState, UssdScreen},
    replies::CarriedReply,
    session_table::{Opened, SessionStart},
    ussd_sessions::ToRouter,
};

/// How many pushes are remembered, and how long: one that comes again under its id is not carried out again.
const MOST_RECENT: usize = 10_000;
const REMEMBERED_FOR: Duration = Duration::from_secs(600);

/// The ids of pushes that were taken.
#[derive(Default)]
pub(super) struct RecentPushes {
    ids: HashSet<String>,
    order: VecDeque<(Timestamp, String)>,
}

impl RecentPushes {
    fn note(&mut self, id: &str, now: Timestamp) {
        if self.ids.insert(id.to_owned()) {
            self.order.push_back((now, id.to_owned()));
        }
        self.forget(now);
    }

    /// Forgets those that are too old, or too many.
    pub(super) fn forget(&mut self, now: Timestamp) {
        while let Some((at, id)) = self.order.front()
            && (self.order.len() > MOST_RECENT || at.plus(REMEMBERED_FOR) <= now)
        {
            self.ids.remove(id);
            self.order.pop_front();
        }
    }
}

impl<D: DialogueKey> Dialogues<D> {
    /// Begins a dialogue for a campaign, or shows a text. Refused: nothing was shown and nobody was told.
    pub(super) fn push(&mut self, message: UserMessage, network: &mut impl ScreenNetwork<D>) -> Result<(), Refused> {
        let unfit = |why: String| Refused::UnfitPush(why);
        let person = Msisdn::parse(&message.to_addr).map_err(|error| unfit(error.to_string()))?;
        let code = UssdCode::parse(&message.from_addr).map_err(|error| unfit(error.to_string()))?;
        let push = UssdPush::of(&message);
        let now = self.clock.now();
        if self.pushes.ids.contains(&message.message_id) {
            return Ok(());
        }
        if self.draining || network.state() != ScreensState::Up {
            return Err(Refused::NotConnected(message.transport_name));
        }
        self.replies.check_capacity(network)?;
        if let Some(session) = self.sessions.table.close_if_over(&person, now) {
            self.sessions.ended(person.clone(), session, None, now);
        }
        if self.sessions.table.get(&person).is_some() {
            return Err(Refused::InDialogue);
        }
        let id = message.message_id.clone();
        let dialogue = network.begin(&code).map_err(unfit)?;
        match push {
            UssdPush::Campaign(campaign) => self.begin_for(campaign, (person, code), message, dialogue)?,
            UssdPush::Question => self.ask((person, code), message, dialogue, network)?,
            UssdPush::Notification => notify(person, message, &dialogue, network)?,
        }
        self.pushes.note(&id, now);
        Ok(())
    }

    /// Has a campaign write the first screen.
    fn begin_for(
        &mut self,
        campaign: Name,
        (person, code): (Msisdn, UssdCode),
        message: UserMessage,
        dialogue: D,
    ) -> Result<(), Refused> {
        let now = self.clock.now();
        let mut first = self.sessions.message(&person, code.as_str(), SessionEvent::New, now);
        first.for_campaign = Some(campaign.clone());
        first.transport_metadata = message.transport_metadata;
        let first_id = first.message_id.clone();
        first.set_session_id(&first_id);
        self.open_pushed(&person, code, first_id.clone(), Some(campaign), dialogue, message.transport_name)?;
        self.sessions.to_router.push(person, ToRouter { message: first, first_id, unseen: true });
        Ok(())
    }

    /// Shows a question; the answer goes to the campaign that serves the code.
    fn ask(
        &mut self,
        (person, code): (Msisdn, UssdCode),
        mut message: UserMessage,
        dialogue: D,
        network: &mut impl ScreenNetwork<D>,
    ) -> Result<(), Refused> {
        // As the session has it.
        message.from_addr = code.as_str().to_owned();
        message.set_session_id(&message.message_id.clone());
        let transport = message.transport_name.clone();
        self.open_pushed(&person, code, message.message_id.clone(), None, dialogue, transport)?;
        self.sessions.table.touch(&person, false, self.clock.now());
        self.replies.write_or_hold(message, &mut self.sessions, network, self.clock.now());
        Ok(())
    }

    fn open_pushed(
        &mut self,
        person: &Msisdn,
        code: UssdCode,
        first_id: String,
        campaign: Option<Name>,
        dialogue: D,
        transport: Name,
    ) -> Result<(), Refused> {
        let start = SessionStart { code: code.into(), first_id, campaign, pushed: true, dialogue };
        if self.sessions.table.open(person, start, self.clock.now()) == Opened::Full {
            return Err(Refused::Busy(transport));
        }
        self.sessions.save(person);
        Ok(())
    }
}

/// Shows a text that wants no answer.
fn notify<D: DialogueKey>(
    person: Msisdn,
    message: UserMessage,
    dialogue: &D,
    network: &mut impl ScreenNetwork<D>,
) -> Result<(), Refused> {
    let (text, replaced) = network.spelled(message.content.as_deref().unwrap_or_default());
    let size = network.page_size(&text);
    if !size.holds(&text) {
        let (taken, most) = ((size.units)(&text), size.most);
        return Err(Refused::UnfitPush(format!("the text takes {taken} characters, and a screen holds {most}")));
    }
    let first_id = String::new();
    let reply = CarriedReply { message, person: person.clone(), first_id, ends: false, pushed: true, replaced };
    let screen = UssdScreen { person: &person, dialogue, kind: ScreenKind::Notification, text };
    network.show(screen, Some(reply)).map_err(|unwritten| Refused::UnfitPush(unwritten.why))
}

#[cfg(test)]
mod tests {
    use vumi_kit::clock::Timestamp;

    use super::{MOST_RECENT, REMEMBERED_FOR, RecentPushes};

    #[test]
    fn pushes_are_remembered_for_a_time_and_their_number_is_bounded() {
        let (mut pushes, start) = (RecentPushes::default(), Timestamp::from_seconds(1_000));
        for number in 0..=MOST_RECENT {
            pushes.note(&number.to_string(), start);
        }
        assert!(!pushes.ids.contains("0") && pushes.ids.contains("1"), "the oldest went");
        pushes.note("late", start.plus(REMEMBERED_FOR));
        assert_eq!((pushes.ids.len(), pushes.order.len()), (1, 1));
    }
}
