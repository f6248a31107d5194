//! Reading the configuration again while RingDNS runs.
//!
//! Whoever owns the parts beside the control plane (the binary) reads the file and gives what holds from now on to
//! [`ControlPlane::reconfigure`](crate::ControlPlane::reconfigure); the admin API asks it by a [`ReloadHook`].

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use ringdns_engine::name::WireName;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

use crate::config::{Changes, Config, ConfigError, Tokens, TransferConfig, ViewConfig, ZoneFileConfig};
use crate::logging;
use crate::zonefile::source::Reload;

/// What came of reading the configuration again: what changed, and where the outcome of the zone files will come from.
pub type Outcome = Result<(Changes, oneshot::Receiver<Reload>), ConfigError>;

/// Who waits for the outcome.
pub type Reply = oneshot::Sender<Outcome>;

/// Has the configuration read again; must not wait for it.
pub type ReloadHook = Box<dyn Fn(Reply) + Send + Sync>;

/// What the last reading of the configuration came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastReload {
    /// How often it was read again and taken.
    pub(crate) taken: u64,
    /// How often it was refused.
    pub(crate) refused: u64,
    /// What is wrong with the file as it was read last; nothing where it was taken.
    pub(crate) error: Option<String>,
    /// Keys whose new values hold after a restart only.
    pub(crate) restart: Vec<String>,
    /// Tells the text of the configuration that was taken last from others.
    pub(crate) fingerprint: u64,
}

/// What of the configuration can change in the control plane, shared by its parts.
#[derive(Default)]
pub(crate) struct Settings {
    /// Who may do what over the admin API.
    tokens: RwLock<Arc<Tokens>>,
    /// What the next reading of zone files is to serve.
    wanted: Mutex<Wanted>,
    /// Zones that the kdns interface writes; told at each reading.
    kdns_zones: watch::Sender<Arc<[WireName]>>,
    /// Who may have whole zones; told at each reading.
    transfers: watch::Sender<Arc<[TransferConfig]>>,
    /// What the last reading of the configuration came to.
    last: Mutex<LastReload>,
    /// The zones that are read from etcd; they stay the same while the process runs.
    etcd_zones: Vec<WireName>,
    /// Has it read again.
    hook: OnceLock<ReloadHook>,
}

/// Where a zone is kept that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// In a zone file.
    ZoneFile(PathBuf),
    /// In etcd.
    Etcd,
}

impl Keeper {
    /// For messages.
    pub(crate) fn display(&self) -> impl fmt::Display {
        match self {
            Self::ZoneFile(path) => format!("zone file {}", path.display()),
            Self::Etcd => "etcd".to_owned(),
        }
    }
}

/// What the source of zone files is to serve.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// The zone files.
    pub(crate) zone_files: Arc<[ZoneFileConfig]>,
    /// The views, where they have changed.
    pub(crate) views: Option<Arc<[ViewConfig]>>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("wanted", &self.wanted).field("last", &self.last).finish_non_exhaustive()
    }
}

impl Settings {
    /// What the configuration says at the start.
    pub(crate) fn new(config: &Config) -> Self {
        let wanted = Wanted { zone_files: config.zone_files.as_slice().into(), views: None };
        let tokens = RwLock::new(Arc::new(Tokens::new(&config.admin)));
        let kdns_zones = watch::Sender::new(kdns_zones(config));
        let trees = config.etcd.iter().flat_map(|etcd| &etcd.trees);
        let etcd_zones = trees.flat_map(|tree| tree.zones.iter().cloned()).collect();
        let transfers = watch::Sender::new(config.transfers.as_slice().into());
        let last = Mutex::new(LastReload { fingerprint: config.fingerprint, ..LastReload::default() });
        Self { tokens, wanted: Mutex::new(wanted), kdns_zones, transfers, last, etcd_zones, ..Self::default() }
    }

    /// Who may do what over the admin API.
    pub(crate) fn tokens(&self) -> Arc<Tokens> {
        Arc::clone(&self.tokens.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is to be served; views are given once.
    pub(crate) fn take_wanted(&self) -> Wanted {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let views = wanted.views.take();
        Wanted { zone_files: Arc::clone(&wanted.zone_files), views }
    }

    /// The file that serves a zone, if one does.
    pub(crate) fn zone_file(&self, apex: &WireName) -> Option<PathBuf> {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.zone_files.iter().find(|file| file.zone == *apex).map(|file| file.path.clone())
    }

    /// Zones that the kdns interface writes.
    pub(crate) fn kdns_zones(&self) -> watch::Receiver<Arc<[WireName]>> {
        self.kdns_zones.subscribe()
    }

    /// Who may have whole zones.
    pub(crate) fn transfers(&self) -> watch::Receiver<Arc<[TransferConfig]>> {
        self.transfers.subscribe()
    }

    /// Where a zone is kept that cannot be written, if it cannot.
    pub(crate) fn keeper(&self, apex: &WireName) -> Option<Keeper> {
        let etcd = || self.etcd_zones.contains(apex).then_some(Keeper::Etcd);
        self.zone_file(apex).map(Keeper::ZoneFile).or_else(etcd)
    }

    /// What the last reading came to.
    pub(crate) fn last(&self) -> LastReload {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same for people and scripts.
    pub(crate) fn last_json(&self) -> Value {
        let LastReload { taken, refused, error, restart, .. } = self.last();
        json!({ "reloads": taken, "reloads_refused": refused, "error": error, "needs_restart": restart })
    }

    /// Notes that the configuration was refused; all stays as it is.
    pub(crate) fn note_refused(&self, error: &ConfigError) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.refused += 1;
        last.error = Some(error.to_string());
    }

    /// Takes what has changed.
    pub(crate) fn take(&self, config: &Config, changes: &Changes) {
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Tokens::new(&config.admin));
        // The configuration was checked, the filter with it.
        if let Err(error) = logging::set_level(&config.log.level) {
            tracing::error!("{error}");
        }
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.zone_files = config.zone_files.as_slice().into();
        if changes.live.iter().any(|key| key == "view") {
            wanted.views = Some(config.views.as_slice().into());
        }
        drop(wanted);
        self.kdns_zones.send_replace(kdns_zones(config));
        self.transfers.send_replace(config.transfers.as_slice().into());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.taken += 1;
        last.error = None;
        last.restart.clone_from(&changes.restart);
        last.fingerprint = config.fingerprint;
    }

    /// Sets who reads the configuration again; the first one stays.
    pub(crate) fn set_hook(&self, hook: ReloadHook) {
        let _ = self.hook.set(hook);
    }

    /// Has the configuration read again; nothing where nobody can.
    pub(crate) async fn reload(&self) -> Option<Outcome> {
        let (reply, outcome) = oneshot::channel();
        self.hook.get()?(reply);
        outcome.await.ok()
    }
}

/// The zones of `[kdns_api]`.
fn kdns_zones(config: &Config) -> Arc<[WireName]> {
    config.kdns_api.as_ref().map_or(&[][..], |api| &api.zones).into()
}
