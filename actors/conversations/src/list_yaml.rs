//! Reads the first Vumi's form of a conversation: a list of questions and ends, each worked through in turn.

use serde::Deserialize;
use serde_saphyr::{Error, Location, Spanned, budget, options};
use vumi_campaign_kit::Screen;
use vumi_kit::conversation::ConversationProblem;

use crate::list_menu::{ListItem, ListMenu};

/// Items of a list; each is a screen that somebody has to answer.
const MOST_ITEMS: usize = 500;

/// The most options of a question.
const MOST_OPTIONS: usize = 50;

/// The most problems that are named at once.
const MOST_PROBLEMS: usize = 50;

/// An item as it is written: one of `question` and `end`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenItem {
    question: Option<Spanned<String>>,
    options: Option<Vec<Spanned<String>>>,
    save_as: Option<Spanned<String>>,
    parse: Option<Spanned<bool>>,
    end: Option<Spanned<String>>,
}

/// The menu of a text, or everything that is wrong with it.
pub(crate) fn read(text: &str) -> Result<ListMenu, Vec<ConversationProblem>> {
    let options = options! {
        budget: budget! {
            max_anchors: 0,
            max_aliases: 0,
            max_merge_keys: 0,
            max_depth: 8,
            flow_nesting_limit: 8,
            max_nodes: 20_000,
            max_events: 80_000,
            max_documents: 1,
        },
        with_snippet: false,
    };
    if text.trim().is_empty() {
        return Err(vec![problem((1, 1), "it is empty: expected a list of questions, the last item an `end`")]);
    }
    let items: Vec<Spanned<WrittenItem>> = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| vec![problem(error.location().map_or((1, 1), place), explain(&error))])?;
    checked(items)
}

fn checked(items: Vec<Spanned<WrittenItem>>) -> Result<ListMenu, Vec<ConversationProblem>> {
    let mut problems = Vec::new();
    if items.is_empty() {
        problems.push(problem((1, 1), "it has no items: expected questions, the last item an `end`"));
    }
    if items.len() > MOST_ITEMS {
        problems.push(problem((1, 1), format!("it has {} items, {MOST_ITEMS} are allowed", items.len())));
    }
    let count = items.len();
    let mut read = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let at = place(item.referenced);
        match item_of(item.value, at, &mut problems) {
            Some(ListItem::End(_)) if index + 1 < count => {
                problems.push(problem(at, "an `end` is the last item: what follows it is never shown"));
            }
            Some(item) => read.push(item),
            None => {}
        }
    }
    problems.truncate(MOST_PROBLEMS);
    if problems.is_empty() { Ok(ListMenu::new(read)) } else { Err(problems) }
}

fn item_of(item: WrittenItem, at: (u32, u32), problems: &mut Vec<ConversationProblem>) -> Option<ListItem> {
    let WrittenItem { question, options, save_as, parse, end } = item;
    match (question, end) {
        (Some(question), None) => {
            let parse = parse.is_some_and(|parse| parse.value);
            let mut of_options = Vec::new();
            for option in options.unwrap_or_default() {
                if option.value.trim().is_empty() {
                    problems.push(problem(place(option.referenced), "this option is empty"));
                }
                of_options.push(option.value);
            }
            if of_options.len() > MOST_OPTIONS {
                problems.push(problem(at, format!("{} options: {MOST_OPTIONS} are allowed", of_options.len())));
            }
            let key = save_as.map_or_else(|| question.value.clone(), |key| key.value);
            let place = place(question.referenced);
            let item = ListItem::Question { text: question.value, options: of_options, key, parse };
            fits(&item.shown(&[]), place, parse, problems);
            Some(item)
        }
        (None, Some(end)) => {
            let place = place(end.referenced);
            if options.is_some() || save_as.is_some() {
                problems.push(problem(place, "an `end` has no options and is answered by nobody"));
            }
            let parse = parse.is_some_and(|parse| parse.value);
            let item = ListItem::End(end.value);
            fits(&item.shown(&[]), place, parse, problems);
            Some(item)
        }
        (Some(_), Some(_)) => {
            problems.push(problem(at, "an item is a `question` or an `end`, not both"));
            None
        }
        (None, None) => {
            problems.push(problem(at, "an item begins with `question` or `end`"));
            None
        }
    }
}

/// A screen that answers become part of is as long as they are: it is cut where it is shown.
fn fits(text: &str, at: (u32, u32), parse: bool, problems: &mut Vec<ConversationProblem>) {
    if text.trim().is_empty() {
        problems.push(problem(at, "this text is empty"));
    } else if let Err(wrong) = Screen::ask(text).fits_ussd()
        && !parse
    {
        problems.push(problem(at, wrong.to_string()));
    }
}

fn problem((line, column): (u32, u32), detail: impl Into<String>) -> ConversationProblem {
    ConversationProblem { line, column, detail: detail.into() }
}

fn place(location: Location) -> (u32, u32) {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).max(1);
    (number(location.line()), number(location.column()))
}

/// The crate's message without its place, which stands beside it.
fn explain(error: &Error) -> String {
    let message = error.without_snippet().to_string();
    let first = message.lines().next().unwrap_or_default();
    let words = first.split(" at line ").next().unwrap_or(first);
    let words = words.strip_prefix("error: ").unwrap_or(words);
    let words = words.split_once(": ").filter(|(head, _)| head.starts_with("line ")).map_or(words, |(_, rest)| rest);
    words.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::read;

    fn places(text: &str) -> Vec<(u32, u32)> {
        read(text).err().unwrap_or_default().into_iter().map(|problem| (problem.line, problem.column)).collect()
    }

    #[test]
    fn the_first_vumis_form_is_read_as_it_is() {
        let text = "- question: How do you get water?\n  options: [tap, tank, river]\n- question: Who fetches it?\n  options:\n    - me\n    - a child\n- end: Thank you.\n";
        assert_eq!(places(text), []);
    }

    #[test]
    fn everything_that_is_wrong_is_named_with_its_place() {
        let long = "x".repeat(183);
        let texts = format!("- question: {long}\n- end: a\n- options: [a]\n- question: b\n  end: c\n");
        assert_eq!(places(&texts), [(1, 13), (2, 3), (3, 3), (4, 3)]);
        for (text, line) in [
            ("", 1),
            ("question: a\n", 1),
            ("- question: a\n  colour: red\n", 2),
            ("- question: [a\n", 1),
            ("- question: &a x\n- end: *a\n", 1),
            ("- end: a\n---\n- end: b\n", 2),
        ] {
            let found = places(text);
            assert_eq!(found.first().map(|(line, _)| *line), Some(line), "{text:?} {found:?}");
        }
        assert!(!places(&"- ".repeat(10_000)).is_empty() && !places(&"- end: a\n".repeat(10_000)).is_empty());
    }
}
