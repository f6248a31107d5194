//! Words of a Corefile: what stands between blanks, or between quotes.

use std::sync::Arc;

use crate::fault::Place;

/// A word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Its text, without quotes.
    pub text: String,
    /// Its line, counted from 1.
    pub line: usize,
    /// The file, by its number among those that were read.
    pub file: usize,
    /// True where it is the first of its line.
    pub starts_line: bool,
    /// True where it stood in quotes: a brace is none then.
    pub is_quoted: bool,
}

impl Word {
    /// True for an opening brace.
    pub fn opens(&self) -> bool {
        self.text == "{" && !self.is_quoted
    }

    /// True for a closing brace.
    pub fn closes(&self) -> bool {
        self.text == "}" && !self.is_quoted
    }

    /// Where it stands.
    pub fn place(&self, files: &Files) -> Place {
        files.place(self.file, self.line)
    }
}

/// The files that were read, by number.
#[derive(Clone, Debug, Default)]
pub struct Files(pub Vec<Arc<std::path::Path>>);

impl Files {
    /// A place in one of them.
    pub fn place(&self, file: usize, line: usize) -> Place {
        let file = self.0.get(file).map(|path| path.to_path_buf()).unwrap_or_default();
        Place { file, line }
    }
}

/// Takes text apart. Nothing in it is wrong by itself: what is not ended at its end, ends there.
pub fn words(text: &str, file: usize) -> Vec<Word> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lexer = Lexer { file, line: 1, words: Vec::new(), last_line: 0 };
    let mut characters = text.chars().peekable();
    let mut word = String::new();
    while let Some(character) = characters.next() {
        match character {
            // In the middle of a word too, as in CoreDNS.
            '#' => {
                lexer.end(&mut word);
                while characters.next_if(|&next| next != '\n').is_some() {}
            }
            '"' if word.is_empty() => lexer.quoted(&mut characters),
            '\n' => {
                lexer.end(&mut word);
                lexer.line += 1;
            }
            '\r' => {}
            blank if blank.is_whitespace() => lexer.end(&mut word),
            other => word.push(other),
        }
    }
    lexer.end(&mut word);
    lexer.words
}

/// The state of taking apart.
struct Lexer {
    /// The file's number.
    file: usize,
    /// The line, counted from 1.
    line: usize,
    /// What was found.
    words: Vec<Word>,
    /// The line on which the last word ended; 0: there is none yet.
    last_line: usize,
}

impl Lexer {
    /// Ends a word without quotes.
    fn end(&mut self, word: &mut String) {
        if !word.is_empty() {
            let (text, line) = (std::mem::take(word), self.line);
            self.add(text, line, false);
        }
    }

    /// Adds a word that began on a line and ends here.
    fn add(&mut self, text: String, line: usize, is_quoted: bool) {
        let starts_line = self.last_line != line;
        self.words.push(Word { text, line, file: self.file, starts_line, is_quoted });
        self.last_line = self.line;
    }

    /// What stands in quotes; only a quote is escaped, any other backslash is itself.
    fn quoted(&mut self, characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
        let (mut text, line) = (String::new(), self.line);
        while let Some(character) = characters.next() {
            match character {
                '\\' if characters.next_if_eq(&'"').is_some() => text.push('"'),
                '\\' if characters.next_if_eq(&'\\').is_some() => text.push_str("\\\\"),
                '"' => break,
                other => {
                    self.line += usize::from(other == '\n');
                    text.push(other);
                }
            }
        }
        self.add(text, line, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_quotes_and_comments_part_words() {
        let text = "\u{feff}a b#c \"d\"\n# e\n\t\"f \\\"g\\\" \\n\" h\r\n\"i\nj\" k\nl{ {\"m\"";
        let shown: Vec<(String, usize, bool)> =
            words(text, 0).into_iter().map(|word| (word.text, word.line, word.starts_line)).collect();
        let expected = [
            ("a", 1, true),
            ("b", 1, false),
            ("f \"g\" \\n", 3, true),
            ("h", 3, false),
            ("i\nj", 4, true),
            ("k", 5, false),
            ("l{", 6, true),
            ("{\"m\"", 6, false),
        ];
        assert_eq!(shown, expected.map(|(text, line, starts)| (text.to_owned(), line, starts)));
        assert!(!words("\"{\"", 0)[0].opens() && words("{", 0)[0].opens());
    }
}
