//! How fast the store is on this machine: `cargo run --release -p vumi-store --example rates`, on a file of its own or on
//! the empty database whose URL is given (`-- postgres://...`).

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use vumi_kit::{
    address::Msisdn,
    clock::Clock,
    ledger::{AcceptSms, ClaimSms, HandOver, Ledger, OpenOutbox, Outcome, RecordOutcomes, Then},
    name::Name,
    session::{After, FindSession, SaveSession, SessionRecord, Sessions},
    sms::{NewSms, Submission, TransportStatus},
    sms_options::SmsOptions,
    store::Ask,
};
use vumi_store::{StoreSettings, open};

const TIME: Duration = Duration::from_secs(4);

#[expect(clippy::print_stdout, reason = "what it is for")]
fn say(what: &str, rows: usize, since: Instant) {
    println!("{what:<60} {:>9.0}/s", rows as f64 / since.elapsed().as_secs_f64());
}

#[actix_rt::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let file = format!("sqlite://{}", folder.path().join("vumi.db").display());
    let url = std::env::args().nth(1).unwrap_or(file);
    let (handover, mut handed) = mpsc::channel(1024);
    let opened = open(StoreSettings { url, ..StoreSettings::default() }, Clock::system(), handover)?;
    let (transport, ledger) = (Name::parse("opera")?, opened.store.ledger.clone());
    let new = NewSms {
        account: 1,
        transport: transport.clone(),
        to: Msisdn::parse("27831234567")?,
        from: Msisdn::parse("38080")?.into(),
        message: "Hello, and thank you for all the fish; see you at the end of the universe.".to_owned(),
        route: None,
        options: SmsOptions::none(),
    };

    for clients in [1, 16, 64, 256] {
        let started = Instant::now();
        let accepted = together(clients, || accepts(ledger.clone(), new.clone())).await;
        say(&format!("SMS accepted, one by one, {clients} at once"), accepted, started);
    }
    let started = Instant::now();
    ledger.ask_waiting(AcceptSms { batch: vec![new.clone(); 10_000], idempotency: None }).await?;
    say("SMS accepted, 10,000 in one batch", 10_000, started);

    let started = Instant::now();
    let mut recorded = 0;
    while started.elapsed() < TIME {
        let batch = ledger.ask_waiting(ClaimSms { transport: transport.clone(), limit: 512, capacity: 0 }).await?;
        if batch.is_empty() {
            break;
        }
        recorded += batch.len();
        record(&ledger, &transport, batch).await?;
    }
    say("SMS claimed from the ledger and outcomes recorded, by 512", recorded, started);

    // The path of a message that its transport has room for.
    while !ledger.ask_waiting(ClaimSms { transport: transport.clone(), limit: 50_000, capacity: 0 }).await?.is_empty() {
    }
    ledger.ask_waiting(OpenOutbox { transport: transport.clone(), capacity: 4_000, window: 4_000 }).await?;
    while !ledger.ask_waiting(ClaimSms { transport: transport.clone(), limit: 50_000, capacity: 0 }).await?.is_empty() {
    }
    ledger.ask_waiting(OpenOutbox { transport: transport.clone(), capacity: 1_000_000, window: 1_000_000 }).await?;
    while !ledger.ask_waiting(ClaimSms { transport: transport.clone(), limit: 50_000, capacity: 0 }).await?.is_empty() {
    }
    let (outcomes, sent_on) = (ledger.clone(), transport.clone());
    actix_rt::spawn(async move {
        while let Some(HandOver::Submissions { batch, .. }) = handed.recv().await {
            if record(&outcomes, &sent_on, batch).await.is_err() {
                break;
            }
        }
    });
    let started = Instant::now();
    let accepted = together(64, || accepts(ledger.clone(), new.clone())).await;
    say("SMS accepted, handed over and outcomes recorded, 64 at once", accepted, started);

    let mut person = 0;
    let started = Instant::now();
    let rounds = together(1000, || {
        person += 1;
        dials(opened.store.sessions.clone(), format!("2783{person:07}"))
    })
    .await;
    say("USSD sessions found and saved, 1000 at once (two questions each)", rounds, started);
    opened.close().await;
    Ok(())
}

/// Runs so many of them at once, and adds up what they did.
async fn together<F: Future<Output = usize> + 'static>(count: usize, mut start: impl FnMut() -> F) -> usize {
    let running: Vec<_> = (0..count).map(|_| actix_rt::spawn(start())).collect();
    let mut sum = 0;
    for one in running {
        sum += one.await.unwrap_or(0);
    }
    sum
}

async fn accepts(ledger: Ledger, new: NewSms) -> usize {
    let (started, mut accepted) = (Instant::now(), 0);
    while started.elapsed() < TIME {
        let ask = AcceptSms { batch: vec![new.clone()], idempotency: None };
        accepted += usize::from(ledger.ask_waiting(ask).await.is_ok());
    }
    accepted
}

async fn record(ledger: &Ledger, transport: &Name, batch: Vec<Submission>) -> Result<(), Box<dyn std::error::Error>> {
    let at = Clock::system().now();
    let then = Then::Done { status: TransportStatus::Queued, provider_id: Some("6ba7b8109dad11d180b4".to_owned()) };
    let outcome = |sms: Submission| Outcome {
        id: sms.id,
        at,
        attempts: sms.attempts,
        detail: "ID: 6ba7b810".to_owned(),
        then: then.clone(),
        parts: Vec::new(),
    };
    let outcomes = batch.into_iter().map(outcome).collect();
    ledger.ask_waiting(RecordOutcomes { transport: transport.clone(), outcomes, begin: Vec::new() }).await?;
    Ok(())
}

async fn dials(sessions: Sessions, person: String) -> usize {
    let Ok(owner) = Name::parse("quiz") else { return 0 };
    let (started, mut rounds) = (Instant::now(), 0);
    let expires_at = Clock::system().now().plus(Duration::from_secs(600));
    while started.elapsed() < TIME {
        let _found = sessions.ask_waiting(FindSession { owner: owner.clone(), person: person.clone() }).await;
        let session = SessionRecord {
            owner: owner.clone(),
            person: person.clone(),
            address: "*120*663*79#".to_owned(),
            last_message_id: "0199f1f0c0de7000a000000000000001".to_owned(),
            state: "{\"question\":2,\"score\":1}".to_owned(),
            expires_at,
        };
        let saved = sessions
            .ask_waiting(SaveSession { session, after: After::Anything, answers: Vec::new(), sms: Vec::new() })
            .await;
        rounds += usize::from(saved.is_ok());
    }
    rounds
}
