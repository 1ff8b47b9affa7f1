//! Steps, and what all of them have.

use super::{MenuReader, fields::MapFields};
use crate::{
    model::{MenuStep, StepAction},
    source::Placed,
    suggest::meant,
    yaml::{MenuContent, MenuNode},
};

/// The keys by which a step is known.
pub(super) const HEADS: [&str; 7] = ["question", "show", "branch", "set", "fetch", "sms", "end"];

/// The keys beside each head.
const BESIDE: [(&str, &[&str]); 7] = [
    ("question", &["options", "expect", "wrong", "tries", "else", "next", "back", "private", "shortcut"]),
    ("show", &["next", "back"]),
    ("branch", &["else"]),
    ("set", &["next"]),
    ("fetch", &["method", "body", "headers", "within", "take", "example", "else", "next"]),
    ("sms", &["at", "every", "from", "unless", "next"]),
    ("end", &["forget"]),
];

/// Of questions in a list.
const IN_LISTS: [&str; 2] = ["save_as", "parse"];

impl MenuReader<'_> {
    pub(super) fn named_steps(&self, node: &MenuNode) -> Option<Vec<MenuStep>> {
        let fields = self.fields(node, "`steps`")?;
        let count = fields.iter().count();
        if !self.is_number_of_steps(count, node) {
            return None;
        }
        let named: Vec<_> = fields.iter().map(|(_, key, step)| (self.name(key, "the name of a step"), step)).collect();
        for (index, (name, _)) in named.iter().enumerate() {
            if let Some(name) = name {
                self.steps.borrow_mut().insert(name.value.clone(), index);
            }
        }
        let mut steps = Vec::with_capacity(count);
        for (name, step) in named {
            let fields = self.fields(step, "a step");
            if let (Some(name), Some(fields)) = (name, fields) {
                let kept_as = name.value.clone();
                steps.extend(self.step(name, kept_as, &fields, false));
            }
        }
        // A link is an index: where a step is missing, the others are not used.
        (steps.len() == count).then_some(steps)
    }

    pub(super) fn unnamed_steps(&self, items: &[MenuNode]) -> Option<Vec<MenuStep>> {
        let start = MenuNode { place: crate::source::SourcePlace::START, content: MenuContent::Empty, plain: true };
        if !self.is_number_of_steps(items.len(), items.first().unwrap_or(&start)) {
            return None;
        }
        let mut named = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let fields = self.fields(item, "a step")?;
            let saved = fields.get("save_as").and_then(|node| self.name(node, "`save_as`"));
            let name = saved.clone().unwrap_or_else(|| Placed::new(format!("step_{}", index + 1), item.place));
            if self.steps.borrow_mut().insert(name.value.clone(), index).is_some() {
                self.problem(name.place, format!("two questions are saved as `{}`", name.value));
            }
            named.push((name, saved, fields));
        }
        let mut steps = Vec::with_capacity(items.len());
        for (name, saved, fields) in named {
            let question = fields.get("question").and_then(|node| node.scalar()).map(|text| text.trim().to_owned());
            let kept_as = saved.map(|saved| saved.value).or(question).unwrap_or_else(|| name.value.clone());
            steps.extend(self.step(name, kept_as, &fields, true));
        }
        (steps.len() == items.len()).then_some(steps)
    }

    fn is_number_of_steps(&self, count: usize, node: &MenuNode) -> bool {
        let most = self.permissions.steps;
        if count == 0 {
            self.problem(node.place, "the menu has no steps");
        } else if count > most {
            self.problem(node.place, format!("the menu has {count} steps: {most} are the most"));
        }
        (1..=most).contains(&count)
    }

    fn step(&self, name: Placed<String>, kept_as: String, fields: &MapFields<'_>, in_list: bool) -> Option<MenuStep> {
        let head = self.head(&name, fields)?;
        self.check_keys(head, fields, in_list);
        let action = self.action(head, &name, fields, in_list);
        let next = fields.get("next").and_then(|node| self.link(node, "next"));
        let shows_back = fields.get("back").is_some_and(|node| match node.scalar().map(String::as_str) {
            Some("shown") => true,
            Some("hidden") => false,
            _ => {
                self.problem(node.place, "`back`: expected `shown` or `hidden`");
                false
            }
        });
        let flag = |key: &str| fields.get(key).is_some_and(|node| self.yes_or_no(node, &format!("`{key}`")));
        Some(MenuStep {
            name,
            kept_as,
            action: action?,
            next,
            shows_back,
            private: flag("private"),
            shortcut: flag("shortcut"),
        })
    }

    fn head(&self, name: &Placed<String>, fields: &MapFields<'_>) -> Option<&'static str> {
        let heads: Vec<&str> = HEADS.into_iter().filter(|head| fields.get(head).is_some()).collect();
        match heads.as_slice() {
            [head] => HEADS.into_iter().find(|known| known == head),
            [] => {
                let written = fields.iter().find_map(|(key, node, _)| Some((node.place, meant(key, HEADS)?)));
                let (place, meant) = written.map_or((name.place, None), |(place, meant)| (place, Some(meant)));
                let heads = HEADS.map(|head| format!("`{head}`")).join(", ");
                self.suggest(place, format!("a step has one of {heads}: `{}` has none", name.value), meant);
                None
            }
            several => {
                let (first, second) = (several.first().copied(), several.get(1).copied());
                let (first, second) = (first.unwrap_or_default(), second.unwrap_or_default());
                let what = format!("`{}` has both `{first}` and `{second}`: make two steps of it", name.value);
                self.problem(fields.key_place(second), what);
                None
            }
        }
    }

    fn check_keys(&self, head: &'static str, fields: &MapFields<'_>, in_list: bool) {
        let beside = BESIDE.iter().find(|(of, _)| *of == head).map_or(&[] as &[&str], |(_, keys)| keys);
        let mut known = vec![head];
        known.extend(beside);
        if in_list && head == "question" {
            known.extend(IN_LISTS);
        }
        for (key, node, _) in fields.iter().filter(|(key, ..)| !known.contains(key)) {
            let owner = BESIDE.iter().find(|(_, keys)| keys.contains(&key)).map(|(of, _)| of);
            let shown: String = key.chars().take(60).collect();
            let what = match owner {
                Some(owner) => format!("`{shown}` belongs to `{owner}`, and this step is `{head}`"),
                None => format!("a step with `{head}` has no key `{shown}`"),
            };
            let meant = if owner.is_some() { None } else { meant(key, known.iter().copied()) };
            self.suggest(node.place, what, meant);
        }
    }

    fn action(
        &self,
        head: &'static str,
        name: &Placed<String>,
        fields: &MapFields<'_>,
        in_list: bool,
    ) -> Option<StepAction> {
        let node = fields.get(head)?;
        match head {
            "question" => self.question(node, fields, in_list).map(StepAction::Question),
            "show" => self.text(node, "`show`").map(StepAction::Show),
            "branch" => self.branch(name, node, fields).map(StepAction::Branch),
            "set" => self.set(node).map(StepAction::Set),
            "fetch" => self.fetch(name, node, fields).map(Box::new).map(StepAction::Fetch),
            "sms" => self.sms(node, fields).map(StepAction::Sms),
            _ => self.end(node, fields).map(StepAction::End),
        }
    }
}
