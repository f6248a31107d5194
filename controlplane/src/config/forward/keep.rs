//! What is kept of answers: keys of `[cache]`, and of a zone's own `cache`.

use std::time::Duration;

use toml::Spanned;

use super::words::milliseconds;
use super::{KeepConfig, StaleConfig, StaleWhen, spec};
use crate::config::problem::Problems;
use crate::config::validate::number;
use crate::config::value::word;

/// Longest time in seconds for which an answer is kept: a week (RFC 8767 section 4).
const TTL_SECONDS_MAX: i64 = 604_800;

/// Longest time in seconds for which a stale answer is given: a week, beyond which nobody has meant it (RFC 8767 section 6 has
/// 1 to 3 days).
const STALE_SECONDS_MAX: i64 = 604_800;

/// The TTL in seconds of stale answers (RFC 8767 section 5.2).
const STALE_TTL_SECONDS: u32 = 30;

/// When a stale answer is given while upstreams are asked, in milliseconds (RFC 8767 section 5).
const STALE_AFTER_MS: u64 = 1800;

/// How long upstreams that have failed are left alone where there is a stale answer, in seconds (RFC 8767 section 5.1).
const RECHECK_SECONDS: u64 = 30;

/// Longest time that is given in milliseconds: a minute.
const MS_MAX: i64 = 60_000;

impl Default for KeepConfig {
    /// Answers are kept for as long as their owners say, but for an hour at most, as a change is then seen within an hour; negative
    /// ones for half of it. What is asked for often is fetched again in time. What is over is over.
    fn default() -> Self {
        Self {
            positive_ttl: (0, 3600),
            negative_ttl: (0, 1800),
            keeps_ttl: false,
            stale: StaleConfig::default(),
            prefetch_uses: 3,
            prefetch_percent: 10,
        }
    }
}

impl Default for StaleConfig {
    /// None are given.
    fn default() -> Self {
        Self {
            seconds: 0,
            ttl_seconds: STALE_TTL_SECONDS,
            when: StaleWhen::After(Duration::from_millis(STALE_AFTER_MS)),
            prefers_positive: false,
            recheck: Duration::from_secs(RECHECK_SECONDS),
        }
    }
}

/// A number of 32 bits, or the one that held before.
fn seconds(
    given: Option<&Spanned<i64>>,
    key: &str,
    (low, high): (i64, i64),
    before: u32,
    problems: &mut Problems<'_>,
) -> u32 {
    let found = number(given, key, low..=high, " seconds", before.into(), problems);
    u32::try_from(found).unwrap_or(before)
}

/// Checks the keys; what is not given is as in `before`. `prefix` is what the keys begin with.
pub(super) fn keep(spec: &spec::Keep, prefix: &str, before: &KeepConfig, problems: &mut Problems<'_>) -> KeepConfig {
    let key = |name: &str| format!("{prefix}.{name}");
    let positive = [&spec.positive_ttl_min, &spec.positive_ttl_max];
    let positive_ttl = bounds(positive, &key("positive_ttl"), before.positive_ttl, problems);
    let negative = [&spec.negative_ttl_min, &spec.negative_ttl_max];
    let negative_ttl = bounds(negative, &key("negative_ttl"), before.negative_ttl, problems);
    let uses = spec.prefetch_uses.as_ref();
    let uses = number(uses, &key("prefetch_uses"), 0..=3, "", before.prefetch_uses.into(), problems);
    let percent = spec.prefetch_percent.as_ref();
    let percent =
        number(percent, &key("prefetch_percent"), 1..=90, " percent", before.prefetch_percent.into(), problems);
    KeepConfig {
        positive_ttl,
        negative_ttl,
        keeps_ttl: spec.keeps_ttl.unwrap_or(before.keeps_ttl),
        stale: stale(spec, prefix, &before.stale, problems),
        prefetch_uses: u8::try_from(uses).unwrap_or_default(),
        prefetch_percent: u8::try_from(percent).unwrap_or_default(),
    }
}

/// Shortest and longest TTL.
fn bounds(
    [low, high]: [&Option<Spanned<i64>>; 2],
    key: &str,
    before: (u32, u32),
    problems: &mut Problems<'_>,
) -> (u32, u32) {
    let max = seconds(high.as_ref(), &format!("{key}_max"), (0, TTL_SECONDS_MAX), before.1, problems);
    // What is not given gives way to what is.
    let min = if low.is_none() { before.0.min(max) } else { before.0 };
    let min = seconds(low.as_ref(), &format!("{key}_min"), (0, TTL_SECONDS_MAX), min, problems);
    let max = if high.is_none() && max > 0 { max.max(min) } else { max };
    if let Some(low) = low.as_ref().filter(|_| min > max) {
        let message = format!("{min} is more than {key}_max, which is {max}");
        problems.add(Some(low.span()), format!("{key}_min"), message, "give a smaller number");
    }
    (min, max)
}

/// Answers whose time is over.
fn stale(spec: &spec::Keep, prefix: &str, before: &StaleConfig, problems: &mut Problems<'_>) -> StaleConfig {
    let key = |name: &str| format!("{prefix}.{name}");
    let given_for = spec.stale_seconds.as_ref();
    let given_for = seconds(given_for, &key("stale_seconds"), (0, STALE_SECONDS_MAX), before.seconds, problems);
    let ttl = spec.stale_ttl_seconds.as_ref();
    let ttl_seconds = seconds(ttl, &key("stale_ttl_seconds"), (0, 3600), before.ttl_seconds, problems);
    let after = match before.when {
        StaleWhen::After(after) => after,
        StaleWhen::AtOnce => Duration::from_millis(STALE_AFTER_MS),
    };
    let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(MS_MAX);
    let given = spec.stale_after_ms.as_ref();
    let after = milliseconds(number(given, &key("stale_after_ms"), 1..=MS_MAX, " ms", ms(after), problems));
    let words = [("after-failure", StaleWhen::After(after)), ("at-once", StaleWhen::AtOnce)];
    let default = if before.when == StaleWhen::AtOnce { StaleWhen::AtOnce } else { StaleWhen::After(after) };
    let when = word(spec.stale.as_ref(), &key("stale"), &words, default, problems);
    let recheck = spec.stale_recheck_ms.as_ref();
    let recheck = number(recheck, &key("stale_recheck_ms"), 0..=MS_MAX, " ms", ms(before.recheck), problems);
    StaleConfig {
        seconds: given_for,
        ttl_seconds,
        when,
        prefers_positive: spec.stale_prefers_positive.unwrap_or(before.prefers_positive),
        recheck: milliseconds(recheck),
    }
}
