//! The server over real sockets, with a store that answers as a test says.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use vumi_front_kit::password::hash_password;
use vumi_kit::{
    account::{Account, AccountRoles, CountAccountChanges, FindAccount, SmppAccess},
    audit::RecordAudit,
    callback::RecordDeliveryAttempts,
    carries::Carries,
    clock::Clock,
    esme::{ClaimEsmeEvents, EsmeDelivery, EsmeEvent, EsmeSms, FindEsmeWork},
    ledger::{AcceptSms, Accepted},
    middleware::MiddlewareChains,
    name::Name,
    price::PriceTable,
    sms::Sms,
    sms_fields::SmsTimes,
    store::{Request, StoreError},
    testing::{FakeStore, moment},
    transport_settings::TransportSettings,
};
use vumi_smpp_codec::{
    Address, Bind, BindMode, Codec, Command, CommandId, Frame, Message, MessageResp, Password, Pdu, status,
};

use crate::{EsmeTransport, SmppComponent, SmppContext, SmppSettings, start};

const WITHIN: Duration = Duration::from_secs(20);

/// A request to keep SMS that has no answer yet.
type Asked = Arc<Mutex<Vec<Request<AcceptSms>>>>;

fn account() -> Account {
    let access = SmppAccess { password_hash: hash_password("secret").unwrap(), most_binds: None };
    Account { smpp: Some(access), ..Account::unlimited(1, "clinic".to_owned(), String::new(), AccountRoles::CLIENT) }
}

/// A store with this account, in which nothing changes.
fn store() -> FakeStore {
    let account = account();
    FakeStore::default()
        .on(move |find: FindAccount| Ok((find.username == account.username).then(|| account.clone())))
        .on(|_: CountAccountChanges| Ok(1))
        .on(|_: RecordAudit| Ok(()))
        .on(|_: FindEsmeWork| Ok(Vec::new()))
}

fn settings() -> SmppSettings {
    SmppSettings {
        bind: "127.0.0.1:0".parse().unwrap(),
        transport: Some(Name::parse("smsc").unwrap()),
        ..SmppSettings::default()
    }
}

fn serve(store: FakeStore, settings: SmppSettings) -> (SmppComponent, SocketAddr) {
    let transport = EsmeTransport { addresses: TransportSettings::default(), carries: Carries::ALL };
    let context = SmppContext {
        store: store.start_store(),
        clock: Clock::held(moment()),
        transports: BTreeMap::from([(Name::parse("smsc").unwrap(), transport)]),
        sms_times: SmsTimes::default(),
        prices: PriceTable::default(),
        chains: MiddlewareChains::default(),
        routes: None,
        sandbox_account: false,
    };
    let component = start(context, settings).unwrap();
    let address = component.addresses[0];
    (component, address)
}

/// A client.
struct TestEsme {
    socket: TcpStream,
    codec: Codec,
    read: BytesMut,
    sequence: u32,
}

impl TestEsme {
    async fn bound(address: SocketAddr, mode: BindMode) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        let mut peer = Self { socket, codec: Codec::default(), read: BytesMut::new(), sequence: 0 };
        let (system_id, password) = ("clinic".into(), Password("secret".into()));
        let bind = Bind { mode, system_id, password, interface_version: 0x34, ..Bind::default() };
        peer.send(Pdu::Bind(Box::new(bind))).await;
        assert_eq!(peer.next().await.status, status::ESME_ROK);
        peer
    }

    async fn send(&mut self, pdu: Pdu) {
        self.sequence += 1;
        self.write(Command { status: 0, sequence: self.sequence, pdu }).await;
    }

    async fn write(&mut self, command: Command) {
        let mut octets = BytesMut::new();
        command.encode_into(&mut octets).unwrap();
        self.socket.write_all(&octets).await.unwrap();
    }

    async fn submit(&mut self) {
        let message = Message {
            source: Address::new(5, 0, "CLINIC"),
            destination: Address::new(1, 1, "27831234567"),
            short_message: "x".into(),
            ..Message::default()
        };
        self.send(Pdu::SubmitSm(Box::new(message))).await;
    }

    async fn next(&mut self) -> Frame {
        timeout(WITHIN, async {
            loop {
                if let Some(frame) = self.codec.next(&mut self.read) {
                    return frame.unwrap();
                }
                assert!(self.socket.read_buf(&mut self.read).await.unwrap() > 0, "closed");
            }
        })
        .await
        .expect("a PDU in time")
    }
}

fn kept(accept: &AcceptSms, first: i64) -> Accepted {
    let kept = (first..).zip(&accept.batch);
    Accepted::Now(kept.map(|(id, new)| Sms::accepted(id, new.clone(), 1, moment(), moment())).collect())
}

#[actix_rt::test]
async fn as_many_are_kept_at_once_as_the_window_allows_and_the_answers_come_as_the_commits_do() {
    let asked = Asked::default();
    let waiting = Arc::clone(&asked);
    let store = store().on_request(move |request: Request<AcceptSms>| waiting.lock().unwrap().push(request));
    let (_component, address) = serve(store, SmppSettings { window: 4, ..settings() });
    let mut peer = TestEsme::bound(address, BindMode::Transmitter).await;
    for _ in 0..6 {
        peer.submit().await;
    }
    let until = |count: usize| {
        let asked = Arc::clone(&asked);
        async move {
            timeout(WITHIN, async {
                while asked.lock().unwrap().len() < count {
                    tokio::time::sleep(Duration::from_millis(5)).await
                }
            })
            .await
            .expect("asked in time");
        }
    };
    until(4).await;
    let mut other = TestEsme::bound(address, BindMode::Transmitter).await;
    other.send(Pdu::EnquireLink).await;
    assert_eq!(other.next().await.command, CommandId::ENQUIRE_LINK_RESP, "another bind goes on");
    let last = asked.lock().unwrap().pop().unwrap();
    assert_eq!(asked.lock().unwrap().len(), 3, "no more than the window");
    let answer = kept(&last.operation, 40);
    last.reply.send(Ok(answer)).unwrap();
    let first = peer.next().await;
    let Ok(Pdu::SubmitSmResp(body)) = &first.body else { panic!("{first:?}") };
    assert_eq!((first.sequence, body.message_id.as_ref()), (5, &b"40"[..]), "the fourth submit_sm is answered first");
    until(4).await;
    for (at, request) in std::mem::take(&mut *asked.lock().unwrap()).into_iter().enumerate() {
        let answer = kept(&request.operation, 50 + i64::try_from(at).unwrap());
        request.reply.send(Ok(answer)).unwrap();
    }
    for _ in 0..4 {
        assert_eq!(peer.next().await.status, status::ESME_ROK);
    }
    until(1).await;
}

#[actix_rt::test]
async fn what_the_store_does_not_keep_is_never_answered_with_success() {
    let errors: Vec<(StoreError, u32)> = vec![
        (StoreError::Busy, status::ESME_RMSGQFUL),
        (StoreError::Unavailable("away".into()), status::ESME_RSYSERR),
        (StoreError::Unconfirmed("lost".into()), status::ESME_RSYSERR),
        (StoreError::Rejected("no".into()), status::ESME_RSUBMITFAIL),
        (StoreError::Stopped, status::ESME_RSYSERR),
    ];
    let mut next = errors.clone().into_iter();
    let store = store().on(move |_: AcceptSms| Err(next.next().unwrap().0));
    let (_component, address) = serve(store, settings());
    let mut peer = TestEsme::bound(address, BindMode::Transceiver).await;
    for (_, expected) in errors {
        peer.submit().await;
        let answer = peer.next().await;
        assert_eq!((answer.command, answer.status), (CommandId::SUBMIT_SM_RESP, expected));
    }
}

#[actix_rt::test]
async fn more_than_the_rate_is_throttled_and_the_session_lives() {
    let store = store().on(|accept: AcceptSms| Ok(kept(&accept, 1)));
    let (_component, address) = serve(store, SmppSettings { rate: 2, ..settings() });
    let mut peer = TestEsme::bound(address, BindMode::Transmitter).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        peer.submit().await;
        statuses.push(peer.next().await.status);
    }
    assert_eq!(statuses[..2], [status::ESME_ROK, status::ESME_ROK]);
    assert!(statuses.contains(&status::ESME_RTHROTTLED), "{statuses:?}");
}

#[actix_rt::test]
async fn who_does_not_bind_holds_no_more_than_a_quarter_of_the_places_and_a_bind_gives_its_place_back() {
    let (_component, address) = serve(store(), SmppSettings { max_unbound: 8, ..settings() });
    let closed = async |socket: &mut TcpStream| {
        let read = timeout(Duration::from_millis(500), socket.read(&mut [0])).await;
        matches!(read, Ok(Ok(0) | Err(_)))
    };
    let mut bound = Vec::new();
    for _ in 0..5 {
        bound.push(TestEsme::bound(address, BindMode::Transmitter).await);
    }
    let mut first = TcpStream::connect(address).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    let mut third = TcpStream::connect(address).await.unwrap();
    assert!(closed(&mut third).await);
    assert!(!closed(&mut first).await && !closed(&mut second).await);
}

fn sms_of_a_person(id: i64) -> EsmeDelivery {
    let sms = EsmeSms { from: "27831234567".to_owned(), to: "38080".to_owned(), message: format!("number {id}") };
    let (event, lease_until) = (Some(EsmeEvent::Sms(sms)), moment().plus(Duration::from_secs(60)));
    EsmeDelivery { id, account: 1, event, attempts: 0, created_at: moment(), lease_until }
}

#[actix_rt::test]
async fn a_bind_gets_no_more_than_its_window_and_what_it_leaves_unanswered_is_given_back() {
    let recorded = Arc::new(Mutex::new(Vec::new()));
    let (noted, given) = (Arc::clone(&recorded), Arc::new(Mutex::new(1..=10_i64)));
    let left = Arc::clone(&given);
    let store = store()
        .on(move |_: FindEsmeWork| Ok(if left.lock().unwrap().is_empty() { Vec::new() } else { vec![1] }))
        .on(move |claim: ClaimEsmeEvents| {
            let most = claim.accounts.iter().map(|(_, most)| *most).sum();
            Ok(given.lock().unwrap().by_ref().take(most).map(sms_of_a_person).collect())
        })
        .on(move |record: RecordDeliveryAttempts| {
            noted.lock().unwrap().extend(record.attempts);
            Ok(())
        });
    let (component, address) = serve(store, SmppSettings { deliver_window: 3, ..settings() });
    let mut peer = TestEsme::bound(address, BindMode::Receiver).await;
    let mut first = Vec::new();
    for _ in 0..3 {
        first.push(peer.next().await);
    }
    let more = timeout(Duration::from_millis(600), peer.socket.peek(&mut [0])).await;
    assert!(more.is_err(), "more than its window");
    let (sequence, pdu) = (first[1].sequence, Pdu::DeliverSmResp(MessageResp::default()));
    peer.write(Command { status: 0, sequence, pdu }).await;
    assert_eq!(peer.next().await.command, CommandId::DELIVER_SM, "its answer makes room");
    drop(peer);
    timeout(WITHIN, async {
        while recorded.lock().unwrap().len() < 4 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("all are recorded");
    let recorded = recorded.lock().unwrap();
    let again = recorded.iter().filter(|attempt| attempt.then == vumi_kit::callback::DeliveryThen::Again(moment()));
    assert_eq!(again.map(|attempt| attempt.delivery).collect::<std::collections::BTreeSet<_>>(), [1, 3, 4].into());
    drop(component);
}

#[actix_rt::test]
async fn a_bind_that_answers_nothing_is_given_no_more_until_it_does() {
    let recorded = Arc::new(Mutex::new(Vec::new()));
    let (noted, numbers) = (Arc::clone(&recorded), Arc::new(Mutex::new(1_i64..)));
    let store = store()
        .on(|_: FindEsmeWork| Ok(vec![1]))
        .on(move |claim: ClaimEsmeEvents| {
            let most = claim.accounts.iter().map(|(_, most)| *most).sum();
            Ok(numbers.lock().unwrap().by_ref().take(most).map(sms_of_a_person).collect())
        })
        .on(move |record: RecordDeliveryAttempts| {
            noted.lock().unwrap().extend(record.attempts);
            Ok(())
        });
    let answer_within = Duration::from_millis(300);
    let (_component, address) = serve(store, SmppSettings { deliver_window: 2, answer_within, ..settings() });
    let mut peer = TestEsme::bound(address, BindMode::Receiver).await;
    peer.next().await;
    let second = peer.next().await;
    timeout(WITHIN, async {
        while recorded.lock().unwrap().len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("both are given back");
    let more = timeout(Duration::from_millis(800), peer.socket.peek(&mut [0])).await;
    assert!(more.is_err(), "it answers nothing");
    peer.send(Pdu::EnquireLink).await;
    assert_eq!(peer.next().await.command, CommandId::ENQUIRE_LINK_RESP, "the session lives");
    // Too late for that one, but somebody answers again.
    let pdu = Pdu::DeliverSmResp(MessageResp::default());
    peer.write(Command { status: 0, sequence: second.sequence, pdu }).await;
    assert_eq!(peer.next().await.command, CommandId::DELIVER_SM);
}
