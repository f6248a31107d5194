//! What stands in etcd, as JSON of both generations of the original. Members that we do not know are kept when a value is
//! written again: others have put them there.

use std::time::SystemTime;

use ringdns_controlplane::config::health::KeyGeneration;
use serde_json::{Map, Value};

use crate::clock;

/// Why a value cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// No JSON.
    #[error("the value is no JSON: {0}")]
    Json(String),
    /// JSON, but no object.
    #[error("the value is no JSON object")]
    NoObject,
}

/// Up or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// It answers.
    Up,
    /// It does not.
    Down,
}

impl Health {
    /// The word in values.
    pub fn word(self) -> &'static str {
        match self {
            Self::Up => "UP",
            Self::Down => "DOWN",
        }
    }

    /// What a word says; others than these two say nothing.
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "UP" => Some(Self::Up),
            "DOWN" => Some(Self::Down),
            _ => None,
        }
    }
}

/// Reads an object.
fn object(value: &[u8]) -> Result<Map<String, Value>, ValueError> {
    match serde_json::from_slice(value) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(ValueError::NoObject),
        Err(error) => Err(ValueError::Json(error.to_string())),
    }
}

/// Text of a member; empty where there is none.
fn text<'a>(members: &'a Map<String, Value>, name: &str) -> &'a str {
    members.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The value of `<status_path>/<address>`: `{"status":"UP","ports":["80"],"domains":["a.b."],"cluster":"c1"}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Status(Map<String, Value>);

impl Status {
    /// Reads one.
    pub fn parse(value: &[u8]) -> Result<Self, ValueError> {
        object(value).map(Self)
    }

    /// What it says.
    pub fn health(&self) -> Option<Health> {
        Health::of(text(&self.0, "status"))
    }

    /// The target's ports, written as text or as numbers; what is no port is left out.
    pub fn ports(&self) -> Vec<u16> {
        let mut ports = Vec::new();
        for port in self.0.get("ports").and_then(Value::as_array).into_iter().flatten() {
            let number = match port {
                Value::String(text) => text.trim().parse().ok(),
                other => other.as_u64().and_then(|number| u16::try_from(number).ok()),
            };
            ports.extend(number.filter(|&number| number > 0 && !ports.contains(&number)));
        }
        ports
    }

    /// The same with what was found, everything else kept. What we say beside the word, since when, by whom and why, the original
    /// reads past.
    pub fn with(&self, found: &Observation) -> Vec<u8> {
        let Observation { health, since, error, by } = found;
        let mut members = self.0.clone();
        members.insert("status".to_owned(), health.word().into());
        for (name, text) in [("since", since), ("error", error), ("by", by)] {
            members.insert(name.to_owned(), text.as_str().into());
        }
        Value::Object(members).to_string().into_bytes()
    }
}

/// The names of a job's members.
struct JobNames {
    /// Who checks.
    agent: &'static str,
    /// When it was said.
    time: &'static str,
    /// 1 before anybody was said to.
    init: &'static str,
}

impl JobNames {
    /// Those of a generation.
    fn of(generation: KeyGeneration) -> Self {
        match generation {
            KeyGeneration::Current => Self { agent: "agent_name", time: "update_time", init: "init_data" },
            KeyGeneration::Documented => Self { agent: "hostname", time: "updatetime", init: "initdata" },
        }
    }
}

/// The value of a job: `{"agent_name":"node-107","update_time":"2006-01-02 15:04:05","init_data":1,"status":"DOWN"}`, or
/// `{"hostname","updatetime","initdata"}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// All of it.
    members: Map<String, Value>,
    /// How it is written.
    generation: KeyGeneration,
}

impl Job {
    /// Reads one.
    pub fn parse(value: &[u8], generation: KeyGeneration) -> Result<Self, ValueError> {
        Ok(Self { members: object(value)?, generation })
    }

    /// One that nobody has yet; `status` is that of a name.
    pub fn new(generation: KeyGeneration, status: Option<Health>) -> Self {
        let names = JobNames::of(generation);
        let mut members = Map::new();
        members.insert(names.agent.to_owned(), "".into());
        members.insert(names.init.to_owned(), 1.into());
        if generation == KeyGeneration::Current {
            members.insert("status".to_owned(), status.map_or("", Health::word).into());
        }
        Self { members, generation }
    }

    /// The agents that check, the first one first; none for a job that nobody has yet.
    pub fn agents(&self) -> Vec<&str> {
        let first = text(&self.members, JobNames::of(self.generation).agent);
        let all = self.members.get("agents").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        // Somebody who does not know of the list has given the job to another, who has it alone then.
        let all: Vec<&str> = all.collect();
        match first {
            "" => Vec::new(),
            first if all.first() == Some(&first) => all,
            first => vec![first],
        }
    }

    /// The state of a name.
    pub fn health(&self) -> Option<Health> {
        Health::of(text(&self.members, "status"))
    }

    /// When it was last written.
    pub fn update_time(&self) -> &str {
        text(&self.members, JobNames::of(self.generation).time)
    }

    /// Gives it to agents, the first one first; several are named in a member of our own too.
    pub fn assign(&mut self, agents: &[&str], time: SystemTime) {
        let names = JobNames::of(self.generation);
        self.members.insert(names.agent.to_owned(), agents.first().copied().unwrap_or_default().into());
        self.members.insert(names.time.to_owned(), clock::text(time).into());
        self.members.remove(names.init);
        if agents.len() > 1 {
            self.members.insert("agents".to_owned(), agents.to_vec().into());
        } else {
            self.members.remove("agents");
        }
    }

    /// Tells the state of a name.
    pub fn set_health(&mut self, health: Health, time: SystemTime) {
        self.members.insert("status".to_owned(), health.word().into());
        self.members.insert(JobNames::of(self.generation).time.to_owned(), clock::text(time).into());
    }

    /// As it is written.
    pub fn to_bytes(&self) -> Vec<u8> {
        Value::Object(self.members.clone()).to_string().into_bytes()
    }
}

/// An agent's heartbeat: `{"agent_name":"node-107","last_report":"2006-01-02 15:04:05"}`, or `{"hostname","lastreport"}`.
pub fn heartbeat(generation: KeyGeneration, name: &str, time: SystemTime) -> Vec<u8> {
    let (name_member, time_member) = match generation {
        KeyGeneration::Current => ("agent_name", "last_report"),
        KeyGeneration::Documented => ("hostname", "lastreport"),
    };
    serde_json::json!({ name_member: name, time_member: clock::text(time) }).to_string().into_bytes()
}

/// When an agent reported, from its heartbeat.
pub fn last_report(generation: KeyGeneration, value: &[u8]) -> Result<String, ValueError> {
    let member = match generation {
        KeyGeneration::Current => "last_report",
        KeyGeneration::Documented => "lastreport",
    };
    Ok(text(&object(value)?, member).to_owned())
}

/// What one agent sees of a target: `{"status":"DOWN","since":"2026-11-22T08:00:00Z","error":"...","by":"node-107"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Up or down.
    pub health: Health,
    /// Since when (RFC 3339).
    pub since: String,
    /// The last error; empty: there was none.
    pub error: String,
    /// The agent.
    pub by: String,
}

impl Observation {
    /// Reads one; nothing where it says neither up nor down.
    pub fn parse(value: &[u8]) -> Result<Option<Self>, ValueError> {
        let members = object(value)?;
        let member = |name| text(&members, name).to_owned();
        Ok(Health::of(text(&members, "status")).map(|health| Self {
            health,
            since: member("since"),
            error: member("error"),
            by: member("by"),
        }))
    }

    /// As it is written.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { health, since, error, by } = self;
        serde_json::json!({ "status": health.word(), "since": since, "error": error, "by": by })
            .to_string()
            .into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// JSON of bytes.
    fn json(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn states_keep_what_others_wrote() {
        let value =
            br#"{"status":"UP","ports":["80", " 443 ",8080,"x",0,"80"],"domains":["a.b."],"cluster":"c1","new":[1]}"#;
        let status = Status::parse(value).unwrap();
        assert_eq!((status.health(), status.ports()), (Some(Health::Up), vec![80, 443, 8080]));
        let mut expected = json(value);
        let found = Observation {
            health: Health::Down,
            since: "2026-11-22T08:00:00Z".into(),
            error: "refused".into(),
            by: "a".into(),
        };
        for (name, text) in [("status", "DOWN"), ("since", "2026-11-22T08:00:00Z"), ("error", "refused"), ("by", "a")] {
            expected[name] = text.into();
        }
        assert_eq!(json(&status.with(&found)), expected);
        assert_eq!(Status::parse(br#"{"status":"DONW"}"#).unwrap().health(), None);
        assert_eq!(Status::parse(b"[]"), Err(ValueError::NoObject));
        assert!(matches!(Status::parse(b"{"), Err(ValueError::Json(_))));
    }

    #[test]
    fn current_jobs_are_those_of_the_original() {
        let mut job = Job::new(KeyGeneration::Current, None);
        assert_eq!(job.to_bytes(), br#"{"agent_name":"","init_data":1,"status":""}"#);
        assert!(job.agents().is_empty());
        job.assign(&["node-107"], SystemTime::now());
        let value = json(&job.to_bytes());
        assert_eq!(
            (&value["agent_name"], &value["status"], value.get("init_data")),
            (&"node-107".into(), &"".into(), None)
        );
        assert_eq!((value["update_time"].as_str().unwrap().len(), job.agents()), (19, vec!["node-107"]));
        let mut domain = Job::new(KeyGeneration::Current, Some(Health::Down));
        assert_eq!(domain.health(), Some(Health::Down));
        domain.set_health(Health::Up, SystemTime::now());
        assert_eq!((domain.health(), domain.update_time().len()), (Some(Health::Up), 19));
    }

    #[test]
    fn documented_jobs_have_names_of_their_own() {
        let mut job = Job::new(KeyGeneration::Documented, None);
        assert_eq!(job.to_bytes(), br#"{"hostname":"","initdata":1}"#);
        job.assign(&["h"], SystemTime::now());
        let value = json(&job.to_bytes());
        assert_eq!(
            (&value["hostname"], value["updatetime"].is_string(), value.get("initdata")),
            (&"h".into(), true, None)
        );
        assert_eq!(Job::parse(&job.to_bytes(), KeyGeneration::Documented).unwrap(), job);
    }

    #[test]
    fn several_agents_share_a_job_until_another_scheduler_gives_it_away() {
        let mut job = Job::new(KeyGeneration::Current, None);
        job.assign(&["a", "b", "c"], SystemTime::now());
        assert_eq!(job.agents(), ["a", "b", "c"]);
        let mut value = json(&job.to_bytes());
        assert_eq!(value["agents"], serde_json::json!(["a", "b", "c"]));
        value["agent_name"] = "d".into();
        let taken = Job::parse(value.to_string().as_bytes(), KeyGeneration::Current).unwrap();
        assert_eq!(taken.agents(), ["d"]);
        job.assign(&["b"], SystemTime::now());
        assert_eq!((job.agents(), json(&job.to_bytes()).get("agents")), (vec!["b"], None));
    }

    #[test]
    fn heartbeats_are_those_of_the_original() {
        for (generation, member) in [(KeyGeneration::Current, "agent_name"), (KeyGeneration::Documented, "hostname")] {
            let value = heartbeat(generation, "node-107", SystemTime::now());
            assert_eq!(json(&value)[member], "node-107");
            let report = last_report(generation, &value).unwrap();
            assert!(clock::age(&report).unwrap().as_secs() < 60, "{report}");
        }
    }

    #[test]
    fn observations_are_read_as_they_are_written() {
        let seen = Observation {
            health: Health::Down,
            since: "2026-11-22T08:00:00Z".into(),
            error: "refused \"twice\"".into(),
            by: "a".into(),
        };
        assert_eq!(Observation::parse(&seen.to_bytes()), Ok(Some(seen)));
        assert_eq!(Observation::parse(b"{}"), Ok(None));
        assert_eq!(Observation::parse(b"1"), Err(ValueError::NoObject));
    }
}
