//! Alerts: somebody is told when a target falls, at intervals while it is down, and when it comes back. What cannot be sent waits
//! in a queue of its own, so that no check waits for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hyper::Uri;
use hyper::body::Bytes;
use ringdns_controlplane::config::Password;
use ringdns_controlplane::config::health::{AlertConfig, ScannerConfig};
use serde_json::Value;
use tokio::sync::Notify;

use crate::backoff::Backoff;
use crate::clock;
use crate::tls::TlsConfigs;
use crate::values::Health;
use crate::web::{self, Ask};

/// How often targets that are still down are looked through.
const LOOK: Duration = Duration::from_millis(250);

/// What there is to tell of a target.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// The target.
    pub(crate) target: String,
    /// True for a name.
    pub(crate) is_domain: bool,
    /// How it is.
    pub(crate) health: Health,
    /// Since when.
    pub(crate) since: SystemTime,
    /// The last error.
    pub(crate) error: String,
    /// How it is probed.
    pub(crate) probe: &'static str,
}

/// A target that is down.
struct Down {
    /// What was told of it.
    event: Event,
    /// When.
    told: Instant,
}

/// What changes.
#[derive(Default)]
struct Desk {
    /// Targets that are down.
    down: HashMap<String, Down>,
    /// What is to be sent; the oldest first.
    queue: VecDeque<Event>,
    /// Alerts that were sent.
    sent: u64,
    /// Alerts that were given up.
    failed: u64,
    /// Alerts that had to make room.
    dropped: u64,
}

/// Tells people.
pub(crate) struct Alerts {
    /// Whom and how.
    config: AlertConfig,
    /// How checks are made, which alerts tell too.
    scanner: ScannerConfig,
    /// What changes.
    desk: Mutex<Desk>,
    /// Rings when something is to be sent.
    bell: Notify,
    /// TLS.
    tls: TlsConfigs,
}

impl Alerts {
    /// Nothing is to be told yet.
    pub(crate) fn new(config: AlertConfig, scanner: ScannerConfig) -> Self {
        Self { config, scanner, desk: Mutex::default(), bell: Notify::new(), tls: TlsConfigs::default() }
    }

    /// What changes.
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A target is as the event says; told unless it was so before. Never waits.
    pub(crate) fn tell(&self, event: Event) {
        let mut desk = self.desk();
        let is_news = match event.health {
            Health::Down if desk.down.contains_key(&event.target) => false,
            Health::Down => {
                desk.down.insert(event.target.clone(), Down { event: event.clone(), told: Instant::now() });
                true
            }
            Health::Up => desk.down.remove(&event.target).is_some(),
        };
        if is_news {
            self.enqueue(&mut desk, event);
        }
    }

    /// A target was down already when it became ours: it is told after the silent time.
    pub(crate) fn adopt(&self, event: Event) {
        let mut desk = self.desk();
        desk.down.entry(event.target.clone()).or_insert_with(|| Down { event, told: Instant::now() });
    }

    /// A target is no longer ours.
    pub(crate) fn forget(&self, target: &str) {
        self.desk().down.remove(target);
    }

    /// Puts an alert into the queue; the oldest makes room: newer ones say more of how things are.
    fn enqueue(&self, desk: &mut Desk, event: Event) {
        if desk.queue.len() >= self.config.queue {
            desk.queue.pop_front();
            desk.dropped += 1;
        }
        desk.queue.push_back(event);
        self.bell.notify_one();
    }

    /// Has those told again that are still down.
    fn repeat(&self) {
        let mut desk = self.desk();
        let mut again = Vec::new();
        for down in desk.down.values_mut().filter(|down| down.told.elapsed() >= self.config.silent) {
            down.told = Instant::now();
            again.push(down.event.clone());
        }
        for event in again {
            self.enqueue(&mut desk, event);
        }
    }

    /// What came of alerts so far.
    pub(crate) fn results(&self) -> [(&'static str, f64); 3] {
        let desk = self.desk();
        [("sent", desk.sent as f64), ("failed", desk.failed as f64), ("dropped", desk.dropped as f64)]
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.desk().queue.len()
    }

    /// Sends until it is dropped.
    pub(crate) async fn run(self: Arc<Self>) {
        let repeating = async {
            loop {
                tokio::time::sleep(LOOK).await;
                self.repeat();
            }
        };
        tokio::select! { () = self.send_all() => {}, () = repeating => {} }
    }

    /// Sends one after the other.
    async fn send_all(&self) {
        loop {
            let next = self.desk().queue.pop_front();
            let Some(event) = next else {
                self.bell.notified().await;
                continue;
            };
            let is_sent = self.send(&event).await;
            let mut desk = self.desk();
            *(if is_sent { &mut desk.sent } else { &mut desk.failed }) += 1;
        }
    }

    /// Sends one, with tries.
    async fn send(&self, event: &Event) -> bool {
        let body = Bytes::from(self.body(event).to_string());
        let mut backoff = Backoff::default();
        for attempt in 1..=self.config.tries {
            match self.post(body.clone()).await {
                Ok(()) => return true,
                Err(error) if attempt == self.config.tries => {
                    let target = &event.target;
                    tracing::error!(target, "alert.url: {error}; the alert is given up after {attempt} tries");
                }
                Err(error) => {
                    tracing::warn!("alert.url: {error}");
                    backoff.wait().await;
                }
            }
        }
        false
    }

    /// Sends once.
    async fn post(&self, body: Bytes) -> Result<(), String> {
        let status = tokio::time::timeout(self.config.timeout, self.ask(body)).await;
        match status.map_err(|_| format!("no answer within {} seconds", self.config.timeout.as_secs()))?? {
            200..=299 => Ok(()),
            status => Err(format!("HTTP status {status}")),
        }
    }

    /// Asks, and tells the status.
    async fn ask(&self, body: Bytes) -> Result<u16, String> {
        let url: Uri = self.config.url.parse().map_err(|error| format!("no URL: {error}"))?;
        let is_tls = url.scheme_str() == Some("https");
        let server = url.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let mut addresses = tokio::net::lookup_host((server, port)).await.map_err(|error| error.to_string())?;
        let address = addresses.next().ok_or_else(|| format!("{server} has no address"))?;
        let tls =
            is_tls.then(|| self.tls.get(&self.config.ca_file, true)).transpose().map_err(|error| error.to_string())?;
        let host = web::authority(server, port, is_tls);
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        let authorization = self.config.authorization.as_ref().map(Password::reveal);
        let ask = Ask { address, tls, server, host: &host, path, body: Some(body), authorization };
        web::ask(ask).await.map_err(|error| error.to_string())
    }

    /// The body: the template with its words filled in.
    fn body(&self, event: &Event) -> Value {
        let Event { target, is_domain, health, since, error, probe } = event;
        let (interval, timeout) = (self.scanner.interval.as_millis(), self.scanner.timeout.as_millis());
        let rule = format!("interval: {interval}, timeout: {timeout}, max_retry: {}", self.scanner.retries);
        let text = serde_json::json!({ "target": target, "rule": rule, "proto": "" }).to_string();
        let room = &self.config.room;
        let subject = match (health, is_domain) {
            (Health::Down, false) => format!("[{room}] Warning: {target} status is down"),
            (Health::Down, true) => format!("[{room}] Warning: ping {target} timeout"),
            (Health::Up, _) => format!("[{room}] Recovered: {target} status is up"),
        };
        let words = [
            ("{{target}}", target.clone()),
            ("{{state}}", health.word().to_owned()),
            ("{{since}}", clock::universal(*since)),
            ("{{error}}", error.clone()),
            ("{{agent}}", self.scanner.name.clone()),
            ("{{probe}}", (*probe).to_owned()),
            ("{{text}}", text),
            ("{{subject}}", subject),
            ("{{to}}", self.config.to.clone()),
            ("{{room}}", room.clone()),
            ("{{sys_idx}}", self.config.sys_idx.clone()),
        ];
        filled(&self.config.template, &words)
    }
}

/// A value with words filled in inside of its text.
fn filled(template: &Value, words: &[(&str, String)]) -> Value {
    match template {
        Value::String(text) => Value::String(fill(text, words)),
        Value::Array(items) => items.iter().map(|item| filled(item, words)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (name.clone(), filled(member, words)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// Text with words filled in, each once: what is filled in is not looked through again.
fn fill(text: &str, words: &[(&str, String)]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(place) = rest.find("{{") {
        let (before, from) = rest.split_at(place);
        out.push_str(before);
        if let Some((word, value)) = words.iter().find(|(word, _)| from.starts_with(word)) {
            out.push_str(value);
            rest = &from[word.len()..];
        } else {
            out.push_str("{{");
            rest = &from[2..];
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_filled_in_once_and_only_inside_of_text() {
        let words = [("{{a}}", "x{{b}}\"".to_owned()), ("{{b}}", "y".to_owned())];
        assert_eq!(fill("1{{a}}2{{b}}{{c}}{{", &words), "1x{{b}}\"2y{{c}}{{");
        let template = serde_json::json!({ "{{a}}": ["{{b}}", 1, { "n": "{{a}}" }] });
        let expected = serde_json::json!({ "{{a}}": ["y", 1, { "n": "x{{b}}\"" }] });
        assert_eq!(filled(&template, &words), expected);
    }
}
