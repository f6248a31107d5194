//! DNS over the kernel's own sockets: TCP, to which truncated and limited clients are sent, and UDP for the host itself.
//!
//! ```text
//! ringdns-tcp: accept -> table -> task a connection -> desk: read, MessageServer, write
//! ringdns-udp: socket -> MessageServer -> socket
//!                        \-> others: kept while they are asked -> MessageServer -> the same way back
//! ```
//!
//! Each transport has a thread of its own, off the workers' cores, with its own engine, counters and limits, so that neither
//! can delay the other or the admin API. What is served is taken from [`State`] anew in every turn: a write that was
//! acknowledged is seen by the next query.

mod answerer;
mod bind;
mod desk;
mod framing;
mod others;
mod rest;
mod stats;
mod table;
mod tcp;
mod transfers;
mod udp;
mod wildcard;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

pub use bind::Protocols;
pub use others::Asking;
use ringdns_engine::serve::MessageConfig;
pub(crate) use stats::{Monitor, Waited, is_of_messages};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::LocalSet;

use crate::config::{Config, TransferConfig};
use crate::state::State;

/// Where sockets listen, and what they answer with.
#[derive(Clone, Debug)]
pub struct SocketOptions {
    /// Addresses and ports; those of the configuration, and perhaps more. None: there are no sockets.
    pub listen: Vec<SocketAddr>,
    /// What the ports answer with as well, the secret of cookies included.
    pub answers: MessageConfig,
    /// Least names that are counted; 0: none.
    pub names: usize,
    /// Who is asked for names of others, where these are answered.
    pub others: Option<Asking>,
}

/// Why sockets were not served.
#[derive(Debug, thiserror::Error)]
pub enum SocketsError {
    /// An address.
    #[error(
        "sockets.listen: {address} cannot be listened on over {protocol}: {error}; stop what else listens there (ss -lntup), set another address, or give CAP_NET_BIND_SERVICE for ports below 1024"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Over what.
        protocol: Protocols,
        /// Why.
        error: std::io::Error,
    },
    /// Threads.
    #[error(
        "a thread for DNS sockets cannot be started: {0}; raise the limits of processes and open files (ulimit -a)"
    )]
    Thread(std::io::Error),
}

/// The threads of the sockets.
#[derive(Debug)]
pub(crate) struct Sockets {
    /// Where they listen: the ports are those that were given, or free ones where 0 was given.
    addresses: Vec<SocketAddr>,
    /// What they show; nothing where there are none.
    monitor: Option<Arc<Monitor>>,
    /// Tells them to stop.
    stop: watch::Sender<bool>,
    /// What they answer with.
    answers: watch::Sender<MessageConfig>,
    /// Them.
    threads: Vec<JoinHandle<()>>,
}

impl Sockets {
    /// Listens on all addresses and starts to answer. Once told to stop, clients have `drain` to take their answers.
    pub(crate) fn start(
        config: &Config,
        options: SocketOptions,
        state: &Arc<State>,
        transfers: watch::Receiver<Arc<[TransferConfig]>>,
        drain: Duration,
    ) -> Result<Self, SocketsError> {
        let (stop, stopped) = watch::channel(false);
        let SocketOptions { listen, answers, names, others } = options;
        let (config, messages) = (&config.sockets, config.stats.messages);
        let (renewed, answers) = watch::channel(answers);
        let mut sockets = Self { addresses: Vec::new(), monitor: None, stop, answers: renewed, threads: Vec::new() };
        if listen.is_empty() {
            return Ok(sockets);
        }
        let (mut streams, mut datagrams) = (Vec::new(), Vec::new());
        for address in listen {
            let stream = bind::tcp(address, config.tcp_write)?;
            let address = stream.local_addr().map_err(SocketsError::Thread)?;
            if config.udp {
                datagrams.push(bind::udp(address)?);
            }
            streams.push(stream);
            sockets.addresses.push(address);
            tracing::info!(%address, udp = config.udp, "DNS sockets listen");
        }
        let connections = bind::connections_for(config.tcp_connections_max);
        let monitor = Arc::new(Monitor::new(sockets.addresses.clone(), connections, names, messages));
        sockets.monitor = Some(Arc::clone(&monitor));
        let (config, its_state, its_monitor) = (config.clone(), Arc::clone(state), Arc::clone(&monitor));
        let (its_answers, its_stop, its_others) = (answers.clone(), stopped.clone(), others.clone());
        sockets.spawn("ringdns-tcp", move |runtime| {
            LocalSet::new().block_on(runtime, async move {
                let Some(listeners) = adopt(streams, tokio::net::TcpListener::from_std) else { return };
                until_answering(&its_state, its_stop.clone()).await;
                let answering = tcp::Answering { answers: its_answers, transfers, others: its_others };
                tcp::serve(listeners, config, answering, its_state, its_monitor, its_stop, drain).await;
            });
        })?;
        if !datagrams.is_empty() {
            let state = Arc::clone(state);
            sockets.spawn("ringdns-udp", move |runtime| {
                LocalSet::new().block_on(runtime, async move {
                    let Some(datagrams) = adopt(datagrams, tokio::net::UdpSocket::from_std) else { return };
                    until_answering(&state, stopped.clone()).await;
                    let answering = udp::Answering { answers, others, drain };
                    udp::serve(datagrams, answering, state, monitor, stopped).await;
                });
            })?;
        }
        Ok(sockets)
    }

    /// Where they listen.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What they show; nothing where there are none.
    pub(crate) fn monitor(&self) -> Option<&Arc<Monitor>> {
        self.monitor.as_ref()
    }

    /// Has them answer with something else from their next message on.
    pub(crate) fn renew_answers(&self, answers: MessageConfig) {
        self.answers.send_replace(answers);
    }

    /// Tells them to stop, and does not wait.
    pub(crate) fn request_stop(&self) {
        self.stop.send_replace(true);
    }

    /// Starts a thread with a runtime of its own.
    fn spawn(&mut self, name: &str, run: impl FnOnce(&Runtime) + Send + 'static) -> Result<(), SocketsError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(SocketsError::Thread)?;
        let end = End(self.monitor.clone());
        let run = move || {
            let _end = end;
            run(&runtime);
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        self.threads.push(thread.map_err(SocketsError::Thread)?);
        Ok(())
    }
}

/// Stops answering: what was asked is answered first.
impl Drop for Sockets {
    fn drop(&mut self) {
        self.request_stop();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the DNS sockets ended by a panic; please report what it said");
            }
        }
    }
}

/// Shows that a thread has ended, in whatever way.
struct End(Option<Arc<Monitor>>);

impl Drop for End {
    fn drop(&mut self) {
        if let Some(monitor) = &self.0 {
            monitor.ended.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Waits as long as answers are held back. What comes in the meantime waits in the sockets.
async fn until_answering(state: &State, mut stopped: watch::Receiver<bool>) {
    tokio::select! {
        () = state.until_answering() => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

/// Hands sockets over to the runtime of the calling thread; nothing where it cannot watch them.
fn adopt<S, T>(sockets: Vec<S>, from_std: impl Fn(S) -> std::io::Result<T>) -> Option<Vec<T>> {
    let adopted: std::io::Result<Vec<T>> = sockets.into_iter().map(from_std).collect();
    adopted.inspect_err(|error| tracing::error!("the DNS sockets cannot be watched: {error}; raise ulimit -n")).ok()
}
