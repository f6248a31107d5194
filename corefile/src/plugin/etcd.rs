//! `etcd`: records in SkyDNS's form.

use crate::document::Value;
use crate::duration;
use crate::fault::Why;
use crate::out::{Out, Scope};
use crate::parse::Line;

/// The members.
const TABLE: &str = "[etcd]";
/// What is read from them.
const TREE: &str = "[[etcd_tree]]";

/// Where CoreDNS looks for etcd unless it is told otherwise.
const ENDPOINT: &str = "http://localhost:2379";

/// TTL in seconds of messages without one, in CoreDNS.
const TTL_SECONDS: i64 = 300;

/// Where the password is expected, which a Corefile has in it.
const PASSWORD_FILE: &str = "/etc/ringdns/etcd.password";

/// `etcd`
pub(super) fn etcd(line: &Line, scope: &Scope<'_>, out: &mut Out<'_>) {
    let name = &line.name;
    let mut prefix = "/skydns".to_owned();
    let mut endpoints = vec![ENDPOINT.to_owned()];
    for option in &line.lines {
        match option.name.text.as_str() {
            "path" => {
                if let Some(word) = out.only(option) {
                    prefix = format!("/{}", word.text.trim_matches('/'));
                }
            }
            "endpoint" if option.args.is_empty() => {
                out.fault(&option.name, "endpoint has no value", "write: endpoint URL");
            }
            "endpoint" => endpoints = option.args.iter().map(|word| word.text.clone()).collect(),
            "credentials" => credentials(option, out),
            "tls" => tls(option, scope, out),
            "min-lease-ttl" | "max-lease-ttl" => lease(option, out),
            "fallthrough" => {
                out.note(&option.name, Why::Differs, "fallthrough: names that are missing in these zones are NXDOMAIN");
            }
            "stubzones" | "upstream" | "debug" => {
                let words = format!("{}: it is without effect in CoreDNS too", option.name.text);
                out.note(&option.name, Why::NotNeeded, words);
            }
            _ => out.unknown(option),
        }
    }
    let zones = out.zones(&line.args, scope);
    out.set(TABLE, "endpoints", Value::Texts(endpoints), name);
    out.made.document.begin(TREE);
    out.set(TREE, "layout", Value::text("skydns"), name);
    out.set(TREE, "generation", Value::text("coredns"), name);
    out.set(TREE, "prefix", Value::text(prefix), name);
    out.set(TREE, "zones", Value::Texts(zones), name);
    out.set(TREE, "ttl_seconds", Value::Number(TTL_SECONDS), name);
    if scope.has("loadbalance") {
        out.set(TREE, "answers", Value::text("rotate"), name);
    }
    let words = "questions with the labels \"*\" and \"any\" are answered once etcd_tree.wildcard_names_max says how many names that \
                 may take";
    out.note(name, Why::Differs, words);
}

/// User and password. The password is not copied: configuration is for many eyes.
fn credentials(line: &Line, out: &mut Out<'_>) {
    let [user, password] = line.args.as_slice() else {
        return out.fault(&line.name, "credentials takes two values", "write: credentials USER PASSWORD");
    };
    out.set(TABLE, "user", Value::text(&user.text), user);
    out.set(TABLE, "password_file", Value::text(PASSWORD_FILE), password);
    let words =
        format!("credentials: the password is read from {PASSWORD_FILE}, which nobody else may read; put it there");
    out.note(password, Why::Differs, words);
}

/// Certificates: none, that of the authority, our own, or all three.
fn tls(line: &Line, scope: &Scope<'_>, out: &mut Out<'_>) {
    const SYSTEM_CA: &str = "/etc/ssl/certs/ca-certificates.crt";
    let path = |name: &str| Value::text(scope.path(name));
    let (own, ca) = match line.args.as_slice() {
        [] => (None, None),
        [ca] => (None, Some(ca)),
        [certificate, key] => (Some((certificate, key)), None),
        [certificate, key, ca] => (Some((certificate, key)), Some(ca)),
        _ => return out.fault(&line.name, "tls takes three files at most", "write: tls [CERTIFICATE KEY] [CA]"),
    };
    if let Some((certificate, key)) = own {
        out.set(TABLE, "cert_file", path(&certificate.text), certificate);
        out.set(TABLE, "key_file", path(&key.text), key);
    }
    match ca {
        Some(ca) => out.set(TABLE, "ca_file", path(&ca.text), ca),
        None => out.set(TABLE, "ca_file", Value::text(SYSTEM_CA), &line.name),
    }
}

/// Bounds of what is left of leases. Records of a lease vanish with it, and have the TTL of their message until then.
fn lease(line: &Line, out: &mut Out<'_>) {
    let Some(word) = out.only(line) else { return };
    if duration::milliseconds(&word.text).is_none() {
        return out.fault(word, format!("\"{}\" is no duration", word.text), "write one such as 30s");
    }
    let words = format!("{}: a record has the TTL of its message, and goes when its lease ends", line.name.text);
    out.note(&line.name, Why::Differs, words);
}
