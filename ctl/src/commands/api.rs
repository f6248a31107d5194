//! The admin API as this program sees it.

use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use ureq::http::Request;
use ureq::{Agent, AsSendBody, Body};

use super::arguments::Connection;
use super::failure::{Done, Failure};
use crate::http::{self, Trust};
use crate::terminal::Terminal;

/// What is encoded in a path or a query: all but what is in names mostly.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'@');

/// Items of a page of a list.
const PAGE_ITEMS: usize = 1000;

/// Text as part of a path or a query.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// The server.
pub(super) struct Api {
    /// Speaks HTTP.
    agent: Agent,
    /// What URLs begin with.
    base: String,
    /// What writes need.
    token: Option<String>,
}

/// What came back.
pub(super) struct Answer {
    /// The state of what was asked for.
    pub(super) etag: Option<String>,
    /// The body.
    pub(super) body: Body,
}

impl Answer {
    /// The body as JSON; null where there is none.
    pub(super) fn json(self) -> Done<Value> {
        let text = read(self.body)?;
        if text.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text)
            .map_err(|error| Failure::Refused(format!("the server's answer is no JSON: {error}")))
    }
}

/// A whole body, however long.
fn read(mut body: Body) -> Done<String> {
    let text = body.with_config().limit(u64::MAX).read_to_string();
    text.map_err(|error| Failure::Unreachable(format!("the answer was cut off: {}", http::explain(&error))))
}

impl Api {
    /// The server that the command line or the environment names.
    pub(super) fn new(
        connection: &Connection,
        environment: &dyn Fn(&str) -> Option<String>,
        terminal: &mut Terminal<'_>,
    ) -> Done<Self> {
        let base = connection.server.trim_end_matches('/').to_owned();
        let trust = match (base.split_once("://"), &connection.ca_file) {
            (Some(("http", _)), _) => Trust::NoTls,
            (Some(("https", _)), None) => Trust::System,
            (Some(("https", _)), Some(file)) => Trust::File(file),
            _ => {
                let words = format!("--server {base} is no URL; write http://HOST:PORT or https://HOST");
                return Err(Failure::Usage(words));
            }
        };
        let token = match &connection.token_file {
            Some(path) => Some(token(path)?),
            None => environment("RINGDNS_TOKEN").map(|token| token.trim().to_owned()),
        };
        let token = token.filter(|token| !token.is_empty());
        if token.is_some() && matches!(trust, Trust::NoTls) && !is_here(&base) {
            terminal
                .note(&format!("ringdns ctl: the token goes to {base} in the clear: use https:// there, or a tunnel"));
        }
        let agent = http::agent(trust).map_err(Failure::Usage)?;
        Ok(Self { agent, base, token })
    }

    /// Sends a request, and gives the answer unless it is an error.
    pub(super) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsSendBody,
    ) -> Done<Answer> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(body).map_err(|error| Failure::Usage(error.to_string()))?;
        let reply = self.agent.run(request);
        let reply = reply.map_err(|error| Failure::Unreachable(format!("{}: {}", self.base, http::explain(&error))))?;
        let status = reply.status().as_u16();
        let etag = reply.headers().get("etag").and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let body = reply.into_body();
        if (200..300).contains(&status) {
            return Ok(Answer { etag, body });
        }
        let text = read(body)?;
        Err(refusal(method, path, status, &text))
    }

    /// What a path has.
    pub(super) fn get(&self, path: &str) -> Done<Answer> {
        self.send("GET", path, &[], ())
    }

    /// Sends JSON.
    pub(super) fn put(&self, method: &str, path: &str, condition: Option<(&str, &str)>, value: &Value) -> Done<Value> {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(condition);
        self.send(method, path, &headers, value.to_string())?.json()
    }

    /// Removes what a path has.
    pub(super) fn delete(&self, path: &str) -> Done {
        self.send("DELETE", path, &[], ()).map(drop)
    }

    /// Visits every item of a list, page by page.
    pub(super) fn pages(&self, path: &str, member: &str, mut visit: impl FnMut(Vec<Value>) -> Done) -> Done {
        let sign = if path.contains('?') { '&' } else { '?' };
        let mut next = Some(format!("{path}{sign}limit={PAGE_ITEMS}"));
        while let Some(path) = next {
            let mut page = self.get(&path)?.json()?;
            next = page["next"].as_str().map(str::to_owned);
            match page[member].take() {
                Value::Array(items) => visit(items)?,
                _ => return Err(Failure::Refused(format!("the server's answer has no {member}"))),
            }
        }
        Ok(())
    }
}

/// The token of a file.
fn token(path: &Path) -> Done<String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("token file {} cannot be read: {error}", path.display())))?;
    let token = text.lines().next().unwrap_or_default().trim();
    if token.is_empty() {
        return Err(Failure::Usage(format!("token file {} has no token in its first line", path.display())));
    }
    Ok(token.to_owned())
}

/// True where a URL leads to this machine.
fn is_here(base: &str) -> bool {
    let host = base.split_once("://").map_or(base, |(_, rest)| rest);
    ["127.", "localhost", "[::1]"].iter().any(|here| host.starts_with(here))
}

/// What an answer with an error says.
fn refusal(method: &str, path: &str, status: u16, text: &str) -> Failure {
    let body: Value = serde_json::from_str(text).unwrap_or_default();
    let error = &body["error"];
    let word = |member: &str| error[member].as_str();
    // A path that the server does not have is one thing, a record that is not there another.
    if status == 405 || (status == 404 && matches!(word("code"), None | Some("not_found"))) {
        let path = path.split('?').next().unwrap_or(path);
        return Failure::Refused(format!(
            "the server does not know {method} {path}: it is older than this ringdns, or is no RingDNS admin API"
        ));
    }
    let words = error_words(error).unwrap_or_else(|| format!("status {status}: {}", text.trim()));
    match status {
        404 => Failure::NotFound(words),
        401 | 403 => Failure::Refused(format!("{words} (--token-file FILE, RINGDNS_TOKEN_FILE or RINGDNS_TOKEN)")),
        _ => Failure::Refused(words),
    }
}

/// An error of the API in a line: the field, what is wrong, and what to do.
pub(super) fn error_words(error: &Value) -> Option<String> {
    let mut words = error["message"].as_str()?.to_owned();
    if let Some(field) = error["field"].as_str() {
        words = format!("{field}: {words}");
    }
    if let Some(remedy) = error["remedy"].as_str() {
        words += &format!("; {remedy}");
    }
    Some(words)
}
