//! XML as OSS and its clients write it: elements and texts, no attributes. Texts keep every blank.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::{Reader, events::Event};

use super::refusal::malformed;
use crate::error::Problem;

/// What needs no code in a text that is percent-encoded.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
/// How deep elements may be.
const DEPTH: usize = 8;

/// A document that is being written.
pub(super) struct Writer {
    out: String,
    open: Vec<&'static str>,
}

impl Writer {
    pub(super) fn new(root: &'static str) -> Self {
        let mut writer =
            Self { out: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(), open: Vec::new() };
        writer.begin(root);
        writer
    }

    pub(super) fn begin(&mut self, name: &'static str) {
        let _ = write!(self.out, "<{name}>");
        self.open.push(name);
    }

    pub(super) fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            let _ = write!(self.out, "</{name}>");
        }
    }

    pub(super) fn text(&mut self, name: &str, text: impl ToString) {
        let text = text.to_string();
        let _ = write!(self.out, "<{name}>{}</{name}>", quick_xml::escape::escape(text.as_str()));
    }

    /// The text of the element that is open.
    pub(super) fn inside(&mut self, text: &str) {
        self.out.push_str(&quick_xml::escape::escape(text));
    }

    /// A key, or a part of one.
    pub(super) fn key(&mut self, name: &str, key: &str, encoded: bool) {
        if encoded { self.text(name, utf8_percent_encode(key, PLAIN)) } else { self.text(name, key) }
    }

    /// The whole document.
    pub(super) fn end(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.out
    }
}

/// Where a reader is: the names of the elements that are open, and their texts so far.
#[derive(Default)]
struct Open {
    names: Vec<String>,
    texts: Vec<String>,
    roots: usize,
}

impl Open {
    fn begin(&mut self, name: &[u8]) -> Result<(), Problem> {
        if self.names.len() == DEPTH {
            return Err(malformed("the elements of the body are too deep in each other"));
        }
        self.roots += usize::from(self.names.is_empty());
        self.names.push(String::from_utf8_lossy(name).into_owned());
        self.texts.push(String::new());
        Ok(())
    }

    fn add(&mut self, text: &str) {
        if let Some(own) = self.texts.last_mut() {
            own.push_str(text);
        }
    }

    fn end(&mut self, each: &mut impl FnMut(&str, String) -> Result<(), Problem>) -> Result<(), Problem> {
        let path = self.names.join("/");
        self.names.pop();
        each(&path, self.texts.pop().unwrap_or_default())
    }
}

/// Reads a document: hands the path (`Delete/Object/Key`) and the text of every element to `each`, when it ends.
pub(super) fn read(
    text: &str,
    mut each: impl FnMut(&str, String) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut reader = Reader::from_str(text);
    let mut open = Open::default();
    loop {
        match reader.read_event().map_err(broken)? {
            Event::Start(start) => open.begin(start.local_name().as_ref())?,
            Event::Empty(empty) => {
                open.begin(empty.local_name().as_ref())?;
                open.end(&mut each)?;
            }
            Event::End(_) => open.end(&mut each)?,
            Event::Text(text) => open.add(&text.decode().map_err(broken)?),
            Event::CData(text) => open.add(&text.decode().map_err(broken)?),
            Event::GeneralRef(name) => {
                let reference = format!("&{};", name.decode().map_err(broken)?);
                open.add(&quick_xml::escape::unescape(&reference).map_err(broken)?);
            }
            // Entities of a document's own are the way to make a small body large.
            Event::DocType(_) => return Err(malformed("the body has a document type: leave it out")),
            Event::Eof => break,
            _ => {}
        }
    }
    let whole = open.roots == 1 && open.names.is_empty();
    if whole { Ok(()) } else { Err(malformed("the body is not one whole element")) }
}

fn broken(error: impl std::fmt::Display) -> Problem {
    malformed(format!("the body is no XML that can be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Result<Vec<(String, String)>, String> {
        let mut found = Vec::new();
        let each = |path: &str, text: String| {
            found.push((path.to_owned(), text));
            Ok(())
        };
        read(text, each).map_err(|problem| problem.message).map(|()| found)
    }

    #[test]
    fn texts_keep_every_blank_and_every_letter() {
        let found = all(
            "<?xml version=\"1.0\"?>\n<a><b> x &amp;&lt; &#252;&#x4e2d; </b><c/><b><![CDATA[<raw>]]></b></a>",
        );
        let text = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        assert_eq!(
            found.unwrap(),
            [text("a/b", " x &< ü中 "), text("a/c", ""), text("a/b", "<raw>"), text("a", "")]
        );
        let named = all("<D xmlns=\"http://x\"><K>a\r\nb</K></D>").unwrap();
        assert_eq!(
            named[0],
            text("D/K", "a\r\nb"),
            "names of spaces are left out, and ends of lines are as they came"
        );
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for wrong in ["", "text", "<a>", "<a></b>", "<a/><b/>", "<a>&unknown;</a>", "</a>"] {
            let error = all(wrong).unwrap_err();
            assert!(error.contains("the body"), "{wrong}: {error}");
        }
        let bomb = all("<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a>").unwrap_err();
        assert!(bomb.contains("document type"), "{bomb}");
        let deep = all(&"<a>".repeat(50)).unwrap_err();
        assert!(deep.contains("too deep"), "{deep}");
    }

    #[test]
    fn what_is_written_can_be_read_again() {
        let mut xml = Writer::new("List");
        xml.begin("Contents");
        xml.key("Key", "a/<ü> &", false);
        xml.close();
        xml.key("Prefix", "a/ü b\u{1}", true);
        let text = xml.end();
        assert!(text.ends_with("<Prefix>a/%C3%BC%20b%01</Prefix></List>"), "{text}");
        assert_eq!(all(&text).unwrap()[0], ("List/Contents/Key".to_owned(), "a/<ü> &".to_owned()));
    }
}
