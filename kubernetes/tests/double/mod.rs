//! An API server of our own, for tests: objects with versions, listings by pages, watches with bookmarks, and every fault that a real
//! one shows in bad days. Plain HTTP/1.1; what it serves is JSON as it was given, with the version put in.

#![allow(dead_code, reason = "not every test needs all of it")]

mod cluster;
mod faults;
mod http;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringdns_controlplane::config::KubernetesAccess;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use cluster::Cluster;
pub use faults::{Chance, Fault, Faults};

/// What the connections share.
pub struct Shared {
    /// The objects.
    cluster: Mutex<Cluster>,
    /// What goes wrong.
    faults: Mutex<Faults>,
    /// Rises with each change; connections of another epoch are cut.
    changed: watch::Sender<(u64, u64)>,
}

/// A running server. It ends when this is dropped.
pub struct Server {
    /// What the connections share.
    shared: Arc<Shared>,
    /// Where it listens.
    address: SocketAddr,
    /// Takes connections; none while the server is away.
    listening: Option<JoinHandle<()>>,
}

impl Server {
    /// A server without objects.
    pub async fn start() -> Self {
        let (changed, _) = watch::channel((0, 0));
        let shared = Shared { cluster: Mutex::default(), faults: Mutex::default(), changed };
        let mut server = Self { shared: Arc::new(shared), address: ([127, 0, 0, 1], 0).into(), listening: None };
        server.listen().await;
        server
    }

    /// Takes connections.
    pub async fn listen(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let shared = Arc::clone(&self.shared);
        self.listening = Some(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(http::serve(stream, Arc::clone(&shared)));
            }
        }));
    }

    /// Goes away: connections are cut, and none is taken until it listens again.
    pub async fn go_away(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
            let _ = listening.await;
        }
        self.cut();
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        self.shared.changed.send_modify(|(epoch, _)| *epoch += 1);
    }

    /// How it is reached.
    pub fn access(&self) -> KubernetesAccess {
        let url = format!("http://{}", self.address);
        KubernetesAccess::Endpoint { url, identity: None, ca_file: None, token_file: None }
    }

    /// How it is reached with a token.
    pub fn access_with(&self, token_file: &Path) -> KubernetesAccess {
        let url = format!("http://{}", self.address);
        KubernetesAccess::Endpoint { url, identity: None, ca_file: None, token_file: Some(token_file.to_owned()) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The objects.
    pub fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.shared.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes wrong.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        self.shared.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an object, or changes it; it is as it is given here, with a version of its own. Kind, namespace and name stand in it.
    pub fn put(&self, object: Value) {
        self.cluster().put(object);
        self.shared.changed.send_modify(|(_, changes)| *changes += 1);
    }

    /// Removes an object.
    pub fn remove(&self, plural: &str, namespace: &str, name: &str) {
        self.cluster().remove(plural, namespace, name);
        self.shared.changed.send_modify(|(_, changes)| *changes += 1);
    }

    /// Makes all objects of a JSON list: the sample cases' clusters.
    pub fn load(&self, objects: &[Value]) {
        objects.iter().for_each(|object| self.cluster().put(object.clone()));
        self.shared.changed.send_modify(|(_, changes)| *changes += 1);
    }

    /// Puts etcd back to an earlier state: later versions are as if they had never been, and all connections are cut.
    pub fn restore(&self, version: u64) {
        self.cluster().restore(version);
        self.cut();
    }

    /// Waits until something holds, for ten seconds at most.
    pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
        for _ in 0..1000 {
            if holds() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {what}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
        self.cut();
    }
}
