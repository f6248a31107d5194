//! `[shutdown]`: how the server ends.

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::change::Changes;
use super::problem::Problems;
use super::validate::number;

/// Longest time that can be configured: more than an hour is a slip of the pen.
const LAMEDUCK_MS_MAX: i64 = 3_600_000;

/// `[shutdown]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shutdown {
    /// Milliseconds for which DNS goes on once the server is told to end.
    pub lameduck_ms: Option<Spanned<i64>>,
}

/// How the server ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShutdownConfig {
    /// For how long DNS goes on while the server says that it is not ready, so that who sends queries here learns of it first.
    pub lameduck: Duration,
}

impl ShutdownConfig {
    /// All of it can change.
    pub(super) fn take(&mut self, new: &Self, changes: &mut Changes) {
        changes.live("shutdown.lameduck_ms", &mut self.lameduck, &new.lameduck);
    }
}

/// Checks the table.
pub(super) fn shutdown(spec: &Shutdown, problems: &mut Problems<'_>) -> ShutdownConfig {
    let bounds = 0..=LAMEDUCK_MS_MAX;
    let ms = number(spec.lameduck_ms.as_ref(), "shutdown.lameduck_ms", bounds, " milliseconds", 0, problems);
    ShutdownConfig { lameduck: Duration::from_millis(u64::try_from(ms).unwrap_or_default()) }
}
