//! query_sm and cancel_sm: by the number that submit_sm_resp gave.

use chrono::DateTime;
use vumi_kit::{
    account::AccountId,
    ledger::FindSms,
    levers::{CancelResult, CancelSms, SearchSms, SmsFilter},
    life::SmsState,
    name::Name,
    sms::{Sms, SmsId, TransportStatus},
    store::Ask,
};
use vumi_smpp_codec::{CancelSm, MessageState, QuerySm, QuerySmResp, Tlvs, status, time::SmppTime};

use crate::submit::{RefusalStatus, Submitter, store_status};

/// What became of an SMS of the account.
pub(crate) async fn query(submitter: &Submitter, query: &QuerySm) -> Result<QuerySmResp, RefusalStatus> {
    let unknown = status::ESME_RQUERYFAIL;
    let id = number(&query.message_id).ok_or(unknown)?;
    for transport in ways(submitter) {
        let find = FindSms { account: account(submitter), transport, id };
        let found = submitter.state.context.store.ledger.ask(find).await;
        if let Some(sms) = found.map_err(|error| store_status(&error))? {
            return Ok(answer(&sms));
        }
    }
    Err(unknown)
}

/// The most SMS that one cancel_sm without a number cancels.
const MOST_CANCELLED: usize = 100;

/// Cancels an SMS of the account that has not begun to go out; without a number all from that sender to that recipient.
pub(crate) async fn cancel(submitter: &Submitter, cancel: &CancelSm) -> Result<(), RefusalStatus> {
    if cancel.message_id.is_empty() {
        return cancel_all(submitter, cancel).await;
    }
    cancel_one(submitter, number(&cancel.message_id).ok_or(status::ESME_RINVMSGID)?).await
}

/// It is done where one of them was cancelled.
async fn cancel_all(submitter: &Submitter, cancel: &CancelSm) -> Result<(), RefusalStatus> {
    let (from, to) = submitter.ends(&cancel.source, &cancel.destination)?;
    let states = vec![SmsState::Accepted, SmsState::Scheduled, SmsState::Held, SmsState::Claimed];
    let filter = SmsFilter { account: Some(account(submitter)), states, to: Some(to), ..SmsFilter::default() };
    let search = SearchSms { filter, after: 0, limit: SearchSms::MOST };
    let page = submitter.state.context.store.ledger.ask(search).await.map_err(|error| store_status(&error))?;
    let mut done = Err(status::ESME_RCANCELFAIL);
    for sms in page.found.into_iter().filter(|sms| sms.from == from).take(MOST_CANCELLED) {
        done = done.or(cancel_one(submitter, sms.id).await);
    }
    done
}

async fn cancel_one(submitter: &Submitter, id: SmsId) -> Result<(), RefusalStatus> {
    for transport in ways(submitter) {
        let cancel = CancelSms { account: account(submitter), transport, id };
        let result = submitter.state.context.store.ledger.ask(cancel).await;
        match result.map_err(|error| store_status(&error))? {
            None => {}
            Some(CancelResult::Cancelled(_)) => return Ok(()),
            Some(CancelResult::Begun | CancelResult::TooLate(_)) => return Err(status::ESME_RCANCELFAIL),
        }
    }
    Err(status::ESME_RINVMSGID)
}

fn account(submitter: &Submitter) -> AccountId {
    submitter.account.id
}

/// Over what the account's SMS may have gone: the transport of the settings, or whichever one a route chose.
fn ways(submitter: &Submitter) -> impl Iterator<Item = Option<Name>> {
    let named = submitter.state.settings.transport.clone();
    named.map(Some).into_iter().chain([None])
}

fn number(message_id: &[u8]) -> Option<SmsId> {
    str::from_utf8(message_id).ok()?.parse().ok().filter(|id| *id > 0)
}

fn answer(sms: &Sms) -> QuerySmResp {
    let status = sms.shown_status();
    let ended = sms.delivered_at.unwrap_or(sms.updated_at);
    let date = DateTime::from_timestamp_micros(ended.micros()).filter(|_| status.is_final());
    let final_date = date.and_then(|date| SmppTime::from(date).write()).unwrap_or_default();
    QuerySmResp {
        message_id: sms.id.to_string().into(),
        final_date: final_date.into(),
        message_state: state_of(status).into(),
        error_code: 0,
        tlvs: Tlvs::new(),
    }
}

/// What SMPP calls a status.
pub(crate) const fn state_of(status: TransportStatus) -> MessageState {
    match status {
        TransportStatus::Delivered => MessageState::Delivered,
        TransportStatus::Expired => MessageState::Expired,
        TransportStatus::Cancelled => MessageState::Deleted,
        TransportStatus::MessageError
        | TransportStatus::RoutingError
        | TransportStatus::OutOfCredit
        | TransportStatus::LimitExceeded => MessageState::Rejected,
        TransportStatus::DeliveryError => MessageState::Undeliverable,
        TransportStatus::Pending
        | TransportStatus::Queued
        | TransportStatus::QueuedForLater
        | TransportStatus::AtGateway
        | TransportStatus::Accepted => MessageState::Enroute,
        TransportStatus::UnknownMessage | TransportStatus::Other(_) => MessageState::Unknown,
    }
}
