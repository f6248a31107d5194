//! Rust text with what is no code blanked out. Not a parser: as much of one as the rules need.

/// The same text with comments, string and character literals turned to blanks; line breaks stay.
pub fn code_only(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = opaque_bytes(rest, &code);
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            let (opaque, after) = rest.split_at(skipped);
            code.extend(opaque.chars().map(|c| if c == '\n' { c } else { ' ' }));
            rest = after;
        }
    }
    code
}

/// How many bytes at the start are a comment or a literal; 0 where code goes on.
fn opaque_bytes(rest: &str, before: &str) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment_bytes(rest);
    }
    if rest.starts_with('"') {
        return quoted_bytes(rest, '"');
    }
    let in_word = before.chars().next_back().is_some_and(is_word);
    if rest.starts_with('r') && !in_word {
        return raw_string_bytes(rest);
    }
    if rest.starts_with('\'') { character_bytes(rest) } else { 0 }
}

/// Bytes of a block comment, nested ones included.
fn block_comment_bytes(rest: &str) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// Bytes up to and with the closing quote; a backslash escapes what follows.
fn quoted_bytes(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

/// Bytes of `r"..."` or `r#"..."#`; 0 where this is none.
fn raw_string_bytes(rest: &str) -> usize {
    let hashes = rest[1..].bytes().take_while(|&b| b == b'#').count();
    if !rest[1 + hashes..].starts_with('"') {
        return 0;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let body = 2 + hashes;
    rest[body..].find(&close).map_or(rest.len(), |at| body + at + close.len())
}

/// Bytes of a character literal; 0 where the quote starts a lifetime.
fn character_bytes(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    let Some((_, first)) = characters.next() else { return 0 };
    if first == '\\' {
        return quoted_bytes(rest, '\'');
    }
    match characters.next() {
        Some((at, '\'')) => at + 1,
        _ => 0,
    }
}

/// Blanks every module or item under a `#[cfg(test)]` of any form (`#[cfg(all(test, ...))]` too).
pub fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = test_attribute(rest) {
        let (before, item) = rest.split_at(start);
        kept.push_str(before);
        let (test, after) = item.split_at(item_bytes(item));
        kept.extend(test.chars().map(|c| if c == '\n' { c } else { ' ' }));
        rest = after;
    }
    kept.push_str(rest);
    kept
}

/// Where the next attribute starts that asks for `test` and not for its absence.
fn test_attribute(code: &str) -> Option<usize> {
    code.match_indices("#[cfg(").map(|(at, _)| at).find(|&at| {
        let condition = code[at..].split(']').next().unwrap_or_default().replace("not(test", "");
        words(&condition).any(|(_, word)| word == "test")
    })
}

/// Bytes of an item: up to its closing brace, or its semicolon where that comes first.
fn item_bytes(item: &str) -> usize {
    let mut depth = 0usize;
    for (at, c) in item.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

/// Whether a file holds nothing but tests, by its place or name.
pub fn is_test_file(path: &str) -> bool {
    let in_tests_folder = path.starts_with("tests/") || path.contains("/tests/");
    in_tests_folder || path.ends_with("tests.rs") || path.contains("/testing/")
}

/// Whether a character may be part of an identifier.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Every word with the byte where it starts.
pub fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.split(|c: char| !is_word(c))
        .filter(|word| !word.is_empty())
        .map(move |word| (word.as_ptr().addr() - code.as_ptr().addr(), word))
}

/// The line, counted from 1, of a byte.
pub fn line_of(text: &str, byte: usize) -> usize {
    text[..byte].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_no_code() {
        let text = "a(); // unsafe\n/* b /* c */ d */ e(\"pa\\\"nic!\", r#\"f\"g\"#, 'x', '\\'', &'life h);";
        let code = code_only(text);
        assert_eq!(words(&code).map(|(_, word)| word).collect::<Vec<_>>(), ["a", "e", "life", "h"]);
        assert_eq!(code.lines().count(), text.lines().count());
    }

    #[test]
    fn test_modules_are_blanked_and_other_conditions_stay() {
        let code = "fn a() {}\n#[cfg(all(test, not(loom)))]\nmod t { fn b() { {} } }\n#[cfg(not(test))]\nfn c() {}\n";
        let kept = without_tests(code);
        assert!(kept.contains("fn a") && kept.contains("fn c") && !kept.contains("fn b"), "{kept}");
    }

    #[test]
    fn a_test_import_ends_at_its_semicolon() {
        assert!(without_tests("#[cfg(test)]\nuse a::b;\nfn c() {}").contains("fn c"));
    }
}
