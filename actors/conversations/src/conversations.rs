//! The campaign that runs all conversations.

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use vumi_campaign_kit::{Campaign, Screen, Session};
use vumi_kit::{
    clock::Clock,
    conversation::{Conversation, ConversationCode},
    kind::Problem,
    message::TransportType,
    name::Name,
};

use crate::{list_menu::ListTurn, posted_menus::PostedMenus, turn_pace::TurnPace};

/// The most screens of one dialogue.
const MOST_SCREENS: u32 = 1_000;

/// The most bytes of an answer: people type what they like.
const LONGEST_ANSWER: usize = 500;

/// Shown where the conversation was removed, or never was.
const CLOSED: &str = "This service is closed. Thank you for calling.";

/// Shown where there are more people than an account's conversations may serve at once.
const BUSY: &str = "Many people are calling now. Please try again in a minute.";

/// Shown where a dialogue never ends.
const TOO_LONG: &str = "That were very many answers. Please begin again.";

/// Where a person is, and in which version of which conversation.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct DialoguePlace {
    conversation: i64,
    version: i64,
    position: usize,
    screens: u32,
    answers: Vec<(String, String)>,
}

/// The one campaign that runs all conversations: it finds the menu of a code, and keeps each account to its pace.
pub(crate) struct Conversations {
    menus: PostedMenus,
    clock: Clock,
    pace: TurnPace,
}

impl Conversations {
    pub(crate) fn new(menus: PostedMenus, clock: Clock) -> Self {
        Self { menus, clock, pace: TurnPace::default() }
    }

    /// The conversation of a dialogue: the one that it began with, or the one that its code leads to.
    fn conversation(&self, session: &Session<DialoguePlace>) -> Option<Rc<Conversation>> {
        if session.state.version > 0 {
            return self.menus.by_id(session.state.conversation);
        }
        if session.transport_type() == TransportType::Sms {
            let word = session.opened_with().and_then(first_word);
            let by_word = word.and_then(|word| self.menus.by_code(&ConversationCode::Keyword(word)));
            return by_word.or_else(|| self.menus.by_code(&session.code().parse().ok()?));
        }
        let dialled = session.code();
        let mut ends = dialled.rmatch_indices('*').map(|(at, _)| at);
        let beyond = || ends.find_map(|at| self.menus.by_code(&format!("{}#", dialled.get(..at)?).parse().ok()?));
        dialled.parse().ok().and_then(|code| self.menus.by_code(&code)).or_else(beyond)
    }

    async fn turn(&self, session: &mut Session<DialoguePlace>, input: Option<&str>) -> Screen {
        let Some(conversation) = self.conversation(session) else { return Screen::end(CLOSED) };
        if !self.pace.allows(conversation.account, self.clock.now()) {
            // The dialogue stays where it is.
            return if session.state.version > 0 { Screen::ask(BUSY) } else { Screen::end(BUSY) };
        }
        let begins = session.state.version == 0;
        if begins {
            session.state.conversation = conversation.id;
            session.state.version = conversation.version;
        }
        let menu = match self.menus.menu((conversation.id, session.state.version)).await {
            Ok(Some(menu)) => menu,
            Ok(None) => return Screen::end(CLOSED),
            Err(error) => {
                session.fail(error);
                return Screen::silence();
            }
        };
        session.state.screens = session.state.screens.saturating_add(1);
        if session.state.screens > MOST_SCREENS {
            return Screen::end(TOO_LONG);
        }
        let ListTurn { position, screen, answered } = match input {
            Some(input) if !begins => {
                let input = self.without_keyword(&conversation, session, input);
                menu.answer(session.state.position, &session.state.answers, input)
            }
            _ => menu.begin(),
        };
        session.state.position = position;
        if let Some((question, answer)) = answered {
            if let Ok(name) = Name::parse(&format!("conversation-{}", conversation.id)) {
                session.keep_answers_under(name);
            }
            session.remember(&question, &answer);
            session.state.answers.push((question, answer));
        }
        screen
    }

    /// The answer in an SMS that begins with the conversation's keyword, by which the router knows where it belongs.
    fn without_keyword<'i>(
        &self,
        conversation: &Conversation,
        session: &Session<DialoguePlace>,
        input: &'i str,
    ) -> &'i str {
        let input = input.get(..input.floor_char_boundary(LONGEST_ANSWER)).unwrap_or(input);
        let Some(ConversationCode::Keyword(keyword)) = &conversation.sms else { return input };
        if session.transport_type() != TransportType::Sms || first_word(input).as_ref() != Some(keyword) {
            return input;
        }
        input.split_once(char::is_whitespace).map_or("", |(_, answer)| answer.trim())
    }
}

/// The first word of a text as keywords are compared.
fn first_word(text: &str) -> Option<String> {
    let word = text.split_whitespace().next()?.trim_matches(|c: char| !c.is_alphanumeric());
    Some(word.to_uppercase())
}

impl Campaign for Conversations {
    const NAME: &'static str = "conversations";
    const EXAMPLE: &'static str = "";
    type Settings = NoSettings;
    type State = DialoguePlace;

    /// It is started with what it needs, and not from settings.
    fn new(_: NoSettings) -> Result<Self, Vec<Problem>> {
        Err(vec![Problem::new("", "vumi starts this one by itself")])
    }

    async fn answer(&self, session: &mut Session<DialoguePlace>, input: Option<&str>) -> Screen {
        self.turn(session, input).await
    }
}

/// Of what has none.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoSettings {}
