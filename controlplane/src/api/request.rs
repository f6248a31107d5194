//! What a request carries beside its path: the query string, the body, and what it expects to find.

use futures_util::Stream;
use warp::http::HeaderMap;

use super::access::Caller;
use super::error::ApiError;
use super::route::{self, Endpoint};
use crate::body::{self, BodyError};
use crate::store::{Condition, Tags, Wait};

/// Largest body in bytes: the largest RRset with every byte written as `\DDD`, and some room.
const BODY_BYTES_MAX: usize = 1 << 20;

/// Largest body of a transaction in bytes.
const TRANSACTION_BYTES_MAX: usize = 16 << 20;

/// Largest body of an import in bytes: some ten million records.
const IMPORT_BYTES_MAX: usize = 1 << 30;

/// JSON, where nothing else is taken.
pub(super) const JSON: &str = "application/json";

/// A zone file (RFC 4027).
pub(super) const ZONE_FILE: &str = "text/dns";

/// A request whose route and caller are known.
#[derive(Debug)]
pub(super) struct Request<'a> {
    /// What is asked for.
    pub(super) endpoint: Endpoint,
    /// Decoded values of the path's parameters.
    pub(super) parameters: Vec<&'a str>,
    /// The query string.
    pub(super) query: &'a str,
    /// The headers.
    pub(super) headers: &'a HeaderMap,
    /// Who asks.
    pub(super) caller: Caller,
}

impl Request<'_> {
    /// The value of a header; nothing where it is missing or no text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The type of the body, without what follows it.
    pub(super) fn media_type(&self) -> &str {
        media_type(self.headers)
    }

    /// What the request expects to find (RFC 9110 section 13.1).
    pub(super) fn condition(&self) -> Result<Condition, ApiError> {
        let read = |name: &str, weak: bool| {
            let mut values = self.headers.get_all(name).iter().peekable();
            if values.peek().is_none() {
                return Ok(None);
            }
            let texts: Option<Vec<&str>> = values.map(|value| value.to_str().ok()).collect();
            texts.and_then(|texts| tags(&texts.join(","), weak)).map(Some).ok_or_else(|| {
                ApiError::new(400, "malformed_condition", format!("{name} is no list of entity tags"))
                    .remedy("send the ETag as it came, in quotes, or *")
            })
        };
        // RFC 9110 section 13.1.1: If-Match is compared strongly, section 13.1.2: If-None-Match is compared weakly.
        Ok(Condition { only: read("if-match", false)?, not: read("if-none-match", true)? })
    }
}

/// The tags of a list as RFC 9110 section 8.8.3 writes them; nothing where it is none. Weak ones are left out unless they count.
pub(super) fn tags(list: &str, weak_count: bool) -> Option<Tags> {
    if list.trim() == "*" {
        return Some(Tags::Any);
    }
    let mut found = Vec::new();
    let mut rest = list.trim();
    while !rest.is_empty() {
        let (tag, is_weak) = rest.strip_prefix("W/").map_or((rest, false), |tag| (tag, true));
        let (tag, tail) = tag.strip_prefix('"')?.split_once('"')?;
        if weak_count || !is_weak {
            found.push(format!("\"{tag}\""));
        }
        let tail = tail.trim_start();
        rest = match tail.strip_prefix(',') {
            Some(tail) => tail.trim_start(),
            None if tail.is_empty() => "",
            None => return None,
        };
    }
    Some(Tags::These(found))
}

/// The parameters of a query string, decoded; each of them must be known.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads a query string.
    pub(super) fn parse(query: &str, known: &[&str]) -> Result<Self, ApiError> {
        let mut found = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !known.contains(&key) {
                return Err(ApiError::unknown_parameter(key, known));
            }
            found.push((key.to_owned(), route::decode(value)?));
        }
        Ok(Self(found))
    }

    /// A value; the last one where there are several.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(found, _)| found == key).map(|(_, value)| value.as_str())
    }

    /// One of some words; the first where none is given.
    pub(super) fn word<T: Copy, const N: usize>(
        &self,
        key: &str,
        words: [(&str, T); N],
    ) -> Result<Option<T>, ApiError> {
        let Some(given) = self.get(key) else { return Ok(None) };
        words.into_iter().find(|(word, _)| *word == given).map(|(_, value)| Some(value)).ok_or_else(|| {
            ApiError::invalid(key, "unknown_word", format!("\"{given}\" is none of its words"))
                .remedy(format!("write one of {}", words.map(|(word, _)| word).join(", ")))
        })
    }

    /// What the client waits for.
    pub(super) fn wait(&self) -> Result<Wait, ApiError> {
        Ok(self.word("wait", [("published", Wait::Published), ("stored", Wait::Stored)])?.unwrap_or_default())
    }
}

/// The type of a body, without what follows it.
fn media_type(headers: &HeaderMap) -> &str {
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Most bytes of a body, and what to do where that is too little.
fn bounds(endpoint: Endpoint) -> (usize, &'static str) {
    match endpoint {
        Endpoint::Transaction => (TRANSACTION_BYTES_MAX, "divide the transaction, or import the zone"),
        Endpoint::Import => (IMPORT_BYTES_MAX, "import the zone in parts, with mode=merge"),
        _ => (BODY_BYTES_MAX, "send one RRset at a time"),
    }
}

/// Reads a body of a type that the endpoint takes, or of nothing.
pub(super) async fn read_body(
    endpoint: Endpoint,
    headers: &HeaderMap,
    body: impl Stream<Item = Result<impl warp::Buf, warp::Error>>,
) -> Result<Vec<u8>, ApiError> {
    let (bytes_max, remedy) = bounds(endpoint);
    let too_large = || {
        let message = format!("the body is larger than {bytes_max} bytes");
        ApiError::new(413, "body_too_large", message).remedy(remedy)
    };
    let announced = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > bytes_max as u64) {
        return Err(too_large());
    }
    let bytes = body::read(body, bytes_max).await.map_err(|error| match &error {
        BodyError::TooLarge => too_large(),
        BodyError::Stalled => {
            let message = format!("nothing has come for {} seconds", body::STALLED_AFTER.as_secs());
            ApiError::new(error.status(), "body_stalled", message).remedy("send the body in one go")
        }
        BodyError::CutOff(cause) => ApiError::new(error.status(), "body_cut_off", cause.clone()),
    })?;
    let media_type = media_type(headers);
    let is_taken = media_type.eq_ignore_ascii_case(JSON)
        || (endpoint == Endpoint::Import && media_type.eq_ignore_ascii_case(ZONE_FILE));
    if !bytes.is_empty() && !is_taken {
        let error = ApiError::new(415, "unsupported_media_type", format!("the body is \"{media_type}\""));
        return Err(match endpoint {
            Endpoint::Import => error.remedy("send the header Content-Type: text/dns or application/json"),
            _ => error.remedy("send JSON with the header Content-Type: application/json"),
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_tags() {
        let these = |tags: &[&str]| Some(Tags::These(tags.iter().map(|tag| format!("\"{tag}\"")).collect()));
        for (list, strong, weak) in [
            ("*", Some(Tags::Any), Some(Tags::Any)),
            ("\"a\"", these(&["a"]), these(&["a"])),
            ("\"a\" , W/\"b\",\"c,d\"", these(&["a", "c,d"]), these(&["a", "b", "c,d"])),
            ("", these(&[]), these(&[])),
            ("a", None, None),
            ("\"a", None, None),
            ("\"a\" \"b\"", None, None),
            ("w/\"a\"", None, None),
        ] {
            assert_eq!((tags(list, false), tags(list, true)), (strong, weak), "{list}");
        }
    }

    #[test]
    fn parameters_are_known_and_decoded() {
        let found = Parameters::parse("wait=stored&a=%2E&&a=2", &["wait", "a", "b"]).unwrap();
        assert_eq!((found.get("a"), found.get("b")), (Some("2"), None));
        assert_eq!(found.wait(), Ok(Wait::Stored));
        assert_eq!(Parameters::parse("", &[]).unwrap().wait(), Ok(Wait::Published));
        let error = Parameters::parse("wait=x", &["wait"]).unwrap().wait().unwrap_err();
        assert_eq!((error.status, error.field.as_deref()), (422, Some("wait")));
        assert_eq!(Parameters::parse("c", &["a", "b"]).unwrap_err().status, 400);
        assert_eq!(Parameters::parse("a=%ff", &["a"]).unwrap_err().code, "bad_encoding");
    }
}
