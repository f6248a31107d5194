//! The source of all zone files: loads them, tells the cycle, and reads them again when asked.

use std::convert::Infallible;
use std::sync::Arc;

use ringdns_engine::name::WireName;
use tokio::sync::{mpsc, oneshot};

use super::{Zone, ZoneError};
use crate::config::{ViewConfig, ZoneFileConfig};
use crate::merge::ClientsOfViews;
use crate::model::Change;
use crate::reload::{Settings, Wanted};
use crate::source::{Sink, Source};
use crate::state::State;

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reload {
    /// Zones that were read and are served as their files say.
    pub loaded: usize,
    /// Why the other zones are served as before.
    pub failed: Vec<ZoneError>,
}

/// Asks for a reload and waits for what it did.
pub(crate) type ReloadRequest = oneshot::Sender<Reload>;

/// All zone files of the configuration.
#[derive(Debug)]
pub(crate) struct ZoneFiles {
    /// The files that are served.
    files: Arc<[ZoneFileConfig]>,
    /// Which are to be, and in which views.
    settings: Arc<Settings>,
    /// Who asks for a reload; the source ends when nobody can any more.
    reloads: mpsc::UnboundedReceiver<ReloadRequest>,
    /// Where the outcome is noted.
    state: Arc<State>,
}

impl ZoneFiles {
    /// The files and whoever asks for a reload.
    pub(crate) fn new(
        settings: Arc<Settings>,
        reloads: mpsc::UnboundedReceiver<ReloadRequest>,
        state: Arc<State>,
    ) -> Self {
        Self { files: settings.take_wanted().zone_files, settings, reloads, state }
    }

    /// Reads one file on a thread that may block, and notes the outcome.
    async fn load(&self, file: &ZoneFileConfig, first: bool) -> Option<Result<Zone, ZoneError>> {
        let file = file.clone();
        let started = std::time::Instant::now();
        let loaded = tokio::task::spawn_blocking(move || super::load_configured(&file)).await.ok()?;
        match &loaded {
            Ok(zone) => {
                for warning in &zone.warnings.first {
                    tracing::warn!(zone = %zone.apex, "{warning}");
                }
                tracing::info!(
                    zone = %zone.apex,
                    records = zone.records,
                    rrsets = zone.rrsets.len(),
                    seconds = started.elapsed().as_secs_f64(),
                    "zone file is read"
                );
                self.state.note_zone_file(&zone.apex, Ok(zone.records));
            }
            Err(error) => {
                let served =
                    if first { "its names are answered with SERVFAIL" } else { "it is served as it was before" };
                for problem in &error.problems.first {
                    tracing::error!(zone = %error.zone, "{problem}");
                }
                tracing::error!(zone = %error.zone, problems = error.problems.first.len() + error.problems.more, "zone file is not taken; {served}");
                self.state.note_zone_file(&error.zone, Err(error.problems.to_string()));
            }
        }
        Some(loaded)
    }

    /// Reads all files again, those of the configuration as it is now, and has what changed published at once.
    async fn reload(&mut self, sink: &Sink) -> Option<Reload> {
        let Wanted { zone_files, views } = self.settings.take_wanted();
        let former = std::mem::replace(&mut self.files, Arc::clone(&zone_files));
        self.state.set_zone_files(&zone_files);
        let mut report = Reload::default();
        let mut changes: Vec<Change> = views.iter().map(|views| Change::SetViews(clients(views))).collect();
        let is_of = |files: &[ZoneFileConfig], zone: &WireName| files.iter().any(|file| file.zone == *zone);
        let gone = former.iter().filter(|file| !is_of(&zone_files, &file.zone));
        changes.extend(gone.map(|file| Change::RemoveZone(file.zone.clone())));
        for file in zone_files.iter() {
            let is_new = !is_of(&former, &file.zone);
            match self.load(file, is_new).await? {
                Ok(zone) => {
                    report.loaded += 1;
                    changes.push(Change::ReplaceZone { apex: zone.apex, rrsets: zone.rrsets });
                }
                Err(error) => {
                    if is_new {
                        changes.push(Change::AddZone(error.zone.clone()));
                    }
                    report.failed.push(error);
                }
            }
        }
        let published = sink.apply_tracked(changes).await.ok()?;
        published.await.ok()?;
        tracing::info!(loaded = report.loaded, failed = report.failed.len(), "zone files were read again");
        Some(report)
    }
}

/// Which clients see which view.
pub(crate) fn clients(views: &[ViewConfig]) -> ClientsOfViews {
    let of = |view: &ViewConfig| {
        let name: Arc<str> = view.name.as_str().into();
        view.prefixes.iter().map(move |&network| (network, Arc::clone(&name))).collect::<Vec<_>>()
    };
    views.iter().flat_map(of).collect()
}

impl Source for ZoneFiles {
    type Error = Infallible;

    async fn run(mut self, sink: Sink) -> Result<(), Infallible> {
        // Reading them may take a while, in which their names are nobody else's.
        let zones = self.files.iter().map(|file| Change::AddZone(file.zone.clone())).collect();
        if sink.apply(zones).await.is_err() || sink.zones_known().await.is_err() {
            return Ok(());
        }
        for file in Arc::clone(&self.files).iter() {
            let change = match self.load(file, true).await {
                Some(Ok(zone)) => Change::ReplaceZone { apex: zone.apex, rrsets: zone.rrsets },
                Some(Err(error)) => Change::AddZone(error.zone),
                None => return Ok(()),
            };
            if sink.apply(vec![change]).await.is_err() {
                return Ok(());
            }
        }
        if sink.synced().await.is_err() {
            return Ok(());
        }
        while let Some(request) = self.reloads.recv().await {
            let mut requests = vec![request];
            // Whoever asked before it begins is served by one reading.
            while let Ok(request) = self.reloads.try_recv() {
                requests.push(request);
            }
            let Some(report) = self.reload(&sink).await else { return Ok(()) };
            for request in requests {
                // Nobody may be waiting for the report any more.
                let _ = request.send(report.clone());
            }
        }
        Ok(())
    }
}
