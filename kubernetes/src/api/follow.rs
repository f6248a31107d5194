//! Follows the objects of a scope: lists them by pages of one version, then takes what changes after it, for ever after.
//!
//! kube's `watcher` is not used, because it hides what has to be known here: bookmarks and versions, from which the age of what is
//! served is told and a watch that has gone silent is found, each request, which is counted, and the version at which etcd was put
//! back, after which a watch of a later version would bring nothing and say nothing. It begins a listing anew where one of its
//! pages fails; here that page is asked for again.
//!
//! What is known is served until it is known to be gone: objects that a listing did not name are told gone when it is over, and
//! nothing else is. So a listing that takes long, fails or is begun again leaves no hole.

use std::sync::Arc;
use std::time::Duration;

use ringdns_controlplane::config::KubernetesAccess;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::follower::Follower;
use super::link::Link;
use super::names::Names;
use super::plan::Plan;
use crate::object::Event;
use crate::state::ClusterState;

/// Messages that wait for the source. Where it is behind, the server is read no further.
const WAITING_MAX: usize = 64;

/// What is told.
#[derive(Debug)]
pub enum Told {
    /// Events in their order.
    Events(Vec<Event>),
    /// All objects of a scope, by its place in the plan, have been told.
    Listed(usize),
}

/// How long what may take.
#[derive(Clone, Copy, Debug)]
pub struct Tempo {
    /// Objects of a page.
    pub page_objects: u32,
    /// Until a request is answered.
    pub timeout: Duration,
    /// Without an event or a bookmark, after which a watch is opened again. Servers send bookmarks every minute.
    pub silence: Duration,
    /// After which the server ends a watch, in seconds; up to a quarter is added by chance, so that not all end at once. kube takes
    /// at most 294.
    pub watch_seconds: u32,
    /// First pause after a failure; it doubles from one to the next.
    pub pause_first: Duration,
    /// Longest pause between two tries.
    pub pause_max: Duration,
    /// Until it is looked again whether something is served that was not.
    pub absent: Duration,
}

impl Default for Tempo {
    fn default() -> Self {
        Self {
            page_objects: 250,
            timeout: Duration::from_secs(30),
            silence: Duration::from_secs(150),
            watch_seconds: 235,
            pause_first: Duration::from_millis(100),
            pause_max: Duration::from_secs(10),
            absent: Duration::from_secs(30),
        }
    }
}

/// Everything that a plan says, as it is followed. Following ends when this is dropped.
#[derive(Debug)]
pub struct Following {
    /// What is told.
    pub told: mpsc::Receiver<Told>,
    /// Who tells it; they end with this.
    _tasks: JoinSet<()>,
}

impl Following {
    /// Begins to follow.
    pub fn start(plan: &Plan, access: &KubernetesAccess, tempo: Tempo, state: &Arc<ClusterState>) -> Self {
        let (telling, told) = mpsc::channel(WAITING_MAX);
        let link = Arc::new(Link::new(access.clone(), Arc::clone(state), tempo.timeout));
        let names = Arc::new(Names::default());
        let mut tasks = JoinSet::new();
        for (place, scope) in plan.scopes.iter().enumerate() {
            let (link, names, state) = (Arc::clone(&link), Arc::clone(&names), Arc::clone(state));
            tasks.spawn(Follower::new(place, scope.clone(), link, names, state, telling.clone(), tempo).run());
        }
        Self { told, _tasks: tasks }
    }
}
