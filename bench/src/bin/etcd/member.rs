//! One member of etcd as a process, written to by its JSON interface: gRPC would bring a runtime along.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use harness::http::{self, Connection};
use harness::wait_for;
use ringdns_bench::Outcome;

/// Where it listens: each namespace has its own loopback.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 2379);

/// Where the others of its cluster would reach it.
const PEERS: &str = "http://127.0.0.1:2380";

/// Keys of one transaction: etcd takes 128.
const AT_ONCE: usize = 100;

/// Names with two members each, whose health is known.
pub const MEMBERS: u64 = 1_000;

/// Longest from its start to its first answer.
const START_TIME_MAX: Duration = Duration::from_secs(30);

/// A member; ended when dropped.
pub struct Member {
    /// Where clients reach it.
    pub address: SocketAddr,
    /// It.
    child: Child,
    /// Its data; gone with it.
    folder: PathBuf,
}

impl Member {
    /// Starts one without data and waits until it answers.
    pub fn start() -> Outcome<Member> {
        let folder = std::env::temp_dir().join(format!("ringdns-bench-etcd.{}", std::process::id()));
        let url = format!("http://{ADDRESS}");
        let child = Command::new(program()?)
            .arg("--data-dir")
            .arg(&folder)
            .args(["--listen-client-urls", &url, "--advertise-client-urls", &url, "--listen-peer-urls", PEERS])
            .args(["--initial-advertise-peer-urls", PEERS, "--initial-cluster", &format!("default={PEERS}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let member = Member { address: ADDRESS, child, folder };
        wait_for("etcd to answer", START_TIME_MAX, || {
            let answer = http::request(ADDRESS, "GET", "/health", None, None).ok()?;
            (answer.status == 200).then_some(())
        });
        Ok(member)
    }

    /// A connection for many writes.
    pub fn connect(&self) -> Outcome<Connection> {
        // etcd refuses a token that it has not given.
        Ok(Connection::open_without_token(self.address)?)
    }

    /// Writes so many names, as a layout has them; with ContainerDNS's, names with members too.
    pub fn fill(&self, layout: &str, names: u64) -> Outcome<()> {
        let pair = |number| if layout == "skydns" { skydns(number) } else { containerdns(number, [10, 0, 0, 0]) };
        self.put_all((0..names).map(pair))?;
        if layout == "containerdns" {
            let pairs = (0..MEMBERS).flat_map(|number| {
                let [first, second] = crate::members(number);
                [pool(number, "a", first), pool(number, "b", second), state(first, "UP"), state(second, "UP")]
            });
            self.put_all(pairs)?;
        }
        Ok(())
    }

    /// Writes keys, many at once.
    fn put_all(&self, pairs: impl Iterator<Item = [String; 2]>) -> Outcome<()> {
        let mut pairs = pairs.peekable();
        while pairs.peek().is_some() {
            let some = pairs.by_ref().take(AT_ONCE);
            let puts: Vec<String> = some.map(|pair| format!(r#"{{"request_put":{}}}"#, json(&pair))).collect();
            let body = format!(r#"{{"success":[{}]}}"#, puts.join(","));
            let answer = http::request(self.address, "POST", "/v3/kv/txn", None, Some(&body))?;
            if answer.status != 200 {
                return Err(format!("etcd does not take keys: {answer:?}").into());
            }
        }
        Ok(())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // What is left after this is the folder of a process that cannot be ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The program: an installed one, or the one that scripts/reference-server has unpacked.
fn program() -> Outcome<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&path).map(|folder| folder.join("etcd"));
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home).unwrap_or_default();
    let unpacked = cache.join("ringdns/reference-servers/usr/bin/etcd");
    let mut found = installed.chain([unpacked]).filter(|path| path.is_file());
    found
        .next()
        .ok_or_else(|| "there is no etcd: run scripts/reference-server fetch, or apt-get install etcd-server".into())
}

/// The body of a write that gives a name of ContainerDNS's tree an address.
pub fn put(number: u64, host: [u8; 4]) -> String {
    json(&containerdns(number, host))
}

/// The body of a write that says how an address is.
pub fn put_state(address: [u8; 4], word: &str) -> String {
    json(&state(address, word))
}

/// The key that says how an address is, and its value, as ContainerDNS has them.
fn state(address: [u8; 4], word: &str) -> [String; 2] {
    let address = std::net::Ipv4Addr::from(address);
    [format!("/containerdns/monitor/status/{address}"), format!(r#"{{"status":"{word}","ports":["80"]}}"#)]
}

/// A key and its value of a name that has members, each with a label of its own.
fn pool(number: u64, label: &str, [a, b, c, d]: [u8; 4]) -> [String; 2] {
    let value = format!(r#"{{"type":"A","host":"{a}.{b}.{c}.{d}","ttl":60}}"#);
    [format!("/containerdns/example/etcd/pool{number}/{label}/"), value]
}

/// A key and its value in ContainerDNS's tree.
fn containerdns(number: u64, [a, b, c, d]: [u8; 4]) -> [String; 2] {
    let value = format!(r#"{{"type":"A","host":"{a}.{b}.{c}.{d}","ttl":60}}"#);
    [format!("/containerdns/example/etcd/n{number}/x/"), value]
}

/// The same in SkyDNS's, as kube2sky names services: twenty members each, a hundred services a namespace.
fn skydns(number: u64) -> [String; 2] {
    let (namespace, service, member) = (number / 2000, number / 20 % 100, number % 20);
    let key = format!("/skydns/example/etcd/svc/ns{namespace}/s{service}/m{member}");
    [key, format!(r#"{{"host":"10.{namespace}.{service}.{member}","port":80}}"#)]
}

/// As the JSON interface wants them.
fn json(pair: &[String; 2]) -> String {
    let [key, value] = pair.each_ref().map(|text| base64(text.as_bytes()));
    format!(r#"{{"key":"{key}","value":"{value}"}}"#)
}

/// Base64 (RFC 4648 section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |place: usize| u32::from(group.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place > group.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (plain, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
