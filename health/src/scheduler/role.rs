//! The scheduler as a process has it: with threads of its own, and shown over HTTP.

use std::net::SocketAddr;
use std::time::Duration;

use ringdns_controlplane::config::{EtcdConfig, HealthConfig};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Scheduler;
use crate::insight::{self, ListenError};

/// Threads: one schedules while the other is read.
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
}

/// A scheduler that runs.
#[derive(Debug)]
pub struct SchedulerRole {
    /// Where its tasks run.
    runtime: Runtime,
    /// It.
    scheduling: JoinHandle<()>,
    /// Ends it.
    end: oneshot::Sender<()>,
    /// Ends what shows it.
    hide: oneshot::Sender<()>,
    /// Where it is shown.
    address: SocketAddr,
    /// For an answer of etcd.
    timeout: Duration,
}

impl SchedulerRole {
    /// Starts one. It needs no etcd yet.
    pub fn start(etcd: &EtcdConfig, health: &HealthConfig) -> Result<Self, StartError> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(THREADS).thread_name("ringdns-scheduler").enable_all().build();
        let runtime = runtime.map_err(StartError::Threads)?;
        let config = &health.scheduler;
        let listener = runtime.block_on(insight::bind("scheduler.listen", config.listen))?;
        let address = listener.local_addr().unwrap_or(config.listen);
        let scheduler = Scheduler::new(etcd, health);
        let ((end, ended), (hide, hidden)) = (oneshot::channel::<()>(), oneshot::channel::<()>());
        runtime.spawn(insight::serve(listener, scheduler.state(), async move { drop(hidden.await) }));
        let scheduling = runtime.spawn(scheduler.run(async move { drop(ended.await) }));
        tracing::info!(%address, name = config.name, "the scheduler follows etcd");
        // Two tries: the first member may be the one that is away.
        Ok(Self { runtime, scheduling, end, hide, address, timeout: etcd.timeout * 2 + END })
    }

    /// Where it is shown.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: its locks are given back, so that another leads at once.
    pub fn stop(self) {
        let Self { runtime, scheduling, end, hide, timeout, .. } = self;
        // Whoever listens may be gone.
        let _ = end.send(());
        if runtime.block_on(async { tokio::time::timeout(timeout, scheduling).await }).is_err() {
            tracing::warn!("etcd does not answer; the locks go away with their lease");
        }
        let _ = hide.send(());
        runtime.shutdown_timeout(END);
        tracing::info!("the scheduler has ended");
    }
}
