//! SMS that opt out or in, or ask for help: the ledger has noted it when they come here. A route for the word answers, else
//! the router itself, whatever dialogue is open.

use vumi_kit::{consent::ConsentNotice, sms::Received};

use super::Router;

impl Router {
    /// Whether the router answers, or keeps silent, and no campaign hears of it.
    pub(super) fn is_answered_here(&self, notice: ConsentNotice, received: &Received) -> bool {
        let sms = &received.sms;
        let has_route = self.table.has_keyword(sms.to.as_str(), &sms.message);
        // Without a text for it a call for help is an ordinary SMS.
        let is_help = notice == ConsentNotice::Help && self.consent.answer(notice, &sms.message).is_none();
        !has_route && !is_help
    }

    pub(super) fn answer_consent(&self, notice: ConsentNotice, received: &Received) {
        let reply = self.consent.answer(notice, &received.sms.message).map(str::to_owned);
        let outcome = match notice {
            ConsentNotice::Out => "opted out",
            ConsentNotice::OutBefore => "opted out before: not confirmed again",
            ConsentNotice::In => "opted in",
            ConsentNotice::Help => "help",
        };
        self.settle_here(received, outcome.to_owned(), reply);
    }
}
