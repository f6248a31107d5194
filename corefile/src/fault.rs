//! What is to be said of a Corefile: what keeps it from being served, and what is served otherwise than it says.

use std::fmt;
use std::path::PathBuf;

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// What keeps a Corefile from being served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// The plugin that can be ignored to have the rest served; none: nothing can.
    pub plugin: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.message, self.remedy)
    }
}

/// Why something of a Corefile is not in the configuration that comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// RingDNS has no need of it.
    NotNeeded,
    /// It cannot be served.
    Unsupported,
    /// It is served otherwise.
    Differs,
    /// It was to be ignored.
    Ignored,
}

/// Something that is not in the configuration that comes out, and keeps nothing from being served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where.
    pub place: Place,
    /// Why.
    pub why: Why,
    /// What there is to say.
    pub message: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            Why::NotNeeded => "not needed",
            Why::Unsupported => "not supported",
            Why::Differs => "differs",
            Why::Ignored => "ignored, as asked",
        };
        write!(f, "{}: {why}: {}", self.place, self.message)
    }
}

/// Notes for people, the same words once with all their places.
pub fn grouped(notes: &[Note]) -> Vec<(Why, String)> {
    let mut groups: Vec<(&Note, Vec<&Place>)> = Vec::new();
    for note in notes {
        match groups.iter_mut().find(|(first, _)| first.why == note.why && first.message == note.message) {
            Some((_, places)) => places.push(&note.place),
            None => groups.push((note, vec![&note.place])),
        }
    }
    let shown = |(note, places): (&Note, Vec<&Place>)| {
        let others: String = places
            .windows(2)
            .map(|pair| match pair {
                [before, place] if before.file == place.file => format!(", {}", place.line),
                [_, place] => format!(", {place}"),
                _ => String::new(),
            })
            .collect();
        let text = note.to_string();
        let first = note.place.to_string();
        (note.why, format!("{first}{others}{}", text.strip_prefix(&first).unwrap_or(&text)))
    };
    groups.into_iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_are_said_once() {
        let note = |file: &str, line, message: &str| {
            let place = Place { file: file.into(), line };
            Note { place, why: Why::NotNeeded, message: message.to_owned() }
        };
        let notes = [note("a", 1, "x"), note("a", 2, "y"), note("a", 7, "x"), note("b", 3, "x")];
        let lines: Vec<String> = grouped(&notes).into_iter().map(|(_, line)| line).collect();
        assert_eq!(lines, ["a:1, 7, b:3: not needed: x", "a:2: not needed: y"]);
    }
}
