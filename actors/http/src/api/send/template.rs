//! Mustache templates, rendered by the `mustache2` crate.
//!
//! A template is parsed here first and rewritten for the engine, because the engine renders variables that were not given
//! as nothing instead of naming them, escapes values for HTML, bounds neither depth nor size, and panics at names that are
//! not ASCII. The rewritten template has the same sections, inversions and white space, with variables of plain names.

use std::{borrow::Cow, collections::HashMap, fmt};

use mustache2::{
    Data,
    render::{RenderManager, SourceCache, provider::SourceProvider},
};

/// The longest template, in bytes.
const MAX_TEMPLATE: usize = 16 * 1024;
/// The deepest nesting of sections: the engine's parser recurses.
const MAX_DEPTH: usize = 16;
/// The variable that is rendered as `{{`, for templates that have it as text.
const BRACES: &str = "braces";

/// Why a template can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    #[error("does not parse: {0}")]
    Syntax(String),
    #[error("names `{0}`, but no template_{0} is given")]
    NotGiven(String),
    #[error("its text is too long")]
    TooLong,
}

fn syntax(what: impl Into<String>) -> TemplateError {
    TemplateError::Syntax(what.into())
}

/// A template that parses and names only variables that are given.
#[derive(Debug)]
pub(super) struct MustacheTemplate {
    rewritten: String,
    // The index of each variable that it uses.
    used: Vec<usize>,
}

impl MustacheTemplate {
    /// Parses a template for variables of these names.
    pub(super) fn parse(text: &str, names: &[&str]) -> Result<Self, TemplateError> {
        if text.len() > MAX_TEMPLATE {
            return Err(syntax(format!("it is longer than {MAX_TEMPLATE} bytes")));
        }
        let mut reader =
            TemplateReader { names, rewritten: String::with_capacity(text.len() + 16), used: vec![], open: vec![] };
        reader.read(text)?;
        let template = Self { rewritten: reader.rewritten, used: reader.used };
        // The engine parses it when it renders it: what it refuses shows with any values.
        template.render(&vec![""; names.len()], MAX_TEMPLATE)?;
        Ok(template)
    }

    /// Renders the text with a value for each name, in at most `max_bytes`.
    pub(super) fn render(&self, values: &[&str], max_bytes: usize) -> Result<String, TemplateError> {
        let variable = |index: &usize| Some((format!("v{index}"), Data::String((*values.get(*index)?).to_owned())));
        let mut map: HashMap<String, Data> = self.used.iter().filter_map(variable).collect();
        map.insert(BRACES.to_owned(), Data::String("{{".to_owned()));
        let cache = SourceCache::default();
        let mut engine = RenderManager::new(SingleSource(&self.rewritten), &cache);
        let mut out = BoundedText { text: String::new(), max_bytes, over: false };
        match engine.render_to(&mut out, (), Data::Map(map)) {
            Ok(()) => Ok(out.text),
            Err(_) if out.over => Err(TemplateError::TooLong),
            Err(error) => Err(TemplateError::Syntax(error.message.into_owned())),
        }
    }
}

/// An open section: its name, and whether it is a `#` section.
type OpenSection<'t> = (&'t str, bool);

struct TemplateReader<'n, 't> {
    names: &'n [&'n str],
    rewritten: String,
    used: Vec<usize>,
    open: Vec<OpenSection<'t>>,
}

impl<'t> TemplateReader<'_, 't> {
    fn read(&mut self, text: &'t str) -> Result<(), TemplateError> {
        let (mut opens, mut closes) = ("{{", "}}");
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(opens) {
            self.text(before);
            let triple = opens == "{{" && after.starts_with('{');
            let until = if triple { "}}}" } else { closes };
            let (tag, after) = after.split_once(until).ok_or_else(|| syntax("a tag is not closed"))?;
            rest = after;
            let tag = tag.trim();
            if let Some(delimiters) = tag.strip_prefix('=') {
                (opens, closes) = delimiters_of(delimiters)?;
                self.rewritten.push_str("{{! }}");
            } else if let Some(name) = tag.strip_prefix('{').filter(|_| triple) {
                self.variable(name)?;
            } else {
                self.tag(tag)?;
            }
        }
        self.text(rest);
        match self.open.last() {
            Some((name, _)) => Err(syntax(format!("section `{name}` is not closed"))),
            None => Ok(()),
        }
    }

    fn text(&mut self, text: &str) {
        // With other delimiters two braces can be text.
        let safe =
            if text.contains("{{") { Cow::Owned(text.replace("{{", "{{{braces}}}")) } else { Cow::Borrowed(text) };
        self.rewritten.push_str(&safe);
    }

    fn tag(&mut self, tag: &'t str) -> Result<(), TemplateError> {
        let kind = tag.chars().next().ok_or_else(|| syntax("a tag is empty"))?;
        let name = tag.get(kind.len_utf8()..).unwrap_or_default().trim();
        match kind {
            '!' => self.rewritten.push_str("{{! }}"),
            '#' | '^' => {
                let name = name.trim();
                let index = self.index_of(name)?;
                self.open.push((name, kind == '#'));
                if self.open.len() > MAX_DEPTH {
                    return Err(syntax(format!("its sections are nested deeper than {MAX_DEPTH}")));
                }
                self.rewritten.push_str(&format!("{{{{{kind}v{index}}}}}"));
            }
            '/' => {
                let (opened, _) = self.open.pop().ok_or_else(|| syntax(format!("`{name}` is closed but not open")))?;
                if opened != name {
                    return Err(syntax(format!("`{opened}` is open, but `{name}` is closed")));
                }
                let index = self.index_of(name)?;
                self.rewritten.push_str(&format!("{{{{/v{index}}}}}"));
            }
            '>' | '<' | '$' => return Err(syntax("it names another template: there are none")),
            '&' => self.variable(name)?,
            _ => self.variable(tag)?,
        }
        Ok(())
    }

    fn variable(&mut self, name: &str) -> Result<(), TemplateError> {
        let name = name.trim();
        if name == "." && self.open.iter().any(|(_, section)| *section) {
            self.rewritten.push_str("{{{.}}}");
            return Ok(());
        }
        let index = self.index_of(name)?;
        self.rewritten.push_str(&format!("{{{{{{v{index}}}}}}}"));
        Ok(())
    }

    fn index_of(&mut self, name: &str) -> Result<usize, TemplateError> {
        let known = self.names.iter().position(|given| *given == name);
        let index = known.ok_or_else(|| TemplateError::NotGiven(name.chars().take(64).collect()))?;
        if !self.used.contains(&index) {
            self.used.push(index);
        }
        Ok(index)
    }
}

fn delimiters_of(text: &str) -> Result<(&str, &str), TemplateError> {
    let wanted = || syntax("delimiters are set as {{=<% %>=}}");
    let inner = text.strip_suffix('=').ok_or_else(wanted)?;
    let mut both = inner.split_whitespace();
    match (both.next(), both.next(), both.next()) {
        (Some(opens), Some(closes), None) if !inner.contains('=') => Ok((opens, closes)),
        _ => Err(wanted()),
    }
}

/// The only template that the engine gets.
struct SingleSource<'a>(&'a str);

impl SourceProvider for SingleSource<'_> {
    type Key = ();

    fn get_src(&mut self, (): &()) -> Result<String, Cow<'static, str>> {
        Ok(self.0.to_owned())
    }

    fn resolve_partial(&self, (): &(), _name: &str) {}

    fn display_key((): &()) -> Cow<'_, str> {
        Cow::Borrowed("template")
    }
}

/// A text of bounded length: a short template with long values must not fill the memory.
struct BoundedText {
    text: String,
    max_bytes: usize,
    over: bool,
}

impl fmt::Write for BoundedText {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        if self.text.len() + more.len() > self.max_bytes {
            self.over = true;
            return Err(fmt::Error);
        }
        self.text.push_str(more);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{MustacheTemplate, TemplateError};

    #[track_caller]
    fn rendered(template: &str, values: &[(&str, &str)]) -> Result<String, TemplateError> {
        let (names, values): (Vec<_>, Vec<_>) = values.iter().copied().unzip();
        MustacheTemplate::parse(template, &names)?.render(&values, 1000)
    }

    #[test]
    fn templates_render_by_the_rules_of_mustache() {
        for (template, expected) in [
            ("Hello {{name}} {{surname}}", "Hello Simon de Haan"),
            ("{{ name }}{{{name}}}{{&name}}{{! a comment: é }}", "SimonSimonSimon"),
            ("{{#empty}}no{{/empty}}{{^empty}}yes{{/empty}}", "yes"),
            ("{{#name}}Hi {{.}} {{surname}}{{/name}}{{^name}}Hi{{/name}}", "Hi Simon de Haan"),
            ("{{#name}}\nline\n{{/name}}\nend", "line\nend"),
            ("{{=<% %>=}}<%name%> {{name}} <%={{ }}=%>{{name}}", "Simon {{name}} Simon"),
            ("no variables", "no variables"),
            ("{{größe}} {{a.b}}", "XL dotted"),
            ("{{odd}}", "<R&D> \"x\" {{name}}"),
        ] {
            let values = [
                ("name", "Simon"),
                ("surname", "de Haan"),
                ("empty", ""),
                ("größe", "XL"),
                ("a.b", "dotted"),
                ("odd", "<R&D> \"x\" {{name}}"),
            ];
            assert_eq!(rendered(template, &values).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn a_variable_that_was_not_given_is_named() {
        for template in ["Hi {{nmae}}", "{{#nmae}}x{{/nmae}}", "{{=| |=}}|nmae|", "{{{nmae}}}"] {
            assert_eq!(rendered(template, &[("name", "x")]), Err(TemplateError::NotGiven("nmae".into())), "{template}");
        }
    }

    #[test]
    fn a_template_that_does_not_parse_is_refused() {
        let deep = format!("{}{}", "{{#a}}".repeat(17), "{{/a}}".repeat(17));
        for template in [
            "{{a",
            "{{a}",
            "{{{a}}",
            "{{#a}}",
            "{{/a}}",
            "{{#a}}{{/b}}",
            "{{>a}}",
            "{{}}",
            "{{=}}",
            "{{= =}}",
            "{{=a=}}",
            "{{=a b c=}}",
            "é{{é",
            deep.as_str(),
        ] {
            assert!(
                matches!(rendered(template, &[("a", "x"), ("b", "y")]), Err(TemplateError::Syntax(_))),
                "{template}"
            );
        }
        assert_eq!(rendered("{{.}}", &[]), Err(TemplateError::NotGiven(".".into())));
    }

    #[test]
    fn a_text_beyond_its_bound_is_refused() {
        let template = MustacheTemplate::parse(&"{{a}}".repeat(1000), &["a"]).unwrap();
        assert_eq!(template.render(&["x".repeat(10_000).as_str()], 5_000), Err(TemplateError::TooLong));
    }

    proptest! {
        #[test]
        fn no_template_makes_the_reader_or_the_engine_panic(
            template in "(\\{\\{|\\}\\}|[{}#^/!=&>. \n]|[abé]|\\PC){0,40}",
            a in "\\PC{0,5}",
        ) {
            let _rendered = rendered(&template, &[("a", &a), ("b", ""), ("é", "x")]);
        }

        #[test]
        fn values_come_through_as_they_are(a in any::<String>(), b in any::<String>()) {
            prop_assert_eq!(rendered("{{a}}-{{b}}", &[("a", &a), ("b", &b)]).map_err(|_| ()),
                if a.len() + b.len() < 1000 { Ok(format!("{a}-{b}")) } else { Err(()) });
        }
    }
}
