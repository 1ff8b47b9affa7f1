//! Reads a menu: all problems at once.

mod actions;
mod fields;
mod json;
mod steps;
mod top;

use std::{cell::RefCell, collections::HashMap};

use sha2::{Digest, Sha256};
use vumi_kit::mustache::MustacheTemplate;

use crate::{
    model::{Menu, MenuText, StepLink},
    permissions::{MAX_NAME, MAX_PROBLEMS, MAX_TEXT, MenuPermissions},
    source::{MenuProblem, MenuSource, Placed, SourcePlace},
    suggest::meant,
    variables::check_names,
    words::NotAnExpression,
    yaml::{MenuContent, MenuNode, read_yaml},
};

/// Reads a menu that may do everything. `file` is what problems call it.
///
/// # Errors
///
/// Everything that is wrong, in the order of the text; 100 problems at the most.
pub fn read(text: &str, file: &str) -> Result<Menu, Vec<MenuProblem>> {
    read_with(text, file, &MenuPermissions::default())
}

/// Reads a menu that may do so much.
///
/// # Errors
///
/// Everything that is wrong, in the order of the text; 100 problems at the most.
pub fn read_with(text: &str, file: &str, permissions: &MenuPermissions) -> Result<Menu, Vec<MenuProblem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let shown: &str = text.get(..text.floor_char_boundary(permissions.bytes)).unwrap_or_default();
    let source = MenuSource { file: file.to_owned(), text: shown.to_owned() };
    if text.len() > permissions.bytes {
        let what = format!("the menu has {} bytes: {} are the most", text.len(), permissions.bytes);
        return Err(vec![source.problem(SourcePlace::START, what)]);
    }
    let tree = read_yaml(text).map_err(|wrong| vec![source.problem(wrong.place, wrong.what)])?;
    let reader = MenuReader { source: &source, permissions, steps: RefCell::default(), problems: RefCell::default() };
    let menu = reader.menu(&tree);
    if let Some(mut menu) = menu {
        check_names(&mut menu, &reader);
        let problems = reader.finish();
        return if problems.is_empty() { Ok(menu) } else { Err(problems) };
    }
    let mut problems = reader.finish();
    if problems.is_empty() {
        problems.push(source.problem(SourcePlace::START, "the menu can't be read"));
    }
    Err(problems)
}

/// What is known while a menu is read.
pub(crate) struct MenuReader<'r> {
    source: &'r MenuSource,
    pub(crate) permissions: &'r MenuPermissions,
    /// The index of each step, by its name.
    steps: RefCell<HashMap<String, usize>>,
    problems: RefCell<Vec<MenuProblem>>,
}

impl MenuReader<'_> {
    pub(crate) fn problem(&self, place: SourcePlace, what: impl Into<String>) {
        self.suggest(place, what, None);
    }

    pub(crate) fn suggest(&self, place: SourcePlace, what: impl Into<String>, suggestion: Option<String>) {
        let mut problems = self.problems.borrow_mut();
        // More than are shown are kept, so that the first in the text's order are shown.
        if problems.len() < 10 * MAX_PROBLEMS {
            problems.push(self.source.problem(place, what).suggesting(suggestion));
        }
    }

    fn finish(&self) -> Vec<MenuProblem> {
        let mut problems = self.problems.take();
        problems.sort_by_key(|problem| problem.place);
        problems.dedup();
        problems.truncate(MAX_PROBLEMS);
        problems
    }

    fn version(&self) -> String {
        let digest = Sha256::digest(self.source.text.as_bytes());
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// A text without space around it.
    fn scalar(&self, node: &MenuNode, what: &str) -> Option<Placed<String>> {
        match node.scalar() {
            Some(text) => {
                let text = text.trim();
                if text.is_empty() {
                    self.problem(node.place, format!("{what} is empty"));
                    return None;
                }
                if text.chars().count() > MAX_TEXT {
                    self.problem(node.place, format!("{what} is longer than {MAX_TEXT} characters: shorten it"));
                    return None;
                }
                Some(Placed::new(text.to_owned(), node.place))
            }
            None => {
                let trap = match &node.content {
                    MenuContent::Map(_) if node.plain => " (a text that begins with `{{` needs quotes)",
                    _ => "",
                };
                self.problem(node.place, format!("{what} is {}: expected a text{trap}", node.described()));
                None
            }
        }
    }

    fn text(&self, node: &MenuNode, what: &str) -> Option<MenuText> {
        let written = self.scalar(node, what)?;
        self.template(&written.value, node.place, what)
    }

    fn template(&self, written: &str, place: SourcePlace, what: &str) -> Option<MenuText> {
        match MustacheTemplate::parse_any(written) {
            Ok((template, names)) => Some(MenuText {
                written: written.to_owned(),
                place,
                names: names.into_iter().map(str::to_owned).collect(),
                template: template.into_owned(),
            }),
            Err(error) => {
                self.problem(place, format!("{what}: its template {error}"));
                None
            }
        }
    }

    /// Reads an expression; a problem stands at its word.
    fn expression<T>(
        &self,
        node: &MenuNode,
        what: &str,
        read: impl FnOnce(&str) -> Result<T, NotAnExpression>,
    ) -> Option<Placed<T>> {
        let written = node.scalar().filter(|written| !written.trim().is_empty());
        let Some(written) = written else {
            self.problem(node.place, format!("{what} is {}: expected a text", node.described()));
            return None;
        };
        let place = inside(node);
        match read(written) {
            Ok(value) => Some(Placed::new(value, place)),
            Err(wrong) => {
                self.suggest(place.right(wrong.at), format!("{what}: {}", wrong.what), wrong.meant);
                None
            }
        }
    }

    /// A step by its name.
    fn link(&self, node: &MenuNode, head: &str) -> Option<StepLink> {
        let name = self.scalar(node, head)?;
        let steps = self.steps.borrow();
        let found = steps.get(&name.value).map(|&to| StepLink { to, place: node.place });
        if found.is_none() {
            let shown: String = name.chars().take(MAX_NAME).collect();
            let meant = meant(&name.value, steps.keys().map(String::as_str));
            self.suggest(node.place, format!("`{head}` leads to `{shown}`, which is no step"), meant);
        }
        found
    }

    fn yes_or_no(&self, node: &MenuNode, what: &str) -> bool {
        match node.scalar().map(|text| text.to_lowercase()).as_deref() {
            Some("true" | "yes") => true,
            Some("false" | "no") => false,
            _ => {
                self.problem(node.place, format!("{what}: expected `true` or `false`"));
                false
            }
        }
    }

    /// The name of a step or value.
    fn name(&self, node: &MenuNode, what: &str) -> Option<Placed<String>> {
        let name = self.scalar(node, what)?;
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if begins && name.chars().all(letters) && name.len() <= MAX_NAME {
            return Some(name);
        }
        let better: String = name.chars().map(|c| if letters(c) { c } else { '_' }).take(MAX_NAME).collect();
        let meant = (begins && better.contains(|c: char| c != '_')).then_some(better);
        let wanted =
            format!("{what} has letters (a-z), digits and `_`, {MAX_NAME} at the most, and begins with a letter");
        self.suggest(node.place, wanted, meant);
        None
    }
}

/// Where a scalar's text begins: after the quotation mark.
fn inside(node: &MenuNode) -> SourcePlace {
    if node.plain { node.place } else { node.place.right(1) }
}

#[cfg(test)]
mod tests;
