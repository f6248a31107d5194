//! Domain names in presentation form, relative or absolute.

use ringdns_engine::name::{NameError, WireName};

use super::lexer::Token;

/// Why a token is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameTextError {
    /// No name at all.
    #[error("\"{text}\" is no domain name: {error}")]
    Malformed {
        /// What was written.
        text: String,
        /// What is wrong with it.
        error: NameError,
    },
    /// Characters beyond ASCII, which would need IDNA.
    #[error("\"{text}\" has characters beyond ASCII; write its A-label form (xn--...), or \\DDD for single bytes")]
    NotAscii {
        /// What was written.
        text: String,
    },
    /// A relative name where nothing says what it is relative to.
    #[error("\"{text}\" does not end in a dot; write \"{text}.\" if that is the whole name")]
    Relative {
        /// What was written.
        text: String,
    },
}

/// What names that are not absolute mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin<'a> {
    /// Nothing: every name must be absolute.
    None,
    /// `@` is this name; every other name must be absolute.
    At(&'a WireName),
    /// `@` is this name, and a name without a dot at its end is relative to it (RFC 1035 section 5.1).
    Relative(&'a WireName),
}

/// Reads a name.
pub fn parse(token: &Token<'_>, origin: Origin<'_>) -> Result<WireName, NameTextError> {
    let relative = || NameTextError::Relative { text: token.shown() };
    if token.text == b"@" && !token.quoted {
        return match origin {
            Origin::At(origin) | Origin::Relative(origin) => Ok(origin.clone()),
            Origin::None => Err(relative()),
        };
    }
    let text = str::from_utf8(token.text).ok().filter(|text| text.is_ascii());
    let text = text.ok_or_else(|| NameTextError::NotAscii { text: token.shown() })?;
    let malformed = |error| NameTextError::Malformed { text: text.to_owned(), error };
    let name: WireName = text.parse().map_err(malformed)?;
    if ends_in_dot(text) {
        return Ok(name);
    }
    match origin {
        Origin::Relative(origin) => join(&name, origin).map_err(malformed),
        Origin::At(_) | Origin::None => Err(relative()),
    }
}

/// True where the last character is a dot that no backslash escapes.
pub fn ends_in_dot(text: &str) -> bool {
    text.strip_suffix('.').is_some_and(|head| head.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 0)
}

/// The name with an origin put in place of its root label.
pub fn join(relative: &WireName, origin: &WireName) -> Result<WireName, NameError> {
    let labels = relative.as_bytes().strip_suffix(&[0]).unwrap_or_default();
    WireName::from_wire(&[labels, origin.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let origin: WireName = "example.org.".parse().unwrap();
        let token = Token { text: text.as_bytes(), quoted: false };
        parse(&token, Origin::Relative(&origin)).map(|name| name.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn relative_and_absolute() {
        for (text, name) in [
            ("@", "example.org."),
            ("www", "www.example.org."),
            ("WWW.a", "WWW.a.example.org."),
            ("example.net.", "example.net."),
            (".", "."),
            ("a\\.", "a\\..example.org."),
            ("a\\\\.", "a\\\\."),
            ("\\097\\@.", "a\\@."),
            ("foo_bar", "foo_bar.example.org."),
            ("*", "*.example.org."),
        ] {
            assert_eq!(read(text).as_deref(), Ok(name), "{text}");
        }
        assert!(read("a..b").unwrap_err().contains("a label is empty"));
        assert!(read("bücher").unwrap_err().contains("xn--"));
        assert!(read(&"x".repeat(64)).unwrap_err().contains("63"));
        assert!(read(&"abcdefg.".repeat(31)[..247]).is_err(), "too long together with the origin");
    }

    #[test]
    fn without_an_origin_a_name_must_be_absolute() {
        let token = Token { text: b"www.example.org", quoted: false };
        let origin: WireName = "example.org.".parse().unwrap();
        for strict in [Origin::None, Origin::At(&origin)] {
            assert!(parse(&token, strict).unwrap_err().to_string().contains("does not end in a dot"));
        }
        let at = Token { text: b"@", quoted: false };
        assert_eq!(parse(&at, Origin::At(&origin)), Ok(origin));
        assert!(parse(&at, Origin::None).is_err());
    }
}
