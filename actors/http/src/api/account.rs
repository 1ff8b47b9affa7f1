//! `account.json`: what an account may do, and how much of its quotas it has used.

use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use vumi_kit::{
    account::{Account, AccountRole, Budget, FindAccount},
    clock::Timestamp,
    store::Ask,
};

use crate::{guard::guarded, limits::call_rates::RateClass, response::error::ApiError};

/// An account, as its client sees it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Account)]
pub(crate) struct AccountView<'a> {
    /// The name it logs in with.
    name: &'a str,
    /// What it may do: `client` sends SMS and reads their status, `read-only` reads, `carrier` calls webhooks.
    #[schema(example = json!(["client"]))]
    roles: Vec<&'static str>,
    /// When it expires, in UTC; null: never.
    #[schema(example = "2027-01-31 00:00:00")]
    expires_at: Option<String>,
    /// Whether nothing is sent for it.
    stopped: bool,
    /// Recipients that it may send to in a minute; null: no limit.
    recipients_per_minute: Option<u32>,
    waiting: WaitingView,
    /// What is left to spend; null: no limit.
    budget: Option<BudgetView>,
}

/// How many SMS may wait to be sent.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AccountWaiting)]
struct WaitingView {
    /// Null: no limit, and they are not counted.
    most: Option<u32>,
    /// SMS that wait now; null where they are not counted.
    now: Option<u32>,
}

/// What is left to spend. Amounts are texts, because they are exact.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AccountBudget)]
struct BudgetView {
    /// What the amounts count: `segments`, or `money` by the price table of the router's settings.
    unit: &'static str,
    /// What is left, with six decimal places at the most.
    #[schema(example = "12.5")]
    balance: String,
    /// What was taken since the budget was set, less what was given back.
    #[schema(example = "0.36")]
    used: String,
}

impl<'a> AccountView<'a> {
    fn of(account: &'a Account) -> Self {
        let quotas = &account.quotas;
        let held = AccountRole::ALL.into_iter().filter(|role| account.roles.has(*role));
        let budget = |Budget { unit, balance, spent }: Budget| BudgetView {
            unit: unit.as_str(),
            balance: balance.to_string(),
            used: spent.to_string(),
        };
        Self {
            name: &account.username,
            roles: held.map(AccountRole::as_str).collect(),
            expires_at: account.expires_at.map(Timestamp::to_seconds_text),
            stopped: account.stopped_at.is_some(),
            recipients_per_minute: quotas.recipients_per_minute,
            waiting: WaitingView { most: quotas.most_waiting, now: quotas.is_counted().then_some(quotas.waiting) },
            budget: quotas.budget.map(budget),
        }
    }
}

/// Shows the account that is logged in: its roles, its quotas and what is left of them.
#[utoipa::path(
    get,
    path = "/api/v1/account.json",
    tag = "account",
    responses((status = 200, description = "The account", body = AccountView)),
)]
pub(crate) async fn show(request: HttpRequest) -> HttpResponse {
    guarded(&request, RateClass::Reading, async |call| {
        // As it is now, not as it is remembered.
        let find = FindAccount { username: call.caller.username.clone() };
        let account = call.state.store.accounts.ask(find).await?.ok_or(ApiError::Unauthenticated)?;
        Ok(HttpResponse::Ok().json(AccountView::of(&account)))
    })
    .await
}
