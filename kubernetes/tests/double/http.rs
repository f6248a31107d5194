//! The double's side of HTTP/1.1: requests without bodies, answers in chunks.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::cluster::{Change, Cluster, Wanted};
use super::{Fault, Shared};

/// The connection is over.
struct Over;

impl From<std::io::Error> for Over {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

/// A request.
struct Request {
    /// The plural of what is asked for.
    plural: String,
    /// Which objects.
    wanted: Wanted,
    /// Its parameters.
    parameters: BTreeMap<String, String>,
    /// The token that was shown.
    token: Option<String>,
    /// The line that it came with.
    line: String,
}

/// Serves a connection until it ends or is cut.
pub async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let mut changed = shared.changed.subscribe();
    let epoch = changed.borrow_and_update().0;
    let cut = shared.changed.subscribe();
    tokio::select! {
        _ = answer_all(stream, &shared, changed) => {}
        () = until_cut(cut, epoch) => {}
    }
}

/// Waits until all connections are cut.
async fn until_cut(mut cut: watch::Receiver<(u64, u64)>, epoch: u64) {
    let _ = cut.wait_for(|(now, _)| *now != epoch).await;
}

/// Answers one request after the other.
async fn answer_all(stream: TcpStream, shared: &Shared, changed: watch::Receiver<(u64, u64)>) -> Result<(), Over> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let request = read(&mut stream).await?;
        answer(&mut stream, shared, &changed, &request).await?;
    }
}

/// Reads a request.
async fn read(stream: &mut BufReader<TcpStream>) -> Result<Request, Over> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(Over);
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let target = lines[0].split(' ').nth(1).ok_or(Over)?.to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let parameters: BTreeMap<String, String> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), decoded(value)))
        .collect();
    let mut parts = path.trim_matches('/').split('/').peekable();
    let skipped = if parts.next() == Some("apis") { 2 } else { 1 };
    let parts: Vec<&str> = parts.skip(skipped).collect();
    let (namespace, plural) = match parts[..] {
        ["namespaces", namespace, plural] => (namespace, plural),
        [plural] => ("", plural),
        _ => return Err(Over),
    };
    let parameter = |key: &str| parameters.get(key).cloned().unwrap_or_default();
    let wanted = Wanted {
        namespace: namespace.to_owned(),
        labels: parameter("labelSelector"),
        fields: parameter("fieldSelector"),
    };
    let token = lines.iter().find_map(|line| line.strip_prefix("authorization: Bearer ").map(str::to_owned));
    Ok(Request { plural: plural.to_owned(), wanted, parameters, token, line: decoded(&target) })
}

/// Text of a URL.
fn decoded(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut found = Vec::new();
    while let Some(byte) = bytes.next() {
        found.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: String = bytes.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8(found).unwrap_or_default()
}

/// Answers a request.
async fn answer(
    stream: &mut BufReader<TcpStream>,
    shared: &Shared,
    changed: &watch::Receiver<(u64, u64)>,
    request: &Request,
) -> Result<(), Over> {
    let is_watch = request.parameters.get("watch").is_some_and(|value| value == "true");
    let refused = {
        let mut cluster = shared.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        cluster.requests.push(request.line.clone());
        refused(&cluster, request)
    };
    let fault = shared.faults.lock().unwrap_or_else(PoisonError::into_inner).of_request(is_watch);
    match fault {
        Some(Fault::Cut) => return Err(Over),
        Some(Fault::Slow(milliseconds)) => tokio::time::sleep(Duration::from_millis(milliseconds)).await,
        Some(Fault::Status(code)) => return status(stream, code, "this is a fault").await,
        _ => {}
    }
    if let Some((code, message)) = refused {
        return status(stream, code, message).await;
    }
    if is_watch {
        events(stream, shared, changed.clone(), request, fault).await
    } else {
        page(stream, shared, request, fault).await
    }
}

/// Why a request is refused by rule.
fn refused(cluster: &Cluster, request: &Request) -> Option<(u16, &'static str)> {
    if cluster.token.is_some() && cluster.token != request.token {
        return Some((401, "Unauthorized"));
    }
    if cluster.forbidden.contains(&request.plural) {
        return Some((403, "the account may not do this"));
    }
    cluster.absent.contains(&request.plural).then_some((404, "the server could not find the requested resource"))
}

/// The word for a status.
fn reason(code: u16) -> &'static str {
    match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    }
}

/// A status as the API has it.
fn status_object(code: u16, message: &str) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": reason(code), "code": code })
}

/// Answers with a status.
async fn status(stream: &mut BufReader<TcpStream>, code: u16, message: &str) -> Result<(), Over> {
    let body = status_object(code, message).to_string();
    head(stream, code).await?;
    chunk(stream, body.as_bytes()).await?;
    chunk(stream, b"").await
}

/// The head of an answer.
async fn head(stream: &mut BufReader<TcpStream>, code: u16) -> Result<(), Over> {
    let text = reason(code);
    let head =
        format!("HTTP/1.1 {code} {text}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n");
    stream.get_mut().write_all(head.as_bytes()).await?;
    Ok(())
}

/// A chunk of an answer; an empty one is the last.
async fn chunk(stream: &mut BufReader<TcpStream>, bytes: &[u8]) -> Result<(), Over> {
    let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
    framed.extend_from_slice(bytes);
    framed.extend_from_slice(b"\r\n");
    stream.get_mut().write_all(&framed).await?;
    Ok(())
}

/// Answers with a page of a listing. Where it goes on is said by its version and its last name.
async fn page(
    stream: &mut BufReader<TcpStream>,
    shared: &Shared,
    request: &Request,
    fault: Option<Fault>,
) -> Result<(), Over> {
    let parameter = |key: &str| request.parameters.get(key).map(String::as_str);
    let body = {
        let cluster = shared.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        let from = parameter("continue").map(|token| {
            let mut parts = token.splitn(3, '|');
            let version: u64 = parts.next().unwrap_or_default().parse().unwrap_or_default();
            (version, (parts.next().unwrap_or_default().to_owned(), parts.next().unwrap_or_default().to_owned()))
        });
        let version = from.as_ref().map_or(cluster.version(), |(version, _)| *version);
        let is_gone = version < cluster.compacted() || version > cluster.version();
        let limit = parameter("limit").and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX);
        let last = from.as_ref().map(|(_, last)| last);
        let mut items = cluster.page(&request.plural, version, last, limit.saturating_add(1), &request.wanted);
        let has_more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().map(|(name, _)| format!("{version}|{}|{}", name.0, name.1));
        let next = last.filter(|_| has_more).unwrap_or_default();
        let items: Vec<Value> = items.into_iter().map(|(_, object)| object).collect();
        // The API server writes null for no items in some places.
        let items = if items.is_empty() { Value::Null } else { json!(items) };
        (!is_gone).then(|| {
            json!({ "kind": "List", "apiVersion": "v1", "items": items,
                                   "metadata": { "resourceVersion": version.to_string(), "continue": next } })
            .to_string()
        })
    };
    let Some(body) = body else { return status(stream, 410, "The provided continue parameter is too old").await };
    head(stream, 200).await?;
    let bytes = body.as_bytes();
    let cut = if fault == Some(Fault::CutMiddle) { bytes.len() / 2 } else { bytes.len() };
    // Chunks of odd lengths: a reader that takes chunks for objects stumbles.
    for part in bytes[..cut].chunks(777) {
        chunk(stream, part).await?;
    }
    if cut < bytes.len() {
        return Err(Over);
    }
    chunk(stream, b"").await
}

/// What a change is for who watches these objects.
fn event(change: &Change, request: &Request) -> Option<Value> {
    if change.plural != request.plural {
        return None;
    }
    let is_in = |object: &Option<Value>| object.as_ref().is_some_and(|object| request.wanted.has(object));
    let (before, after) = (is_in(&change.before), is_in(&change.after));
    let kind = match (before, after) {
        (false, true) => "ADDED",
        (true, true) => "MODIFIED",
        (true, false) => "DELETED",
        (false, false) => return None,
    };
    let mut object = if after { change.after.clone()? } else { change.before.clone()? };
    object["metadata"]["resourceVersion"] = json!(change.version.to_string());
    Some(json!({ "type": kind, "object": object }))
}

/// Answers with events, until the time is over.
async fn events(
    stream: &mut BufReader<TcpStream>,
    shared: &Shared,
    mut changed: watch::Receiver<(u64, u64)>,
    request: &Request,
    fault: Option<Fault>,
) -> Result<(), Over> {
    let number = |key: &str| request.parameters.get(key).and_then(|value| value.parse::<u64>().ok());
    let mut version = number("resourceVersion").unwrap_or_default();
    let seconds = number("timeoutSeconds").unwrap_or(60);
    let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
    let (is_gone, duplicate) = {
        let cluster = shared.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        let before = || cluster.since(0).rev().filter(|change| change.version <= version);
        let duplicate = (fault == Some(Fault::Duplicate)).then(|| before().find_map(|change| event(change, request)));
        (version < cluster.compacted(), duplicate.flatten())
    };
    // Servers say it either way.
    if is_gone && version % 2 == 0 {
        return status(stream, 410, "too old resource version").await;
    }
    head(stream, 200).await?;
    if is_gone {
        let gone = json!({ "type": "ERROR", "object": status_object(410, "too old resource version") });
        chunk(stream, format!("{gone}\n").as_bytes()).await?;
        return chunk(stream, b"").await;
    }
    if let Some(event) = duplicate {
        chunk(stream, format!("{event}\n").as_bytes()).await?;
    }
    loop {
        let bookmark_ms = shared.faults.lock().unwrap_or_else(PoisonError::into_inner).bookmark_ms;
        let (lines, reached) = {
            let cluster = shared.cluster.lock().unwrap_or_else(PoisonError::into_inner);
            let found = cluster.since(version).filter_map(|change| event(change, request));
            (found.map(|event| format!("{event}\n")).collect::<Vec<_>>(), cluster.version())
        };
        if fault != Some(Fault::Silent) {
            for line in &lines {
                if fault == Some(Fault::CutMiddle) {
                    chunk(stream, &line.as_bytes()[..line.len() / 2]).await?;
                    return Err(Over);
                }
                chunk(stream, line.as_bytes()).await?;
            }
        }
        if let (Some(Fault::Error(code)), false) = (fault, lines.is_empty()) {
            let error = json!({ "type": "ERROR", "object": status_object(code, "this is a fault") });
            chunk(stream, format!("{error}\n").as_bytes()).await?;
            return chunk(stream, b"").await;
        }
        version = version.max(reached);
        let pause = if bookmark_ms > 0 { Duration::from_millis(bookmark_ms) } else { Duration::from_secs(60) };
        tokio::select! {
            found = changed.changed() => if found.is_err() { return Err(Over) },
            () = tokio::time::sleep(pause) => {
                if bookmark_ms > 0 && fault != Some(Fault::Silent) {
                    let bookmark = json!({ "type": "BOOKMARK", "object": { "kind": "Bookmark", "apiVersion": "v1",
                        "metadata": { "resourceVersion": version.to_string() } } });
                    chunk(stream, format!("{bookmark}\n").as_bytes()).await?;
                }
            }
            () = tokio::time::sleep_until(end) => return chunk(stream, b"").await,
        }
    }
}
