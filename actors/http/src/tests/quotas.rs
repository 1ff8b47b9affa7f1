//! Quotas of accounts at the calls that send, and what `account.json` shows of them.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use vumi_front_kit::quotas::QuotaKeeper;
use vumi_kit::{
    account::{AccountQuotas, Budget, BudgetUnit, Micros, OverQuota, QuotaCharge},
    clock::Timestamp,
    price::{PriceSettings, PriceTable},
};

use super::{assert_problem, harness::HttpHarness, header};
use crate::HttpSettings;

/// The front-end with a price for South Africa alone; the first account has these quotas.
async fn harness(quotas: AccountQuotas) -> HttpHarness {
    let settings = HttpSettings { account_ttl: Duration::from_nanos(1), ..HttpSettings::default() };
    let price = PriceSettings { prefix: "27".to_owned(), per_segment: "0.012".to_owned() };
    let prices = PriceTable::new(&[price]).unwrap();
    let harness = HttpHarness::start_with(settings, |context| context.quotas = QuotaKeeper::new(prices)).await;
    harness.stored().accounts[0].quotas = quotas;
    harness
}

fn budget(unit: BudgetUnit) -> AccountQuotas {
    let budget = Budget { unit, balance: "12.5".parse().unwrap(), spent: "0.36".parse().unwrap() };
    AccountQuotas { budget: Some(budget), waiting: 3, ..AccountQuotas::default() }
}

/// Sends a text of so many parts.
async fn send(harness: &HttpHarness, to: &[&str], parts: usize) -> Response {
    let message = "x".repeat(if parts == 1 { 10 } else { 153 * parts });
    let body = json!({ "to_msisdn": to, "from_msisdn": "38080", "message": message });
    harness.call(reqwest::Method::POST, "sms/clickatell/send.json").json(&body).send().await.unwrap()
}

/// Asserts a refusal, and answers when to try again, and the sentence.
async fn refused(response: Response, status: u16) -> (String, String) {
    assert_problem(&response, status);
    let retry_after = header(&response, "retry-after").to_owned();
    let problem: Value = response.json().await.unwrap();
    (retry_after, problem["detail"].as_str().unwrap().to_owned())
}

#[actix_web::test]
async fn recipients_a_minute_are_counted_and_not_calls_and_a_batch_is_all_or_nothing() {
    let harness = harness(AccountQuotas { recipients_per_minute: Some(3), ..AccountQuotas::default() }).await;
    assert_eq!(send(&harness, &["27123", "27124"], 1).await.status(), StatusCode::OK);
    let (retry_after, detail) = refused(send(&harness, &["27123", "27124"], 1).await, 429).await;
    assert!((1..=20).contains(&retry_after.parse::<u32>().unwrap()), "{retry_after}");
    assert!(detail.contains("3 recipients a minute") && detail.contains("nothing was kept"), "{detail}");
    assert_eq!(send(&harness, &["27123"], 1).await.status(), StatusCode::OK, "the refused batch took nothing");
    let (_, detail) = refused(send(&harness, &["27123", "27124", "27125", "27126"], 1).await, 429).await;
    assert!(detail.contains("this call has 4") && detail.contains("smaller batches"), "{detail}");
    assert_eq!(harness.stored().sms.len(), 3);
    assert_eq!(harness.stored().charges, [], "the store counts nothing for such an account");
}

#[actix_web::test]
async fn a_budget_is_charged_by_segments_or_by_the_price_of_each_recipient() {
    let segments = harness(budget(BudgetUnit::Segments)).await;
    assert_eq!(send(&segments, &["27123", "447700"], 3).await.status(), StatusCode::OK);
    let of_each = vec![Micros::whole(3), Micros::whole(3)];
    assert_eq!(segments.stored().charges, [QuotaCharge { unit: Some(BudgetUnit::Segments), of_each }]);

    let money = harness(budget(BudgetUnit::Money)).await;
    assert_eq!(send(&money, &["27123", "27124"], 2).await.status(), StatusCode::OK);
    let of_each = vec![Micros::new(24_000), Micros::new(24_000)];
    assert_eq!(money.stored().charges, [QuotaCharge { unit: Some(BudgetUnit::Money), of_each }]);
    let response = send(&money, &["27123", "447700", "337700"], 1).await;
    assert_problem(&response, 400);
    let problem: Value = response.json().await.unwrap();
    let values: Vec<&str> = problem["errors"].as_array().unwrap().iter().filter_map(|e| e["value"].as_str()).collect();
    assert_eq!(values, ["447700", "337700"], "each number without a price is named");
}

#[actix_web::test]
async fn what_goes_beyond_a_quota_says_which_and_when_or_how_it_is_mended() {
    let harness = harness(budget(BudgetUnit::Segments)).await;
    let (unit, balance, asked) = (BudgetUnit::Segments, "1.5".parse().unwrap(), Micros::whole(2));
    harness.stored().over_quota = Some(OverQuota::Budget { unit, balance, asked });
    let (_, detail) = refused(send(&harness, &["27123", "27124"], 1).await, 402).await;
    assert!(detail.contains("1.5 segments left") && detail.contains("vumi account budget username --add"), "{detail}");

    harness.stored().over_quota = Some(OverQuota::Waiting { most: 10, waiting: 9, asked: 2 });
    let (retry_after, detail) = refused(send(&harness, &["27123", "27124"], 1).await, 429).await;
    assert_eq!(retry_after, "30");
    assert!(detail.contains("9 SMS of the account wait") && detail.contains("10 may"), "{detail}");

    harness.stored().over_quota = Some(OverQuota::Changed);
    assert_eq!(refused(send(&harness, &["27123"], 1).await, 503).await.0, "1");
    assert_eq!(harness.stored().sms.len(), 0);
}

#[actix_web::test]
async fn a_repeated_request_is_answered_without_counting_its_recipients_again() {
    let harness = harness(AccountQuotas { recipients_per_minute: Some(1), ..AccountQuotas::default() }).await;
    for _ in 0..3 {
        let response = harness.send().header("idempotency-key", "k").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    assert_eq!(harness.stored().sms.len(), 1);
}

#[actix_web::test]
async fn an_account_sees_its_quotas_and_what_is_left_of_them() {
    let harness = harness(budget(BudgetUnit::Money)).await;
    {
        let mut stored = harness.stored();
        let account = &mut stored.accounts[0];
        account.expires_at = Some(Timestamp::parse("2027-01-31").unwrap());
        account.quotas.recipients_per_minute = Some(600);
        account.quotas.most_waiting = Some(10_000);
    }
    let shown: Value = harness.get("account.json").send().await.unwrap().json().await.unwrap();
    let expected = json!({
        "name": "username", "roles": ["client", "carrier"], "expires_at": "2027-01-31 00:00:00", "stopped": false,
        "recipients_per_minute": 600, "waiting": { "most": 10_000, "now": 3 },
        "budget": { "unit": "money", "balance": "12.5", "used": "0.36" },
    });
    assert_eq!(shown, expected);
    let other = harness.client.get(harness.url("/api/v1/account.json")).basic_auth("other", Some("secret"));
    let other = other.send().await.unwrap();
    let shown: Value = other.json().await.unwrap();
    assert_eq!((&shown["budget"], &shown["waiting"]["now"]), (&Value::Null, &Value::Null));
    let refused = harness.call(reqwest::Method::POST, "account.json").send().await.unwrap();
    assert_problem(&refused, 405);
}
