//! The OpenAPI document against the server: requests are made from the document, right ones and broken ones, and every answer
//! must be one that the document announces. Another seed: `RINGDNS_TEST_SEED=7`; more requests: `RINGDNS_TEST_REQUESTS=100000`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringdns_controlplane::health::Status;

use crate::common::{Server, TOKEN, wait_until};
use crate::foreign::{Kept, no_ports};
use crate::schema::{Dice, fault, make, resolve, spoil};
use serde_json::{Value, json};

/// Requests, unless the time is up before.
const REQUESTS: usize = 4000;

/// Time for them: a run on a slow machine makes fewer.
const SECONDS_MAX: u64 = 20;

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// A request as it is sent.
#[derive(Clone, Debug)]
struct Request {
    /// The path as the document has it.
    template: String,
    /// HTTP method.
    method: String,
    /// Path and query string.
    target: String,
    /// Headers.
    headers: Vec<(String, String)>,
    /// The body.
    body: String,
}

/// An answer.
#[derive(Debug)]
struct Answer {
    /// Status code.
    status: u16,
    /// Type of the body, without what follows it.
    media_type: String,
    /// The body; of events that never end nothing.
    body: String,
}

/// Strings that fit where they stand, mostly.
fn text(key: &str, dice: &mut Dice) -> String {
    let words: &[&str] = match key {
        "zone" => &[
            "example.org.",
            "example.org",
            "EXAMPLE.org",
            "fuzz.example.",
            "sub.example.org.",
            "file.example.",
            "nowhere.",
        ],
        // What is there to be found comes often.
        "owner" => &[
            "www",
            "www",
            "www",
            "www",
            "www.example.org.",
            "a",
            "b",
            "@",
            "a.b",
            "*",
            "x.fuzz.example.",
            "a\\.b",
            "\\000",
        ],
        "type" => {
            &["A", "A", "A", "A", "A", "A", "AAAA", "TXT", "CNAME", "MX", "NS", "SOA", "TYPE65280", "HTTPS", "DNAME"]
        }
        "records" => &[
            "192.0.2.1",
            "192.0.2.1",
            "192.0.2.1",
            "192.0.2.2",
            "192.0.2.3",
            "2001:db8::1",
            "\"text\"",
            "a.example.",
            "10 mail.example.",
            "\\# 0",
            "a. b. 1 2 3 4 5",
            "1 . alpn=h2",
        ],
        "ns" | "mname" | "rname" => &["ns.example.", ".", "a.b.c."],
        "view" => &["office", "default", "nowhere"],
        "name" => &["www.example.org.", "www.example.org", "x.example"],
        "address" => &["192.0.2.1", "192.0.2.1", "2001:db8::1", "x"],
        "view_name" => &["office", "fuzz", "default", "x"],
        "prefixes" => &["192.0.2.0/24", "10.0.0.0/8", "2001:db8::/32", "192.0.2.1"],
        "if_match" | "If-Match" | "If-None-Match" => &["*", "\"0\"", "W/\"0\"", "\"a\", \"b\""],
        "after" => &["example.org.", "A::www.example.org.", "A:office:www", "x"],
        "from" | "Last-Event-ID" => &["0", "1", "999999", "1-2"],
        _ => &["x", ""],
    };
    (*dice.pick(words)).to_owned()
}

/// Strings that fit nowhere.
const ODD_TEXTS: [&str; 22] = [
    "",
    "..",
    ".",
    "%",
    "%zz",
    "\u{fc}",
    "\u{0}",
    "a b",
    "a/b",
    "\\",
    "\\300",
    "\\1",
    "@",
    "$",
    ";",
    "\"",
    "*.*",
    "-1",
    "1e9",
    "99999999999999999999",
    "x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x.x",
    "null",
];

/// A string, sometimes one that fits nowhere.
fn word(key: &str, dice: &mut Dice) -> String {
    match dice.below(24) {
        0 => (*dice.pick(&ODD_TEXTS)).to_owned(),
        1 => format!("{}{}", "x".repeat(dice.below(80)), text(key, dice)),
        _ => text(key, dice),
    }
}

/// Percent-encodes all that a path or a query string cannot hold; sometimes what needs none, too.
fn encode(text: &str, dice: &mut Dice) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if (byte.is_ascii_alphanumeric() || b".-_*@".contains(&byte)) && !dice.once_in(40) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    // Bytes that are no UTF-8.
    if dice.once_in(60) { format!("{encoded}%FF") } else { encoded }
}

/// A request of an operation.
fn request(document: &Value, template: &str, method: &str, dice: &mut Dice) -> Request {
    let item = &document["paths"][template];
    let operation = &item[method];
    let lists = [&item["parameters"], &operation["parameters"]];
    let parameters: Vec<&Value> = lists
        .iter()
        .filter_map(|list| list.as_array())
        .flatten()
        .map(|parameter| resolve(document, parameter))
        .collect();
    let mut target = template.to_owned();
    let (mut query, mut headers) = (Vec::new(), Vec::new());
    for parameter in parameters {
        let name = parameter["name"].as_str().unwrap();
        let is_needed = parameter["required"] == true && !dice.once_in(20);
        let value = match make(document, &parameter["schema"], name, dice, &word) {
            Value::String(text) => text,
            value => value.to_string(),
        };
        let value = if dice.once_in(12) { word(name, dice) } else { value };
        match parameter["in"].as_str().unwrap() {
            "path" => target = target.replace(&format!("{{{name}}}"), &encode(&value, dice)),
            "query" if is_needed || dice.once_in(3) => query.push(format!("{name}={}", encode(&value, dice))),
            "header" if dice.once_in(5) => {
                headers.push((name.to_owned(), value.replace(|c: char| !(' '..='~').contains(&c), "")));
            }
            _ => {}
        }
    }
    if dice.once_in(15) {
        query.push((*dice.pick(&["x=1", "", "=", "limit", "a=%", "wait=stored&wait=stored", "%00=%00"])).to_owned());
    }
    if !query.is_empty() {
        target = format!("{target}?{}", query.join("&"));
    }
    if !dice.once_in(20) {
        let token = if dice.once_in(30) { "wrong" } else { TOKEN };
        headers.push(("authorization".into(), format!("Bearer {token}")));
    }
    let mut body = String::new();
    if let Some(content) = operation["requestBody"]["content"].as_object() {
        let kinds: Vec<&String> = content.keys().collect();
        let kind = *dice.pick(&kinds);
        body = self::body(document, kind, &content[kind]["schema"], dice);
        let kind = if dice.once_in(25) { "text/plain" } else { kind };
        headers.push(("content-type".into(), kind.to_owned()));
    }
    let method = if dice.once_in(40) { "PATCH".to_owned() } else { method.to_uppercase() };
    Request { template: template.to_owned(), method, target, headers, body }
}

/// A body of a type.
fn body(document: &Value, kind: &str, schema: &Value, dice: &mut Dice) -> String {
    if kind == "text/dns" {
        let line = |dice: &mut Dice| {
            let [owner, rtype, records] = ["owner", "type", "records"].map(|key| word(key, dice));
            let tail = *dice.pick(&["", " ;@ weight=2", " ;@ view=office", " ;@ down up", ";@ x", " ( ;@ max=1\n)"]);
            format!("{owner} {} {rtype} {records}{tail}\n", dice.below(400))
        };
        let start =
            *dice.pick(&["$TTL 1\n", "$ORIGIN x.\n", "", ";@ select=weighted\n", "$INCLUDE /etc/passwd\n", "(\n"]);
        return (0..dice.below(5)).fold(start.to_owned(), |text, _| text + &line(dice));
    }
    let mut value = make(document, schema, "", dice, &word);
    while dice.once_in(3) {
        spoil(&mut value, dice);
    }
    let mut text = value.to_string();
    match dice.below(40) {
        0 => text.truncate((0..=text.len() / 2).rev().find(|&length| text.is_char_boundary(length)).unwrap()),
        1 => text = "[".repeat(2000),
        2 => text = text.replace(':', ":1"),
        3 => text.clear(),
        _ => {}
    }
    text
}

/// Sends a request and reads its answer.
fn send(server: &Server, request: &Request) -> Option<Answer> {
    let mut stream = TcpStream::connect(server.address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut text = format!("{} {} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n{}", request.body.len(), request.body));
    let _ = stream.write_all(text.as_bytes());
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece).ok()?;
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let head = text.split_inclusive("\r\n\r\n").next().unwrap_or_default();
        let is_endless = head.contains("text/event-stream") && head.ends_with("\r\n\r\n");
        if read == 0 || is_endless {
            let reply = crate::common::Reply::parse(if is_endless { head } else { &text });
            let reply = reply.unwrap_or_else(|| panic!("no answer: {text:?} to {request:?}"));
            let media_type =
                reply.header("content-type").unwrap_or_default().split(';').next().unwrap().trim().to_owned();
            let body = if is_endless { String::new() } else { reply.body };
            return Some(Answer { status: reply.status, media_type, body });
        }
    }
}

/// What is wrong with an answer; nothing where the document announces it.
fn complaint(document: &Value, request: &Request, answer: &Answer) -> Option<String> {
    let item = &document["paths"][&request.template];
    let path = request.target.split('?').next().unwrap();
    let has_empty_segment = path.split('/').skip(1).any(str::is_empty);
    let operation = &item[request.method.to_lowercase()];
    let error = json!({ "$ref": "#/components/schemas/Error" });
    if has_empty_segment || operation.is_null() {
        // No route, or none with this method.
        let Ok(value) = serde_json::from_str::<Value>(&answer.body) else { return Some("no JSON".to_owned()) };
        let is_right = matches!(answer.status, 404 | 405);
        return if is_right { fault(document, &error, &value, "body") } else { Some("neither 404 nor 405".to_owned()) };
    }
    let response = resolve(document, &operation["responses"][answer.status.to_string()]);
    if response.is_null() {
        return Some(format!("status {} is not documented", answer.status));
    }
    let Some(content) = response["content"].as_object() else {
        return (!answer.body.is_empty()).then(|| "a body where none is documented".to_owned());
    };
    let Some(kind) = content.get(&answer.media_type) else {
        return Some(format!("the type {} is not documented", answer.media_type));
    };
    let check = |text: &str| match serde_json::from_str::<Value>(text) {
        Ok(value) => fault(document, &kind["schema"], &value, "body"),
        Err(error) => Some(format!("no JSON: {error}")),
    };
    match answer.media_type.as_str() {
        "application/json" => check(&answer.body),
        "application/x-ndjson" => answer.body.lines().find_map(check),
        _ => None,
    }
}

#[test]
fn every_answer_is_one_that_the_document_announces() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("z"), "$TTL 1\n@ SOA a. b. 1 2 3 4 5\n@ NS a.\nwww A 192.0.2.1\n").unwrap();
    let more = "[[view]]\nname = \"office\"\nprefixes = [\"192.0.2.0/24\"]\n[[zone_file]]\nzone = \"file.example\"\npath = \"z\"\n\
                [sockets]\nlisten = [\"127.0.0.1:0\"]\n[stats]\nnames = 100\n";
    let server = Server::start(directory.path(), more);
    server.plane().show_foreign(Arc::new(Kept::default()), no_ports());
    server.json("PUT", "/api/v1/zones/example.org", "");
    // So that there is a name that was asked for.
    let asker = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    asker.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let question = ringdns_engine::testing::query("www.example.org.", 1);
    asker.send_to(&question, server.plane().socket_addresses()[0]).unwrap();
    asker.recv(&mut [0; 512]).unwrap();
    // And an address of which something is known.
    server.say(&[("192.0.2.1", Some(Status::Down))]);
    wait_until("it is known", || server.get("/api/v1/members/192.0.2.1").0 == 200);
    let document = server.get("/api/v1/openapi.json").1;
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods =
            item.as_object().unwrap().keys().filter(|key| ["get", "put", "post", "delete"].contains(&key.as_str()));
        operations.extend(methods.map(|method| (path.clone(), method.clone())));
    }
    let seed = number("RINGDNS_TEST_SEED", 2026);
    let requests = usize::try_from(number("RINGDNS_TEST_REQUESTS", REQUESTS as u64)).unwrap();
    let bound = if requests > REQUESTS { Duration::MAX } else { Duration::from_secs(SECONDS_MAX) };
    let started = Instant::now();
    let mut seen: BTreeMap<(String, u16), u32> = BTreeMap::new();
    for number in 0..requests {
        if started.elapsed() > bound {
            break;
        }
        if number % 16 == 0 {
            // Most requests are of this one, and one of them may have removed it.
            server.json("PUT", "/api/v1/zones/example.org", "");
            server.json("PUT", "/api/v1/zones/example.org/rrsets/www/A", r#"{"ttl":1,"records":["192.0.2.9"]}"#);
        }
        let mut dice = Dice(seed.wrapping_mul(1 << 32).wrapping_add(number as u64));
        let (template, method) = dice.pick(&operations).clone();
        let request = request(&document, &template, &method, &mut dice);
        let answer = send(&server, &request)
            .unwrap_or_else(|| panic!("no answer (seed {seed}, request {number}): {request:#?}"));
        if let Some(complaint) = complaint(&document, &request, &answer) {
            panic!("{complaint}\n(seed {seed}, request {number}) {request:#?}\n{answer:#?}");
        }
        *seen.entry((format!("{method} {template}"), answer.status)).or_default() += 1;
    }
    let total: u32 = seen.values().sum();
    let good = seen.iter().filter(|((_, status), _)| *status < 300).map(|((operation, _), _)| operation);
    let good: std::collections::BTreeSet<&String> = good.collect();
    assert!(total >= 300, "only {total} requests in {:?}", started.elapsed());
    // Nobody reads the configuration again here, and no worker polls: these are the binary's parts.
    // A slow machine may not come to all of them.
    let expected = if total as usize >= REQUESTS { operations.as_slice() } else { &[] };
    for (template, method) in
        expected.iter().filter(|(template, _)| !["/api/v1/reload", "/ready"].contains(&template.as_str()))
    {
        assert!(
            good.contains(&format!("{method} {template}")),
            "no request of {method} {template} went well: {seen:#?}"
        );
    }
    assert_eq!(server.request("GET", "/health", &[], "").status, 200);
    server.stop();
    Server::start(directory.path(), more).stop();
}
