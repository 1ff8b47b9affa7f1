//! The campaigns' replies: each answers the call that waits for it, or is kept for the session's next call.

use std::rc::Rc;

use vumi_kit::{
    address::Msisdn,
    message::{Event, SessionEvent, TransportType, UserMessage},
    router::Happened,
};
use vumi_ussd_codec::UssdAnswer;

use super::{
    calls::UssdCalls,
    long_texts::{UnshownPages, first_page},
};

impl UssdCalls {
    /// Shows a reply, and tells its campaign whether it was.
    pub(super) async fn reply(self: Rc<Self>, message: UserMessage) {
        let event = match self.show(&message).await {
            Ok(()) => Event::ack(&message, self.clock.now()),
            Err(why) => {
                self.fault("replies that could not be shown", &why);
                Event::nack(&message, why, self.clock.now())
            }
        };
        let service = message.from_addr;
        // It waits while the mailbox is full. If the router is gone, the process ends.
        let _the_process_ends = self.router.happened.send(Happened { service, event }).await;
    }

    async fn show(&self, message: &UserMessage) -> Result<(), String> {
        if message.transport_type != TransportType::Ussd {
            return Err("this transport answers calls of USSD sessions, and carries no SMS".to_owned());
        }
        let Some(id) = message.in_reply_to.as_deref() else {
            return Err("it answers no message, and only a person's call can be answered".to_owned());
        };
        let person = message.to_addr.strip_prefix('+').unwrap_or(&message.to_addr);
        let person = Msisdn::parse(person).map_err(|_| "`to_addr` is not an MSISDN")?;
        let closes = message.session_event == Some(SessionEvent::Close);
        let text = message.content.clone().unwrap_or_default();
        if !self.waiting.borrow().is_waiting(id) {
            if let Some(shown) = self.waiting.borrow().shown(id) {
                // Two calls at once may both have asked the campaign: the second answer is no further screen.
                let (page, _) = first_page(&text, self.settings.screen_limit(), &self.settings.texts.more);
                return if page == shown.text {
                    Ok(())
                } else {
                    Err("the call that it answers has its answer".to_owned())
                };
            }
            let late = UnshownPages { text, closes, late: true };
            let kept = self.change(&person, id, |kept| kept.unshown = Some(late)).await;
            return if kept { Ok(()) } else { Err("the call that it answers is over".to_owned()) };
        }
        let (page, rest) = first_page(&text, self.settings.screen_limit(), &self.settings.texts.more);
        let screen = UssdAnswer { text: page, is_open: !closes || rest.is_some() };
        if let Some(text) = rest {
            // Before it is shown: the next call asks for it.
            self.change(&person, id, |kept| kept.unshown = Some(UnshownPages { text, closes, late: false })).await;
            self.waiting.borrow_mut().answer(id, &screen);
        } else {
            self.waiting.borrow_mut().answer(id, &screen);
            if closes {
                self.change(&person, id, |kept| kept.is_over = true).await;
            }
        }
        Ok(())
    }
}
