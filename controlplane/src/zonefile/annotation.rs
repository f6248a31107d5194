//! Annotations: what a zone file says of its RRsets beyond DNS, in comments that begin with `;@`. Other servers read past them.
//!
//! ```text
//! ;@ select=weighted max=2 view=office
//! www  300  IN  A  192.0.2.1  ;@ weight=3
//! www  300  IN  A  192.0.2.2  ;@ weight=1 down
//! ```
//!
//! A line of its own says how the records of the RRset that follows it are chosen from (`select`, `max`) and which view it is in
//! (`view`); it holds for the records after it that have the same owner and type, up to the next such line. At the end of a
//! record's line the same words are of that record's RRset, and `weight`, `up` and `down` are of the record.
//!
//! Commented-out records of the apex look alike (`;@ 3600 IN NS ns`): a comment whose first word is a TTL, a class or a type is
//! none of these.

use std::fmt::Write as _;
use std::sync::Arc;

use ringdns_engine::select::{Member, Mode, Selection};

use crate::text::lexer::Token;
use crate::text::{mode, rtype, seconds};
use crate::views::{DEFAULT_NAME, is_name};

/// What is said of an RRset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfRrset {
    /// `select`
    pub mode: Option<Mode>,
    /// `max`
    pub answers_max: Option<u16>,
    /// `view`; nothing inside: the default view, said aloud.
    pub view: Option<Option<Arc<str>>>,
}

impl OfRrset {
    /// Takes what another says and this one does not.
    fn take_missing(&mut self, other: &Self) {
        self.mode = self.mode.or(other.mode);
        self.answers_max = self.answers_max.or(other.answers_max);
        self.view = self.view.take().or_else(|| other.view.clone());
    }
}

/// What is said of a record and of its RRset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotation {
    /// Of the RRset.
    pub rrset: OfRrset,
    /// `weight`
    pub weight: Option<u16>,
    /// `up`, `down`
    pub up: Option<bool>,
}

/// Why an annotation is none.
#[derive(Debug, thiserror::Error)]
pub enum AnnotationError {
    /// A word that means nothing.
    #[error("\"{0}\" is no annotation; known are select=, max=, view=, weight=, up and down")]
    Unknown(String),
    /// A word that is there twice.
    #[error("\"{0}\" is said before")]
    Twice(&'static str),
    /// A value that is none.
    #[error("\"{word}\": write {expected}")]
    Value {
        /// The word.
        word: String,
        /// What it should be.
        expected: String,
    },
    /// A member's word where there is no record.
    #[error("weight, up and down belong at the end of a record's line")]
    NoRecord,
    /// Words after which no record comes.
    #[error("no record follows the annotation")]
    Dangling,
}

impl Annotation {
    /// Reads what follows `;@`; nothing where it is a record that was commented out.
    pub fn parse(text: &[u8]) -> Result<Option<Self>, AnnotationError> {
        let text = String::from_utf8_lossy(text);
        let mut words = text.split_ascii_whitespace().peekable();
        if words.peek().is_none_or(|word| is_of_record(word)) {
            return Ok(None);
        }
        let mut found = Self::default();
        for word in words {
            found.word(word)?;
        }
        Ok(Some(found))
    }

    /// Takes one word.
    fn word(&mut self, word: &str) -> Result<(), AnnotationError> {
        let value = |expected: String| AnnotationError::Value { word: word.to_owned(), expected };
        let number = |text: &str| text.parse::<u16>().map_err(|_| value("a number from 0 to 65535".to_owned()));
        match word.split_once('=') {
            Some(("select", name)) => {
                let mode = mode::parse(name).ok_or_else(|| value(format!("one of {}", mode::names())))?;
                once(&mut self.rrset.mode, mode, "select")
            }
            Some(("max", text)) => once(&mut self.rrset.answers_max, number(text)?, "max"),
            Some(("view", name)) => {
                if name != DEFAULT_NAME && !is_name(name) {
                    return Err(value("the name of a view".to_owned()));
                }
                let name = Some(name).filter(|name| *name != DEFAULT_NAME);
                once(&mut self.rrset.view, name.map(Arc::from), "view")
            }
            Some(("weight", text)) => once(&mut self.weight, number(text)?, "weight"),
            None if word == "up" => once(&mut self.up, true, "up"),
            None if word == "down" => once(&mut self.up, false, "down"),
            _ => Err(AnnotationError::Unknown(word.to_owned())),
        }
    }

    /// What is said of the RRset that follows, where that is all.
    pub fn into_rrset(self) -> Result<OfRrset, AnnotationError> {
        if self.weight.is_some() || self.up.is_some() { Err(AnnotationError::NoRecord) } else { Ok(self.rrset) }
    }

    /// Takes what was said on a line of its own and is not said here.
    pub fn take_missing(&mut self, other: &OfRrset) {
        self.rrset.take_missing(other);
    }

    /// The record as a member of its RRset.
    pub fn member(&self) -> Member {
        let Member { weight, up } = Member::default();
        Member { weight: self.weight.unwrap_or(weight), up: self.up.unwrap_or(up) }
    }
}

/// Sets what must not be set yet.
fn once<T>(place: &mut Option<T>, value: T, word: &'static str) -> Result<(), AnnotationError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(AnnotationError::Twice(word)),
    }
}

/// True for a word that comes after the owner of a record.
fn is_of_record(word: &str) -> bool {
    let token = Token { text: word.as_bytes(), quoted: false };
    seconds(&token).is_some() || rtype::is_internet(word).is_some() || rtype::parse(word).is_some()
}

/// The line before an RRset, ended; nothing where there is nothing to say.
pub fn line(selection: Option<&Selection>, view: Option<&str>) -> String {
    let mut words = String::new();
    // Writing to a string cannot fail.
    if let Some(&Selection { mode, answers_max, .. }) = selection {
        if mode != Mode::default() {
            let _ = write!(words, " select={}", mode::show(mode));
        }
        if answers_max > 0 {
            let _ = write!(words, " max={answers_max}");
        }
    }
    if let Some(view) = view {
        let _ = write!(words, " view={view}");
    }
    if words.is_empty() { words } else { format!(";@{words}\n") }
}

/// What ends the line of a record.
pub fn tail(member: Member) -> String {
    let mut words = String::new();
    if member.weight != Member::default().weight {
        let _ = write!(words, " weight={}", member.weight);
    }
    if !member.up {
        words.push_str(" down");
    }
    if words.is_empty() { words } else { format!(" ;@{words}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_what_they_mean() {
        let all = Annotation::parse(b" select=sticky max=2 view=office weight=0 down ").unwrap().unwrap();
        let rrset = OfRrset { mode: Some(Mode::Sticky), answers_max: Some(2), view: Some(Some("office".into())) };
        assert_eq!((all.member(), all.rrset.clone()), (Member { weight: 0, up: false }, rrset.clone()));
        assert!(all.into_rrset().is_err());
        let none = Annotation::parse(b"view=default up").unwrap().unwrap();
        assert_eq!((none.member(), none.rrset.view), (Member::default(), Some(None)));
        assert_eq!(line(None, None), "");
        let selection = Selection { mode: Mode::Sticky, answers_max: 2, members: Vec::new() };
        assert_eq!(line(Some(&selection), Some("office")), ";@ select=sticky max=2 view=office\n");
        assert_eq!(
            (tail(Member::default()), tail(Member { weight: 0, up: false })),
            (String::new(), " ;@ weight=0 down".into())
        );
    }

    #[test]
    fn records_that_were_commented_out_are_none() {
        for text in ["", "  ", " 3600 IN NS ns", " IN A 192.0.2.1", " NS ns", "\tTXT \"v=1\"", " 1h SOA"] {
            assert_eq!(Annotation::parse(text.as_bytes()).unwrap(), None, "{text}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, words) in [
            ("selct=weighted", "\"selct=weighted\" is no annotation"),
            ("weight=3 dwon", "\"dwon\" is no annotation"),
            ("select=some", "write one of all, rotate"),
            ("max=65536", "a number from 0 to 65535"),
            ("weight=-1", "a number from 0 to 65535"),
            ("view=a/b", "the name of a view"),
            ("up down", "\"down\" is said before"),
            ("max=1 max=1", "\"max\" is said before"),
        ] {
            let error = Annotation::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
