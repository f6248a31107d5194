//! What a server does only when something goes wrong, played by a script: connections that break, and routes that are missing.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;

use clap::{Args as _, FromArgMatches as _};
use serde_json::json;

use super::*;

/// A server that gives each connection the next of these answers, and then ends it; gives what was asked.
fn script(answers: &[&str]) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answers: Vec<String> = answers.iter().map(|answer| answer.replace('\n', "\r\n")).collect();
    let server = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
                request.push(byte[0]);
            }
            asked.push(String::from_utf8(request).unwrap());
            stream.write_all(answer.as_bytes()).unwrap();
        }
        asked
    });
    (address, server)
}

/// The command line.
fn command() -> clap::Command {
    Ctl::augment_args(clap::Command::new("ringdns"))
}

/// Output, errors and exit code.
fn call(address: SocketAddr, words: &[&str]) -> (String, String, u8) {
    let url = format!("http://{address}");
    let matches = command().try_get_matches_from([&["ringdns", "--server", &url], words].concat()).unwrap();
    let ctl = Ctl::from_arg_matches(&matches).unwrap();
    let host = Host { command, read_zone: &|_, _| Ok(json!([])), environment: &|_| None };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run(&ctl, host, &mut Terminal { out: &mut out, err: &mut err });
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap(), code)
}

/// Heads of answers.
const STREAM: &str = "HTTP/1.1 200 OK\nContent-Type: text/event-stream\nConnection: close\n\n";
const LINES: &str = "HTTP/1.1 200 OK\nContent-Type: application/x-ndjson\nConnection: close\n\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n";
const MISSING: &str = "HTTP/1.1 404 Not Found\nConnection: close\n\n\
                       {\"error\":{\"code\":\"not_found\",\"message\":\"no resource\"}}";

#[test]
fn a_route_that_the_server_does_not_have_is_told_from_a_record_that_is_not_there() {
    for words in [
        &["stats"][..],
        &["stats", "--top", "3"],
        &["views"],
        &["members"],
        &["cache", "list"],
        &["upstreams"],
        &["export", "a."],
        &["watch"],
    ] {
        let (address, server) = script(&[MISSING]);
        let (_, err, code) = call(address, words);
        let asked = server.join().unwrap().remove(0);
        let path = asked.split([' ', '?']).nth(1).unwrap();
        assert!(err.contains(&format!("the server does not know GET {path}: it is older")), "{words:?}: {err}");
        assert_eq!(code, 1, "{words:?}");
    }
}

#[test]
fn members_are_asked_for_by_state_and_name_and_shown_as_a_table() {
    let page = |members: &str, next: &str| {
        format!("HTTP/1.1 200 OK\nConnection: close\n\n{{\"members\":[{members}],\"next\":{next}}}")
    };
    let down =
        r#"{"target":"192.0.2.1","state":"DOWN","since":"2026-11-22T08:00:00Z","by":"a","last_error":"refused"}"#;
    let unknown = r#"{"target":"192.0.2.9","state":"UNKNOWN","since":null,"by":null,"last_error":null}"#;
    let first = page(down, "\"/api/v1/members?limit=1&after=192.0.2.1&state=down\"");
    let (address, server) = script(&[&first, &page(unknown, "null")]);
    let (out, err, code) = call(address, &["members", "www.example.org", "--state", "down"]);
    let asked = server.join().unwrap();
    assert_eq!((err.as_str(), code), ("", 0));
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ADDRESS", "STATE", "SINCE", "BY", "LAST", "ERROR"]);
    assert_eq!(lines[1], ["192.0.2.1", "DOWN", "2026-11-22T08:00:00Z", "a", "refused"]);
    assert_eq!(lines[2], ["192.0.2.9", "UNKNOWN"]);
    assert!(asked[0].starts_with("GET /api/v1/members?state=down&name=www.example.org&"), "{}", asked[0]);
    assert!(asked[1].contains("after=192.0.2.1"), "{}", asked[1]);
    let (address, server) =
        script(&["HTTP/1.1 200 OK\nConnection: close\n\n{\"target\":\"fd00::1\",\"state\":\"UP\"}"]);
    let (out, _, _) = call(address, &["--output", "json", "members", "fd00::1"]);
    assert!(server.join().unwrap()[0].starts_with("GET /api/v1/members/fd00"));
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["state"], "UP");
    let (_, err, code) = call(address, &["members", "fd00::1", "--state", "up"]);
    assert!(code == 1 && err.contains("leave --state out"), "{code} {err}");
}

#[test]
fn the_cache_is_shown_and_emptied() {
    let page = "HTTP/1.1 200 OK\nConnection: close\n\n{\"entries\":[{\"name\":\"www.example.com.\",\"type\":\"A\",\
                \"rcode\":\"NOERROR\",\"seconds_left\":12,\"stale_seconds\":0,\"uses\":3,\"dnssec_ok\":true,\
                \"checking_disabled\":false,\"records\":[\"www.example.com. 12 IN CNAME a.example.com.\",\
                \"a.example.com. 12 IN A 192.0.2.1\"],\"authority\":[]}],\"next\":\"/api/v1/cache?limit=1&skip=6\"}";
    let (address, server) = script(&[page]);
    let (out, err, code) = call(address, &["cache", "list", "example.com", "--limit", "1", "--skip", "5"]);
    let asked = server.join().unwrap().remove(0);
    assert!(asked.starts_with("GET /api/v1/cache?limit=1&skip=5&name=example.com HTTP"), "{asked}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "NAME              TYPE  FLAGS  RCODE    SECONDS  USES  RECORDS");
    assert_eq!(lines[1], "www.example.com.  A     do     NOERROR  12       3     CNAME a.example.com., A 192.0.2.1");
    assert!(code == 0 && err.contains("--skip 6"), "{code} {err}");

    let removed = "HTTP/1.1 200 OK\nConnection: close\n\n{\"removed\":7}";
    for (words, expected) in [
        (&["cache", "flush"][..], "DELETE /api/v1/cache HTTP"),
        (&["cache", "flush", "a.", "--type", "MX"], "DELETE /api/v1/cache?name=a.&type=MX HTTP"),
    ] {
        let (address, server) = script(&[removed]);
        assert_eq!(call(address, words), ("entries removed: 7\n".to_owned(), String::new(), 0));
        let asked = server.join().unwrap().remove(0);
        assert!(asked.starts_with(expected), "{asked}");
    }
}

#[test]
fn upstreams_are_shown_as_a_table() {
    let upstream = "{\"zone\":\".\",\"name\":\"192.0.2.1\",\"transport\":\"udp\",\"up\":true,\"loop\":false,\
                    \"latency_seconds\":0.0125,\"asked\":9,\"failed\":2,\"failures_in_row\":1}";
    let down = "{\"zone\":\"a.\",\"name\":\"tls://192.0.2.2\",\"transport\":\"tls\",\"up\":false,\"loop\":false,\
                \"latency_seconds\":null,\"asked\":0,\"failed\":0,\"failures_in_row\":0}";
    let answer = format!("HTTP/1.1 200 OK\nConnection: close\n\n{{\"upstreams\":[{upstream},{down}]}}");
    let (address, server) = script(&[&answer]);
    let (out, err, code) = call(address, &["upstreams"]);
    assert!(server.join().unwrap()[0].starts_with("GET /api/v1/upstreams HTTP"));
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let lines: Vec<_> = out.lines().map(words).collect();
    assert_eq!((err.as_str(), code, lines.len()), ("", 0, 3));
    assert_eq!(lines[1], [".", "192.0.2.1", "udp", "up", "12.5", "ms", "9", "2", "1"]);
    assert_eq!(lines[2], ["a.", "tls://192.0.2.2", "tls", "down", "0", "0", "0"]);
}

#[test]
fn a_server_that_does_not_forward_says_what_to_do() {
    let answer = "HTTP/1.1 404 Not Found\nConnection: close\n\n{\"error\":{\"code\":\"not_forwarding\",\
                  \"message\":\"there is no cache\",\"remedy\":\"configure [forward]\"}}";
    for words in [&["cache", "list"][..], &["cache", "flush"], &["upstreams"]] {
        let (address, server) = script(&[answer]);
        let (_, err, code) = call(address, words);
        server.join().unwrap();
        assert!(code == 3 && err.contains("there is no cache; configure [forward]"), "{words:?}: {code} {err}");
    }
}

#[test]
fn a_watch_goes_on_where_it_was() {
    let first = format!(
        "{STREAM}id: 3-a\n\n: nothing\n\nevent: change\nid: 4-a\ndata: {{\"generation\":4,\"zone\":\"a.\",\"owner\":\"b.a.\",\
         \"type\":\"A\",\"rrset\":null}}\n\n"
    );
    let second = format!("{STREAM}event: reset\nid: 9-b\ndata: {{\"generation\":9}}\n\n");
    let third = format!("{STREAM}event: zone\ndata: {{\"generation\":10,\"zone\":\"c.\",\"created\":true}}\n\n");
    let (address, server) = script(&[&first, &second, &third]);
    let (out, err, code) = call(address, &["watch", "--from", "3", "--count", "3"]);
    let asked = server.join().unwrap();
    assert_eq!(out, "4 a. - b.a. A\nreset: changes are missing, list anew\n10 c. zone {\"created\":true}\n");
    assert_eq!((code, err.lines().count()), (0, 2), "{err}");
    assert!(asked[0].starts_with("GET /api/v1/watch?from=3 ") && !asked[0].contains("last-event-id"), "{}", asked[0]);
    assert!(asked[1].starts_with("GET /api/v1/watch ") && asked[1].contains("last-event-id: 4-a"), "{}", asked[1]);
    assert!(asked[2].contains("last-event-id: 9-b"), "{}", asked[2]);
}

#[test]
fn an_import_that_breaks_is_no_success() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.zone");
    std::fs::write(&file, "").unwrap();
    let words = ["import", "a.", file.to_str().unwrap()];
    let cut = format!("{LINES}{{\"progress\":{{\"read\":5}}}}\n");
    let refused =
        format!("{cut}{{\"error\":{{\"code\":\"x\",\"message\":\"no\",\"field\":\"line 3\",\"remedy\":\"mend\"}}}}\n");
    for (answer, expected, expected_code) in [
        (cut.as_str(), "the answer ended before the import", 4),
        (refused.as_str(), "nothing was imported: line 3: no; mend", 1),
    ] {
        let (address, server) = script(&[answer]);
        let (out, err, code) = call(address, &words);
        server.join().unwrap();
        assert!(err.contains(expected) && out.is_empty(), "{err}");
        assert_eq!(code, expected_code);
    }
}

#[test]
fn an_export_that_breaks_leaves_the_file_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a.zone");
    std::fs::write(&file, "old").unwrap();
    let (address, server) = script(&[&format!("{CHUNKED}3\nnew\n"), &format!("{CHUNKED}3\nnew\n0\n\n")]);
    let words = ["export", "a.", "--out", file.to_str().unwrap()];
    let (_, err, code) = call(address, &words);
    assert!(code == 4 && err.contains("the zone was cut off"), "{err}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
    assert_eq!(call(address, &words).2, 0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
    server.join().unwrap();
}

#[test]
fn the_command_line_is_right_in_itself() {
    command().debug_assert();
}
