//! SMS that a route sent: read whichever transport carries them, and moved where their transport fails.

use diesel::connection::SimpleConnection;
use vumi_kit::{
    ledger::{AcceptSms, Accepted, FindSms, ListSms, Order, Then, Which},
    name::Name,
    outbound::RouteChoice,
    rerouting::{BeatTransports, RerouteSms, TransportBeat, WayOut},
    sms::{NewSms, Sms, SmsId},
    sms_options::SmsOptions,
    transport_board::Sendability,
};

use super::{ALICE, BOB, START, StoreHarness, opera, sms};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn routed(message: &str, route: &str) -> NewSms {
    let choice = RouteChoice { route: name(route), transport: opera(), why: "it works".to_owned() };
    NewSms { route: Some(Box::new(choice)), ..sms(message) }
}

async fn accept(harness: &StoreHarness, batch: Vec<NewSms>) -> Vec<SmsId> {
    let Accepted::Now(kept) = harness.ledger(AcceptSms { batch, idempotency: None }).await else { panic!("not now") };
    kept.iter().map(|sms| sms.id).collect()
}

async fn found(harness: &StoreHarness, id: SmsId) -> Sms {
    harness.ledger(FindSms { account: ALICE, transport: None, id }).await.unwrap()
}

async fn reroute(harness: &StoreHarness, routes: &[&str], resend_unknown: bool) -> usize {
    let way = |route: &&str| WayOut { route: name(route), to: name("clickatell"), resend_unknown };
    let ways = routes.iter().map(way).collect();
    harness.ledger(RerouteSms { from: opera(), ways, because: "its provider is unavailable".to_owned() }).await
}

#[actix_rt::test]
async fn sms_of_routes_are_read_by_their_account_whichever_transport_carries_them() {
    let Some(harness) = StoreHarness::new() else { return };
    let ids = accept(&harness, vec![routed("a", "home"), sms("named"), routed("b", "home")]).await;
    assert_eq!(found(&harness, ids[0]).await.route, Some(name("home")));
    let find = |account, id| FindSms { account, transport: None, id };
    assert_eq!(harness.ledger(find(ALICE, ids[1])).await, None);
    assert_eq!(harness.ledger(find(BOB, ids[0])).await, None);
    assert_eq!(reroute(&harness, &["home"], false).await, 2);
    for (which, listed) in [
        (Which::Since { at: START, order: Order::OldestFirst, after: None }, [ids[0], ids[2]]),
        (Which::Since { at: START, order: Order::NewestFirst, after: None }, [ids[2], ids[0]]),
        (Which::Ids(ids.clone()), [ids[2], ids[0]]),
    ] {
        let list = ListSms { account: ALICE, transport: None, which, start: 0, limit: 10 };
        let found: Vec<SmsId> = harness.ledger(list).await.iter().map(|sms| sms.id).collect();
        assert_eq!(found, listed);
    }
    let detail = |what: &str, id| {
        let query = format!("SELECT detail FROM sms_events WHERE sms = {id} AND what = '{what}'");
        let query = diesel::dsl::sql::<diesel::sql_types::Text>(&query);
        diesel::RunQueryDsl::get_result::<String>(query, &mut harness.fixture.connect()).unwrap()
    };
    assert_eq!(detail("routed", ids[0]), "to opera: it works");
    assert_eq!(detail("rerouted", ids[2]), "from opera to clickatell: its provider is unavailable");
    assert_eq!(harness.rows("sms_events"), 4);
}

#[actix_rt::test]
async fn only_what_waits_and_was_surely_not_sent_goes_to_another_transport() {
    let Some(harness) = StoreHarness::new() else { return };
    let later =
        SmsOptions { send_at: Some(harness.now().plus(std::time::Duration::from_secs(600))), ..SmsOptions::default() };
    let scheduled = NewSms { options: later.into(), ..routed("scheduled", "home") };
    let batch = vec![
        routed("in hand", "home"),
        routed("answer lost", "home"),
        routed("to be tried again", "home"),
        sms("named"),
        routed("other route", "abroad"),
        routed("waits", "home"),
        scheduled,
    ];
    harness.open_outbox(3).await;
    let ids = accept(&harness, batch).await;
    let again =
        |unknown_outcome| Then::Again { at: harness.now().plus(std::time::Duration::from_secs(60)), unknown_outcome };
    harness.outcome(ids[1], "no answer", again(true)).await;
    harness.outcome(ids[2], "connection refused", again(false)).await;
    assert_eq!(reroute(&harness, &["home"], false).await, 2);
    let moved = harness.sms_rows("transport = 'clickatell'");
    let are = |ids: &[SmsId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    assert_eq!(
        (moved, harness.sms_rows(&format!("transport = 'clickatell' AND id IN ({})", are(&[ids[2], ids[5]])))),
        (2, 2)
    );
    assert_eq!(reroute(&harness, &["home"], true).await, 1, "one whose answer was lost, where the route allows it");
    assert_eq!(found(&harness, ids[1]).await.transport.as_str(), "clickatell");
    assert_eq!(harness.sms_rows(&format!("unsure = 1 AND id = {}", ids[1])), 1, "its answer is lost there, too");
    assert_eq!(reroute(&harness, &["home"], true).await, 0);

    // What was in hand and comes back waits as any other.
    harness
        .outcome(
            ids[0],
            "",
            Then::Untried { at: harness.now(), held_until: harness.now().plus(std::time::Duration::from_secs(120)) },
        )
        .await;
    assert_eq!(reroute(&harness, &["home"], false).await, 1);
    let clickatell = vumi_kit::ledger::ClaimSms { transport: name("clickatell"), limit: 10, capacity: 10 };
    assert_eq!(harness.ledger(clickatell).await.len(), 4);
}

#[actix_rt::test]
async fn what_a_process_that_died_had_not_begun_goes_on_when_its_lease_ends() {
    let Some(harness) = StoreHarness::new() else { return };
    harness.open_window(2, 1).await;
    let ids = accept(&harness, vec![routed("begun", "home"), routed("held", "home")]).await;
    let dead = format!("UPDATE sms SET claimed_by = 'dead/1' WHERE id IN ({}, {})", ids[0], ids[1]);
    harness.fixture.connect().batch_execute(&dead).unwrap();
    assert_eq!(reroute(&harness, &["home"], true).await, 0, "its lease holds");
    harness.advance(121);
    assert_eq!(reroute(&harness, &["home"], false).await, 1);
    assert_eq!(found(&harness, ids[1]).await.transport.as_str(), "clickatell");
    assert_eq!(reroute(&harness, &["home"], true).await, 1);
    assert_eq!(harness.sms_rows(&format!("unsure = 1 AND begun = 0 AND id = {}", ids[0])), 1, "it may have been sent");
}

#[actix_rt::test]
async fn a_step_moves_so_many_and_no_more() {
    let Some(harness) = StoreHarness::new() else { return };
    let batch = (0..RerouteSms::STEP + 1).map(|n| routed(&format!("{n}"), "home")).collect();
    let ids = accept(&harness, batch).await;
    assert_eq!(reroute(&harness, &["home"], false).await, RerouteSms::STEP);
    assert_eq!(found(&harness, ids[RerouteSms::STEP]).await.transport, opera());
    assert_eq!(reroute(&harness, &["home"], false).await, 1);
    assert_eq!(reroute(&harness, &["home"], false).await, 0);
}

#[actix_rt::test]
async fn processes_hear_each_other_while_they_live() {
    let Some(harness) = StoreHarness::new() else { return };
    let beat = |sendability, submitted| TransportBeat {
        transport: opera(),
        sendability,
        wants_probe: true,
        submitted,
        receipts: 2,
    };
    let own = |submitted| BeatTransports { beats: vec![beat(Some(Sendability::Works), submitted)] };
    assert_eq!(harness.ledger(own(3)).await, []);
    assert_eq!(harness.ledger(own(4)).await, []);
    assert_eq!(harness.rows("transport_beats"), 1);
    let of_another = format!(
        "UPDATE transport_beats SET node = 'other', sendability = {}, submitted = 9",
        Sendability::Throttled.number()
    );
    harness.fixture.connect().batch_execute(&of_another).unwrap();
    assert_eq!(harness.ledger(own(5)).await, [("other".to_owned(), beat(Some(Sendability::Throttled), 9))]);
    harness
        .fixture
        .connect()
        .batch_execute("UPDATE transport_beats SET sendability = NULL WHERE node = 'other'")
        .unwrap();
    assert_eq!(harness.ledger(own(5)).await, [("other".to_owned(), beat(None, 9))]);
    harness.advance(5);
    assert_eq!(harness.ledger(own(6)).await, [], "it has not told for too long");
    harness.advance(3601);
    harness.ledger(own(6)).await;
    assert_eq!(harness.rows("transport_beats"), 1);
}
