//! The structure of a Corefile: server blocks, the plugins in them, their options. Imports and variables are gone after that.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::fault::{Fault, Place};
use crate::lexer::{Files, Word, words};
use crate::world::World;

/// Most words of a Corefile with all that it imports: imports that multiply end here.
const WORDS_MAX: usize = 200_000;

/// Most bytes that are read for a Corefile, a file counted each time that it is imported.
const BYTES_MAX: usize = 16 << 20;

/// Most imports that are carried out: those that go in circles end here.
const IMPORTS_MAX: usize = 1000;

/// Deepest nesting of braces in a plugin.
const DEPTH_MAX: usize = 16;

/// Words of one line, and what stands in braces behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The first word: a plugin or an option.
    pub name: Word,
    /// The words behind it.
    pub args: Vec<Word>,
    /// What stands in braces.
    pub lines: Vec<Line>,
}

/// A server block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// What it is for: zones with scheme and port.
    pub keys: Vec<Word>,
    /// Its plugins.
    pub lines: Vec<Line>,
}

/// A Corefile, read.
#[derive(Debug, Default)]
pub struct Corefile {
    /// Its blocks.
    pub blocks: Vec<Block>,
    /// The files that it was read from, imported ones too.
    pub files: Files,
}

/// Reads a Corefile and what it imports. The first fault ends it: what follows could only be guessed at.
pub fn parse(path: &Path, world: &dyn World) -> Result<Corefile, Fault> {
    let mut parser = Parser {
        world,
        files: Files::default(),
        words: Vec::new(),
        snippets: HashMap::new(),
        imports: 0,
        read: 0,
        bytes: 0,
    };
    let unread = |error: std::io::Error| Fault {
        place: Place { file: path.to_path_buf(), line: 1 },
        plugin: None,
        message: format!("the Corefile cannot be read: {error}"),
        remedy: "give the path of a Corefile that this user may read".to_owned(),
    };
    parser.words = parser.read(path).map_err(unread)?;
    parser.words.reverse();
    let mut blocks = Vec::new();
    while let Some(block) = parser.block()? {
        blocks.extend(block);
    }
    Ok(Corefile { blocks, files: parser.files })
}

/// The state of reading.
struct Parser<'a> {
    /// The machine.
    world: &'a dyn World,
    /// The files that were read.
    files: Files,
    /// The words that are left, the next one last.
    words: Vec<Word>,
    /// What snippets stand for.
    snippets: HashMap<String, Vec<Word>>,
    /// Imports that were carried out.
    imports: usize,
    /// Words that were read.
    read: usize,
    /// Bytes that were read.
    bytes: usize,
}

impl Parser<'_> {
    /// The words of a file.
    fn read(&mut self, path: &Path) -> std::io::Result<Vec<Word>> {
        let text = self.world.read(path)?;
        self.bytes += text.len();
        if self.bytes > BYTES_MAX {
            return Err(std::io::Error::other("it and what was read before come to more than 16 MiB"));
        }
        let known = self.files.0.iter().position(|known| **known == *path);
        let number = known.unwrap_or(self.files.0.len());
        if known.is_none() {
            self.files.0.push(Arc::from(path));
        }
        Ok(words(&text, number))
    }

    /// A fault at a word.
    fn fault(&self, word: &Word, message: impl Into<String>, remedy: &str) -> Fault {
        let (message, remedy) = (message.into(), remedy.to_owned());
        Fault { place: word.place(&self.files), plugin: None, message, remedy }
    }

    /// The next word, its variables filled in.
    fn next(&mut self) -> Option<Word> {
        let word = self.words.pop()?;
        Some(Word { text: self.filled(&word.text), ..word })
    }

    /// Text with the values of variables, `{$NAME}` or `{%NAME%}`; one that is not set is empty, as in CoreDNS.
    fn filled(&self, text: &str) -> String {
        let (mut filled, mut rest) = (String::new(), text);
        while let Some(start) = rest.find(['{']) {
            let (before, from) = rest.split_at(start);
            filled.push_str(before);
            let variable = [("{$", "}"), ("{%", "%}")].into_iter().find_map(|(open, close)| {
                let (name, after) = from.strip_prefix(open)?.split_once(close)?;
                (!name.is_empty() && !name.contains('{')).then_some((name, after))
            });
            match variable {
                Some((name, after)) => {
                    filled.push_str(&self.world.variable(name).unwrap_or_default());
                    rest = after;
                }
                None => {
                    filled.push('{');
                    rest = from.get(1..).unwrap_or_default();
                }
            }
        }
        filled + rest
    }

    /// True where the next word is on the same line as the one before, and no brace.
    fn has_argument(&self) -> bool {
        self.words.last().is_some_and(|word| !word.starts_line && !word.opens() && !word.closes())
    }

    /// The next block; an empty one for a snippet, nothing at the end.
    fn block(&mut self) -> Result<Option<Option<Block>>, Fault> {
        let Some(first) = self.next() else { return Ok(None) };
        if first.text == "import" && !first.is_quoted {
            self.import(&first)?;
            return Ok(Some(None));
        }
        let name = first.text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).map(str::to_owned);
        if let Some(name) = name.filter(|_| self.words.last().is_some_and(Word::opens)) {
            let body = self.snippet(&first)?;
            if self.snippets.insert(name, body).is_some() {
                return Err(self.fault(&first, format!("the snippet {} is there already", first.text), "rename one"));
            }
            return Ok(Some(None));
        }
        let keys = self.keys(first)?;
        let is_braced = self.words.last().is_some_and(Word::opens);
        let lines = if is_braced {
            let brace = self.next().unwrap_or_else(|| keys[0].clone());
            self.lines(&brace, 0)?
        } else {
            // A single server needs no braces: the rest of the file is its.
            self.lines_until_the_end()?
        };
        Ok(Some(Some(Block { keys, lines })))
    }

    /// What a block is for. A comma may stand behind each, and go on behind a line's end.
    fn keys(&mut self, first: Word) -> Result<Vec<Word>, Fault> {
        let mut keys = Vec::new();
        let mut next = Some(first);
        while let Some(mut key) = next {
            if key.opens() || key.closes() {
                let message = format!("\"{}\" stands where a zone is expected", key.text);
                return Err(self.fault(&key, message, "write the block as: ZONE[:PORT] { ... }"));
            }
            let goes_on = key.text.ends_with(',');
            key.text.truncate(key.text.trim_end_matches(',').len());
            let last = key.clone();
            // A variable may be empty.
            if !key.text.is_empty() {
                keys.push(key);
            }
            next = if goes_on || self.has_argument() { self.next() } else { None };
            if goes_on && next.is_none() {
                return Err(self.fault(&last, "nothing follows the comma", "name another zone, or remove the comma"));
            }
            if keys.is_empty() && next.is_none() {
                return Err(self.fault(
                    &last,
                    "the block has no zone",
                    "name its zone, or \".\" for all; is a variable empty?",
                ));
            }
        }
        Ok(keys)
    }

    /// The words between the braces of a snippet; imports in it are carried out where it is used.
    fn snippet(&mut self, name: &Word) -> Result<Vec<Word>, Fault> {
        self.words.pop();
        let (mut body, mut depth) = (Vec::new(), 1_usize);
        while let Some(word) = self.words.pop() {
            depth += usize::from(word.opens());
            depth -= usize::from(word.closes());
            if depth == 0 {
                return Ok(body);
            }
            body.push(word);
        }
        Err(self.fault(name, format!("the snippet {} is not closed", name.text), "close it with }"))
    }

    /// The lines of a block without braces.
    fn lines_until_the_end(&mut self) -> Result<Vec<Line>, Fault> {
        let mut lines = Vec::new();
        while let Some(word) = self.next() {
            if word.closes() {
                return Err(self.fault(
                    &word,
                    "a brace is closed that was not opened",
                    "remove it, or open the block with {",
                ));
            }
            lines.extend(self.line(word, 0)?);
        }
        Ok(lines)
    }

    /// The lines between braces, the first of which is taken already.
    fn lines(&mut self, brace: &Word, depth: usize) -> Result<Vec<Line>, Fault> {
        if depth > DEPTH_MAX {
            return Err(self.fault(brace, "braces are nested too deep", "no plugin needs that; remove some"));
        }
        let mut lines = Vec::new();
        while let Some(word) = self.next() {
            if word.closes() {
                return Ok(lines);
            }
            lines.extend(self.line(word, depth)?);
        }
        Err(self.fault(brace, "the brace is not closed", "close it with }"))
    }

    /// A line that begins with a word; nothing for an import, whose words come next.
    fn line(&mut self, name: Word, depth: usize) -> Result<Option<Line>, Fault> {
        if name.opens() {
            return Err(self.fault(
                &name,
                "a brace is opened that belongs to nothing",
                "write it behind a zone or a plugin",
            ));
        }
        if name.text == "import" && !name.is_quoted {
            self.import(&name)?;
            return Ok(None);
        }
        let mut args = Vec::new();
        while self.has_argument() {
            args.extend(self.next());
        }
        let lines = match self.words.last() {
            Some(word) if word.opens() && !word.starts_line => {
                let brace = self.next().unwrap_or_else(|| name.clone());
                self.lines(&brace, depth + 1)?
            }
            _ => Vec::new(),
        };
        Ok(Some(Line { name, args, lines }))
    }

    /// Puts what an import stands for in its place.
    fn import(&mut self, word: &Word) -> Result<(), Fault> {
        self.imports += 1;
        if self.imports > IMPORTS_MAX {
            let message = format!("this is import number {IMPORTS_MAX}: files or snippets import themselves");
            return Err(self.fault(word, message, "remove the import that goes in a circle"));
        }
        let argument = if self.has_argument() { self.next() } else { None };
        let Some(argument) = argument.filter(|argument| !argument.text.is_empty()) else {
            return Err(self.fault(word, "import of nothing", "name a snippet, or files such as custom/*.server"));
        };
        if self.has_argument() {
            return Err(self.fault(word, "import takes one name", "write an import for each"));
        }
        let mut imported = match self.snippets.get(&argument.text) {
            Some(body) => body.clone(),
            None => self.imported_files(&argument)?,
        };
        if let Some(first) = imported.first_mut() {
            first.starts_line = true;
        }
        self.read += imported.len();
        if self.read > WORDS_MAX {
            return Err(self.fault(word, format!("imports come to more than {WORDS_MAX} words"), "import less"));
        }
        if let Some(next) = self.words.last_mut() {
            next.starts_line = true;
        }
        self.words.extend(imported.into_iter().rev());
        Ok(())
    }

    /// The words of the files that a pattern names, relative to the file that it stands in.
    fn imported_files(&mut self, pattern: &Word) -> Result<Vec<Word>, Fault> {
        let own = pattern.place(&self.files).file;
        let path = own.parent().unwrap_or(Path::new("")).join(&pattern.text);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let directory = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let is_wild = |text: &str| text.contains(['*', '?', '[']);
        if is_wild(&directory.to_string_lossy()) || name.contains('[') || name.matches(['*', '?']).count() > 1 {
            let remedy = "write one * or ? in the last part of the path";
            return Err(self.fault(pattern, format!("the pattern {} is not understood", pattern.text), remedy));
        }
        let paths: Vec<PathBuf> = if is_wild(&name) {
            // No file is no fault: drop-ins may come later.
            let names = self.world.list(&directory).unwrap_or_default();
            names.iter().filter(|found| matches(&name, found)).map(|found| directory.join(found)).collect()
        } else {
            vec![path]
        };
        let mut words = Vec::new();
        for path in paths {
            match self.read(&path) {
                Ok(mut read) => {
                    if let Some(first) = read.first_mut() {
                        first.starts_line = true;
                    }
                    words.append(&mut read);
                }
                Err(error) => {
                    let message = format!("{} is no snippet, and no file that can be read: {error}", path.display());
                    return Err(self.fault(pattern, message, "correct the name, or define the snippet before its use"));
                }
            }
        }
        Ok(words)
    }
}

/// Whether a name matches a pattern with one `*` or `?`; a name that begins with a dot is matched by one that does too.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let Some((before, after)) = pattern.split_once(['*', '?']) else { return pattern == name };
    let middle = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    middle.is_some_and(|middle| !pattern.contains('?') || middle.chars().count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names() {
        for (pattern, name, expected) in [
            ("*.server", "a.server", true),
            ("*.server", ".a.server", false),
            ("*.server", "a.override", false),
            ("a?c", "abc", true),
            ("a?c", "abbc", false),
            ("*", "..data", false),
            ("Corefile", "Corefile", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
