//! Cuts master-file text into entries and entries into tokens; knows quotes, escapes, comments and parentheses, and
//! nothing of what the tokens mean.

/// One item of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// The bytes as written, escapes included; without the quotes of a quoted string.
    pub text: &'a [u8],
    /// True for a quoted string.
    pub quoted: bool,
}

impl Token<'_> {
    /// True where the token is this word, whatever its case, and not quoted.
    pub fn is(&self, word: &str) -> bool {
        !self.quoted && self.text.eq_ignore_ascii_case(word.as_bytes())
    }

    /// The token as people read it.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(self.text).into_owned()
    }
}

/// Where an entry stands and how it starts; its tokens are in the vector that was handed to [`Lexer::next_entry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Line of the first token, counted from 1.
    pub line: usize,
    /// True where the line starts with a blank: the owner is that of the entry before.
    pub starts_blank: bool,
}

/// A comment that begins with `;@`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remark<'a> {
    /// Its line, counted from 1.
    pub line: usize,
    /// What follows `;@`.
    pub text: &'a [u8],
    /// True where it stands before the entry, on a line of its own.
    pub is_before: bool,
}

/// What is wrong with text before it means anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LexError {
    /// A quoted string that does not end on its line.
    #[error("a quoted string does not end on its line; close it with \" or join two strings")]
    OpenQuote,
    /// An opening parenthesis without its counterpart.
    #[error("a parenthesis is opened here and never closed")]
    OpenParenthesis,
    /// A closing parenthesis without its counterpart.
    #[error("a parenthesis is closed that was not opened")]
    StrayParenthesis,
    /// A backslash at the end of a line.
    #[error("a backslash stands at the end of a line; escape a character or remove it")]
    OpenEscape,
}

/// Walks over text.
#[derive(Debug)]
pub struct Lexer<'a> {
    /// What is left.
    rest: &'a [u8],
    /// Line that `rest` starts on, counted from 1.
    line: usize,
    /// Lines of the parentheses that are open.
    open: Vec<usize>,
    /// Remarks before and in the entry that was read last.
    remarks: Vec<Remark<'a>>,
}

impl<'a> Lexer<'a> {
    /// Starts at the first line.
    pub fn new(text: &'a [u8]) -> Self {
        // A byte order mark is no part of the first owner name.
        Self {
            rest: text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text),
            line: 1,
            open: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// The line that was reached, counted from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Remarks before and in the entry that was read last; those that nothing follows, at the end of the text.
    pub fn remarks(&self) -> &[Remark<'a>] {
        &self.remarks
    }

    /// Puts the tokens of the next entry that has any into `tokens`; nothing at the end of the text.
    ///
    /// After an error the rest of the line is skipped, so that the caller can go on and find more errors.
    pub fn next_entry(&mut self, tokens: &mut Vec<Token<'a>>) -> Result<Option<Entry>, (usize, LexError)> {
        tokens.clear();
        self.remarks.clear();
        let mut entry = self.start();
        loop {
            match self.rest {
                [] => {
                    if let Some(line) = self.open.pop() {
                        self.open.clear();
                        return Err((line, LexError::OpenParenthesis));
                    }
                    return Ok(Some(entry).filter(|_| !tokens.is_empty()));
                }
                [b'\n', rest @ ..] => {
                    self.rest = rest;
                    self.line += 1;
                    match (self.open.is_empty(), tokens.is_empty()) {
                        (true, true) => entry = self.start(),
                        (true, false) => return Ok(Some(entry)),
                        (false, _) => {}
                    }
                }
                [b' ' | b'\t' | b'\r', rest @ ..] => self.rest = rest,
                [b';', b'@', ..] => {
                    let line = self.line;
                    let is_before = tokens.is_empty() && self.open.is_empty();
                    let text = self.skip_line().get(2..).unwrap_or_default();
                    self.remarks.push(Remark { line, text, is_before });
                }
                [b';', ..] => drop(self.skip_line()),
                [b'(', rest @ ..] => {
                    self.open.push(self.line);
                    self.rest = rest;
                }
                [b')', rest @ ..] => {
                    self.rest = rest;
                    if self.open.pop().is_none() {
                        return Err(self.fail(LexError::StrayParenthesis));
                    }
                }
                [..] => {
                    if tokens.is_empty() {
                        entry.line = self.line;
                    }
                    let token = self.token().map_err(|error| self.fail(error))?;
                    tokens.push(token);
                }
            }
        }
    }

    /// An entry that would start here.
    fn start(&self) -> Entry {
        Entry { line: self.line, starts_blank: matches!(self.rest, [b' ' | b'\t', ..]) }
    }

    /// Goes to the end of the line; gives what it went past.
    fn skip_line(&mut self) -> &'a [u8] {
        let length = self.rest.iter().position(|&byte| byte == b'\n').unwrap_or(self.rest.len());
        let (skipped, rest) = self.rest.split_at(length);
        self.rest = rest;
        skipped
    }

    /// Gives up the entry: its line is skipped, its parentheses are forgotten.
    fn fail(&mut self, error: LexError) -> (usize, LexError) {
        self.open.clear();
        self.skip_line();
        (self.line, error)
    }

    /// Takes one token; `rest` starts with its first byte.
    fn token(&mut self) -> Result<Token<'a>, LexError> {
        let quoted = self.rest.first() == Some(&b'"');
        let text = if quoted { self.rest.get(1..).unwrap_or_default() } else { self.rest };
        let mut length = 0;
        // Quotes inside a token, as in alpn="h2,h3": blanks between them belong to the token.
        let mut in_quotes = quoted;
        loop {
            match (text.get(length), in_quotes) {
                (Some(b'\\'), _) => match text.get(length + 1) {
                    None | Some(b'\n' | b'\r') => return Err(LexError::OpenEscape),
                    Some(_) => length += 2,
                },
                (None | Some(b'\n'), true) => return Err(LexError::OpenQuote),
                (Some(b'"'), true) if quoted => break,
                (Some(b'"'), _) => {
                    in_quotes = !in_quotes;
                    length += 1;
                }
                (None | Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')'), false) => break,
                (Some(_), _) => length += 1,
            }
        }
        let (token, rest) = text.split_at(length);
        self.rest = if quoted { rest.get(1..).unwrap_or_default() } else { rest };
        Ok(Token { text: token, quoted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entries as `line[+]: token|token`, with `+` for a blank at the start and quotes kept.
    fn entries(text: &str) -> Vec<String> {
        let mut lexer = Lexer::new(text.as_bytes());
        let mut tokens = Vec::new();
        let mut found = Vec::new();
        loop {
            match lexer.next_entry(&mut tokens) {
                Ok(None) => return found,
                Ok(Some(entry)) => {
                    let shown: Vec<String> = (tokens.iter())
                        .map(|token| if token.quoted { format!("\"{}\"", token.shown()) } else { token.shown() })
                        .collect();
                    let blank = if entry.starts_blank { "+" } else { "" };
                    found.push(format!("{}{blank}: {}", entry.line, shown.join("|")));
                }
                Err((line, error)) => found.push(format!("{line}! {error:?}")),
            }
        }
    }

    #[test]
    fn entries_and_their_lines() {
        assert_eq!(entries("a b\n\n  c d ; comment\r\n;only\ne"), ["1: a|b", "3+: c|d", "5: e"]);
        assert_eq!(entries("a ( b ; x\n c\n) d\ne"), ["1: a|b|c|d", "4: e"]);
        assert_eq!(entries("\u{feff}a"), ["1: a"]);
        assert_eq!(entries(""), [""; 0]);
    }

    #[test]
    fn quotes_and_escapes() {
        assert_eq!(entries(r#"a "b c" "" "d;(""#), [r#"1: a|"b c"|""|"d;(""#]);
        assert_eq!(entries(r#"a "b\"c" d\ e\;f"#), [r#"1: a|"b\"c"|d\ e\;f"#]);
        assert_eq!(entries(r#"a alpn="h2, h3" b"#), [r#"1: a|alpn="h2, h3"|b"#]);
        assert_eq!(entries("a ( \"x\"\n\"y\" )"), ["1: a|\"x\"|\"y\""]);
        assert_eq!(entries(r#""a""b""#), [r#"1: "a"|"b""#]);
    }

    #[test]
    fn remarks_are_kept() {
        let text = b";@ one\n\n;two\na b ;@ three\n;@ four\nc ( ;@ five\n ) ;@\n\"a;@b\"\n;@ six";
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        let mut found = Vec::new();
        while {
            let entry = lexer.next_entry(&mut tokens).unwrap();
            let remarks = lexer.remarks().iter();
            found.push(remarks.map(|r| (r.line, str::from_utf8(r.text).unwrap(), r.is_before)).collect::<Vec<_>>());
            entry.is_some()
        } {}
        assert_eq!(
            found,
            [
                vec![(1, " one", true), (4, " three", false)],
                vec![(5, " four", true), (6, " five", false), (7, "", false)],
                vec![],
                vec![(9, " six", true)]
            ]
        );
    }

    #[test]
    fn errors_name_their_line_and_the_rest_is_read() {
        assert_eq!(entries("a \"b\nc d"), ["1! OpenQuote", "2: c|d"]);
        assert_eq!(entries("a\nb ( c\nd"), ["1: a", "2! OpenParenthesis"]);
        assert_eq!(entries("a )\nb"), ["1! StrayParenthesis", "2: b"]);
        assert_eq!(entries("a b\\\nc"), ["1! OpenEscape", "2: c"]);
    }
}
