//! The values that texts and conditions may name: what is known of each, and whether they are used as what they are.

#![expect(missing_docs, reason = "fields and variants whose name and type say it all")]

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    answer_format::AnswerFormat,
    condition::{Condition, Operand},
    dates::{DateBase, DateExpression},
    model::{FetchBody, Menu, MenuText, QuestionAnswers, SetValue, StepAction},
    permissions::SecretNames,
    read::MenuReader,
    schedule::{RepeatEnd, SmsTime},
    source::SourcePlace,
    suggest::meant,
};

/// What is known of a value before anybody has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariableType {
    Text,
    Number,
    Date,
    /// One of these texts.
    Choice(Vec<String>),
    /// An item of a list that was fetched, with its fields.
    Item(BTreeMap<String, VariableType>),
    /// A list that was fetched, and what its items are.
    List(Box<VariableType>),
    /// Whatever a service answers.
    Unknown,
}

/// What every menu knows beside its answers.
const BUILT_IN: [(&str, VariableType); 5] = [
    ("msisdn", VariableType::Text),
    ("code", VariableType::Text),
    ("language", VariableType::Text),
    ("channel", VariableType::Text),
    ("today", VariableType::Date),
];

impl VariableType {
    fn of_json(value: &Value) -> Self {
        match value {
            Value::String(_) => Self::Text,
            Value::Number(_) => Self::Number,
            Value::Object(fields) => {
                Self::Item(fields.iter().map(|(name, field)| (name.clone(), Self::of_json(field))).collect())
            }
            Value::Array(items) => Self::List(Box::new(items.first().map_or(Self::Unknown, Self::of_json))),
            Value::Null | Value::Bool(_) => Self::Unknown,
        }
    }

    fn shown(&self) -> &'static str {
        match self {
            Self::Text | Self::Choice(_) => "a text",
            Self::Number => "a number",
            Self::Date => "a date",
            Self::Item(_) => "an item of a list",
            Self::List(_) => "a list",
            Self::Unknown => "a value",
        }
    }

    const fn may_be_text(&self) -> bool {
        matches!(self, Self::Text | Self::Choice(_) | Self::Unknown)
    }
}

/// Finds the names that a menu defines, and checks every use of them.
pub(crate) fn check_names(menu: &mut Menu, reader: &MenuReader<'_>) {
    menu.variables = defined(menu);
    let checker = NameChecker { variables: menu.variables.clone(), reader };
    for step in &mut menu.steps {
        checker.action(&mut step.action);
    }
    let list_lines: Vec<String> = menu.steps.iter().filter_map(|step| list_line(&step.action)).collect();
    for translation in &menu.translations {
        for (source, text) in &translation.texts {
            // A line of a list names fields, as its source does.
            if !list_lines.contains(source) {
                checker.text(text, false);
            }
        }
    }
}

fn list_line(action: &StepAction) -> Option<String> {
    match action {
        StepAction::Question(question) => match &question.answers {
            QuestionAnswers::ListOf { show, .. } => Some(show.written.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn defined(menu: &Menu) -> BTreeMap<String, VariableType> {
    let mut variables = BTreeMap::new();
    let mut define = |name: &str, found: VariableType| {
        let known = variables.entry(name.to_owned()).or_insert_with(|| found.clone());
        if *known != found {
            *known = VariableType::Unknown;
        }
    };
    for step in &menu.steps {
        if let StepAction::Fetch(fetch) = &step.action {
            for (name, pointer) in &fetch.take {
                let sample = fetch.example.as_ref().and_then(|example| example.pointer(pointer));
                define(name, sample.map_or(VariableType::Unknown, VariableType::of_json));
            }
        }
        if let StepAction::Set(values) = &step.action {
            for (name, value) in values {
                let found = match value {
                    SetValue::Number(_) => VariableType::Number,
                    SetValue::Text(_) => VariableType::Text,
                    SetValue::Copy(_) => VariableType::Unknown,
                };
                define(name, found);
            }
        }
    }
    // Questions are later: the items of their lists are known by then.
    let lists = variables.clone();
    for step in &menu.steps {
        if let StepAction::Question(question) = &step.action {
            let found = answer_type(menu, &question.answers, &lists);
            let known = variables.entry(step.name.value.clone()).or_insert_with(|| found.clone());
            if *known != found {
                *known = VariableType::Unknown;
            }
        }
    }
    for (name, built_in) in BUILT_IN {
        variables.entry(name.to_owned()).or_insert(built_in);
    }
    variables
}

fn answer_type(menu: &Menu, answers: &QuestionAnswers, lists: &BTreeMap<String, VariableType>) -> VariableType {
    match answers {
        QuestionAnswers::Options(options) => {
            let fixed = options.iter().all(|option| option.value.is_some() || option.text.names.is_empty());
            let texts = || options.iter().map(|option| option.kept().to_owned()).collect();
            if fixed { VariableType::Choice(texts()) } else { VariableType::Text }
        }
        QuestionAnswers::Languages => {
            VariableType::Choice(menu.languages.iter().map(|language| language.code.value.clone()).collect())
        }
        QuestionAnswers::ListOf { list, .. } => match lists.get(&list.value) {
            Some(VariableType::List(item)) => (**item).clone(),
            _ => VariableType::Unknown,
        },
        QuestionAnswers::Typed(format) => match format.value {
            AnswerFormat::Number { .. } => VariableType::Number,
            AnswerFormat::Date { .. } => VariableType::Date,
            _ => VariableType::Text,
        },
    }
}

struct NameChecker<'c> {
    variables: BTreeMap<String, VariableType>,
    reader: &'c MenuReader<'c>,
}

impl NameChecker<'_> {
    fn action(&self, action: &mut StepAction) {
        match action {
            StepAction::Question(question) => {
                self.text(&question.text, false);
                if let Some(wrong) = &question.wrong {
                    self.text(wrong, false);
                }
                self.answers(&mut question.answers);
            }
            StepAction::Show(text) => self.text(text, false),
            StepAction::End(end) => self.text(&end.text, false),
            StepAction::Branch(branch) => {
                for line in &mut branch.lines {
                    self.condition(&mut line.condition.value, line.condition.place);
                }
            }
            StepAction::Set(values) => {
                for (_, value) in values {
                    match value {
                        SetValue::Copy(name) => self.known(&name.value, name.place, false),
                        SetValue::Text(text) => self.text(text, false),
                        SetValue::Number(_) => {}
                    }
                }
            }
            StepAction::Fetch(fetch) => {
                self.text(&fetch.url, true);
                for (_, value) in &fetch.headers {
                    self.text(value, true);
                }
                if let Some(body) = &fetch.body {
                    self.body(body);
                }
            }
            StepAction::Sms(sms) => {
                self.text(&sms.text, false);
                self.time(&sms.time.value, sms.time.place);
                if let Some(unless) = &mut sms.unless {
                    self.condition(&mut unless.value, unless.place);
                }
            }
        }
    }

    fn answers(&self, answers: &mut QuestionAnswers) {
        match answers {
            QuestionAnswers::Options(options) => {
                for option in options {
                    self.text(&option.text, false);
                    if let Some(when) = &mut option.when {
                        self.condition(&mut when.value, when.place);
                    }
                }
            }
            QuestionAnswers::ListOf { list, show } => match self.variables.get(&list.value) {
                Some(VariableType::List(item)) => {
                    if let VariableType::Item(fields) = &**item {
                        for name in show.names.iter().filter(|name| !fields.contains_key(name.as_str())) {
                            let what = format!("an item of `{}` has no field `{name}`", list.value);
                            self.reader.suggest(show.place, what, meant(name, fields.keys().map(String::as_str)));
                        }
                    }
                }
                Some(VariableType::Unknown) => {}
                _ => {
                    let lists = self.variables.iter().filter(|(_, of)| matches!(of, VariableType::List(_)));
                    let meant = meant(&list.value, lists.map(|(name, _)| name.as_str()));
                    let what = format!("`{}` is no list that a `fetch` takes", list.value);
                    self.reader.suggest(list.place, what, meant);
                }
            },
            QuestionAnswers::Typed(format) => {
                if let AnswerFormat::Date { from, to } = &format.value {
                    for day in [from, to].into_iter().flatten() {
                        self.day(day, format.place, "expect");
                    }
                }
            }
            QuestionAnswers::Languages => {}
        }
    }

    fn text(&self, text: &MenuText, secrets: bool) {
        for name in &text.names {
            self.known(name, text.place, secrets);
        }
    }

    fn body(&self, body: &FetchBody) {
        match body {
            FetchBody::Fixed(_) => {}
            FetchBody::Copy(name) => self.known(&name.value, name.place, true),
            FetchBody::Text(text) => self.text(text, true),
            FetchBody::List(items) => items.iter().for_each(|item| self.body(item)),
            FetchBody::Map(entries) => entries.iter().for_each(|(_, item)| self.body(item)),
        }
    }

    /// Names a name that nothing defines.
    fn known(&self, name: &str, place: SourcePlace, secrets: bool) {
        if let Some(secret) = name.strip_prefix("secret.") {
            return self.secret(secret, place, secrets);
        }
        if self.type_of(name).is_some() {
            return;
        }
        let shown: String = name.chars().take(60).collect();
        let (base, field) = name.split_once('.').unwrap_or((name, ""));
        match self.variables.get(base) {
            Some(VariableType::Item(fields)) => {
                let meant = meant(field, fields.keys().map(String::as_str)).map(|meant| format!("{base}.{meant}"));
                self.reader.suggest(place, format!("`{base}` has no field `{field}`"), meant);
            }
            Some(other) => {
                self.reader.problem(place, format!("`{base}` is {}: it has no fields", other.shown()));
            }
            None => {
                let meant = meant(name, self.variables.keys().map(String::as_str));
                self.reader.suggest(place, format!("`{shown}` is no answer, and nothing sets it"), meant);
            }
        }
    }

    fn secret(&self, secret: &str, place: SourcePlace, allowed: bool) {
        if !allowed {
            self.reader.problem(place, "a secret stands only in the URL, header fields and body of a `fetch`");
            return;
        }
        match &self.reader.permissions.secrets {
            SecretNames::Any => {}
            SecretNames::None => self.reader.problem(place, "this menu may use no secrets"),
            SecretNames::These(names) if names.contains(secret) => {}
            SecretNames::These(names) => {
                let meant = meant(secret, names.iter().map(String::as_str)).map(|meant| format!("secret.{meant}"));
                let shown: String = secret.chars().take(60).collect();
                self.reader.suggest(place, format!("the settings have no secret `{shown}`"), meant);
            }
        }
    }

    fn type_of(&self, name: &str) -> Option<VariableType> {
        let mut parts = name.split('.');
        let mut found = self.variables.get(parts.next()?)?;
        for part in parts {
            found = match found {
                VariableType::Item(fields) => fields.get(part)?,
                VariableType::Unknown => return Some(VariableType::Unknown),
                _ => return None,
            };
        }
        Some(found.clone())
    }

    fn day(&self, day: &DateExpression, place: SourcePlace, what: &str) {
        if let DateBase::Answer(name, at) = &day.base {
            let place = place.right(*at);
            match self.type_of(name) {
                None => self.known(name, place, false),
                Some(VariableType::Date | VariableType::Unknown) => {}
                Some(other) => {
                    self.reader.problem(place, format!("`{what}` reckons with `{name}`, which is {}", other.shown()));
                }
            }
        }
    }

    fn time(&self, time: &SmsTime, place: SourcePlace) {
        match time {
            SmsTime::At { day, .. } => self.day(day, place, "at"),
            SmsTime::Every { end: RepeatEnd::Until(day), .. } => self.day(day, place, "every"),
            SmsTime::Now | SmsTime::After(_) | SmsTime::Every { .. } => {}
        }
    }

    fn condition(&self, condition: &mut Condition, place: SourcePlace) {
        match condition {
            Condition::Any(of) | Condition::All(of) => of.iter_mut().for_each(|inner| self.condition(inner, place)),
            Condition::Not(inner) => self.condition(inner, place),
            Condition::Known(name, at) => self.known(name, place.right(*at), false),
            Condition::Compare(left, how, right) => {
                self.words(left, right, place);
                self.words(right, left, place);
                let (one, other) = (self.operand(left, place), self.operand(right, place));
                if let (Some(one), Some(other)) = (one, other) {
                    self.comparable(&one, &other, how.is_order(), left, right, place);
                }
            }
            Condition::In(one, of) => {
                let found = self.operand(one, place);
                for other in of {
                    self.words(other, one, place);
                    let (Some(found), Some(kind)) = (&found, self.operand(other, place)) else { continue };
                    self.comparable(found, &kind, false, one, other, place);
                }
            }
        }
    }

    /// A word without quotes that names an option of the other side becomes its text.
    fn words(&self, operand: &mut Operand, other: &Operand, place: SourcePlace) {
        let Operand::Name(word, at) = operand else { return };
        let choice = other.name().and_then(|(name, _)| self.type_of(name));
        if self.type_of(word).is_some() {
            return;
        }
        let Some(VariableType::Choice(options)) = choice else { return };
        let (word, at) = (word.clone(), *at);
        if !options.iter().any(|option| option.to_lowercase() == word.to_lowercase()) {
            let of = other.name().map_or("", |(name, _)| name);
            let meant = meant(&word, options.iter().map(String::as_str));
            self.reader.suggest(place.right(at), format!("`{word}` is no option of `{of}`"), meant);
        }
        *operand = Operand::Text(word, usize::MAX);
    }

    /// What an operand is; `None` where that was complained about.
    fn operand(&self, operand: &Operand, place: SourcePlace) -> Option<VariableType> {
        match operand {
            Operand::Number(_) => Some(VariableType::Number),
            Operand::Text(..) => Some(VariableType::Text),
            Operand::Date(day) => {
                self.day(day, place, "the condition");
                Some(VariableType::Date)
            }
            Operand::Name(name, at) => {
                let found = self.type_of(name);
                if found.is_none() {
                    self.known(name, place.right(*at), false);
                }
                found
            }
        }
    }

    fn comparable(
        &self,
        one: &VariableType,
        other: &VariableType,
        ordered: bool,
        left: &Operand,
        right: &Operand,
        place: SourcePlace,
    ) {
        use VariableType::{Date, Number, Unknown};
        let fits = match (one, other) {
            (Unknown, _) | (_, Unknown) | (Number, Number) | (Date, Date) => true,
            (one, other) if one.may_be_text() && other.may_be_text() => !ordered,
            // Digits are kept as a text, and written as a number.
            (one, Number) | (Number, one) => one.may_be_text() && !matches!(one, VariableType::Choice(_)) && !ordered,
            _ => false,
        };
        if !fits {
            let order = if ordered { "; `<` and `>` compare numbers and dates" } else { "" };
            let what = format!("{} can't be compared with {}{order}", one.shown(), other.shown());
            self.reader.problem(place, what);
        }
        for (choice, operand, text) in [(one, left, right), (other, right, left)] {
            if let (VariableType::Choice(options), Operand::Text(text, at)) = (choice, text) {
                self.is_option(options, operand, text, *at, place);
            }
        }
    }

    fn is_option(&self, options: &[String], of: &Operand, text: &str, at: usize, place: SourcePlace) {
        let known = options.iter().any(|option| option.to_lowercase() == text.trim().to_lowercase());
        if !known && at != usize::MAX {
            let of = of.name().map_or("", |(name, _)| name);
            let meant = meant(text, options.iter().map(String::as_str));
            self.reader.suggest(place.right(at), format!("`{text}` is no option of `{of}`"), meant);
        }
    }
}
