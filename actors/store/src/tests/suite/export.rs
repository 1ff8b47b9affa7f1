//! The whole ledger, page by page.

use vumi_kit::{
    address::Address,
    export::{EXPORT_PAGE, ExportFilter, ExportReceived, ExportSms, FindLedgerEnd, NumberRange},
    ledger::{AcceptSms, KeepReceived, SmsOwner},
    name::Name,
    sms::{InboundSms, NewSms},
};

use super::{ALICE, BOB, StoreHarness, opera, sms};

impl StoreHarness {
    /// The numbers of all pages of SMS.
    async fn exported(&self, after: i64, filter: &ExportFilter) -> Vec<i64> {
        let up_to = self.ledger(FindLedgerEnd).await.sms;
        let (mut ids, mut next) = (Vec::new(), Some(after));
        while let Some(after) = next {
            let page = self.ledger(ExportSms { range: NumberRange { after, up_to }, filter: filter.clone() }).await;
            assert!(page.rows.len() <= EXPORT_PAGE && page.next.is_none_or(|next| next > after));
            ids.extend(page.rows.iter().map(|sms| sms.id));
            next = page.next;
        }
        ids
    }
}

#[actix_rt::test]
async fn an_export_has_every_sms_once_whatever_the_gaps_and_the_next_one_goes_on_behind_it() {
    let Some(harness) = StoreHarness::new() else { return };
    assert_eq!(harness.exported(0, &ExportFilter::default()).await, Vec::<i64>::new());
    let kept: Vec<i64> = harness.accept(2 * EXPORT_PAGE + 1).await.into_iter().map(|sms| sms.id).collect();
    assert_eq!(harness.exported(0, &ExportFilter::default()).await, kept);
    // As retention leaves it: with gaps.
    let gap = format!("DELETE FROM sms WHERE id % 3 = 0 AND id < {}", kept.last().unwrap());
    diesel::connection::SimpleConnection::batch_execute(&mut harness.fixture.connect(), &gap).unwrap();
    let left: Vec<i64> = kept.iter().copied().filter(|id| id % 3 != 0 || Some(id) == kept.last()).collect();
    assert_eq!(harness.exported(0, &ExportFilter::default()).await, left);
    let more: Vec<i64> = harness.accept(2).await.into_iter().map(|sms| sms.id).collect();
    assert_eq!(harness.exported(*kept.last().unwrap(), &ExportFilter::default()).await, more);
}

#[actix_rt::test]
async fn an_export_is_of_the_account_transport_and_time_that_are_asked_for() {
    let Some(harness) = StoreHarness::new() else { return };
    let e_scape = Name::parse("e-scape").unwrap();
    let kept = |account, transport: &Name| NewSms { account, transport: transport.clone(), ..sms("x") };
    let mut ids = Vec::new();
    for new in [kept(ALICE, &opera()), kept(BOB, &opera()), kept(ALICE, &e_scape), kept(BOB, &e_scape)] {
        let accepted = harness.ledger(AcceptSms { batch: vec![new], idempotency: None }).await;
        let vumi_kit::ledger::Accepted::Now(accepted) = accepted else { panic!("not now") };
        ids.push(accepted[0].id);
        harness.advance(60);
    }
    let all = ExportFilter::default();
    let alices = ExportFilter { account: Some(ALICE), ..all.clone() };
    assert_eq!(harness.exported(0, &alices).await, [ids[0], ids[2]]);
    let over_e_scape = ExportFilter { transport: Some(e_scape.clone()), ..all.clone() };
    assert_eq!(harness.exported(0, &over_e_scape).await, [ids[2], ids[3]]);
    let both = ExportFilter { account: Some(BOB), transport: Some(e_scape), ..all.clone() };
    assert_eq!(harness.exported(0, &both).await, [ids[3]]);
    let second = harness.now().minus(std::time::Duration::from_secs(180));
    let third = harness.now().minus(std::time::Duration::from_secs(120));
    let between = ExportFilter { from: Some(second), to: Some(third), ..all };
    assert_eq!(harness.exported(0, &between).await, [ids[1]]);
}

#[actix_rt::test]
async fn sms_from_people_are_exported_too() {
    let Some(harness) = StoreHarness::new() else { return };
    let inbound = |message: &str| {
        InboundSms::whole(Address::inbound("27831234567").unwrap(), Address::inbound("38080").unwrap(), message)
    };
    let inbound = vec![inbound("one"), inbound("two")];
    harness.ledger(KeepReceived { owner: SmsOwner::Account(ALICE), transport: opera(), inbound }).await;
    let up_to = harness.ledger(FindLedgerEnd).await.received;
    let (range, filter) = (NumberRange { after: 0, up_to }, ExportFilter::default());
    let page = harness.ledger(ExportReceived { range, filter }).await;
    let texts: Vec<&str> = page.rows.iter().map(|received| received.sms.message.as_str()).collect();
    assert_eq!((texts, page.next), (vec!["one", "two"], None));
}
