//! What the scanner shows of itself.

use serde_json::{Value, json};

use super::Shared;
use super::board::{Member, Target};
use crate::clock;
use crate::insight::{Metric, Shown};
use crate::keys::Resource;
use crate::values::Health;

/// Microseconds as seconds.
fn seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e6
}

impl Shared {
    /// One target as JSON.
    fn shown(&self, target: &Target, member: &Member) -> Value {
        json!({
            "target": target.name,
            "resource": if target.resource == Resource::Address { "ipaddr" } else { "domain" },
            "state": member.health.map_or("UNKNOWN", Health::word),
            "since": clock::universal(member.since),
            "last_check": member.checked.map(clock::universal),
            "last_error": member.error,
            "probe": member.probe,
            "by": self.config.name,
            "not_written_because": member.fault,
        })
    }
}

impl Shown for Shared {
    fn health(&self) -> (bool, Value) {
        let has_lease = self.is_alone || self.counts.lease.get() != 0;
        let facts = json!({
            "status": if has_lease { "ok" } else { "degraded" },
            "agent": self.config.name,
            "lease": has_lease && !self.is_alone,
            "members": self.board().members().len(),
        });
        // Checks go on without etcd, so this process is well.
        (true, facts)
    }

    fn members(&self) -> Vec<Value> {
        let members: Vec<(Target, Member)> =
            self.board().members().iter().map(|(target, member)| (target.clone(), member.clone())).collect();
        members.iter().map(|(target, member)| self.shown(target, member)).collect()
    }

    fn metrics(&self) -> Vec<Metric> {
        let counts = &self.counts;
        let of = |health: Option<Health>| {
            self.board().members().values().filter(|member| member.health == health).count() as f64
        };
        let states = [("up", of(Some(Health::Up))), ("down", of(Some(Health::Down))), ("unknown", of(None))];
        let value = |count: &super::count::Count| count.get() as f64;
        let checks = [("up", value(&counts.up)), ("down", value(&counts.down)), ("fault", value(&counts.faults))];
        let turns = [("up", value(&counts.turned_up)), ("down", value(&counts.turned_down))];
        let writes = [
            ("written", value(&counts.written)),
            ("refused", value(&counts.refused)),
            ("failed", value(&counts.failed)),
        ];
        let late = (seconds(counts.late_us.get()), seconds(counts.late_us_max.get()));
        let lease = f64::from(u8::from(counts.lease.get() != 0));
        let mut metrics = vec![
            Metric::gauge("ringdns_scanner_targets", "Targets that are checked here.", 0.0).by("state", states),
            Metric::counter("ringdns_scanner_checks", "Checks by what they found.", 0.0).by("result", checks),
            Metric::gauge("ringdns_scanner_checks_running", "Checks under way.", value(&counts.running)),
            Metric::gauge(
                "ringdns_scanner_checks_running_peak",
                "Most checks ever under way.",
                value(&counts.running_peak),
            ),
            Metric::gauge("ringdns_scanner_checks_waiting", "Checks that are due and wait.", value(&counts.waiting)),
            Metric::counter("ringdns_scanner_check_late_seconds", "Time that checks have waited, in all.", late.0),
            Metric::gauge("ringdns_scanner_check_late_seconds_max", "Longest time that a check has waited.", late.1),
            Metric::counter("ringdns_scanner_turns", "Targets that fell or came back.", 0.0).by("to", turns),
            Metric::counter("ringdns_scanner_writes", "Writes to etcd by what came of them.", 0.0).by("result", writes),
            Metric::gauge(
                "ringdns_scanner_lease",
                "1 while this agent has a lease, without which nothing is written.",
                lease,
            ),
            Metric::counter(
                "ringdns_scanner_leases_lost",
                "Leases that ended by themselves.",
                value(&counts.leases_lost),
            ),
        ];
        if let Some(alerts) = &self.alerts {
            let results = alerts.results();
            metrics.push(
                Metric::counter("ringdns_scanner_alerts", "Alerts by what came of them.", 0.0).by("result", results),
            );
            let waiting = alerts.waiting() as f64;
            metrics.push(Metric::gauge("ringdns_scanner_alerts_waiting", "Alerts that wait to be sent.", waiting));
        }
        metrics
    }
}
