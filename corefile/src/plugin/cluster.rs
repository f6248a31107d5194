//! `kubernetes`, `k8s_external` and `autopath`: a cluster's names.

use std::path::Path;

use crate::document::Value;
use crate::fault::Why;
use crate::lexer::Word;
use crate::out::{Out, Scope};
use crate::parse::Line;
use crate::zone;

/// The table of the cluster.
const TABLE: &str = "[kubernetes]";
/// That of its names for clients outside.
const EXTERNAL: &str = "[kubernetes.external]";
/// That of the search path.
const SEARCH_PATH: &str = "[kubernetes.search_path]";

/// Where a machine's own search path is.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// `kubernetes`
pub(super) fn kubernetes(line: &Line, scope: &Scope<'_>, out: &mut Out<'_>) {
    let options = words_of(&line.lines);
    let place = out.place(&line.name);
    match &out.cluster {
        Some((known, before)) if *known != options => {
            let message =
                format!("its options differ from those at {before}, and RingDNS reads one cluster in one way");
            return out.unsupported(&line.name, message, "give both the same options, or run a server for each");
        }
        known => out.cluster = known.clone().or(Some((options, place))),
    }
    let zones = out.zones(&line.args, scope);
    let (reverse, forward): (Vec<_>, Vec<_>) = zones.iter().cloned().partition(|zone| zone::is_reverse(zone));
    if forward.is_empty() {
        return out.fault(
            &line.name,
            "all its zones are reverse zones",
            "name the cluster's domain too, such as cluster.local",
        );
    }
    out.set(TABLE, "zones", Value::Texts(forward), &line.name);
    if !reverse.is_empty() {
        out.set(TABLE, "reverse_zones", Value::Texts(reverse), &line.name);
    }
    let has_kubeconfig = line.lines.iter().any(|option| option.name.text == "kubeconfig");
    for option in &line.lines {
        if has_kubeconfig && ["endpoint", "tls"].contains(&option.name.text.as_str()) {
            let words = format!("{}: kubeconfig says where the API is, as in CoreDNS", option.name.text);
            out.note(&option.name, Why::Differs, words);
        } else {
            self::option(option, &zones, scope, out);
        }
    }
}

/// All words of lines, for comparing.
fn words_of(lines: &[Line]) -> Vec<String> {
    lines
        .iter()
        .flat_map(|line| {
            let own = std::iter::once(&line.name).chain(&line.args).map(|word| word.text.clone());
            own.chain(words_of(&line.lines)).chain(std::iter::once("\n".to_owned())).collect::<Vec<_>>()
        })
        .collect()
}

/// An option of `kubernetes`.
fn option(line: &Line, zones: &[String], scope: &Scope<'_>, out: &mut Out<'_>) {
    let (name, words) = (&line.name, &line.args);
    match name.text.as_str() {
        "endpoint" | "tls" | "kubeconfig" => connection(line, scope, out),
        "namespaces" => texts(line, "namespaces", out),
        "namespace_labels" => joined(line, "namespace_labels", out),
        "labels" => joined(line, "labels", out),
        "pods" => {
            let Some(word) = out.only(line) else { return };
            if ["disabled", "insecure", "verified"].contains(&word.text.as_str()) {
                out.set(TABLE, "pods", Value::text(&word.text), word);
            } else {
                out.fault(word, format!("pods \"{}\"", word.text), "write disabled, insecure or verified");
            }
        }
        "endpoint_pod_names" => out.set(TABLE, "endpoint_labels", Value::text("pod-name"), name),
        "ttl" => {
            if let Some(ttl) = out.number(line, 0..=3600) {
                out.set(TABLE, "ttl", Value::Number(ttl), name);
            }
        }
        "noendpoints" => out.set(TABLE, "endpoints", Value::Boolean(false), name),
        "ignore" => match words.as_slice() {
            [word] if word.text == "empty_service" => {
                out.set(TABLE, "ignore_empty_services", Value::Boolean(true), name);
            }
            _ => out.fault(name, "ignore of something else", "write: ignore empty_service"),
        },
        "fallthrough" => fallthrough(line, zones, out),
        "multicluster" => {
            let multicluster = out.zones(words, scope);
            out.set(TABLE, "multicluster_zones", Value::Texts(multicluster), name);
        }
        "zonal" => out.set(TABLE, "zonal", Value::Boolean(true), name),
        "startup_timeout" => {
            let Some(word) = out.only(line) else { return };
            if let Some(milliseconds) = out.milliseconds(word) {
                let milliseconds = i64::try_from(milliseconds).unwrap_or(i64::MAX);
                out.set(TABLE, "startup_timeout_ms", Value::Number(milliseconds), word);
            }
        }
        "apiserver_qps" | "apiserver_burst" | "apiserver_max_inflight" => {
            out.note(name, Why::NotNeeded, format!("{}: a few watches are all that is asked of the API", name.text));
        }
        "resyncperiod" => {
            out.note(name, Why::NotNeeded, "resyncperiod: watches miss nothing that a listing would find");
        }
        "upstream" => out.note(name, Why::NotNeeded, "upstream: targets are looked up in everything that is served"),
        "transfer" => {
            out.note(name, Why::Differs, "transfer to: it is not an option any more; write the plugin transfer");
        }
        _ => out.unknown(line),
    }
}

/// Where the API is.
fn connection(line: &Line, scope: &Scope<'_>, out: &mut Out<'_>) {
    let (name, words) = (&line.name, line.args.as_slice());
    let path = |word: &Word| Value::text(scope.path(&word.text));
    match (name.text.as_str(), words) {
        ("endpoint", [first, rest @ ..]) => {
            // The first one counts in CoreDNS too.
            out.set(TABLE, "endpoint", Value::text(&first.text), first);
            if let Some(word) = rest.first() {
                out.note(word, Why::Differs, "endpoint: of several the first is taken, as in CoreDNS");
            }
        }
        ("tls", [certificate, key, ca]) => {
            out.set(TABLE, "certificate_file", path(certificate), certificate);
            out.set(TABLE, "key_file", path(key), key);
            out.set(TABLE, "ca_file", path(ca), ca);
        }
        ("tls", _) => out.fault(name, "tls takes three files", "write: tls CERTIFICATE KEY CA"),
        ("kubeconfig", [file, rest @ ..]) if rest.len() < 2 => {
            out.set(TABLE, "kubeconfig", path(file), file);
            if let Some(context) = rest.first() {
                out.set(TABLE, "context", Value::text(&context.text), context);
            }
        }
        ("kubeconfig", _) => {
            out.fault(name, "kubeconfig takes a file and a context", "write: kubeconfig FILE [CONTEXT]");
        }
        _ => out.fault(name, format!("{} has no value", name.text), "write: endpoint URL"),
    }
}

/// An option that is a list.
fn texts(line: &Line, key: &'static str, out: &mut Out<'_>) {
    if line.args.is_empty() {
        return out.fault(&line.name, format!("{} names nothing", line.name.text), "name one, or remove the line");
    }
    let texts = line.args.iter().map(|word| word.text.clone()).collect();
    out.set(TABLE, key, Value::Texts(texts), &line.name);
}

/// An option that is a selector, blanks in it.
fn joined(line: &Line, key: &'static str, out: &mut Out<'_>) {
    if line.args.is_empty() {
        return out.fault(
            &line.name,
            format!("{} selects nothing", line.name.text),
            "write a selector such as app=web",
        );
    }
    let words: Vec<&str> = line.args.iter().map(|word| word.text.as_str()).collect();
    out.set(TABLE, key, Value::text(words.join(" ")), &line.name);
}

/// Zones whose missing names are looked for elsewhere: those that are named, or all.
fn fallthrough(line: &Line, zones: &[String], out: &mut Out<'_>) {
    let mut through = Vec::new();
    for word in &line.args {
        match zone::zones(&word.text) {
            Ok(found) => through.extend(found),
            Err(fault) => out.fault(word, fault, "name a zone such as in-addr.arpa"),
        }
    }
    let through = if line.args.is_empty() { zones.to_vec() } else { through };
    out.set(TABLE, "fallthrough", Value::Texts(through), &line.name);
}

/// `k8s_external`
pub(super) fn external(line: &Line, scope: &Scope<'_>, out: &mut Out<'_>) {
    let zones = out.zones(&line.args, scope);
    let (reverse, forward): (Vec<_>, Vec<_>) = zones.into_iter().partition(|zone| zone::is_reverse(zone));
    if forward.is_empty() {
        return out.fault(
            &line.name,
            "all its zones are reverse zones",
            "name the zone of the outer names, such as example.org",
        );
    }
    out.set(EXTERNAL, "zones", Value::Texts(forward), &line.name);
    if !reverse.is_empty() {
        out.set(EXTERNAL, "reverse_zones", Value::Texts(reverse), &line.name);
    }
    for option in &line.lines {
        match option.name.text.as_str() {
            "apex" => {
                if let Some(word) = out.only(option) {
                    out.set(EXTERNAL, "apex", Value::text(&word.text), word);
                }
            }
            "ttl" => {
                if let Some(ttl) = out.number(option, 0..=3600) {
                    out.set(EXTERNAL, "ttl", Value::Number(ttl), &option.name);
                }
            }
            "headless" => out.set(EXTERNAL, "headless", Value::Boolean(true), &option.name),
            "fallthrough" => {
                out.note(&option.name, Why::Differs, "fallthrough: names that are missing in these zones are NXDOMAIN");
            }
            "upstream" => {
                out.note(&option.name, Why::NotNeeded, "upstream: targets are looked up in everything that is served");
            }
            _ => out.unknown(option),
        }
    }
}

/// `autopath`
pub(super) fn autopath(line: &Line, scope: &Scope<'_>, out: &mut Out<'_>) {
    let Some((last, zones)) = line.args.split_last() else {
        return out.fault(&line.name, "it names neither a plugin nor a file", "write: autopath @kubernetes");
    };
    let is_cluster = last.text == "@kubernetes";
    if !is_cluster && last.text.starts_with('@') {
        let remedy = "write @kubernetes, or a file in the form of resolv.conf";
        return out.unsupported(last, format!("the search path of {}", last.text), remedy);
    }
    out.set(SEARCH_PATH, "enabled", Value::Boolean(true), &line.name);
    // CoreDNS answers with a CNAME to the name that was found.
    out.set(SEARCH_PATH, "cname", Value::Boolean(true), &line.name);
    let file = if is_cluster { RESOLV_CONF.to_owned() } else { scope.path(&last.text) };
    let suffixes = search_list(Path::new(&file), last, !is_cluster, out);
    let own = out.zones(zones, scope);
    // Those of the cluster are known; the rest is the host's.
    let suffixes: Vec<String> = suffixes
        .into_iter()
        .filter(|suffix| !own.iter().any(|zone| zone != "." && zone::is_within(suffix, zone)))
        .collect();
    if !suffixes.is_empty() {
        out.set(SEARCH_PATH, "host_suffixes", Value::Texts(suffixes), last);
    }
}

/// The search path that a file in the form of resolv.conf has; the last line counts.
fn search_list(file: &Path, word: &Word, is_needed: bool, out: &mut Out<'_>) -> Vec<String> {
    let text = match out.world.read(file) {
        Ok(text) => text,
        Err(error) if is_needed => {
            out.fault(
                word,
                format!("{} cannot be read: {error}", file.display()),
                "name a file in the form of resolv.conf",
            );
            return Vec::new();
        }
        Err(_) => return Vec::new(),
    };
    let mut lists = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        ["search", "domain"].contains(&words.next()?).then(|| words.map(str::to_owned).collect::<Vec<_>>())
    });
    lists
        .next_back()
        .unwrap_or_default()
        .iter()
        .filter_map(|name| zone::zones(name).ok())
        .flatten()
        .filter(|zone| zone != ".")
        .collect()
}
