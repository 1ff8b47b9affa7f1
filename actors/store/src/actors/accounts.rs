//! The accounts' actor.

use vumi_kit::account::{CreateAccount, FindAccount, ListAccounts, RemoveAccount, SetPassword};

super::desk! {
    Accounts
    writes CreateAccount, RemoveAccount, SetPassword;
    reads FindAccount, ListAccounts
}
