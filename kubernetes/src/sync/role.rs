//! `ringdns kubesync` as a process has it: with threads of its own, and shown over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use ringdns_controlplane::config::KubesyncRole;
use ringdns_health::insight::{self, ListenError};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::ClusterWriter;
use crate::api::{Fault, Tempo, check};

/// Threads: one works while the other is read.
const THREADS: usize = 2;

/// How long the end may take beyond what etcd is waited for.
const END: Duration = Duration::from_secs(1);

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Threads.
    #[error("the kernel refuses threads: {0}; raise the process's limits (ulimit -a)")]
    Threads(std::io::Error),
    /// Where it is to be shown.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// What says how the API server is reached.
    #[error(transparent)]
    Access(#[from] Fault),
}

/// One that runs.
#[derive(Debug)]
pub struct SyncRole {
    /// Where its tasks run.
    runtime: Runtime,
    /// It.
    syncing: JoinHandle<()>,
    /// Ends it.
    end: oneshot::Sender<()>,
    /// Ends what shows it.
    hide: oneshot::Sender<()>,
    /// Where it is shown.
    address: SocketAddr,
    /// For an answer of etcd.
    timeout: Duration,
}

impl SyncRole {
    /// Starts one. It needs neither etcd nor the API server yet.
    pub fn start(config: &KubesyncRole) -> Result<Self, StartError> {
        check(&config.kubernetes.access)?;
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(THREADS).thread_name("ringdns-kubesync").enable_all().build();
        let runtime = runtime.map_err(StartError::Threads)?;
        let listen = config.kubesync.listen;
        let listener = runtime.block_on(insight::bind("kubesync.listen", listen))?;
        let address = listener.local_addr().unwrap_or(listen);
        let sync = ClusterWriter::new(config, Tempo::default());
        let ((end, ended), (hide, hidden)) = (oneshot::channel::<()>(), oneshot::channel::<()>());
        runtime.spawn(insight::serve(listener, sync.state(), async move { drop(hidden.await) }));
        let syncing = runtime.spawn(sync.run(async move { drop(ended.await) }));
        tracing::info!(%address, name = config.kubesync.name, "the cluster and etcd are followed");
        // Two tries: the first member may be the one that is away.
        Ok(Self { runtime, syncing, end, hide, address, timeout: config.etcd.timeout * 2 + END })
    }

    /// Where it is shown.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: its lock is given back, so that another leads at once.
    pub fn stop(self) {
        let Self { runtime, syncing, end, hide, timeout, .. } = self;
        // Whoever listens may be gone.
        let _ = end.send(());
        if runtime.block_on(async { tokio::time::timeout(timeout, syncing).await }).is_err() {
            tracing::warn!("etcd does not answer; the lock goes away with its lease");
        }
        let _ = hide.send(());
        runtime.shutdown_timeout(END);
        tracing::info!("what was written to etcd stays; nobody follows the cluster here any more");
    }
}
