//! The leaves of an XML document by name. Nothing nests on our stack, and no entity but XML's own five is known.

use quick_xml::{Reader, events::Event};
use serde_json::{Map, Value};

/// The most elements that are read.
const MOST_ELEMENTS: usize = 1_000;

/// The text of each element by its name; of several with one name, the first. None: it is no XML.
pub(crate) fn leaves(document: &str) -> Option<Map<String, Value>> {
    let mut reader = Reader::from_str(document);
    let (mut found, mut open, mut text) = (Map::new(), None::<String>, String::new());
    let (mut count, mut depth) = (0, 0_usize);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                count += 1;
                depth += 1;
                if count > MOST_ELEMENTS {
                    return None;
                }
                (open, text) = (Some(start.name().into_inner().to_owned()), String::new());
            }
            Event::Text(part) => text.push_str(&part.xml10_content()),
            Event::CData(part) => text.push_str(&part.xml10_content()),
            Event::GeneralRef(reference) => {
                text.push(reference.resolve_char_ref().ok()?.or_else(|| predefined(&reference))?);
            }
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                if let Some(name) = open.take() {
                    let text = Value::String(std::mem::take(&mut text));
                    found.entry(name).or_insert(text);
                }
            }
            Event::DocType(_) => return None,
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => return (count > 0 && depth == 0).then_some(found),
        }
    }
}

fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => return None,
    })
}

/// A text as it stands in an element. Characters that XML does not have are left out.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\r' => escaped.push_str("&#13;"),
            '\n' | '\t' => escaped.push(c),
            c if c < ' ' || c == '\u{fffe}' || c == '\u{ffff}' => {}
            c => escaped.push(c),
        }
    }
    escaped
}
