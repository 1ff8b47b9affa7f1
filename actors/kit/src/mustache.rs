//! Mustache templates, as in `template_send.json`, menus and broadcasts: parsed once, rendered for each person.
//!
//! The engines for Rust that were tried render variables that were not given as nothing instead of naming them, escape values
//! for HTML, bound neither depth nor size, and parse the template anew for each recipient. What an SMS needs of Mustache is
//! small: variables, sections, inverted sections, comments and delimiters. Values are texts, so a section is shown once or not
//! at all. White space follows the specification: a tag of a section, comment or delimiters alone on its line takes its line
//! with it.

use std::borrow::Cow;

/// The longest template, in bytes.
const MAX_TEMPLATE: usize = 16 * 1024;

/// Why a template can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It is no Mustache.
    #[error("does not parse: {0}")]
    Syntax(String),
    /// It names a variable that was not given: its first 64 characters.
    #[error("names `{0}`, which is not given")]
    NotGiven(String),
    /// The text that it makes exceeds its bound.
    #[error("its text is too long")]
    TooLong,
}

fn syntax(what: impl Into<String>) -> TemplateError {
    TemplateError::Syntax(what.into())
}

/// A template that parses and names only variables that are given.
#[derive(Clone, Debug)]
pub struct MustacheTemplate<'t> {
    steps: Vec<TemplatePart<'t>>,
}

/// What rendering does next.
#[derive(Clone, Debug)]
enum TemplatePart<'t> {
    Text(Cow<'t, str>),
    /// The value of the variable of this index.
    Variable(usize),
    /// Goes on at `end` unless the variable's value is a text, or with `inverted` is none.
    Section {
        index: usize,
        inverted: bool,
        end: usize,
    },
}

impl<'t> MustacheTemplate<'t> {
    /// Parses a template for variables of these names.
    pub fn parse(text: &'t str, names: &[&str]) -> Result<Self, TemplateError> {
        Ok(Self::read(text, Some(names))?.0)
    }

    /// Parses a template for whatever variables it names, and returns their names in the order of their index.
    pub fn parse_any(text: &'t str) -> Result<(Self, Vec<&'t str>), TemplateError> {
        Self::read(text, None)
    }

    fn read(text: &'t str, given: Option<&[&str]>) -> Result<(Self, Vec<&'t str>), TemplateError> {
        if text.len() > MAX_TEMPLATE {
            return Err(syntax(format!("it is longer than {MAX_TEMPLATE} bytes")));
        }
        let mut reader = TemplateReader { given, found: vec![], tokens: vec![], open: vec![] };
        reader.read(text)?;
        let TemplateReader { mut tokens, found, .. } = reader;
        drop_lines_of_tags(&mut tokens);
        Ok((Self { steps: steps(&tokens) }, found))
    }

    /// The template with a copy of its text.
    #[must_use]
    pub fn into_owned(self) -> MustacheTemplate<'static> {
        let owned = |part| match part {
            TemplatePart::Text(text) => TemplatePart::Text(Cow::Owned(text.into_owned())),
            TemplatePart::Variable(index) => TemplatePart::Variable(index),
            TemplatePart::Section { index, inverted, end } => TemplatePart::Section { index, inverted, end },
        };
        MustacheTemplate { steps: self.steps.into_iter().map(owned).collect() }
    }

    /// The text outside its variables.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|part| match part {
            TemplatePart::Text(text) => Some(text.as_ref()),
            _ => None,
        })
    }

    /// Renders the text with a value for each name, in at most `max_bytes`.
    pub fn render(&self, values: &[&str], max_bytes: usize) -> Result<String, TemplateError> {
        let value = |index: usize| values.get(index).copied().unwrap_or_default();
        let (mut text, mut at) = (String::new(), 0);
        while let Some(step) = self.steps.get(at) {
            at += 1;
            let more = match step {
                TemplatePart::Text(more) => more.as_ref(),
                TemplatePart::Variable(index) => value(*index),
                TemplatePart::Section { index, inverted, end } => {
                    if value(*index).is_empty() != *inverted {
                        at = *end;
                    }
                    continue;
                }
            };
            // A short template with long values must not fill the memory.
            if text.len() + more.len() > max_bytes {
                return Err(TemplateError::TooLong);
            }
            text.push_str(more);
        }
        Ok(text)
    }
}

/// The steps of tokens whose sections are closed.
fn steps<'t>(tokens: &[Token<'t>]) -> Vec<TemplatePart<'t>> {
    let (mut steps, mut open) = (Vec::with_capacity(tokens.len()), Vec::new());
    for token in tokens {
        match *token {
            Token::Text(text) => steps.push(TemplatePart::Text(Cow::Borrowed(text))),
            Token::Variable(index) => steps.push(TemplatePart::Variable(index)),
            Token::Open { index, inverted } => {
                open.push(steps.len());
                steps.push(TemplatePart::Section { index, inverted, end: 0 });
            }
            Token::Close => {
                let after = steps.len();
                if let Some(TemplatePart::Section { end, .. }) = open.pop().and_then(|opened| steps.get_mut(opened)) {
                    *end = after;
                }
            }
            Token::Nothing => {}
        }
    }
    steps
}

/// A part of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'t> {
    Text(&'t str),
    Variable(usize),
    Open {
        index: usize,
        inverted: bool,
    },
    Close,
    /// A comment, or new delimiters.
    Nothing,
}

impl<'t> Token<'t> {
    const fn text(&self) -> Option<&'t str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Cuts the lines that hold one tag and nothing else, if that is no variable.
fn drop_lines_of_tags(tokens: &mut [Token<'_>]) {
    let mut kept: Vec<(usize, usize)> = tokens.iter().map(|token| (0, token.text().map_or(0, str::len))).collect();
    let last = tokens.len().saturating_sub(1);
    for (at, token) in tokens.iter().enumerate() {
        if matches!(token, Token::Text(_) | Token::Variable(_)) {
            continue;
        }
        let text_at = |at: usize| tokens.get(at).and_then(Token::text);
        let begins = match at.checked_sub(1) {
            None => Some(0),
            Some(left) => text_at(left).and_then(|text| line_begin(text, left == 0)),
        };
        let ends = if at == last { Some(0) } else { text_at(at + 1).and_then(|text| line_end(text, at + 1 == last)) };
        if let (Some(begins), Some(ends)) = (begins, ends) {
            if let Some((_, to)) = at.checked_sub(1).and_then(|left| kept.get_mut(left)) {
                *to = begins;
            }
            if let Some((from, _)) = kept.get_mut(at + 1) {
                *from = ends;
            }
        }
    }
    for (token, (from, to)) in tokens.iter_mut().zip(kept) {
        if let Token::Text(text) = token {
            *text = text.get(from..to).unwrap_or_default();
        }
    }
}

/// Where the last line of a text begins, if it is blank.
fn line_begin(text: &str, is_first: bool) -> Option<usize> {
    let begin = match text.rfind('\n') {
        Some(end) => end + 1,
        None if is_first => 0,
        None => return None,
    };
    text.get(begin..)?.trim().is_empty().then_some(begin)
}

/// Where the first line of a text ends, if it is blank.
fn line_end(text: &str, is_last: bool) -> Option<usize> {
    let end = match text.find('\n') {
        Some(end) => end + 1,
        None if is_last => text.len(),
        None => return None,
    };
    text.get(..end)?.trim().is_empty().then_some(end)
}

/// An open section: its name and index, and whether it is a `#` section.
type OpenSection<'t> = (&'t str, usize, bool);

struct TemplateReader<'n, 't> {
    /// The names of the variables that are given; none where any name will do.
    given: Option<&'n [&'n str]>,
    /// The names that the template uses, where none are given.
    found: Vec<&'t str>,
    tokens: Vec<Token<'t>>,
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
                self.tokens.push(Token::Nothing);
            } else if let Some(name) = tag.strip_prefix('{').filter(|_| triple) {
                self.variable(name)?;
            } else {
                self.tag(tag)?;
            }
        }
        self.text(rest);
        match self.open.last() {
            Some((name, ..)) => Err(syntax(format!("section `{name}` is not closed"))),
            None => Ok(()),
        }
    }

    fn text(&mut self, text: &'t str) {
        if !text.is_empty() {
            self.tokens.push(Token::Text(text));
        }
    }

    fn tag(&mut self, tag: &'t str) -> Result<(), TemplateError> {
        let kind = tag.chars().next().ok_or_else(|| syntax("a tag is empty"))?;
        let name = tag.get(kind.len_utf8()..).unwrap_or_default().trim();
        match kind {
            '!' => self.tokens.push(Token::Nothing),
            '#' | '^' => {
                let (index, inverted) = (self.index_of(name)?, kind == '^');
                self.open.push((name, index, !inverted));
                self.tokens.push(Token::Open { index, inverted });
            }
            '/' => {
                let (opened, ..) = self.open.pop().ok_or_else(|| syntax(format!("`{name}` is closed but not open")))?;
                if opened != name {
                    return Err(syntax(format!("`{opened}` is open, but `{name}` is closed")));
                }
                self.tokens.push(Token::Close);
            }
            '>' | '<' | '$' => return Err(syntax("it names another template: there are none")),
            '&' => self.variable(name)?,
            _ => self.variable(tag)?,
        }
        Ok(())
    }

    /// A variable; `.` is the value of the innermost section.
    fn variable(&mut self, name: &'t str) -> Result<(), TemplateError> {
        let name = name.trim();
        let shown = self.open.iter().rev().find(|(.., section)| *section).filter(|_| name == ".");
        let index = match shown {
            Some((_, index, _)) => *index,
            None => self.index_of(name)?,
        };
        self.tokens.push(Token::Variable(index));
        Ok(())
    }

    fn index_of(&mut self, name: &'t str) -> Result<usize, TemplateError> {
        let not_given = || TemplateError::NotGiven(name.chars().take(64).collect());
        if let Some(given) = self.given {
            return given.iter().position(|given| *given == name).ok_or_else(not_given);
        }
        if name == "." {
            return Err(not_given());
        }
        Ok(self.found.iter().position(|found| *found == name).unwrap_or_else(|| {
            self.found.push(name);
            self.found.len() - 1
        }))
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
    fn a_template_for_any_variables_says_which_it_names() {
        let (template, names) = MustacheTemplate::parse_any("{{b}} {{#a}}x{{.}}{{/a}} {{b}}").unwrap();
        assert_eq!(names, ["b", "a"]);
        assert_eq!(template.literals().collect::<String>(), " x ");
        assert_eq!(template.into_owned().render(&["1", "2"], 100).as_deref(), Ok("1 x2 1"));
        assert!(MustacheTemplate::parse_any("{{.}}").is_err());
    }

    #[test]
    fn a_variable_that_was_not_given_is_named() {
        for template in ["Hi {{nmae}}", "{{#nmae}}x{{/nmae}}", "{{=| |=}}|nmae|", "{{{nmae}}}"] {
            assert_eq!(rendered(template, &[("name", "x")]), Err(TemplateError::NotGiven("nmae".into())), "{template}");
        }
    }

    #[test]
    fn a_template_that_does_not_parse_is_refused() {
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
        ] {
            assert!(
                matches!(rendered(template, &[("a", "x"), ("b", "y")]), Err(TemplateError::Syntax(_))),
                "{template}"
            );
        }
        assert_eq!(rendered("{{.}}", &[]), Err(TemplateError::NotGiven(".".into())));
    }

    #[test]
    fn a_tag_alone_on_its_line_takes_the_line_with_it() {
        // As the specification of Mustache has it.
        for (template, expected) in [
            ("| This\n{{#on}}\n|\n{{/on}}\n| A Line", "| This\n|\n| A Line"),
            ("| This\n  {{#on}}\n|\n  {{/on}}\n| A Line", "| This\n|\n| A Line"),
            ("|\r\n{{#on}}\r\n{{/on}}\r\n|", "|\r\n|"),
            ("  {{#on}}\n#{{/on}}\n/", "#\n/"),
            ("#{{#on}}\n/\n  {{/on}}", "#\n/\n"),
            (" | {{#on}}\t|\t{{/on}} | \n", " | \t|\t | \n"),
            (" {{#on}}YES{{/on}}\n {{#on}}GOOD{{/on}}\n", " YES\n GOOD\n"),
            ("| {{^off}} {{! a comment }}\n {{/off}} | \n", "|  \n  | \n"),
            ("{{^off}}\nx\n{{/off}}\n{{#off}}\ny\n{{/off}}\nz", "x\nz"),
            ("Begin.\n  {{! a comment }}\nEnd.", "Begin.\nEnd."),
            ("!\n  {{! a comment }}", "!\n"),
            ("  12 {{! 34 }}\n", "  12 \n"),
            ("Begin.\n{{=@ @=}}\nEnd.", "Begin.\nEnd."),
            ("{{on}}\n", "1\n"),
        ] {
            assert_eq!(rendered(template, &[("on", "1"), ("off", "")]).as_deref(), Ok(expected), "{template:?}");
        }
    }

    #[test]
    fn sections_nest_and_show_the_innermost_value() {
        let deep = format!("{}{{{{.}}}}{}", "{{#a}}{{#b}}".repeat(500), "{{/b}}{{/a}}".repeat(500));
        assert_eq!(rendered(&deep, &[("a", "x"), ("b", "y")]).as_deref(), Ok("y"));
        assert_eq!(rendered("{{#a}}{{^c}}{{.}}{{/c}}{{/a}}", &[("a", "x"), ("c", "")]).as_deref(), Ok("x"));
    }

    #[test]
    fn a_text_beyond_its_bound_is_refused() {
        let text = "{{a}}".repeat(1000);
        let template = MustacheTemplate::parse(&text, &["a"]).unwrap();
        assert_eq!(template.render(&["x".repeat(10_000).as_str()], 5_000), Err(TemplateError::TooLong));
    }

    proptest! {
        #[test]
        fn no_template_makes_the_reader_panic(
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
