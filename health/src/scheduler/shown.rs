//! What a scheduler shows of itself over HTTP.

use std::time::Instant;

use serde_json::{Value, json};

use super::board::Entry;
use super::places::Target;
use super::state::SchedulerState;
use crate::insight::{Metric, Shown};
use crate::keys::Resource;
use crate::values::{Health, Status};

impl SchedulerState {
    /// Everything but the single targets.
    pub fn json(&self) -> Value {
        let (now, board) = (Instant::now(), self.board());
        let agents = board.agents().iter().map(|(name, agent)| {
            let load = board.loads().get(name).copied().unwrap_or_default();
            json!({ "name": &**name, "live": agent.is_live(now), "leased": agent.stored.lease != 0, "targets": load })
        });
        let mut facts = json!({
            "leads": self.leads(),
            "leader": self.leader(),
            "connected": self.is_connected(),
            "error": self.error(),
            "revision": self.revision(),
            "agents": agents.collect::<Vec<_>>(),
            "targets": board.targets().len(),
            "waiting": board.queued(),
        });
        for (name, _, value) in self.counts() {
            facts[name.trim_start_matches("ringdns_scheduler_")] = value.into();
        }
        facts
    }
}

impl Shown for SchedulerState {
    /// Well while it hears of changes: one that follows is as good as one that leads.
    fn health(&self) -> (bool, Value) {
        (self.is_connected(), self.json())
    }

    fn members(&self) -> Vec<Value> {
        let board = self.board();
        board
            .targets()
            .iter()
            .filter(|(_, entry)| entry.is_wanted())
            .map(|(target, entry)| member(target, entry))
            .collect()
    }

    fn metrics(&self) -> Vec<Metric> {
        let flag = |flag: bool| f64::from(u8::from(flag));
        let (now, board) = (Instant::now(), self.board());
        let live = board.agents().values().filter(|agent| agent.is_live(now)).count();
        let agents = [("live", live as f64), ("gone", (board.agents().len() - live) as f64)];
        let loads = board.loads().iter().map(|(agent, &load)| (vec![("agent", agent.to_string())], load as f64));
        let mut metrics = vec![
            Metric::gauge("ringdns_scheduler_leads", "1 while this scheduler leads.", flag(self.leads())),
            Metric::gauge("ringdns_scheduler_connected", "1 while changes come from etcd.", flag(self.is_connected())),
            Metric::gauge("ringdns_scheduler_revision", "Revision of etcd that is known.", self.revision() as f64),
            Metric::gauge("ringdns_scheduler_targets", "Targets that are known.", board.targets().len() as f64),
            Metric::gauge("ringdns_scheduler_waiting", "Targets that wait to be looked at.", board.queued() as f64),
            Metric::gauge("ringdns_scheduler_agents", "Agents that are known.", 0.0).by("state", agents),
        ];
        metrics.push(Metric {
            name: "ringdns_scheduler_agent_targets",
            help: "Targets that each agent has.",
            is_counter: false,
            rows: loads.collect(),
        });
        for (name, help, value) in self.counts() {
            metrics.push(Metric::counter(name, help, value as f64));
        }
        metrics
    }
}

/// A target: its state and who checks it.
fn member(target: &Target, entry: &Entry) -> Value {
    let agents: Vec<&str> = entry.agents().iter().map(|name| &**name).collect();
    let (resource, stored) = match target.resource {
        Resource::Address => ("ipaddr", entry.status()),
        Resource::Domain => ("domain", entry.job()),
    };
    // The word is in the same member of a state and of a job.
    let health = stored.and_then(|stored| Status::parse(&stored.value).ok()).and_then(|status| status.health());
    let state = health.map_or("UNKNOWN", Health::word);
    json!({ "target": &*target.name, "resource": resource, "state": state, "agents": agents })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use ringdns_controlplane::config::health::KeyGeneration;

    use super::super::board::{Board, Stored, Update};
    use super::super::fence::{Outcome, Write};
    use super::super::places::Places;
    use super::super::places::tests::config;
    use super::*;
    use crate::keys::tests::shipped as keys;

    /// The state of a scheduler that knows these keys.
    fn state(pairs: &[(&str, &str)]) -> SchedulerState {
        let config = config();
        let mut board =
            Board::new(Arc::new(Places::new(&keys(KeyGeneration::Current), &config)), config.agent_downtime);
        let now = Instant::now();
        for ((key, value), revision) in pairs.iter().zip(1..) {
            let stored = Stored { value: value.as_bytes().to_vec(), revision, created: revision, lease: 0 };
            let key = format!("/containerdns/{key}");
            board.take(Update { key, revision, stored: Some(stored) }, now, true);
        }
        SchedulerState::new("s1", Arc::new(Mutex::new(board)))
    }

    #[test]
    fn members_are_told_with_their_agents() {
        let state = state(&[
            ("monitor/status/10.0.0.1", r#"{"status":"DOWN"}"#),
            ("monitor/job/ipaddress/10.0.0.1", r#"{"agent_name":"a","agents":["a","b"]}"#),
            ("monitor/status/10.0.0.2", "{}"),
            ("local/www/1/", r#"{"type":"A"}"#),
            ("monitor/job/domain/www.local", r#"{"agent_name":"a","status":"UP"}"#),
            ("monitor/job/domain/gone.local", r#"{"agent_name":"a","status":"UP"}"#),
        ]);
        let expected = [
            json!({ "target": "10.0.0.1", "resource": "ipaddr", "state": "DOWN", "agents": ["a", "b"] }),
            json!({ "target": "10.0.0.2", "resource": "ipaddr", "state": "UNKNOWN", "agents": [] }),
            json!({ "target": "www.local", "resource": "domain", "state": "UP", "agents": ["a"] }),
        ];
        assert_eq!(state.members(), expected);
    }

    #[test]
    fn what_it_does_can_be_seen() {
        let state = state(&[("monitor/agent/a", "{}"), ("monitor/job/ipaddress/10.0.0.1", r#"{"agent_name":"a"}"#)]);
        assert!(!state.health().0);
        state.note_connected(false);
        state.note_leading();
        let write = Write { key: String::new(), known: 0, value: None, lease: 0 };
        let put = Write { value: Some(Vec::new()), ..write.clone() };
        state.note_outcome(Outcome::Written(7), &[write.clone(), put.clone(), put]);
        state.note_outcome(Outcome::Fenced, &[write]);
        let (is_well, facts) = state.health();
        assert!(is_well && state.leads());
        let number = |name: &str| facts[name].as_u64().unwrap();
        assert_eq!(
            (&facts["leader"], number("writes"), number("deletions"), number("fenced")),
            (&"s1".into(), 2, 1, 1)
        );
        assert_eq!(facts["agents"], json!([{ "name": "a", "live": true, "leased": false, "targets": 1 }]));
        let metrics = state.metrics();
        let value = |name: &str| metrics.iter().find(|metric| metric.name == name).unwrap().rows[0].1;
        let names = ["leads", "targets", "waiting", "agent_targets", "elections", "fenced", "conflicts"];
        let values = names.map(|name| value(&format!("ringdns_scheduler_{name}")));
        assert_eq!(values.map(|value| value.to_string()), ["1", "1", "1", "1", "1", "1", "0"]);
        assert!(state.note_failure("away".to_owned()) && !state.health().0);
    }
}
