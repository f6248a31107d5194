//! Presentation form (RFC 1035 section 5.1, RFC 3597): tokens, names, types, times and rdata, both ways.
//!
//! hickory-proto reads and writes the rdata whose grammar is its own affair (SVCB, HTTPS, CERT, CSYNC). Its lexer and its
//! name parser stay out of it, for what they would change or refuse: quoted strings inside parentheses, `@` in rdata,
//! `\DDD` (taken as octal in names and as a sum in strings), bytes beyond UTF-8, underscores inside labels (IDNA rules),
//! surplus fields (ignored), generic rdata. See [`rdata`].

pub mod lexer;
pub mod mode;
pub mod name;
pub mod rdata;
pub mod rtype;
mod svcb;

use lexer::Token;

/// Bytes after `\X` and `\DDD` are replaced by what they stand for; nothing where an escape is incomplete or above 255.
pub fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return Some(bytes),
            [b'\\', a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', tail @ ..] => {
                let value = [a, b, c].into_iter().fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
                bytes.push(u8::try_from(value).ok()?);
                tail
            }
            [b'\\', b'0'..=b'9', ..] | [b'\\'] => return None,
            [b'\\', byte, tail @ ..] | [byte, tail @ ..] => {
                bytes.push(*byte);
                tail
            }
        };
    }
}

/// A TTL or another time in seconds: `3600`, `1h30m`.
pub fn seconds(token: &Token<'_>) -> Option<u32> {
    let text = str::from_utf8(token.text).ok().filter(|_| !token.quoted)?;
    hickory_proto::serialize::txt::parse_ttl(text).ok()
}
