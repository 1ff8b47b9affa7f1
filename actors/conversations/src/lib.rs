//! Conversations: menus that accounts post over HTTP, run in every process as soon as they are kept.
//!
//! One component runs them all. It looks every half a second whether the store has others, tells the router their codes, and
//! keeps a few versions at hand: a dialogue goes on with the version that it began with.

mod conversations;
mod list_menu;
mod list_yaml;
mod posted_menus;
mod turn_pace;

use vumi_campaign_kit::start_campaign;
use vumi_kit::{
    component::{Component, ComponentContext},
    conversation::{ConversationProblem, PostedRoutes},
};

use crate::{conversations::Conversations, posted_menus::PostedMenus};

/// Starts the component on the present arbiter. The router reads the codes from `posted`.
pub fn start(context: ComponentContext, posted: PostedRoutes) -> Component {
    let menus = PostedMenus::new(context.store.accounts.clone(), posted);
    let refreshed = menus.clone();
    let component = start_campaign(Conversations::new(menus, context.clock.clone()), context);
    // Ends when the campaign's actor does: it holds the menus.
    actix_rt::spawn(refreshed.refresh());
    component
}

/// What is wrong with a conversation's text; nothing: it can be kept and run.
#[must_use]
pub fn problems(text: &str) -> Vec<ConversationProblem> {
    list_yaml::read(text).err().unwrap_or_default()
}
