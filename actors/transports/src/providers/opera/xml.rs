//! XML from outside, read into a small tree and nothing more: no entities but XML's own five, no document type
//! beyond a name, and bounds on size, depth and count (`docs/providers/opera.md`).

use std::borrow::Cow;

use quick_xml::{Reader, XmlVersion, events::BytesStart, events::Event};
use vumi_kit::charset::Charset;

/// Longer documents are refused.
const LONGEST: usize = 1024 * 1024;
/// Elements within elements.
const DEEPEST: usize = 32;
/// Elements in all.
const MOST_ELEMENTS: usize = 50_000;
/// Attributes of one element.
const MOST_ATTRIBUTES: usize = 16;

/// An element.
#[derive(Debug, Default, PartialEq)]
pub(super) struct XmlElement {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    /// All text directly in it, joined.
    pub(super) text: String,
    pub(super) children: Vec<XmlElement>,
}

/// Why a document is refused.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum XmlRefusal {
    #[error("is not well-formed XML: {0}")]
    Malformed(String),
    #[error("holds a document type with more than a name; declarations and external subsets are refused")]
    DocumentType,
    #[error("refers to the entity `{0}`; only lt, gt, amp, apos, quot and characters by number are read")]
    Entity(String),
    #[error("is larger, deeper or longer than any real one: refused")]
    TooMuch,
    #[error("is in the character set `{0}`, which is unknown: set `charset` of the transport")]
    Encoding(String),
}

/// How far into a document its declaration is looked for, in bytes.
const DECLARATION: usize = 200;

/// The text of a document's bytes: in the character set that the call names, else in the one that the document declares.
pub(super) fn text_of<'a>(bytes: &'a [u8], named: Option<&Charset>) -> Result<Cow<'a, str>, XmlRefusal> {
    if bytes.len() > LONGEST {
        return Err(XmlRefusal::TooMuch);
    }
    let charset = named.cloned().or_else(|| declared(bytes)).unwrap_or_default();
    charset.decode(bytes).ok_or_else(|| XmlRefusal::Encoding(charset.name().to_owned()))
}

/// `encoding="..."` of the XML declaration.
fn declared(bytes: &[u8]) -> Option<Charset> {
    let start = bytes.get(..bytes.len().min(DECLARATION))?;
    let start = String::from_utf8_lossy(start);
    let declaration = start.trim_start_matches('\u{feff}').trim_start().strip_prefix("<?xml")?.split("?>").next()?;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    value.get(1..)?.split(quote).next().map(Charset::of_label)
}

/// Reads a document.
pub(super) fn parse(text: &str) -> Result<XmlElement, XmlRefusal> {
    if text.len() > LONGEST {
        return Err(XmlRefusal::TooMuch);
    }
    let mut reader = Reader::from_str(text);
    let mut tree = XmlTree::default();
    loop {
        match reader.read_event().map_err(|error| XmlRefusal::Malformed(error.to_string()))? {
            Event::Start(start) => tree.open(&start)?,
            Event::Empty(start) => {
                tree.open(&start)?;
                tree.close();
            }
            Event::End(_) => tree.close(),
            Event::Text(text) => tree.text(&text.xml10_content())?,
            Event::CData(text) => tree.text(&text.xml10_content())?,
            Event::GeneralRef(reference) => {
                let character =
                    reference.resolve_char_ref().map_err(|error| XmlRefusal::Malformed(error.to_string()))?;
                let resolved = character.or(predefined(&reference));
                let resolved = resolved.ok_or_else(|| XmlRefusal::Entity(reference.chars().take(40).collect()))?;
                tree.text(resolved.encode_utf8(&mut [0; 4]))?;
            }
            Event::DocType(declared) => tree.document_type(&declared)?,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => return tree.finish(),
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

#[derive(Default)]
struct XmlTree {
    open: Vec<XmlElement>,
    root: Option<XmlElement>,
    count: usize,
    typed: bool,
}

impl XmlTree {
    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), XmlRefusal> {
        self.count += 1;
        if self.open.len() >= DEEPEST || self.count > MOST_ELEMENTS {
            return Err(XmlRefusal::TooMuch);
        }
        if self.root.is_some() {
            return Err(XmlRefusal::Malformed("more than one root".to_owned()));
        }
        let mut element = XmlElement { name: start.name().into_inner().to_owned(), ..XmlElement::default() };
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| XmlRefusal::Malformed(error.to_string()))?;
            if element.attributes.len() >= MOST_ATTRIBUTES {
                return Err(XmlRefusal::TooMuch);
            }
            let key = attribute.key.into_inner().to_owned();
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|_| XmlRefusal::Entity(format!("in the attribute {key}")))?;
            element.attributes.push((key, value.into_owned()));
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self) {
        // The reader refuses an end without a start.
        let Some(element) = self.open.pop() else { return };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
    }

    fn text(&mut self, text: &str) -> Result<(), XmlRefusal> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return Err(XmlRefusal::Malformed("text outside the root".to_owned())),
        }
        Ok(())
    }

    fn document_type(&mut self, declared: &str) -> Result<(), XmlRefusal> {
        let name = declared.trim();
        let plain = !name.is_empty()
            && name.len() <= 100
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte));
        if !plain || self.typed || self.root.is_some() || !self.open.is_empty() {
            return Err(XmlRefusal::DocumentType);
        }
        self.typed = true;
        Ok(())
    }

    fn finish(self) -> Result<XmlElement, XmlRefusal> {
        match self.root {
            Some(root) if self.open.is_empty() => Ok(root),
            _ => Err(XmlRefusal::Malformed("it ends too early".to_owned())),
        }
    }
}

impl XmlElement {
    /// The text of the first child of that name, without the white space around it.
    pub(super) fn child_text(&self, name: &str) -> Option<&str> {
        self.children.iter().find(|child| child.name == name).map(|child| child.text.trim())
    }

    /// An attribute's value.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use vumi_kit::charset::Charset;

    use super::{DEEPEST, XmlRefusal, parse, text_of};

    #[test]
    fn a_plain_document_becomes_a_tree() {
        let root = parse(
            "<?xml version=\"1.0\"?>\n<!DOCTYPE receipts>\n<!-- c --><receipts a=\"1 &amp; 2\"><x> a&lt;b&#x41; \
             <![CDATA[<c>]]></x><y/></receipts>\n",
        )
        .unwrap();
        assert_eq!(root.name, "receipts");
        assert_eq!(root.attribute("a"), Some("1 & 2"));
        assert_eq!(root.child_text("x"), Some("a<bA <c>"));
        assert_eq!(root.child_text("y"), Some(""));
    }

    #[test]
    fn hostile_documents_are_refused() {
        let subset = "<!DOCTYPE r [<!ENTITY a \"b\">]><r>&a;</r>";
        let external = "<!DOCTYPE r SYSTEM \"file:///etc/passwd\"><r/>";
        let public = "<!DOCTYPE r PUBLIC \"x\" \"http://example.com/x.dtd\"><r/>";
        for document in [subset, external, public, "<!DOCTYPE r><!DOCTYPE r><r/>", "<r><!DOCTYPE r></r>"] {
            assert_eq!(parse(document), Err(XmlRefusal::DocumentType), "{document}");
        }
        assert!(matches!(parse("<r>&a;</r>"), Err(XmlRefusal::Entity(_))));
        assert!(matches!(parse("<r a=\"&a;\"/>"), Err(XmlRefusal::Entity(_))));
        assert_eq!(parse(&"<a>".repeat(100_000)), Err(XmlRefusal::TooMuch));
        let deepest = format!("{}{}", "<a>".repeat(DEEPEST), "</a>".repeat(DEEPEST));
        assert!(parse(&deepest).is_ok());
        assert_eq!(parse(&format!("<r>{}</r>", "<a/>".repeat(60_000))), Err(XmlRefusal::TooMuch));
        assert_eq!(parse(&format!("<r>{}</r>", "x".repeat(2_000_000))), Err(XmlRefusal::TooMuch));
        let attributes: String = (0..1000).map(|number| format!(" a{number}=\"\"")).collect();
        assert_eq!(parse(&format!("<r{attributes}/>")), Err(XmlRefusal::TooMuch));
    }

    #[test]
    fn broken_documents_are_refused() {
        for document in ["", "text", "<r>", "</r>", "<r></s>", "<r/><r/>", "<r/>text", "<r a=b/>", "<r>&#x110000;</r>"]
        {
            assert!(matches!(parse(document), Err(XmlRefusal::Malformed(_))), "{document:?}: {:?}", parse(document));
        }
    }

    #[test]
    fn bytes_are_read_as_the_call_or_the_document_says() {
        assert_eq!(text_of("\u{feff}<r>é</r>".as_bytes(), None).unwrap(), "<r>é</r>");
        for (declaration, named, bytes) in [
            ("encoding=\"ISO-8859-1\"", None, b"\xe9".as_slice()),
            ("encoding = 'windows-1252' standalone='yes'", None, b"\xe9"),
            ("encoding=\"UTF-8\"", None, "é".as_bytes()),
            ("encoding=\"UTF-8\"", Some("ISO-8859-1"), b"\xe9"),
            ("encoding=\"EBCDIC\"", Some("utf-8"), "é".as_bytes()),
            ("", None, b"\xe9"),
        ] {
            let document = [format!("<?xml version=\"1.0\" {declaration}?><r>").as_bytes(), bytes, b"</r>"].concat();
            let text = text_of(&document, named.map(Charset::of_label).as_ref()).unwrap().into_owned();
            assert!(text.ends_with("<r>é</r>"), "{declaration} {named:?}: {text}");
        }
        let unknown = b"<?xml version=\"1.0\" encoding=\"EBCDIC\"?><r>\xe9</r>";
        assert_eq!(text_of(unknown, None), Err(XmlRefusal::Encoding("EBCDIC".to_owned())));
    }
}
