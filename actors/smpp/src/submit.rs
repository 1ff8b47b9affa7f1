//! An SMS as an ESME submits it: read, taken through middleware and quotas, kept in the ledger. The answer is a
//! command_status; with 0 the SMS is committed.

mod content;
mod times;

use std::{rc::Rc, sync::Arc};

use bytes::Bytes;
use futures_util::future::join_all;
use vumi_front_kit::{
    quotas::{Patience, QuotaRefusal},
    sending_chain::{NotPassed, SendingChain},
};
use vumi_kit::{
    account::{Account, OverQuota},
    address::{Address, Msisdn},
    esme::{NumberPlan, ReceiptRequest},
    ledger::{AcceptSms, Accepted},
    name::Name,
    outbound::{Routable, RouteChoice},
    sms::{NewSms, SmsId},
    sms_options::{Content, Occasion, Priority, SmsOptions},
    store::StoreError,
    transport_settings::TransportSettings,
};
use vumi_smpp_codec::{
    Message, MultiDestination, MultiFailure, PduAddress, SubmitMulti, SubmitMultiResp, Tlvs, address::ton,
    registered_delivery, status,
};

use self::content::{Handed, handed};
use crate::{binds::BindId, context::EsmeTransport, state::SmppServerState};

/// Why an SMS is not kept: the command_status of the answer.
pub(crate) type RefusalStatus = u32;

/// The most recipients of a submit_multi, each an SMS of its own.
const MOST_RECIPIENTS: usize = 254;
/// priority_flag from which on an SMS goes first: 2 urgent, 3 emergency.
const URGENT: u8 = 2;

/// Submits for an account that is bound.
pub(crate) struct Submitter {
    pub(crate) state: Rc<SmppServerState>,
    pub(crate) account: Arc<Account>,
    /// Who is told first what became of it.
    pub(crate) bind: BindId,
}

/// Where SMS go.
enum Way<'a> {
    /// To this transport.
    Named(&'a Name, &'a EsmeTransport),
    /// Each by the route that takes it.
    Routed,
}

impl Submitter {
    /// Keeps an SMS, and answers its number once it is committed.
    pub(crate) async fn submit(&self, message: Message) -> Result<SmsId, RefusalStatus> {
        let sms = self.read(&message, &message.destination)?;
        self.keep(sms).await
    }

    /// Keeps an SMS for each recipient. Those that can't be are listed; the id is that of the first that was kept, and the
    /// others' follow in no field of the answer.
    pub(crate) async fn submit_multi(&self, multi: SubmitMulti) -> (RefusalStatus, SubmitMultiResp) {
        let SubmitMulti { destinations, message } = multi;
        if destinations.is_empty() || destinations.len() > MOST_RECIPIENTS {
            return (status::ESME_RINVNUMDESTS, SubmitMultiResp::default());
        }
        let message = &message;
        // Together, so that they share a commit.
        let kept = join_all(destinations.into_iter().map(|destination| async move {
            match destination {
                MultiDestination::Address(address) => match self.read(message, &address) {
                    Ok(sms) => (address, self.keep(sms).await),
                    Err(status) => (address, Err(status)),
                },
                MultiDestination::List(_) => (PduAddress::default(), Err(status::ESME_RINVDLNAME)),
            }
        }));
        let (mut failures, mut first, mut last) = (Vec::new(), None, status::ESME_RINVDSTADR);
        for (address, kept) in kept.await {
            match kept {
                Ok(id) => first = first.or(Some(id)),
                Err(status) => {
                    last = status;
                    failures.push(MultiFailure { address, status });
                }
            }
        }
        let Some(first) = first else { return (last, SubmitMultiResp::default()) };
        (status::ESME_ROK, SubmitMultiResp { message_id: Bytes::from(first.to_string()), failures, tlvs: Tlvs::new() })
    }

    async fn keep(&self, sms: NewSms) -> Result<SmsId, RefusalStatus> {
        let SmppServerState { context, settings, .. } = &*self.state;
        let (chains, account) = (&context.chains, self.account.username.as_str());
        let chain = SendingChain { chains, account, max_segments: settings.max_segments };
        let batch = chain.pass(vec![sms]).await.map_err(|refused| match refused {
            NotPassed::Fields(_) => status::ESME_RSUBMITFAIL,
            NotPassed::Later => status::ESME_RSYSERR,
        })?;
        let (ledger, accept) = (&context.store.ledger, AcceptSms { batch, idempotency: None });
        let accepted = context.quotas.accept(ledger, &self.account, accept, Patience::CanBeRefused).await;
        match accepted.map_err(|refused| quota_status(&refused))? {
            Accepted::Now(kept) | Accepted::Before(kept) => kept.first().map(|sms| sms.id).ok_or(status::ESME_RSYSERR),
            Accepted::KeyReused => Err(status::ESME_RSYSERR),
            Accepted::AccountStopped => Err(status::ESME_RSUBMITFAIL),
        }
    }

    /// Reads an SMS to one recipient.
    fn read(&self, message: &Message, to: &PduAddress) -> Result<NewSms, RefusalStatus> {
        let SmppServerState { context, settings, .. } = &*self.state;
        let way = self.way()?;
        let (from, to_number) = self.ends_by(&way, &message.source, to)?;
        let (now, times) = (context.clock.now(), &context.sms_times);
        let (send_at, validity) = times::read(message, now, context.clock.wall(), times)?;
        let Handed { content, text } = handed(message, settings.default_alphabet.alphabet(), settings.max_segments)?;
        let options = SmsOptions {
            priority: if message.priority_flag >= URGENT { Priority::High } else { Priority::Normal },
            send_at,
            validity,
            reference: None,
            callback_url: None,
            receipts: self.receipts(message, to),
            content,
            held: None,
            occasion: Occasion::Unasked,
        };
        let (transport, route) = self.transport(&way, &from, &to_number, &text, &options)?;
        Ok(NewSms {
            account: self.account.id,
            transport,
            to: to_number,
            from,
            message: text,
            route,
            options: Arc::new(options),
        })
    }

    /// The sender and the recipient that an ESME names.
    pub(crate) fn ends(&self, from: &PduAddress, to: &PduAddress) -> Result<(Address, Msisdn), RefusalStatus> {
        self.ends_by(&self.way()?, from, to)
    }

    fn ends_by(&self, way: &Way<'_>, from: &PduAddress, to: &PduAddress) -> Result<(Address, Msisdn), RefusalStatus> {
        let addresses = match way {
            Way::Named(_, transport) => self.of_account(&transport.addresses),
            Way::Routed => {
                let all = self.state.context.transports.values().map(|transport| &transport.addresses);
                TransportSettings::of_any(all, self.account.rights.country_code.as_ref())
            }
        };
        Ok((self.sender(from, &addresses)?, self.recipient(to, &addresses)?))
    }

    fn of_account(&self, transport: &TransportSettings) -> TransportSettings {
        let own = self.account.rights.country_code.clone();
        TransportSettings { country_code: own.or_else(|| transport.country_code.clone()), ..transport.clone() }
    }

    /// Where the account's SMS go, if it may send now.
    fn way(&self) -> Result<Way<'_>, RefusalStatus> {
        let SmppServerState { context, settings, .. } = &*self.state;
        match &settings.transport {
            Some(name) => {
                let transport = context.transports.get(name).ok_or(status::ESME_RSUBMITFAIL)?;
                let refused = self.account.sending_error(name).is_some();
                if refused { Err(status::ESME_RSUBMITFAIL) } else { Ok(Way::Named(name, transport)) }
            }
            None if self.account.stopped_error().is_some() => Err(status::ESME_RSUBMITFAIL),
            None => Ok(Way::Routed),
        }
    }

    /// The transport of an SMS, which can carry it.
    fn transport(
        &self,
        way: &Way<'_>,
        from: &Address,
        to: &Msisdn,
        text: &str,
        options: &SmsOptions,
    ) -> Result<(Name, Option<Box<RouteChoice>>), RefusalStatus> {
        match way {
            Way::Named(name, EsmeTransport { carries, .. }) => {
                if carries.takes(&options.content) {
                    Ok(((*name).clone(), None))
                } else {
                    Err(not_carried(options))
                }
            }
            Way::Routed => {
                let (account, content) = (self.account.username.as_str(), &options.content);
                let transports = &self.account.rights.transports;
                let routable = Routable { account, transports, to, from, text, content, tag: None };
                let routes = self.state.context.routes.as_ref().ok_or(status::ESME_RSUBMITFAIL)?;
                let choice = routes.choose(&routable).ok_or_else(|| not_carried(options))?;
                Ok((choice.transport.clone(), Some(Box::new(choice))))
            }
        }
    }

    /// The sender; where the ESME leaves it empty, the only one that the account may have.
    fn sender(&self, source: &PduAddress, addresses: &TransportSettings) -> Result<Address, RefusalStatus> {
        let wrong = status::ESME_RINVSRCADR;
        let rights = &self.account.rights;
        let sender = match (source.addr.is_empty(), rights.senders.as_slice()) {
            (true, [only]) => only.clone(),
            (true, _) => return Err(wrong),
            (false, _) => addresses.sender(&text_of(&source.addr)).map_err(|_| wrong)?,
        };
        if rights.sender_error(&sender).is_some() { Err(wrong) } else { Ok(sender) }
    }

    fn recipient(&self, to: &PduAddress, addresses: &TransportSettings) -> Result<Msisdn, RefusalStatus> {
        let text = text_of(&to.addr);
        // A national number may come without the 0 that it has within the country.
        let national = to.ton == ton::NATIONAL && addresses.country_code.is_some() && !text.starts_with(['0', '+']);
        let text = if national { format!("0{text}") } else { text };
        let number = addresses.recipient(&text).map_err(|_| status::ESME_RINVDSTADR)?;
        let refused = self.account.rights.recipient_error(&number).is_some();
        if refused { Err(status::ESME_RINVDSTADR) } else { Ok(number) }
    }

    fn receipts(&self, message: &Message, to: &PduAddress) -> Option<ReceiptRequest> {
        let wants = |delivered| registered_delivery::wants_receipt(message.registered_delivery, delivered);
        let (success, failure) = (wants(true), wants(false));
        let plan = |address: &PduAddress| NumberPlan { ton: address.ton, npi: address.npi };
        let (from, to) = (plan(&message.source), plan(to));
        (success || failure).then_some(ReceiptRequest { success, failure, from, to, bind: self.bind })
    }
}

/// Octets of an address: ASCII, or a name in Latin-1.
fn text_of(octets: &[u8]) -> String {
    octets.iter().map(|octet| char::from(*octet)).collect()
}

/// What no transport carries: a header, or a data coding.
fn not_carried(options: &SmsOptions) -> RefusalStatus {
    match &options.content {
        Content::Binary { udh: Some(_) } | Content::Raw { udh: Some(_), .. } => status::ESME_RINVESMCLASS,
        Content::Binary { udh: None } | Content::Raw { udh: None, .. } | Content::Flash => status::ESME_RINVDCS,
        Content::Text => status::ESME_RINVDSTADR,
    }
}

fn quota_status(refused: &QuotaRefusal) -> RefusalStatus {
    match refused {
        QuotaRefusal::TooMany { .. } => status::ESME_RTHROTTLED,
        QuotaRefusal::NoPrice(_) => status::ESME_RINVDSTADR,
        QuotaRefusal::Over(OverQuota::Waiting { .. }) => status::ESME_RMSGQFUL,
        QuotaRefusal::Over(OverQuota::Budget { .. }) => status::ESME_RSUBMITFAIL,
        QuotaRefusal::Over(OverQuota::Changed) => status::ESME_RSYSERR,
        QuotaRefusal::Store(error) => store_status(error),
    }
}

/// What the ESME is told of the store.
pub(crate) const fn store_status(error: &StoreError) -> RefusalStatus {
    match error {
        StoreError::Busy => status::ESME_RMSGQFUL,
        StoreError::Rejected(_) => status::ESME_RSUBMITFAIL,
        StoreError::TooSlow
        | StoreError::Stopped
        | StoreError::Unavailable(_)
        | StoreError::Unconfirmed(_)
        | StoreError::Exists(_) => status::ESME_RSYSERR,
    }
}
