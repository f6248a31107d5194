//! What of it can change while RingDNS runs.

use super::{ForwardConfig, PolicyConfig};
use crate::config::change::Changes;

impl ForwardConfig {
    /// Takes what can change. Whether there is forwarding at all, the cache's memory and its file are settled at the start, and so is
    /// the deadline, by which ports and sockets know how long their clients wait.
    pub(in crate::config) fn take(running: &mut Option<Self>, new: &Option<Self>, changes: &mut Changes) {
        let (Some(running), Some(new)) = (running.as_mut(), new.as_ref()) else {
            changes.restart("forward", &running.is_some(), &new.is_some());
            return;
        };
        changes.restart("forward.deadline_ms", &running.deadline, &new.deadline);
        changes.restart("cache.size_mib", &running.cache.bytes, &new.cache.bytes);
        changes.restart("cache.file", &running.cache.file, &new.cache.file);
        changes.live("cache.authoritative", &mut running.cache.authoritative, &new.cache.authoritative);
        changes.live("cache", &mut running.cache.keep, &new.cache.keep);
        let failure = (&mut running.cache.failure_ttl, &new.cache.failure_ttl);
        changes.live("cache.failure_ttl_seconds", failure.0, failure.1);
        let interval = (&mut running.cache.file_interval, &new.cache.file_interval);
        changes.live("cache.file_interval_seconds", interval.0, interval.1);
        changes.live("forward.zone", &mut running.zones, &new.zones);
        running.common.clone_from(&new.common);
        // All that is left: who is asked is not among it.
        let (zones, cache) = (running.zones.clone(), running.cache.clone());
        let rest = Self { zones, cache, deadline: running.deadline, ..new.clone() };
        changes.live("forward", running, &rest);
    }
}

impl PolicyConfig {
    /// All of it can change.
    pub(in crate::config) fn take(&mut self, new: &Self, changes: &mut Changes) {
        changes.live("policy", self, new);
    }
}
