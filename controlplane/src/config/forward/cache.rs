//! `[cache]`

use std::path::Path;
use std::time::Duration;

use super::keep::keep;
use super::{CacheConfig, KeepConfig, spec};
use crate::config::problem::Problems;
use crate::config::validate::number;

/// Its size by default, in MiB: some 300 000 answers, which is more than most networks ask for in an hour, and little memory beside
/// that of the packets.
const SIZE_MIB: i64 = 64;

/// Largest size, in MiB: a slip of the pen beyond it.
const SIZE_MIB_MAX: i64 = 65_536;

/// Bytes of a MiB.
const MIB: usize = 1 << 20;

/// For how long failures are kept by default, in seconds, as in CoreDNS. RFC 9520 section 3.2: at least 1 and at most 5 minutes.
const FAILURE_TTL_SECONDS: i64 = 5;

/// Longest time for which failures are kept, in seconds.
const FAILURE_TTL_SECONDS_MAX: i64 = 300;

/// Seconds between two times that the file is written, by default: what was asked for since is asked for again after a crash, and
/// writing some tens of MiB every few minutes wears out no disk.
const FILE_INTERVAL_SECONDS: i64 = 300;

/// Longest such time, in seconds: a day.
const FILE_INTERVAL_SECONDS_MAX: i64 = 86_400;

/// Checks the table.
pub(super) fn cache(mut spec: spec::Cache, base: &Path, problems: &mut Problems<'_>) -> CacheConfig {
    let mut count = |given: &Option<_>, key: &str, max, unit: &str, default| {
        number(given.as_ref(), key, 1..=max, unit, default, problems)
    };
    let size = count(&spec.size_mib, "cache.size_mib", SIZE_MIB_MAX, " MiB", SIZE_MIB);
    let failure = &spec.failure_ttl_seconds;
    let failure = count(failure, "cache.failure_ttl_seconds", FAILURE_TTL_SECONDS_MAX, " seconds", FAILURE_TTL_SECONDS);
    let interval = spec.file_interval_seconds.as_ref();
    let range = 0..=FILE_INTERVAL_SECONDS_MAX;
    let interval = number(interval, "cache.file_interval_seconds", range, " seconds", FILE_INTERVAL_SECONDS, problems);
    if let (Some(given), None) = (&spec.file_interval_seconds, &spec.file) {
        let message = "there is no file to be written";
        problems.add(Some(given.span()), "cache.file_interval_seconds", message, "add file, or remove the key");
    }
    let file = spec.file.take().map(|file| {
        let path = base.join(file.get_ref());
        let fault = match file.get_ref().as_os_str().is_empty() {
            true => Some("the path is empty"),
            false => path.is_dir().then_some("a directory is given"),
        };
        if let Some(fault) = fault {
            problems.add(Some(file.span()), "cache.file", fault, "name a file, such as \"/var/lib/ringdns/cache\"");
        }
        path
    });
    CacheConfig {
        bytes: usize::try_from(size).unwrap_or_default().saturating_mul(MIB),
        failure_ttl: Duration::from_secs(u64::try_from(failure).unwrap_or_default()),
        authoritative: spec.authoritative.unwrap_or(false),
        file,
        file_interval: Duration::from_secs(u64::try_from(interval).unwrap_or_default()),
        keep: keep(&spec.keep(), "cache", &KeepConfig::default(), problems),
    }
}
