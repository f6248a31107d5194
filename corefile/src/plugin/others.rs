//! What `forward` and `cache` come to, and kube-dns's ConfigMap: `[forward]` with its zones, `[cache]` and `[policy]`.

use std::collections::HashSet;

use crate::document::{Document, Value};
use crate::fault::{Note, Place, Why};
use crate::forwarding::{CacheRule, ForwardRule, Policy, Transport, Upstream};
use crate::zone;

/// The table for all names.
const FORWARD: &str = "[forward]";

/// The table for some.
const ZONE: &str = "[[forward.zone]]";

/// What is kept.
const CACHE: &str = "[cache]";

/// Who may ask, and for what.
const POLICY: &str = "[policy]";

/// The zone of all names.
const ROOT: &str = ".";

/// Milliseconds between two probes, at least and at most.
const PROBE_MS: (u64, u64) = (50, 60_000);

/// Most failures that are counted.
const FAILURES_MAX: u32 = 1000;

/// Most questions under way.
const QUESTIONS_MAX: u32 = 1_000_000;

/// Longest time in seconds for which a failure is kept (RFC 9520 section 3.2).
const FAILURE_SECONDS_MAX: u64 = 300;

/// Longest time in seconds for which anything is kept, or given when its time is over.
const SECONDS_MAX: u64 = 604_800;

/// Most uses that are counted before an answer is fetched again in time.
const PREFETCH_USES_MAX: u32 = 3;

/// Response codes for which another upstream can be asked.
const RCODES: [&str; 10] =
    ["formerr", "servfail", "nxdomain", "notimp", "refused", "yxdomain", "yxrrset", "nxrrset", "notauth", "notzone"];

/// Where rules are written.
pub(crate) struct Others<'a> {
    /// The configuration.
    pub(crate) document: &'a mut Document,
    /// What there is to say.
    pub(crate) notes: &'a mut Vec<Note>,
    /// Zones that somebody is asked for already.
    pub(crate) asked: &'a mut HashSet<String>,
}

impl Others<'_> {
    /// Writes rules of one server block, with what is kept in it. Others than CoreDNS keep answers in any case.
    pub(crate) fn write(&mut self, rules: &[ForwardRule], caches: &[CacheRule], is_kept: bool) {
        for rule in rules {
            for zone in &rule.zones {
                if !self.asked.insert(zone.clone()) {
                    let words = format!("forward: somebody is asked for {zone} already, and that counts");
                    self.note(&rule.place, Why::Differs, words);
                    continue;
                }
                let cache = caches.iter().find(|cache| cache.zones.iter().any(|kept| zone::is_within(zone, kept)));
                self.rule(zone, rule, cache, is_kept || cache.is_some());
            }
        }
        if rules.is_empty() {
            for cache in caches {
                let words = "cache: what is served is in memory, and changes hold at once; names of others are not asked for here";
                self.note(&cache.place, Why::NotNeeded, words);
            }
        }
    }

    /// Says something, once.
    fn note(&mut self, place: &Place, why: Why, message: impl Into<String>) {
        let note = Note { place: place.clone(), why, message: message.into() };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Sets a key; what was set otherwise before stays.
    fn set(&mut self, header: &'static str, key: &'static str, value: Value, place: &Place) {
        let shown = value.show();
        if let Err(before) = self.document.set(header, key, value, place) {
            let words = format!("{shown} is not taken: the server has one {header} {key}, which {before} says");
            self.note(place, Why::Differs, words);
        }
    }

    /// Who is asked for a zone.
    fn rule(&mut self, zone: &str, rule: &ForwardRule, cache: Option<&CacheRule>, is_kept: bool) {
        let place = &rule.place;
        let header = if zone == ROOT { FORWARD } else { ZONE };
        if header == ZONE {
            self.document.begin(ZONE);
            self.set(ZONE, "zone", Value::text(zone), place);
        }
        self.policy(place);
        let is_asked = self.upstreams(header, rule);
        let mode = match (is_asked, is_kept) {
            (false, _) => "disable",
            (true, true) => "cache",
            (true, false) => "direct",
        };
        // Zones have what the table for all names says, unless they say it themselves.
        if mode != "cache" || header == ZONE {
            self.set(header, "mode", Value::text(mode), place);
        }
        if !is_asked {
            return;
        }
        self.options(header, zone, rule);
        if let Some(cache) = cache {
            self.cache(header, zone, cache);
        }
    }

    /// Who may ask and what is asked: everybody and everything, as in CoreDNS.
    fn policy(&mut self, place: &Place) {
        let all = Value::Texts(vec!["0.0.0.0/0".to_owned(), "::/0".to_owned()]);
        // What is there is the same.
        for (key, value) in
            [("allow", all), ("local_names", Value::Boolean(false)), ("local_reverse", Value::Boolean(false))]
        {
            if self.document.get(POLICY, key).is_none() {
                self.set(POLICY, key, value, place);
            }
        }
    }

    /// Who is asked; false where that is nobody who can be.
    fn upstreams(&mut self, header: &'static str, rule: &ForwardRule) -> bool {
        let place = &rule.place;
        let mut servers = Vec::new();
        let mut is_asked = false;
        for upstream in &rule.upstreams {
            match upstream {
                Upstream::Address(address) => servers.push(address.to_string()),
                Upstream::Tls(address, name) => {
                    let name = name.as_ref().map(|name| format!("#{name}")).unwrap_or_default();
                    servers.push(format!("tls://{address}{name}"));
                }
                Upstream::Https(url) => servers.push(url.clone()),
                Upstream::ResolvConf(path) => {
                    let path = Value::text(path.to_string_lossy());
                    self.set(header, "resolv_conf", path, place);
                    is_asked = true;
                }
                // Its addresses are asked of the others, as CoreDNS asks the machine's resolver once at the start.
                Upstream::Name(name) if is_host(name) => servers.push(name.clone()),
                Upstream::Name(name) => {
                    let words =
                        format!("forward: {name} is a name, which would have to be asked for first; name its address");
                    self.note(place, Why::Unsupported, words);
                }
            }
        }
        is_asked |= !servers.is_empty();
        if !servers.is_empty() {
            servers.dedup();
            self.set(header, "upstreams", Value::Texts(servers), place);
        }
        is_asked
    }

    /// How they are asked; what is as in CoreDNS by itself is not written.
    fn options(&mut self, header: &'static str, zone: &str, rule: &ForwardRule) {
        let place = &rule.place;
        let policy = match rule.policy {
            Policy::Random => "random",
            Policy::RoundRobin => "round-robin",
            Policy::Sequential => "sequential",
        };
        self.set(header, "policy", Value::text(policy), place);
        let except: Vec<String> = rule.except.iter().filter(|except| zone::is_within(except, zone)).cloned().collect();
        if !except.is_empty() {
            self.set(header, "except", Value::Texts(except), place);
        }
        // Another zone may say these otherwise, and a zone is as the table for all names unless it says so.
        let (is_zone, tcp_only) = (header == ZONE, rule.transport == Transport::Tcp);
        if tcp_only || is_zone {
            self.set(header, "tcp_only", Value::Boolean(tcp_only), place);
        }
        let failures = rule.fails_max.min(FAILURES_MAX);
        if failures != 2 || is_zone {
            self.set(header, "failures_max", Value::Number(failures.into()), place);
        }
        if rule.fails_fast || is_zone {
            self.set(header, "fail_fast", Value::Boolean(rule.fails_fast), place);
        }
        let probe = rule.health_check_ms.clamp(PROBE_MS.0, PROBE_MS.1);
        if probe != 500 || is_zone {
            self.set(header, "probe_interval_ms", number(probe), place);
        }
        self.next_rcodes(header, rule);
        if rule.concurrent_max > 0 {
            let most = rule.concurrent_max.min(QUESTIONS_MAX);
            self.set(FORWARD, "questions_max", Value::Number(most.into()), place);
        }
    }

    /// For which response codes another upstream is asked.
    fn next_rcodes(&mut self, header: &'static str, rule: &ForwardRule) {
        let given: Vec<String> = rule.next_rcodes.iter().map(|rcode| rcode.to_ascii_lowercase()).collect();
        let (known, others): (Vec<String>, Vec<String>) =
            given.into_iter().partition(|rcode| RCODES.contains(&rcode.as_str()));
        if !others.is_empty() {
            let words = format!("forward: for {} no other upstream is asked", others.join(", "));
            self.note(&rule.place, Why::Differs, words);
        }
        if !known.is_empty() || header == ZONE {
            self.set(header, "next_rcodes", Value::Texts(known), &rule.place);
        }
    }

    /// What is kept of a zone's answers.
    fn cache(&mut self, header: &'static str, zone: &str, cache: &CacheRule) {
        let place = &cache.place;
        let is_off = |zones: &[String]| zones.iter().any(|off| zone::is_within(zone, off));
        let ttl = |seconds: u64, is_off: bool| if is_off { 0 } else { seconds.min(SECONDS_MAX) };
        let (no_success, no_denial) = (is_off(&cache.no_success), is_off(&cache.no_denial));
        // In CoreDNS the shortest time gives way.
        let least = |min: u64, max: u64| min.min(max);
        let positive = ttl(cache.success.ttl_max, no_success);
        let negative = ttl(cache.denial.ttl_max, no_denial);
        let mut keys = vec![
            ("positive_ttl_min", number(least(ttl(cache.success.ttl_min, no_success), positive))),
            ("positive_ttl_max", number(positive)),
            ("negative_ttl_min", number(least(ttl(cache.denial.ttl_min, no_denial), negative))),
            ("negative_ttl_max", number(negative)),
            ("prefetch_uses", Value::Number(cache.prefetch.min(PREFETCH_USES_MAX).into())),
            ("keeps_ttl", Value::Boolean(cache.keeps_ttl)),
            ("stale_seconds", number(cache.stale_seconds.min(SECONDS_MAX))),
        ];
        if cache.stale_seconds > 0 {
            let when = if cache.stale_verifies { "after-failure" } else { "at-once" };
            // CoreDNS gives them with a TTL of 0.
            keys.extend([("stale", Value::text(when)), ("stale_ttl_seconds", Value::Number(0))]);
        }
        match header {
            FORWARD => keys.into_iter().for_each(|(key, value)| self.set(CACHE, key, value, place)),
            _ => self.set(ZONE, "cache", Value::Table(keys), place),
        }
        let failure = cache.servfail_seconds.clamp(1, FAILURE_SECONDS_MAX);
        // Every answer out of CoreDNS's cache has AA set.
        self.set(CACHE, "failure_ttl_seconds", number(failure), place);
        self.set(CACHE, "authoritative", Value::Boolean(true), place);
        for off in cache.no_success.iter().chain(&cache.no_denial).filter(|off| !zone::is_within(zone, off)) {
            let words =
                format!("cache: disable {off}: names that are served are not kept in any case; those of others are");
            self.note(place, Why::NotNeeded, words);
        }
    }
}

/// True for the name of a host, perhaps behind a scheme and before a port or the name of its certificate: what RingDNS takes in the
/// place of an address.
fn is_host(text: &str) -> bool {
    let text = text.strip_prefix("tls://").unwrap_or(text);
    let host = text.split(['#', ':']).next().unwrap_or(text).trim_end_matches('.');
    let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let last = host.rsplit('.').next().unwrap_or_default();
    host.bytes().all(is_of_host) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number that fits.
fn number(number: u64) -> Value {
    Value::Number(i64::try_from(number).unwrap_or(i64::MAX))
}
