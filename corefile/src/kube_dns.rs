//! The ConfigMap of kube-dns, as it is mounted: a directory with a file for each key.
//!
//! `stubDomains` is a JSON object of suffixes and their name servers, `upstreamNameservers` a JSON list of those of all other
//! names. What is wrong with one spoils the whole: the version before it stays.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value as Json;

use crate::document::Document;
use crate::fault::{Fault, Note, Place, Why};
use crate::forwarding::{ForwardRule, Forwarding, Policy, Transport, Upstream};
use crate::plugin::{Others, server};
use crate::world::World;
use crate::zone;

/// The keys that kube-dns reads.
pub const KEYS: [&str; 3] = ["stubDomains", "upstreamNameservers", "federations"];

/// Most upstreams, as in kube-dns: a C library takes three.
const UPSTREAMS_MAX: usize = 3;

/// What the ConfigMap comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KubeDns {
    /// The configuration.
    pub document: Document,
    /// Who is asked for names of others.
    pub forwarding: Forwarding,
    /// What is not taken over, and keeps nothing from being served.
    pub notes: Vec<Note>,
}

/// Reads the directory. A key or a directory that is not there is as one that says nothing.
pub fn read(directory: &Path, world: &dyn World) -> Result<KubeDns, Vec<Fault>> {
    let mut keys = Vec::new();
    for name in KEYS {
        let path = directory.join(name);
        match world.read(&path) {
            Ok(text) => keys.push((name, path, text)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => {
                return Err(vec![fault(&path, &format!("it cannot be read: {error}"), "let this user read it")]);
            }
        }
    }
    from_keys(&keys)
}

/// Reads keys with the files that they stand in.
fn from_keys(keys: &[(&str, impl AsRef<Path>, String)]) -> Result<KubeDns, Vec<Fault>> {
    let (mut made, mut faults) = (KubeDns::default(), Vec::new());
    for (name, path, text) in keys {
        let path = path.as_ref();
        if text.trim().is_empty() {
            continue;
        }
        let outcome = match *name {
            "stubDomains" => stub_domains(path, text),
            "upstreamNameservers" => upstreams(path, text).map(|rule| vec![rule]),
            _ => federations(path, text).map(|()| {
                let message = "federations: they are gone from Kubernetes".to_owned();
                made.notes.push(Note { place: place(path), why: Why::NotNeeded, message });
                Vec::new()
            }),
        };
        match outcome {
            Ok(rules) => made.forwarding.rules.extend(rules),
            Err(fault) => faults.push(fault),
        }
    }
    let KubeDns { document, forwarding, notes } = &mut made;
    // dnsmasq keeps answers in any case.
    Others { document, notes, asked: &mut HashSet::new() }.write(&forwarding.rules, &[], true);
    if faults.is_empty() { Ok(made) } else { Err(faults) }
}

/// The place of a file: its keys are on one line mostly.
fn place(path: &Path) -> Place {
    Place { file: path.to_path_buf(), line: 1 }
}

/// A fault of a file.
fn fault(path: &Path, message: &str, remedy: &str) -> Fault {
    Fault { place: place(path), plugin: None, message: message.to_owned(), remedy: remedy.to_owned() }
}

/// The JSON of a file.
fn json(path: &Path, text: &str, remedy: &str) -> Result<Json, Fault> {
    serde_json::from_str(text).map_err(|error| {
        let place = Place { line: error.line().max(1), ..place(path) };
        Fault { place, ..fault(path, &format!("it is no JSON: {error}"), remedy) }
    })
}

/// A rule for a zone.
fn rule(path: &Path, zones: Vec<String>, upstreams: Vec<Upstream>) -> ForwardRule {
    ForwardRule {
        place: place(path),
        zones,
        except: Vec::new(),
        upstreams,
        policy: Policy::Sequential,
        transport: Transport::AsClient,
        concurrent_max: 0,
        fails_max: 2,
        fails_fast: false,
        health_check_ms: 500,
        expire_ms: 10_000,
        next_rcodes: Vec::new(),
    }
}

/// `stubDomains`
fn stub_domains(path: &Path, text: &str) -> Result<Vec<ForwardRule>, Fault> {
    const FORM: &str = "write {\"example.org\": [\"192.0.2.53\"]}";
    let value = json(path, text, FORM)?;
    let object = value.as_object().ok_or_else(|| fault(path, "it is no JSON object", FORM))?;
    let mut rules = Vec::new();
    for (suffix, servers) in object {
        let zones = zone::zones(suffix).ok().filter(|_| is_subdomain(suffix));
        let zones = zones.ok_or_else(|| fault(path, &format!("\"{suffix}\" is no domain"), FORM))?;
        rules.push(rule(path, zones, servers_of(path, servers, true, FORM)?));
    }
    Ok(rules)
}

/// `upstreamNameservers`
fn upstreams(path: &Path, text: &str) -> Result<ForwardRule, Fault> {
    const FORM: &str = "write [\"192.0.2.53\", \"192.0.2.54:5353\"], three at most";
    let servers = servers_of(path, &json(path, text, FORM)?, false, FORM)?;
    if servers.len() > UPSTREAMS_MAX {
        return Err(fault(path, &format!("{} name servers are given", servers.len()), FORM));
    }
    Ok(rule(path, vec![".".to_owned()], servers))
}

/// `federations`: nothing comes of them, but what is wrong there spoils the whole as it did.
fn federations(path: &Path, text: &str) -> Result<(), Fault> {
    for entry in text.trim().split(',') {
        let (name, domain) = entry.split_once('=').unwrap_or_default();
        if name.contains('.') || !is_subdomain(name) || !is_subdomain(domain) {
            let remedy = "write name=example.org, several with commas between, or remove the key";
            return Err(fault(path, &format!("\"{entry}\" is no federation"), remedy));
        }
    }
    Ok(())
}

/// A list of name servers.
fn servers_of(path: &Path, list: &Json, names: bool, form: &str) -> Result<Vec<Upstream>, Fault> {
    let list = list.as_array().ok_or_else(|| fault(path, "the name servers are no JSON list", form))?;
    let read = |entry: &Json| {
        let text = entry.as_str().unwrap_or_default();
        let name = || (names && is_subdomain(text)).then(|| Upstream::Name(text.to_owned()));
        let upstream = server(text, 53).map(Upstream::Address).or_else(name);
        upstream.ok_or_else(|| fault(path, &format!("{entry} is no name server"), form))
    };
    list.iter().map(read).collect()
}

/// Most bytes of a domain (RFC 1123, as text).
const SUBDOMAIN_BYTES_MAX: usize = 253;

/// True for what Kubernetes takes for a domain: RFC 1123 in lower case, and no dot at the end.
fn is_subdomain(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        let ends_well = label.bytes().next().is_some_and(is_word) && label.bytes().last().is_some_and(is_word);
        ends_well && label.bytes().all(|byte| is_word(byte) || byte == b'-')
    };
    text.len() <= SUBDOMAIN_BYTES_MAX && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a key comes to.
    fn of(key: &'static str, text: &str) -> Result<KubeDns, Vec<Fault>> {
        from_keys(&[(key, "/etc/kube-dns/key", text.to_owned())])
    }

    #[test]
    fn suffixes_and_upstreams_become_rules() {
        let made = of("stubDomains", "{\"acme.local\": [\"1.2.3.4\", \"1.2.3.5:5353\"], \"x.org\": [\"ns.x.org\"]}")
            .unwrap_or_default();
        let shown: Vec<_> =
            made.forwarding.rules.iter().map(|rule| (rule.zones.join(" "), rule.upstreams.len())).collect();
        assert_eq!(shown, [("acme.local.".to_owned(), 2), ("x.org.".to_owned(), 1)]);
        assert_eq!(made.forwarding.rules[1].upstreams, [Upstream::Name("ns.x.org".to_owned())]);
        assert_eq!(made.notes, []);
        let text = made.document.render().text;
        assert!(text.contains("upstreams = [\"1.2.3.4:53\", \"1.2.3.5:5353\"]"), "{text}");
        assert!(text.contains("upstreams = [\"ns.x.org\"]"), "{text}");
        let made = of("upstreamNameservers", "[\"8.8.8.8\", \"[2001:db8::1]:53\"]").unwrap_or_default();
        assert_eq!(made.forwarding.rules[0].zones, ["."]);
        assert_eq!(made.notes, []);
        let text = made.document.render().text;
        assert!(text.contains("upstreams = [\"8.8.8.8:53\", \"[2001:db8::1]:53\"]"), "{text}");
        assert!(of("federations", "a=b").is_ok_and(|made| made.forwarding.is_empty() && made.notes.len() == 1));
        assert!(of("stubDomains", " \n").is_ok_and(|made| made.forwarding.is_empty()));
    }

    #[test]
    fn what_is_wrong_spoils_the_whole() {
        for (key, text, words) in [
            ("stubDomains", "{", "no JSON"),
            ("stubDomains", "[]", "no JSON object"),
            ("stubDomains", "{\"a_b\": [\"1.2.3.4\"]}", "no domain"),
            ("stubDomains", "{\"\": [\"1.2.3.4\"]}", "no domain"),
            ("stubDomains", "{\"$$$$\": [\"1.2.3.4\"]}", "no domain"),
            ("stubDomains", "{\"a..b\": [\"1.2.3.4\"]}", "no domain"),
            ("stubDomains", "{\"-a.b\": [\"1.2.3.4\"]}", "no domain"),
            ("stubDomains", "{\"A.b\": [\"1.2.3.4\"]}", "no domain"),
            ("stubDomains", "{\"a.b\": [\"$$$$\"]}", "no name server"),
            ("federations", "a.b=c", "no federation"),
            ("federations", "a=b,c", "no federation"),
            ("stubDomains", "{\"a.b\": \"1.2.3.4\"}", "no JSON list"),
            ("stubDomains", "{\"a.b\": [7]}", "no name server"),
            ("upstreamNameservers", "[\"ns.example\"]", "no name server"),
            ("upstreamNameservers", "[\"1.1.1.1\",\"1.1.1.2\",\"1.1.1.3\",\"1.1.1.4\"]", "4 name servers"),
        ] {
            let faults = of(key, text).expect_err(text);
            assert!(faults[0].message.contains(words), "{text}: {}", faults[0]);
        }
    }
}
