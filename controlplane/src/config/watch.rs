//! Looks at what is read live: the Corefile with all that it reads, its zone files, and the ConfigMap of kube-dns.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use ringdns_corefile::kube_dns::{self, KubeDns};
use ringdns_corefile::{Machine, Note, Options, Recorder, Why, grouped, translate};

use super::{Config, CorefileConfig};

/// How often a Corefile is looked at.
const COREFILE_INTERVAL: Duration = Duration::from_secs(1);

/// How often the ConfigMap of kube-dns is looked at: as often as kube-dns does.
const KUBE_DNS_INTERVAL: Duration = Duration::from_secs(10);

/// What is to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// Nothing.
    Nothing,
    /// The zone files.
    ZoneFiles,
    /// The configuration, and the zone files after it.
    Corefile,
}

/// What was seen of the files that are read live.
#[derive(Debug)]
pub struct ConfigWatch {
    /// What the configuration was made from when it was read last, taken or refused.
    handled: Digest,
    /// What was seen when it was looked at last.
    seen: Digest,
    /// When that was.
    looked: Option<Instant>,
    /// What the ConfigMap of kube-dns said last that was right.
    kube_dns: KubeDns,
    /// When that was looked at.
    kube_dns_looked: Option<Instant>,
    /// What was wrong with it when it was read last.
    kube_dns_fault: String,
}

impl ConfigWatch {
    /// Watches what a configuration was made from that has just been read.
    pub fn new(config: &Config) -> Self {
        let handled =
            Digest { corefile: config.corefile.as_ref().map(|corefile| corefile.digest), zones: zones(config) };
        Self {
            handled,
            seen: handled,
            looked: None,
            // It is part of the configuration that was read.
            kube_dns: config
                .kube_dns_directory
                .as_deref()
                .and_then(|directory| kube_dns::read(directory, &Machine).ok())
                .unwrap_or_default(),
            kube_dns_looked: None,
            kube_dns_fault: String::new(),
        }
    }

    /// What is to be read again: what it is made from differs from what was read, and has stayed the same from one look to the
    /// next, so that a file that is being written is not read by half. Each version is told once.
    pub fn look(&mut self, config: &Config, now: Instant) -> Stale {
        let Some(corefile) = config.corefile.as_ref() else { return Stale::Nothing };
        if self.looked.is_some_and(|looked| now.duration_since(looked) < COREFILE_INTERVAL) {
            return Stale::Nothing;
        }
        self.looked = Some(now);
        let found = Digest { corefile: Some(digest(corefile)), zones: zones(config) };
        let is_still = std::mem::replace(&mut self.seen, found) == found;
        if !is_still || self.handled == found {
            return Stale::Nothing;
        }
        let before = std::mem::replace(&mut self.handled, found);
        if before.corefile == found.corefile { Stale::ZoneFiles } else { Stale::Corefile }
    }

    /// Reads the ConfigMap of kube-dns where it is time to; what is new or wrong is told once. What is new is part of the
    /// configuration, which is to be read again.
    pub fn look_at_kube_dns(&mut self, directory: Option<&Path>, now: Instant) -> Stale {
        let Some(directory) = directory else { return Stale::Nothing };
        if self.kube_dns_looked.is_some_and(|looked| now.duration_since(looked) < KUBE_DNS_INTERVAL) {
            return Stale::Nothing;
        }
        self.kube_dns_looked = Some(now);
        match kube_dns::read(directory, &Machine) {
            Ok(found) => {
                self.kube_dns_fault.clear();
                if found != self.kube_dns {
                    tracing::info!(directory = %directory.display(), "the ConfigMap of kube-dns was read");
                    tell(&found.notes);
                    self.kube_dns = found;
                    return Stale::Corefile;
                }
            }
            Err(faults) => {
                let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
                let told = told.join("; ");
                if told != self.kube_dns_fault {
                    tracing::error!("the ConfigMap of kube-dns stays as it was: {told}");
                    self.kube_dns_fault = told;
                }
            }
        }
        Stale::Nothing
    }

    /// What the ConfigMap of kube-dns said last that was right.
    pub fn kube_dns(&self) -> &KubeDns {
        &self.kube_dns
    }
}

/// Tells what a configuration does not serve of its Corefile.
pub(super) fn tell(notes: &[Note]) {
    for (why, line) in grouped(notes) {
        match why {
            Why::NotNeeded => tracing::debug!("{line}"),
            Why::Differs => tracing::info!("{line}"),
            Why::Unsupported | Why::Ignored => tracing::warn!("{line}"),
        }
    }
}

impl Config {
    /// Tells in the log what is not served of the Corefile, where there is one.
    pub fn tell_corefile(&self) {
        if let Some(corefile) = &self.corefile {
            tell(&corefile.notes);
        }
    }
}

/// What of a configuration is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Digest {
    /// A hash of all that the Corefile is made from; none: there is none.
    corefile: Option<u64>,
    /// A hash of the state of the zone files.
    zones: u64,
}

/// A hash of all that a Corefile is made from.
fn digest(corefile: &CorefileConfig) -> u64 {
    let recorder = Recorder::new(&Machine);
    let CorefileConfig { ignore, ignore_unsupported, port, .. } = corefile;
    let options = Options { ignore: ignore.clone(), ignore_unsupported: *ignore_unsupported, port: *port };
    // What comes of it does not count here, but what was read for it.
    let _ = translate(&corefile.path, &recorder, &options);
    recorder.digest()
}

/// A hash of the state of the zone files.
fn zones(config: &Config) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in &config.zone_files {
        let metadata = std::fs::metadata(&file.path).ok();
        metadata.map(|found| (found.ino(), found.len(), found.mtime(), found.mtime_nsec())).hash(&mut hasher);
    }
    hasher.finish()
}
