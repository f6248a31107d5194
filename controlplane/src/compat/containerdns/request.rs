//! What requests carry: parameters in the query string, and a body of JSON that is read as leniently as the original reads
//! it. A member of the wrong type is as good as none, and malformed JSON is an empty object.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// The parameters that are known.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::compat) struct Parameters {
    /// Who asks.
    pub(in crate::compat) user: String,
    /// The secret.
    pub(in crate::compat) token: String,
    /// Which records are asked for.
    pub(in crate::compat) rtype: String,
}

impl Parameters {
    /// Reads a query string; the first parameter of a name counts.
    pub(in crate::compat) fn parse(query: &str) -> Self {
        let mut parameters = Self::default();
        for pair in query.split('&').rev() {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = value.replace('+', " ");
            let value = percent_decode_str(&value).decode_utf8_lossy().into_owned();
            match key {
                "user" => parameters.user = value,
                "token" => parameters.token = value,
                "type" => parameters.rtype = value,
                _ => {}
            }
        }
        parameters
    }
}

/// A body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Body {
    /// The type in capitals; empty: none was given.
    pub(super) rtype: String,
    /// Addresses, as they were written.
    pub(super) ips: Vec<String>,
    /// Ports; 0 for what is no number.
    pub(super) ports: Vec<i64>,
    /// An alias.
    pub(super) alias: String,
    /// Old and new values.
    pub(super) update: Vec<(String, String)>,
    /// Address or name of a name server.
    pub(super) ns_host: String,
    /// Address or name of a mail server.
    pub(super) mail_host: String,
    /// Preference of a mail server; 0: none was given.
    pub(super) mail_priority: i64,
    /// Text.
    pub(super) text: String,
}

impl Body {
    /// Reads bytes.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let Ok(Value::Object(members)) = serde_json::from_slice(bytes) else { return Self::default() };
        Self {
            rtype: text(member(&members, "type")).to_ascii_uppercase(),
            ips: list(member(&members, "ips")).iter().map(|ip| text(Some(ip))).collect(),
            ports: list(member(&members, "ports")).iter().map(|port| number(Some(port))).collect(),
            alias: text(member(&members, "alias")),
            update: match member(&members, "update") {
                Some(Value::Object(pairs)) => pairs.iter().map(|(old, new)| (old.clone(), text(Some(new)))).collect(),
                _ => Vec::new(),
            },
            ns_host: text(member(&members, "nsHost")),
            mail_host: text(member(&members, "mailHost")),
            mail_priority: number(member(&members, "mailPriority")),
            text: text(member(&members, "text")),
        }
    }
}

/// A member of an object; capitals do not count, as in the JSON reader of the original.
fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let same = || members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    members.get(name).or_else(same)
}

/// A string, or an empty one.
fn text(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A whole number, or 0.
fn number(value: Option<&Value>) -> i64 {
    value.and_then(Value::as_i64).unwrap_or_default()
}

/// A list, or an empty one.
fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_the_first_counts() {
        let parameters = Parameters::parse("user=a%20b+c&token=x%26y&type=NS&user=z&more");
        let expected = Parameters { user: "a b c".into(), token: "x&y".into(), rtype: "NS".into() };
        assert_eq!(parameters, expected);
        assert_eq!(Parameters::parse(""), Parameters::default());
    }

    #[test]
    fn bodies_are_read_leniently() {
        let body = Body::parse(br#"{"type":"srv","ips":["192.0.2.1",7],"ports":[80,"81"],"other":{}}"#);
        assert_eq!((body.rtype.as_str(), &body.ports[..]), ("SRV", &[80, 0][..]));
        assert_eq!(body.ips, ["192.0.2.1", ""]);
        assert_eq!(Body::parse(br#"{"TYPE":"a","alias":5}"#), Body { rtype: "A".into(), ..Body::default() });
        let update = Body::parse(br#"{"update":{"a":"b","c":1}}"#).update;
        assert_eq!(update, [("a".to_owned(), "b".to_owned()), ("c".to_owned(), String::new())]);
        for malformed in [&b""[..], b"{", b"[]", b"null", b"{\"type\":\"A\"} x", b"\xff", b"5"] {
            assert_eq!(Body::parse(malformed), Body::default(), "{malformed:?}");
        }
    }
}
