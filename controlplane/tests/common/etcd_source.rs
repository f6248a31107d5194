//! A server that reads etcd, and what is said of it: shared by the tests of that source.
#![allow(dead_code, reason = "each test binary uses some of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use std::path::Path;

use serde_json::{Value, json};

use crate::common::{Server, wait_until};
use crate::real::Etcd;

/// Configuration of an etcd at endpoints, with the copy on disk in a directory.
pub fn config(directory: &Path, endpoints: &[String]) -> String {
    format!(
        "[etcd]\nendpoints = {endpoints:?}\ntimeout_seconds = 3\ncache_file = \"{}/etcd.cache\"\n\
         [[etcd_tree]]\nlayout = \"containerdns\"\nzones = [\"c.local\", \"other\"]\n\
         [[etcd_tree]]\nlayout = \"skydns\"\nzones = [\"s.local\"]\n",
        directory.display()
    )
}

/// The key of an address record, and its value.
pub fn address(name: &str, host: &str) -> (String, String) {
    (format!("/containerdns/local/c/{name}/x/"), json!({"type": "A", "host": host, "ttl": 30}).to_string())
}

/// Writes an address record.
pub fn put(etcd: &Etcd, name: &str, host: &str) {
    let (key, value) = address(name, host);
    etcd.put(&key, &value);
}

/// The records of an owner of zone c.local; empty where there are none.
pub fn records(server: &Server, name: &str, rtype: &str) -> Value {
    let reply = server.request("GET", &format!("/api/v1/zones/c.local/rrsets/{name}/{rtype}"), &[], "");
    if reply.status == 200 { reply.json()["records"].clone() } else { json!([]) }
}

/// Waits until the owner has exactly this address, or none.
pub fn wait_for(server: &Server, name: &str, host: Option<&str>) {
    let expected: Vec<&str> = host.into_iter().collect();
    wait_until(&format!("{name} is {host:?}"), || records(server, name, "A") == json!(expected));
}

/// What the source says of itself.
pub fn seen(server: &Server) -> Value {
    server.get("/api/v1/status").1["etcd"].clone()
}

/// The value of a metric without labels.
pub fn metric(server: &Server, name: &str) -> f64 {
    let text = server.request("GET", "/metrics", &[], "").body;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}{{}} ")));
    line.unwrap_or_else(|| panic!("{name} is not in {text}")).parse().unwrap()
}
