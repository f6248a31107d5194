//! A role as a process has it: with threads of its own, shown over HTTP, ended in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::insight::{self, ListenError, Shown};

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
}

/// What a role is called, and where it is shown.
#[derive(Clone, Copy, Debug)]
pub struct RoleSpec {
    /// The name of its threads.
    pub name: &'static str,
    /// The key that says where it is shown.
    pub key: &'static str,
    /// Where it is shown.
    pub listen: SocketAddr,
    /// For an answer of etcd.
    pub timeout: Duration,
}

/// One that runs.
#[derive(Debug)]
pub struct Role {
    /// What it is called.
    name: &'static str,
    /// Where its tasks run.
    runtime: Runtime,
    /// What it does.
    working: JoinHandle<()>,
    /// Ends that.
    end: oneshot::Sender<()>,
    /// Ends what shows it.
    hide: oneshot::Sender<()>,
    /// Where it is shown.
    address: SocketAddr,
    /// For its end.
    timeout: Duration,
}

impl Role {
    /// Starts one. `work` is given what resolves when it is to end. Nothing is needed yet of what it works with.
    pub fn start<S: Shown, W>(spec: RoleSpec, state: Arc<S>, work: impl FnOnce(Ended) -> W) -> Result<Self, StartError>
    where
        W: Future<Output = ()> + Send + 'static,
    {
        let RoleSpec { name, key, listen, timeout } = spec;
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(THREADS).thread_name(name).enable_all().build();
        let runtime = runtime.map_err(StartError::Threads)?;
        let listener = runtime.block_on(insight::bind(key, listen))?;
        let address = listener.local_addr().unwrap_or(listen);
        let ((end, ended), (hide, hidden)) = (oneshot::channel::<()>(), oneshot::channel::<()>());
        runtime.spawn(insight::serve(listener, state, async move { drop(hidden.await) }));
        let working = runtime.spawn(work(Box::pin(async move { drop(ended.await) })));
        tracing::info!(%address, "{name} follows etcd");
        // Two tries: the first member may be the one that is away.
        Ok(Self { name, runtime, working, end, hide, address, timeout: timeout * 2 + END })
    }

    /// Where it is shown.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it: its locks are given back, so that another leads at once.
    pub fn stop(self) {
        let Self { name, runtime, working, end, hide, timeout, .. } = self;
        // Whoever listens may be gone.
        let _ = end.send(());
        if runtime.block_on(async { tokio::time::timeout(timeout, working).await }).is_err() {
            tracing::warn!("etcd does not answer; the locks go away with their lease");
        }
        let _ = hide.send(());
        runtime.shutdown_timeout(END);
        tracing::info!("{name} has ended");
    }
}

/// Resolves when a role is to end.
pub type Ended = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
