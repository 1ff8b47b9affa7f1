//! What each kind of step does.

use std::time::Duration;

use url::Url;

use super::{MenuReader, fields::MapFields};
use crate::{
    answer_format::{AnswerFormat, DEFAULT_ANSWER, read_format},
    condition::read_condition,
    model::{
        BranchLine, BranchStep, EndStep, FetchMethod, FetchStep, MenuOption, MenuText, QuestionAnswers, QuestionStep,
        SetValue, SmsStep, StepLink,
    },
    permissions::{MAX_LINES, MAX_OPTIONS},
    schedule::{SmsTime, read_at, read_every},
    source::Placed,
    suggest::meant,
    yaml::{MenuContent, MenuNode},
};

/// How many wrong answers in succession are taken where `tries` says nothing.
const TRIES: u32 = 5;
const MOST_TRIES: usize = 20;
/// How long a service may take where `within` says nothing, and at the most.
const WITHIN: Duration = Duration::from_secs(3);
const LONGEST_WITHIN: Duration = Duration::from_secs(20);

impl MenuReader<'_> {
    pub(super) fn question(&self, node: &MenuNode, fields: &MapFields<'_>, in_list: bool) -> Option<QuestionStep> {
        let interpolates = in_list && fields.get("parse").is_some_and(|node| self.yes_or_no(node, "`parse`"));
        let text = if interpolates { self.interpolated(node) } else { self.text(node, "`question`") };
        let answers = match (fields.get("options"), fields.get("expect")) {
            (Some(_), Some(_)) => {
                self.problem(fields.key_place("expect"), "a question has `options` or `expect`, not both");
                None
            }
            (Some(options), None) => self.answers(options),
            (None, Some(expect)) => self.expression(expect, "`expect`", read_format).map(QuestionAnswers::Typed),
            (None, None) => {
                Some(QuestionAnswers::Typed(Placed::new(AnswerFormat::Text { most: DEFAULT_ANSWER }, node.place)))
            }
        };
        let wrong = fields.get("wrong").and_then(|node| self.text(node, "`wrong`"));
        let tries = fields.get("tries").and_then(|node| self.whole(node, "`tries`", 1, MOST_TRIES));
        let tries = tries.and_then(|tries| u32::try_from(tries).ok()).unwrap_or(TRIES);
        let otherwise = fields.get("else").and_then(|node| self.link(node, "else"));
        Some(QuestionStep { text: text?, answers: answers?, wrong, tries, otherwise })
    }

    /// The first Vumi's `%(name)s`.
    fn interpolated(&self, node: &MenuNode) -> Option<MenuText> {
        let written = self.scalar(node, "`question`")?;
        let mut text = String::with_capacity(written.len());
        let mut rest = written.value.as_str();
        while let Some((before, after)) = rest.split_once("%(") {
            let Some((name, after)) = after.split_once(")s") else { break };
            text.push_str(&format!("{before}{{{{{name}}}}}"));
            rest = after;
        }
        text.push_str(rest);
        self.template(&text, node.place, "`question`")
    }

    fn answers(&self, node: &MenuNode) -> Option<QuestionAnswers> {
        match &node.content {
            MenuContent::Scalar(word) if word.trim() == "languages" => Some(QuestionAnswers::Languages),
            MenuContent::Scalar(word) => {
                let what = "`options` is a list, `languages`, or a map with `of` and `show`";
                self.suggest(node.place, what, meant(word, ["languages"]));
                None
            }
            MenuContent::Map(_) => {
                let fields = self.fields(node, "`options`")?;
                fields.only(self, &["of", "show"], "`options`");
                let of = fields.get("of").and_then(|node| self.name(node, "`of`"));
                let show = fields.get("show").and_then(|node| self.text(node, "`show`"));
                if fields.get("of").is_none() || fields.get("show").is_none() {
                    let wanted = "a list that was fetched is shown by `{of: LIST, show: \"{{name}}\"}`";
                    self.problem(node.place, wanted);
                }
                Some(QuestionAnswers::ListOf { list: of?, show: show? })
            }
            _ => {
                let items = self.list(node, "`options`", MAX_OPTIONS)?;
                let options: Vec<MenuOption> = items.iter().filter_map(|item| self.option(item)).collect();
                for (index, option) in options.iter().enumerate() {
                    let same = |other: &MenuOption| other.kept().to_lowercase() == option.kept().to_lowercase();
                    if options.iter().take(index).any(same) {
                        self.problem(option.text.place, format!("the option `{}` is there twice", option.kept()));
                    }
                }
                (options.len() == items.len()).then_some(QuestionAnswers::Options(options))
            }
        }
    }

    fn option(&self, item: &MenuNode) -> Option<MenuOption> {
        let MenuContent::Map(entries) = &item.content else {
            let text = self.text(item, "an option")?;
            return Some(MenuOption { text, value: None, next: None, when: None });
        };
        let long = ["text", "value", "next", "when"];
        let is_long = entries.iter().any(|(key, _)| key.scalar().is_some_and(|key| key == "text"));
        if let ([(text, step)], false) = (entries.as_slice(), is_long) {
            let (text, next) = (self.text(text, "an option"), self.link(step, "options"));
            return Some(MenuOption { text: text?, value: None, next: Some(next?), when: None });
        }
        let fields = self.fields(item, "an option")?;
        fields.only(self, &long, "an option");
        let Some(text) = fields.get("text") else {
            self.problem(item.place, "an option is a text, `text: step`, or a map with `text`");
            return None;
        };
        let text = self.text(text, "an option");
        let value = fields.get("value").and_then(|node| self.scalar(node, "`value`")).map(|value| value.value);
        let next = fields.get("next").and_then(|node| self.link(node, "next"));
        let when = fields.get("when").and_then(|node| self.expression(node, "`when`", read_condition));
        Some(MenuOption { text: text?, value, next, when })
    }

    pub(super) fn branch(&self, name: &Placed<String>, node: &MenuNode, fields: &MapFields<'_>) -> Option<BranchStep> {
        let mut otherwise = fields.get("else").and_then(|node| self.link(node, "else"));
        let mut has_else = fields.get("else").is_some();
        let mut lines = Vec::new();
        for item in self.list(node, "`branch`", MAX_LINES)? {
            let MenuContent::Map(entries) = &item.content else {
                self.problem(
                    item.place,
                    format!("a line of `branch` is {}: expected `condition: step`", item.described()),
                );
                continue;
            };
            for (condition, step) in entries {
                if condition.scalar().is_some_and(|word| word.trim() == "else") {
                    if has_else {
                        self.problem(condition.place, "`else` is there twice");
                    }
                    has_else = true;
                    otherwise = self.link(step, "branch");
                    continue;
                }
                if has_else {
                    self.problem(condition.place, "nobody gets here: `else` stands above");
                }
                let read = self.expression(condition, "the condition", read_condition);
                if let (Some(condition), Some(link)) = (read, self.link(step, "branch")) {
                    lines.push(BranchLine { condition, link });
                }
            }
        }
        if !has_else {
            self.problem(name.place, format!("`{}` needs `else`: where to when no condition holds?", name.value));
        }
        Some(BranchStep { lines, otherwise: otherwise? })
    }

    pub(super) fn set(&self, node: &MenuNode) -> Option<Vec<(Placed<String>, SetValue)>> {
        let fields = self.fields(node, "`set`")?;
        let mut values = Vec::new();
        for (_, key, value) in fields.iter().take(MAX_LINES) {
            let name = self.name(key, "a name in `set`");
            let value = self.text(value, "a value").map(|text| (value.plain, text));
            if let (Some(name), Some((plain, text))) = (name, value) {
                values.push((name, set_value(plain, text)));
            }
        }
        if fields.iter().count() > MAX_LINES {
            self.problem(node.place, format!("`set` has more than {MAX_LINES} names"));
        }
        Some(values)
    }

    pub(super) fn fetch(&self, name: &Placed<String>, node: &MenuNode, fields: &MapFields<'_>) -> Option<FetchStep> {
        if !self.permissions.fetch {
            self.problem(fields.key_place("fetch"), "`fetch` is not allowed here");
        }
        let url = self.text(node, "`fetch`");
        let origin = url.as_ref().and_then(|url| self.origin(url));
        let method = fields.get("method").map_or(Some(FetchMethod::Get), |node| self.method(node));
        let body = fields.get("body").and_then(|node| self.body(node));
        let headers = fields.get("headers").map_or(Some(Vec::new()), |node| self.headers(node));
        let within = fields.get("within").and_then(|node| self.duration(node, "`within`", LONGEST_WITHIN));
        let take = fields.get("take").map_or(Some(Vec::new()), |node| self.take(node));
        let example = fields.get("example").and_then(|node| self.json(node));
        let otherwise = fields.get("else").and_then(|node| self.link(node, "else"));
        if fields.get("else").is_none() {
            let what = format!("`{}` needs `else`: where to when the service is away?", name.value);
            self.problem(name.place, what);
        }
        if let (Some(example), Some(take)) = (&example, &take) {
            for (_, pointer) in take.iter().filter(|(_, pointer)| example.pointer(pointer).is_none()) {
                self.problem(pointer.place, format!("`example` has nothing at `{}`", pointer.value));
            }
        }
        Some(FetchStep {
            url: url?,
            origin: origin?,
            method: method?,
            body,
            headers: headers?,
            within: within.unwrap_or(WITHIN),
            take: take?,
            example,
            otherwise: otherwise?,
        })
    }

    /// The part before the path: no value may change which server is asked.
    fn origin(&self, url: &MenuText) -> Option<Url> {
        let written = url.written.as_str();
        let host = written.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
        if host.is_some_and(|host| host.contains("{{")) {
            self.problem(url.place, "the server of `fetch` is fixed: `{{...}}` stands in the path or behind `?`");
            return None;
        }
        let before = written.split("{{").next().unwrap_or_default();
        let read = Url::parse(before).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if read.is_none() {
            self.problem(url.place, "`fetch`: expected a URL that begins with https:// or http://");
        }
        read
    }

    fn method(&self, node: &MenuNode) -> Option<FetchMethod> {
        let method = match node.scalar().map(|word| word.to_uppercase()).as_deref() {
            Some("GET") => Some(FetchMethod::Get),
            Some("POST") => Some(FetchMethod::Post),
            Some("PUT") => Some(FetchMethod::Put),
            _ => None,
        };
        if method.is_none() {
            self.problem(node.place, "`method`: expected GET, POST or PUT");
        }
        method
    }

    fn headers(&self, node: &MenuNode) -> Option<Vec<(Placed<String>, MenuText)>> {
        let fields = self.fields(node, "`headers`")?;
        let mut headers = Vec::new();
        for (name, key, value) in fields.iter().take(MAX_LINES) {
            let is_token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
            let reserved = ["host", "content-length", "content-type", "transfer-encoding", "connection"];
            if !is_token || reserved.contains(&name.to_lowercase().as_str()) {
                self.problem(key.place, "this header field can't be set here");
            }
            if let Some(value) = self.text(value, "a header field") {
                headers.push((Placed::new(name.to_owned(), key.place), value));
            }
        }
        Some(headers)
    }

    fn take(&self, node: &MenuNode) -> Option<Vec<(Placed<String>, Placed<String>)>> {
        let fields = self.fields(node, "`take`")?;
        let mut taken = Vec::new();
        for (_, key, pointer) in fields.iter().take(MAX_LINES) {
            let name = self.name(key, "a name in `take`");
            // The empty pointer is the whole answer.
            let whole = pointer.scalar().is_some_and(String::is_empty);
            let pointer = if whole {
                Some(Placed::new(String::new(), pointer.place))
            } else {
                self.scalar(pointer, "a JSON Pointer")
            };
            if let (Some(name), Some(pointer)) = (name, pointer) {
                if pointer.is_empty() || pointer.starts_with('/') {
                    taken.push((name, pointer));
                } else {
                    let meant = Some(format!("/{}", pointer.value.replace('.', "/")));
                    self.suggest(pointer.place, "expected a JSON Pointer, which begins with `/`", meant);
                }
            }
        }
        Some(taken)
    }

    pub(super) fn sms(&self, node: &MenuNode, fields: &MapFields<'_>) -> Option<SmsStep> {
        if !self.permissions.sms {
            self.problem(fields.key_place("sms"), "`sms` is not allowed here");
        }
        let text = self.text(node, "`sms`");
        let time = match (fields.get("at"), fields.get("every")) {
            (Some(_), Some(_)) => {
                self.problem(fields.key_place("every"), "an SMS goes `at` a time or `every` so often, not both");
                None
            }
            (Some(at), None) => self.expression(at, "`at`", read_at),
            (None, Some(every)) => self.expression(every, "`every`", read_every),
            (None, None) => Some(Placed::new(SmsTime::Now, node.place)),
        };
        let from = fields.get("from").and_then(|node| self.scalar(node, "`from`"));
        let unless = fields.get("unless").and_then(|node| self.expression(node, "`unless`", read_condition));
        Some(SmsStep { text: text?, time: time?, from, unless })
    }

    pub(super) fn end(&self, node: &MenuNode, fields: &MapFields<'_>) -> Option<EndStep> {
        let text = self.text(node, "`end`");
        let forget = fields.get("forget").is_some_and(|node| self.yes_or_no(node, "`forget`"));
        Some(EndStep { text: text?, forget })
    }
}

fn set_value(plain: bool, text: MenuText) -> SetValue {
    if let Some(name) = only_name(&text) {
        return SetValue::Copy(Placed::new(name, text.place));
    }
    match text.written.parse::<f64>() {
        Ok(number) if plain && number.is_finite() => SetValue::Number(number),
        _ => SetValue::Text(text),
    }
}

/// The name of a text that is one variable and nothing else.
pub(super) fn only_name(text: &MenuText) -> Option<String> {
    let inner = text.written.strip_prefix("{{")?.strip_suffix("}}")?.trim();
    match text.names.as_slice() {
        [name] if name == inner => Some(name.clone()),
        _ => None,
    }
}

impl StepLink {
    /// A link that is not written: to the step of an index.
    #[must_use]
    pub const fn unwritten(to: usize) -> Self {
        Self { to, place: crate::source::SourcePlace::START }
    }
}
