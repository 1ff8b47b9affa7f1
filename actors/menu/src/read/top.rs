//! What stands above the steps.

use std::{collections::HashMap, path::Path, time::Duration};

use chrono_tz::Tz;
use humantime_serde::re::humantime;
use vumi_kit::address::CountryCode;

use super::{MenuReader, fields::MapFields};
use crate::{
    languages::{is_language, language_name},
    model::{Menu, MenuForm, MenuKeys, MenuLanguage, MenuTranslation, ResumePolicy},
    permissions::MAX_LANGUAGES,
    source::{Placed, SourcePlace},
    suggest::meant,
    yaml::{MenuContent, MenuNode},
};

const KEYS: [&str; 11] =
    ["name", "languages", "country", "timezone", "start", "resume", "keep", "screen", "keys", "steps", "translations"];
/// The longest that a person can stay away and go on.
const MAX_KEEP: Duration = Duration::from_secs(90 * 86_400);

impl MenuReader<'_> {
    pub(super) fn menu(&self, tree: &MenuNode) -> Option<Menu> {
        match &tree.content {
            MenuContent::List(items) => self.list_form(items),
            MenuContent::Map(_) => self.steps_form(&self.fields(tree, "the menu")?),
            _ => {
                let what =
                    format!("the menu is {}: expected a map with `steps`, or a list of questions", tree.described());
                self.problem(tree.place, what);
                None
            }
        }
    }

    fn empty(&self, form: MenuForm) -> Menu {
        let english = MenuLanguage {
            code: Placed::new("en".to_owned(), SourcePlace::START),
            name: language_name("en").to_owned(),
        };
        let stem = Path::new(&self.source.file).file_stem().map_or("menu".into(), |stem| stem.to_string_lossy());
        Menu {
            source: self.source.clone(),
            version: self.version(),
            form,
            name: stem.into_owned(),
            languages: vec![english],
            country: None,
            timezone: Tz::UTC,
            start: 0,
            resume: ResumePolicy::default(),
            keep: Duration::from_secs(86_400),
            screen: None,
            keys: MenuKeys::default(),
            steps: Vec::new(),
            translations: Vec::new(),
            variables: Default::default(),
        }
    }

    fn list_form(&self, items: &[MenuNode]) -> Option<Menu> {
        let mut menu = self.empty(MenuForm::List);
        menu.steps = self.unnamed_steps(items)?;
        Some(menu)
    }

    fn steps_form(&self, fields: &MapFields<'_>) -> Option<Menu> {
        fields.only(self, &KEYS, "the menu");
        let mut menu = self.empty(MenuForm::Steps);
        if let Some(name) = fields.get("name").and_then(|node| self.scalar(node, "`name`")) {
            menu.name = name.value;
        }
        if let Some(node) = fields.get("languages") {
            menu.languages = self.languages(node).unwrap_or(menu.languages);
        }
        menu.country = fields.get("country").and_then(|node| {
            let country = self.scalar(node, "`country`")?;
            CountryCode::parse(&country).map_err(|error| self.problem(node.place, error.to_string())).ok()
        });
        if let Some(zone) = fields.get("timezone").and_then(|node| self.scalar(node, "`timezone`")) {
            menu.timezone = self.zone(&zone);
        }
        if let Some(node) = fields.get("resume") {
            menu.resume = self.resume(node);
        }
        if let Some(node) = fields.get("keep") {
            menu.keep = self.duration(node, "`keep`", MAX_KEEP).unwrap_or(menu.keep);
        }
        menu.screen = fields.get("screen").and_then(|node| self.whole(node, "`screen`", 40, 1_600));
        if let Some(keys) = fields.get("keys").and_then(|node| self.keys(node)) {
            menu.keys = keys;
        }
        let Some(steps) = fields.get("steps") else {
            self.problem(fields.place, "the menu has no `steps`");
            return None;
        };
        menu.steps = self.named_steps(steps)?;
        if let Some(start) = fields.get("start").and_then(|node| self.link(node, "start")) {
            menu.start = start.to;
        }
        if let Some(node) = fields.get("translations") {
            menu.translations = self.translations(node, &menu.languages);
        }
        Some(menu)
    }

    fn languages(&self, node: &MenuNode) -> Option<Vec<MenuLanguage>> {
        let mut languages: Vec<MenuLanguage> = Vec::new();
        for item in self.list(node, "`languages`", MAX_LANGUAGES)? {
            let (code, name) = match &item.content {
                MenuContent::Map(entries) => match entries.as_slice() {
                    [(code, name)] => (code, self.scalar(name, "the name of a language")),
                    _ => {
                        self.problem(item.place, "expected a language's code, or its code and its name: `zu: isiZulu`");
                        continue;
                    }
                },
                _ => (item, None),
            };
            let Some(code) = self.scalar(code, "a language") else { continue };
            if !is_language(&code) {
                self.problem(code.place, "expected the code of a language, as in `en`, `zu` or `pt-BR`");
            } else if languages.iter().any(|known| known.code.value == code.value) {
                self.problem(code.place, format!("`{}` is there twice", code.value));
            } else {
                let name = name.map_or_else(|| language_name(&code).to_owned(), |name| name.value);
                languages.push(MenuLanguage { code, name });
            }
        }
        (!languages.is_empty()).then_some(languages)
    }

    fn zone(&self, written: &Placed<String>) -> Tz {
        written.parse().unwrap_or_else(|_| {
            let meant = meant(written, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
            self.suggest(written.place, "expected a time zone, as in `Africa/Johannesburg`", meant);
            Tz::UTC
        })
    }

    fn resume(&self, node: &MenuNode) -> ResumePolicy {
        match node.scalar().map(String::as_str) {
            Some("ask") => ResumePolicy::Ask,
            Some("continue") => ResumePolicy::Continue,
            Some("restart") => ResumePolicy::Restart,
            other => {
                let meant = meant(other.unwrap_or_default(), ["ask", "continue", "restart"]);
                self.suggest(node.place, "`resume`: expected `ask`, `continue` or `restart`", meant);
                ResumePolicy::default()
            }
        }
    }

    pub(super) fn duration(&self, node: &MenuNode, what: &str, most: Duration) -> Option<Duration> {
        let written = self.scalar(node, what)?;
        let read = humantime::parse_duration(&written).ok().filter(|time| !time.is_zero() && *time <= most);
        if read.is_none() {
            let most = humantime::format_duration(most);
            self.problem(node.place, format!("{what}: expected a time such as 5s, 2h or 7d, {most} at the most"));
        }
        read
    }

    pub(super) fn whole(&self, node: &MenuNode, what: &str, least: usize, most: usize) -> Option<usize> {
        let read = node.scalar().and_then(|text| text.trim().parse().ok());
        let read = read.filter(|number| (least..=most).contains(number));
        if read.is_none() {
            self.problem(node.place, format!("{what}: expected a whole number from {least} to {most}"));
        }
        read
    }

    fn keys(&self, node: &MenuNode) -> Option<MenuKeys> {
        let fields = self.fields(node, "`keys`")?;
        fields.only(self, &["more", "back", "home"], "`keys`");
        let standard = MenuKeys::default();
        let key = |name: &str, standard: String| match fields.get(name) {
            None => standard,
            Some(node) => {
                let key = self.scalar(node, &format!("`{name}`")).map(|key| key.value);
                let is_short = |key: &String| {
                    key.chars().count() <= 8 && !key.chars().any(|c| c.is_whitespace() || c.is_control())
                };
                if key.as_ref().is_some_and(|key| !is_short(key)) {
                    self.problem(node.place, "a key has 1 to 8 characters and no space");
                }
                key.filter(is_short).unwrap_or(standard)
            }
        };
        let keys = MenuKeys {
            more: key("more", standard.more),
            back: key("back", standard.back),
            home: key("home", standard.home),
        };
        if keys.more == keys.back || keys.back == keys.home || keys.more == keys.home {
            self.problem(node.place, "two `keys` are the same: `more`, `back` and `home` differ");
        }
        Some(keys)
    }

    fn translations(&self, node: &MenuNode, languages: &[MenuLanguage]) -> Vec<MenuTranslation> {
        let Some(fields) = self.fields(node, "`translations`") else { return Vec::new() };
        let mut translations = Vec::new();
        for (code, key, texts) in fields.iter() {
            if !languages.iter().any(|known| known.code.value == code) {
                let known = languages.iter().map(|language| language.code.value.as_str());
                let shown: String = code.chars().take(20).collect();
                self.suggest(key.place, format!("`{shown}` is none of the menu's `languages`"), meant(code, known));
                continue;
            }
            let Some(entries) = self.fields(texts, &format!("the translations into `{code}`")) else { continue };
            let mut translation = MenuTranslation {
                language: Placed::new(code.to_owned(), key.place),
                texts: HashMap::new(),
                sources: Vec::new(),
            };
            for (source, key, text) in entries.iter() {
                let source = source.trim();
                if let Some(text) = self.text(text, "a translation") {
                    translation.texts.insert(source.to_owned(), text);
                    translation.sources.push(Placed::new(source.to_owned(), key.place));
                }
            }
            translations.push(translation);
        }
        translations
    }
}
