//! Listings and watches.

mod faults;
mod kinds;
mod storm;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ringdns_kubernetes::ClusterState;
use ringdns_kubernetes::api::{Following, Plan, Scope, Tempo, Told, What};
use ringdns_kubernetes::object::{Event, Kind, Object};
use serde_json::{Value, json};

use crate::double::Server;

/// What identifies an object among all.
type Id = (u8, String, String);

/// As fast as a test wants it.
const TEMPO: Tempo = Tempo {
    page_objects: 3,
    timeout: Duration::from_millis(500),
    silence: Duration::from_millis(400),
    watch_seconds: 2,
    pause_first: Duration::from_millis(2),
    pause_max: Duration::from_millis(40),
    absent: Duration::from_millis(30),
};

/// What was told, as it stands.
#[derive(Default)]
struct Mirror {
    /// The objects.
    objects: BTreeMap<Id, Object>,
    /// The scopes that were listed.
    listed: BTreeSet<usize>,
    /// What was told gone since this was emptied.
    gone: Vec<Id>,
    /// How much was told.
    events: usize,
}

/// The number of a kind, which has no order of its own that matters.
fn number(kind: Kind) -> u8 {
    [Kind::Namespace, Kind::Service, Kind::Slice, Kind::Pod, Kind::ServiceImport]
        .iter()
        .position(|&found| found == kind)
        .and_then(|place| u8::try_from(place).ok())
        .unwrap()
}

/// What identifies an object.
fn id(object: &Object) -> Id {
    let (kind, key) = match object {
        Object::Namespace(name) => return (number(Kind::Namespace), String::new(), name.to_string()),
        Object::Service(found) => (Kind::Service, &found.key),
        Object::Slice(found) => (Kind::Slice, &found.key),
        Object::Pod(found) => (Kind::Pod, &found.key),
        Object::ServiceImport(found) => (Kind::ServiceImport, &found.key),
    };
    (number(kind), key.namespace.to_string(), key.name.to_string())
}

impl Mirror {
    /// Takes what was told.
    fn take(&mut self, told: Told) {
        let events = match told {
            Told::Listed(place) => {
                self.listed.insert(place);
                return;
            }
            Told::Events(events) => events,
        };
        for event in events {
            self.events += 1;
            match event {
                Event::Put(object) => drop(self.objects.insert(id(&object), object)),
                Event::Gone(kind, key) => {
                    let id = (number(kind), key.namespace.to_string(), key.name.to_string());
                    self.objects.remove(&id);
                    self.gone.push(id);
                }
                Event::ListBegins(_) | Event::ListEnds(_) => {}
            }
        }
    }
}

/// A plan being followed, and what it told so far.
struct Follow {
    /// What is followed.
    plan: Plan,
    /// What others see.
    state: Arc<ClusterState>,
    /// The tasks.
    following: Following,
    /// What was told.
    mirror: Mirror,
}

impl Follow {
    /// Begins to follow.
    fn start(server: &Server, plan: Plan) -> Self {
        Self::with(plan, &server.access())
    }

    /// Begins to follow in some way.
    fn with(plan: Plan, access: &ringdns_controlplane::config::KubernetesAccess) -> Self {
        let state = Arc::new(ClusterState::new(&plan));
        let following = Following::start(&plan, access, TEMPO, &state);
        Self { plan, state, following, mirror: Mirror::default() }
    }

    /// Takes what comes until something holds, for ten seconds at most.
    async fn until(&mut self, what: &str, holds: impl Fn(&Mirror, &ClusterState) -> bool) {
        let end = tokio::time::Instant::now() + Duration::from_secs(10);
        while !holds(&self.mirror, &self.state) {
            assert!(tokio::time::Instant::now() < end, "never: {what}; {:#}", self.state.json());
            // Looked at again after a while: not all that is waited for is told.
            if let Ok(told) = tokio::time::timeout(Duration::from_millis(10), self.following.told.recv()).await {
                self.mirror.take(told.expect("following has ended"));
            }
        }
    }

    /// Takes what comes until everything was listed.
    async fn until_listed(&mut self) {
        let scopes = self.plan.scopes.len();
        self.until("everything is listed", |mirror, _| mirror.listed.len() == scopes).await;
    }

    /// Takes what comes until there are so many objects.
    async fn until_count(&mut self, count: usize) {
        self.until(&format!("{count} objects"), |mirror, _| mirror.objects.len() == count).await;
    }

    /// Takes what comes until it is what a fresh listing says.
    async fn until_fresh(&mut self, server: &Server) {
        let mut fresh = Self::start(server, self.plan.clone());
        fresh.until_listed().await;
        let wanted = fresh.mirror.objects;
        self.until("what is told is what is listed", |mirror, _| mirror.objects == wanted).await;
    }

    /// How often something has failed for a reason.
    fn failures(&self, reason: &str) -> u64 {
        self.state.faults().iter().filter(|((_, found), _)| *found == reason).map(|(_, count)| count).sum()
    }
}

/// A scope of all namespaces without selectors.
fn scope(what: What) -> Scope {
    Scope { what, namespace: None, labels: String::new(), fields: String::new() }
}

/// A plan of such scopes.
fn plan(whats: &[What]) -> Plan {
    Plan { scopes: whats.iter().map(|&what| scope(what)).collect() }
}

/// A Service.
fn service(namespace: &str, name: &str, address: &str) -> Value {
    json!({ "kind": "Service", "metadata": { "namespace": namespace, "name": name, "labels": { "app": name } },
            "spec": { "type": "ClusterIP", "clusterIP": address, "ports": [{ "name": "http", "port": 80 }] } })
}

/// An EndpointSlice of a Service.
fn slice(namespace: &str, name: &str, service: &str, addresses: &[String]) -> Value {
    let endpoints: Vec<Value> = addresses.iter().map(|address| json!({ "addresses": [address] })).collect();
    json!({ "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": { "namespace": namespace, "name": name, "labels": { "kubernetes.io/service-name": service } },
            "endpoints": endpoints, "ports": null })
}
