//! The conversations that there are, and their menus.

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::{Rc, Weak},
    time::Duration,
};

use vumi_kit::{
    account::{Account, AccountId, Accounts, ListAccounts},
    conversation::{
        Conversation, ConversationCode, CountConversationChanges, FindConversationVersion, ListConversations,
        PostedRoutes, PostedTable,
    },
    store::{Ask, StoreError},
};

use crate::{list_menu::ListMenu, list_yaml};

/// How often the store is asked whether there are others.
const REFRESH: Duration = Duration::from_millis(500);

/// Menus that are kept at hand; the store has them all.
const MENUS_AT_HAND: usize = 1_000;

/// A version of a conversation.
pub(crate) type MenuVersion = (i64, i64);

/// Where the present conversations are found.
#[derive(Default)]
struct Present {
    by_code: HashMap<ConversationCode, Rc<Conversation>>,
    by_id: HashMap<i64, Rc<Conversation>>,
}

/// The conversations, as the store last had them. Clones are the same.
#[derive(Clone)]
pub(crate) struct PostedMenus(Rc<SharedMenus>);

struct SharedMenus {
    accounts: Accounts,
    posted: PostedRoutes,
    present: RefCell<Present>,
    menus: RefCell<HashMap<MenuVersion, Rc<ListMenu>>>,
}

impl PostedMenus {
    pub(crate) fn new(accounts: Accounts, posted: PostedRoutes) -> Self {
        Self(Rc::new(SharedMenus { accounts, posted, present: RefCell::default(), menus: RefCell::default() }))
    }

    /// The conversation that a code leads to.
    pub(crate) fn by_code(&self, code: &ConversationCode) -> Option<Rc<Conversation>> {
        self.0.present.borrow().by_code.get(code).cloned()
    }

    /// The conversation with a number.
    pub(crate) fn by_id(&self, id: i64) -> Option<Rc<Conversation>> {
        self.0.present.borrow().by_id.get(&id).cloned()
    }

    /// A version's menu; none where it is not kept any more.
    pub(crate) async fn menu(&self, version: MenuVersion) -> Result<Option<Rc<ListMenu>>, StoreError> {
        if let Some(menu) = self.0.menus.borrow().get(&version) {
            return Ok(Some(menu.clone()));
        }
        let find = FindConversationVersion { id: version.0, version: version.1 };
        let Some(text) = self.0.accounts.ask_waiting(find).await? else { return Ok(None) };
        let Ok(menu) = list_yaml::read(&text) else {
            tracing::error!(
                conversation = version.0,
                version = version.1,
                "a kept conversation can't be read any more"
            );
            return Ok(None);
        };
        let menu = Rc::new(menu);
        let mut menus = self.0.menus.borrow_mut();
        if menus.len() >= MENUS_AT_HAND {
            menus.clear();
        }
        menus.insert(version, menu.clone());
        Ok(Some(menu))
    }

    /// Follows the store for as long as somebody else holds the menus.
    pub(crate) async fn refresh(self) {
        let shared = Rc::downgrade(&self.0);
        drop(self);
        let mut seen = None;
        while let Some(menus) = held(&shared) {
            match menus.look(seen).await {
                Ok(changes) => seen = Some(changes),
                Err(error) => tracing::debug!(%error, "the conversations could not be read now"),
            }
            drop(menus);
            tokio::time::sleep(REFRESH).await;
        }
    }

    /// Reads the conversations where they have changed; answers how often they had.
    async fn look(&self, seen: Option<i64>) -> Result<i64, StoreError> {
        let accounts = &self.0.accounts;
        // Before the list: what changes meanwhile is seen the next time.
        let changes = accounts.ask(CountConversationChanges).await?;
        if seen == Some(changes) {
            return Ok(changes);
        }
        let all = accounts.ask(ListConversations { account: None }).await?;
        let names = if all.is_empty() { Vec::new() } else { accounts.ask(ListAccounts).await? };
        self.show(all, &names);
        Ok(changes)
    }

    fn show(&self, all: Vec<Conversation>, accounts: &[Account]) {
        let names: HashMap<AccountId, &str> =
            accounts.iter().map(|account| (account.id, account.username.as_str())).collect();
        let mut present = Present::default();
        let mut table = PostedTable::default();
        for conversation in all {
            let Some(account) = names.get(&conversation.account) else { continue };
            let conversation = Rc::new(conversation);
            for code in [&conversation.ussd, &conversation.sms].into_iter().flatten() {
                table.insert(code, account);
                present.by_code.insert(code.clone(), conversation.clone());
            }
            present.by_id.insert(conversation.id, conversation);
        }
        self.0.present.replace(present);
        self.0.posted.set(table);
    }
}

fn held(shared: &Weak<SharedMenus>) -> Option<PostedMenus> {
    shared.upgrade().map(PostedMenus)
}
