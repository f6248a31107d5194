//! `forward`, the older `proxy`, and `cache`: names of others. They are read here; `others` has what they come to.

use std::net::{IpAddr, SocketAddr};

use crate::fault::Why;
use crate::forwarding::{CacheLimits, CacheRule, ForwardRule, Policy, Transport, Upstream};
use crate::lexer::Word;
use crate::out::{Out, Scope};
use crate::parse::Line;
use crate::zone;

/// Most upstreams of a rule, as in CoreDNS.
const UPSTREAMS_MAX: usize = 15;

/// `forward`
pub(super) fn forward(line: &Line, scope: &Scope<'_>, out: &mut Out<'_>) {
    let Some((from, to)) = line.args.split_first() else {
        return out.fault(&line.name, "it names neither a zone nor upstreams", "write: forward . /etc/resolv.conf");
    };
    if to.is_empty() {
        return out.fault(
            &line.name,
            "it names no upstream",
            "write: forward . 192.0.2.53, or: forward . /etc/resolv.conf",
        );
    }
    let mut upstreams: Vec<Upstream> = to.iter().filter_map(|word| upstream(word, scope, out)).collect();
    if to.len() > UPSTREAMS_MAX {
        out.fault(&line.name, format!("{} upstreams are given", to.len()), format!("give at most {UPSTREAMS_MAX}"));
    }
    // Only what the block is for comes here.
    let zones = zone::common(&scope.zones, &out.zones(std::slice::from_ref(from), scope));
    let mut rule = ForwardRule {
        place: out.place(&line.name),
        zones,
        except: Vec::new(),
        upstreams: Vec::new(),
        policy: Policy::default(),
        transport: Transport::default(),
        concurrent_max: 0,
        fails_max: 2,
        fails_fast: false,
        health_check_ms: 500,
        expire_ms: 10_000,
        next_rcodes: Vec::new(),
    };
    for option in &line.lines {
        forward_option(option, &mut rule, &mut upstreams, scope, out);
    }
    rule.upstreams = upstreams;
    out.made.forwarding.rules.push(rule);
}

/// An option of `forward`.
fn forward_option(
    line: &Line,
    rule: &mut ForwardRule,
    upstreams: &mut [Upstream],
    scope: &Scope<'_>,
    out: &mut Out<'_>,
) {
    let texts = || line.args.iter().map(|word| word.text.clone());
    match line.name.text.as_str() {
        "except" => rule.except.extend(out.zones(&line.args, scope)),
        "force_tcp" => rule.transport = Transport::Tcp,
        "prefer_udp" => rule.transport = Transport::Udp,
        "policy" => match line.args.first().map(|word| word.text.as_str()) {
            Some("random") => rule.policy = Policy::Random,
            Some("round_robin") => rule.policy = Policy::RoundRobin,
            Some("sequential") => rule.policy = Policy::Sequential,
            _ => out.fault(&line.name, "there is no such policy", "write random, round_robin or sequential"),
        },
        "max_concurrent" => rule.concurrent_max = count(line, out).unwrap_or(0),
        "max_fails" => rule.fails_max = count(line, out).unwrap_or(2),
        "failfast_all_unhealthy_upstreams" => rule.fails_fast = true,
        "expire" => rule.expire_ms = time(line, out).unwrap_or(10_000),
        "health_check" => {
            if let Some(milliseconds) = line.args.first().and_then(|word| out.milliseconds(word)) {
                rule.health_check_ms = milliseconds;
            }
        }
        "next" | "failover" => rule.next_rcodes.extend(texts()),
        "next_on_nodata" => rule.next_rcodes.push("NODATA".to_owned()),
        "tls_servername" => {
            let name = texts().next();
            for upstream in upstreams {
                if let Upstream::Tls(_, known) = upstream {
                    known.clone_from(&name);
                }
            }
        }
        // How connections are made; nothing that another server would do otherwise.
        "tls"
        | "max_age"
        | "max_idle_conns"
        | "max_connect_attempts"
        | "source_address"
        | "doh_method"
        | "resolver" => {}
        _ => out.unknown(line),
    }
}

/// The only argument as a count.
fn count(line: &Line, out: &mut Out<'_>) -> Option<u32> {
    out.number(line, 0..=i64::from(u32::MAX)).and_then(|number| u32::try_from(number).ok())
}

/// The only argument as milliseconds.
fn time(line: &Line, out: &mut Out<'_>) -> Option<u64> {
    let word = out.only(line)?;
    out.milliseconds(word)
}

/// Who is asked.
fn upstream(word: &Word, scope: &Scope<'_>, out: &mut Out<'_>) -> Option<Upstream> {
    let text = word.text.as_str();
    if let Some(rest) = text.strip_prefix("https://") {
        return https(word, rest);
    }
    if let Some(rest) = text.strip_prefix("tls://") {
        // ADDRESS%NAME[:PORT]; an address of a link has its interface behind a percent sign, and no upstream is one.
        let (address, name) = rest.split_once('%').map_or((rest, None), |(address, name)| (address, Some(name)));
        let (name, port) = name.map_or((None, None), |name| match name.rsplit_once(':') {
            Some((name, port)) => (Some(name), Some(port)),
            None => (Some(name), None),
        });
        let written = port.map_or_else(|| address.to_owned(), |port| format!("{address}:{port}"));
        if let Some(address) = server(&written, 853) {
            return Some(Upstream::Tls(address, name.map(str::to_owned)));
        }
        if zone::zones(&written).is_ok() {
            let name = name.map(|name| format!("#{name}")).unwrap_or_default();
            return Some(Upstream::Name(format!("tls://{written}{name}")));
        }
    }
    if let Some(address) = server(text.strip_prefix("dns://").unwrap_or(text), 53) {
        return Some(Upstream::Address(address));
    }
    if text.starts_with('/') || text.contains("resolv") {
        return Some(Upstream::ResolvConf(scope.path(text).into()));
    }
    // node-cache fills such words in.
    let name = text.strip_prefix("dns://").unwrap_or(text);
    if text.starts_with("__PILLAR__") || zone::zones(name).is_ok() {
        return Some(Upstream::Name(name.to_owned()));
    }
    out.fault(
        word,
        format!("\"{text}\" is no upstream"),
        "write an address such as 192.0.2.53:53, or a file such as /etc/resolv.conf",
    );
    None
}

/// A server over HTTPS. Where its host is an address, that stands behind "#" too, as RingDNS has it.
fn https(word: &Word, rest: &str) -> Option<Upstream> {
    let host = rest.split('/').next().unwrap_or(rest);
    let url = match (rest.contains('#'), server(host, 443)) {
        (false, Some(address)) => format!("{}#{}", word.text, address.ip()),
        _ => word.text.clone(),
    };
    Some(Upstream::Https(url))
}

/// An address with a port, or without one.
pub(crate) fn server(text: &str, port: u16) -> Option<SocketAddr> {
    let ip = || text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    text.parse().ok().or_else(|| Some(SocketAddr::new(ip()?, port)))
}

/// `proxy`: what forwarding was before CoreDNS 1.5, with options of its own.
pub(super) fn proxy(line: &Line, scope: &Scope<'_>, out: &mut Out<'_>) {
    let line = Line { lines: Vec::new(), ..line.clone() };
    out.note(&line.name, Why::Differs, "it is gone from CoreDNS, and is read as forward, without its options");
    forward(&line, scope, out);
}

/// `cache`
pub(super) fn cache(line: &Line, scope: &Scope<'_>, out: &mut Out<'_>) {
    let mut args = line.args.as_slice();
    let mut rule = CacheRule {
        place: out.place(&line.name),
        zones: Vec::new(),
        success: CacheLimits::default(),
        denial: CacheLimits { ttl_max: 1800, ..CacheLimits::default() },
        no_success: Vec::new(),
        no_denial: Vec::new(),
        servfail_seconds: 5,
        stale_seconds: 0,
        stale_verifies: false,
        prefetch: 0,
        keeps_ttl: false,
    };
    if let Some((seconds, rest)) = args.split_first().and_then(|(word, rest)| Some((word.text.parse().ok()?, rest))) {
        (rule.success.ttl_max, rule.denial.ttl_max, args) = (seconds, seconds, rest);
    }
    rule.zones = zone::common(&scope.zones, &out.zones(args, scope));
    for option in &line.lines {
        cache_option(option, &mut rule, scope, out);
    }
    out.made.forwarding.caches.push(rule);
}

/// An option of `cache`.
fn cache_option(line: &Line, rule: &mut CacheRule, scope: &Scope<'_>, out: &mut Out<'_>) {
    match line.name.text.as_str() {
        "success" => limits(line, &mut rule.success, out),
        "denial" => limits(line, &mut rule.denial, out),
        "disable" => {
            let zones = out.zones(line.args.get(1..).unwrap_or_default(), scope);
            match line.args.first().map(|word| word.text.as_str()) {
                Some("success") => rule.no_success.extend(zones),
                Some("denial") => rule.no_denial.extend(zones),
                _ => out.fault(&line.name, "disable of something else", "write: disable success, or: disable denial"),
            }
        }
        "servfail" => {
            if let Some(seconds) = out.only(line).and_then(|word| out.seconds(word)) {
                rule.servfail_seconds = seconds;
            }
        }
        "serve_stale" => {
            let given = line.args.first().and_then(|word| crate::duration::seconds(&word.text));
            rule.stale_seconds = given.unwrap_or(3600);
            rule.stale_verifies = line.args.iter().any(|word| word.text == "verify");
        }
        "prefetch" => match line.args.first().and_then(|word| word.text.parse().ok()) {
            Some(amount) => rule.prefetch = amount,
            None => out.fault(&line.name, "prefetch has no number", "write: prefetch AMOUNT [DURATION] [PERCENTAGE%]"),
        },
        "keepttl" => rule.keeps_ttl = true,
        "serve_stale_policy" => {}
        _ => out.unknown(line),
    }
}

/// Capacity, longest and shortest time.
fn limits(line: &Line, limits: &mut CacheLimits, out: &mut Out<'_>) {
    let names = [&mut limits.entries, &mut limits.ttl_max, &mut limits.ttl_min];
    if line.args.is_empty() || line.args.len() > names.len() {
        let remedy = format!("write: {} CAPACITY [TTL] [MINTTL]", line.name.text);
        out.fault(&line.name, format!("{} has {} values", line.name.text, line.args.len()), remedy);
    }
    for (word, limit) in line.args.iter().zip(names) {
        match word.text.parse() {
            Ok(number) => *limit = number,
            Err(_) => out.fault(word, format!("\"{}\" is no number", word.text), "write a number"),
        }
    }
}
