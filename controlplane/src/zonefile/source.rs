//! The source of all zone files: loads them, tells the cycle, and reads them again when asked.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::{Zone, ZoneError};
use crate::config::ZoneFileConfig;
use crate::model::Change;
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
    /// The files.
    files: Arc<[ZoneFileConfig]>,
    /// Who asks for a reload; the source ends when nobody can any more.
    reloads: mpsc::Receiver<ReloadRequest>,
    /// Where the outcome is noted.
    state: Arc<State>,
}

impl ZoneFiles {
    /// The files and whoever asks for a reload.
    pub(crate) fn new(files: &[ZoneFileConfig], reloads: mpsc::Receiver<ReloadRequest>, state: Arc<State>) -> Self {
        Self { files: files.into(), reloads, state }
    }

    /// Reads one file on a thread that may block, and notes the outcome.
    async fn load(&self, index: usize, first: bool) -> Option<Result<Zone, ZoneError>> {
        let file = self.files.get(index)?.clone();
        let started = std::time::Instant::now();
        let loaded = tokio::task::spawn_blocking(move || super::load(&file.zone, &file.path)).await.ok()?;
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
                self.state.note_zone_file(index, Ok(zone.records));
            }
            Err(error) => {
                let served =
                    if first { "its names are answered with SERVFAIL" } else { "it is served as it was before" };
                for problem in &error.problems.first {
                    tracing::error!(zone = %error.zone, "{problem}");
                }
                tracing::error!(zone = %error.zone, problems = error.problems.first.len() + error.problems.more, "zone file is not taken; {served}");
                self.state.note_zone_file(index, Err(error.problems.to_string()));
            }
        }
        Some(loaded)
    }

    /// Reads all files again and has what changed published at once.
    async fn reload(&self, sink: &Sink) -> Option<Reload> {
        let mut report = Reload::default();
        let mut changes = Vec::new();
        for index in 0..self.files.len() {
            match self.load(index, false).await? {
                Ok(zone) => changes.push(Change::ReplaceZone { apex: zone.apex, rrsets: zone.rrsets }),
                Err(error) => report.failed.push(error),
            }
        }
        report.loaded = changes.len();
        let published = sink.apply_tracked(changes).await.ok()?;
        published.await.ok()?;
        tracing::info!(loaded = report.loaded, failed = report.failed.len(), "zone files were read again");
        Some(report)
    }
}

impl Source for ZoneFiles {
    type Error = Infallible;

    async fn run(mut self, sink: Sink) -> Result<(), Infallible> {
        for index in 0..self.files.len() {
            let change = match self.load(index, true).await {
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
            match self.reload(&sink).await {
                // Nobody may be waiting for the report any more.
                Some(report) => drop(request.send(report)),
                None => return Ok(()),
            }
        }
        Ok(())
    }
}
