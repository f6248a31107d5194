//! The HTTP interfaces: their addresses are bound before anything else is started, and all of them are served and stopped
//! alike.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::StartError;
use crate::api::{self, Context};
use crate::compat::cluster::Cluster;
use crate::compat::containerdns::remote::Remote;
use crate::compat::{containerdns, containerdns_stats, kdns};
use crate::config::{ClusterPort, Config};
use crate::etcd::reach::Served;
use crate::tls;

/// What an interface waits for.
type Stopped = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A bound address.
#[derive(Debug)]
struct Bound {
    /// Takes connections.
    listener: TcpListener,
    /// Where it really listens: the port may have been left open.
    address: SocketAddr,
}

/// Where the interfaces listen.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    /// The admin API.
    pub(crate) admin: SocketAddr,
    /// The record interface of ContainerDNS.
    pub(crate) containerdns: Option<SocketAddr>,
    /// Its statistics interface.
    pub(crate) containerdns_stats: Option<SocketAddr>,
    /// The record interface of kdns.
    pub(crate) kdns: Option<SocketAddr>,
    /// The ports around a cluster's DNS.
    pub(crate) cluster: Vec<(ClusterPort, SocketAddr)>,
}

/// The bound addresses of all interfaces that the configuration has.
pub(crate) struct Listeners {
    /// The admin API.
    admin: Bound,
    /// The record interface of ContainerDNS.
    containerdns: Option<Bound>,
    /// Its statistics interface.
    containerdns_stats: Option<Bound>,
    /// The record interface of kdns, and how its connections are protected.
    kdns: Option<(Bound, Option<Arc<tls::Renewed>>)>,
    /// The ports around a cluster's DNS.
    cluster: Vec<(ClusterPort, Bound)>,
}

impl Listeners {
    /// Binds them all.
    pub(crate) fn bind(runtime: &Runtime, config: &Config) -> Result<Self, StartError> {
        let containerdns = config.containerdns_api.as_ref().map(|api| api.listen);
        let stats = config.stats.containerdns.as_ref().map(|stats| stats.listen);
        let bind = |key, address| bind(runtime, key, address);
        let kdns = config.kdns_api.as_ref().map(|api| {
            let tls = api.tls.clone().map(tls::Renewed::open).transpose();
            let tls = tls.map_err(|error| StartError::Tls { key: "kdns_api.cert_file", error })?;
            Ok::<_, StartError>((bind("kdns_api.listen", api.listen)?, tls.map(Arc::new)))
        });
        let cluster = config.cluster_http.ports.iter();
        let cluster = cluster.map(|&(port, address)| Ok::<_, StartError>((port, bind(port.key(), address)?)));
        Ok(Self {
            admin: bind("admin.listen", config.admin.listen)?,
            containerdns: containerdns.map(|address| bind("containerdns_api.listen", address)).transpose()?,
            containerdns_stats: stats.map(|address| bind("containerdns_stats.listen", address)).transpose()?,
            kdns: kdns.transpose()?,
            cluster: cluster.collect::<Result<_, _>>()?,
        })
    }

    /// Where they listen.
    pub(crate) fn addresses(&self) -> Addresses {
        let of = |bound: &Option<Bound>| bound.as_ref().map(|bound| bound.address);
        Addresses {
            admin: self.admin.address,
            containerdns: of(&self.containerdns),
            containerdns_stats: of(&self.containerdns_stats),
            kdns: self.kdns.as_ref().map(|(bound, _)| bound.address),
            cluster: self.cluster.iter().map(|(port, bound)| (*port, bound.address)).collect(),
        }
    }

    /// Serves them. `served` tells when what is written to etcd is served.
    pub(crate) fn serve(
        self,
        runtime: &Runtime,
        config: &Config,
        context: &Arc<Context>,
        served: Option<Served>,
    ) -> Interfaces {
        let etcd = config.etcd.as_ref().zip(served);
        let mut interfaces = Interfaces::default();
        interfaces.spawn(runtime, self.admin, "admin API", |listener, stopped| {
            api::serve(listener, Arc::clone(context), stopped)
        });
        if let Some((bound, config)) = self.containerdns.zip(config.containerdns_api.clone()) {
            let remote = config.etcd.clone().zip(etcd);
            let remote = remote.map(|(places, (etcd, served))| Remote::new(etcd, places, served));
            let service = containerdns::Service::new(config, remote, context);
            interfaces.spawn(runtime, bound, "record interface of ContainerDNS", |listener, stopped| {
                service.serve(listener, stopped)
            });
        }
        if let Some((bound, config)) = self.containerdns_stats.zip(config.stats.containerdns.clone()) {
            let service = containerdns_stats::Service::new(config.token, context);
            interfaces.spawn(runtime, bound, "statistics interface of ContainerDNS", |listener, stopped| {
                service.serve(listener, stopped)
            });
        }
        let sources = || kdns::Sources {
            counters: context.stats.workers().to_vec(),
            cores: config.workers.cores.clone(),
            sockets: context.sockets.clone(),
            state: Arc::clone(&context.state),
        };
        if let Some(((bound, tls), api)) = self.kdns.zip(config.kdns_api.clone()) {
            let (store, settings) = (context.store.clone(), Arc::clone(&context.settings));
            let service = kdns::Service::new(api, store, settings, sources());
            interfaces.spawn(runtime, bound, "record interface of kdns", |listener, stopped| {
                service.serve(listener, tls, stopped)
            });
        }
        let cluster = Cluster::new(config, context);
        for (port, bound) in self.cluster {
            let cluster = Arc::clone(&cluster);
            interfaces.spawn(runtime, bound, port.key(), |listener, stopped| cluster.serve(port, listener, stopped));
        }
        interfaces
    }
}

/// The interfaces that are served.
#[derive(Debug, Default)]
pub(crate) struct Interfaces {
    /// Stop them, by being sent or dropped.
    stops: Vec<oneshot::Sender<()>>,
    /// End when they have stopped.
    served: Vec<JoinHandle<()>>,
}

impl Interfaces {
    /// Starts one.
    fn spawn<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        runtime: &Runtime,
        Bound { listener, address }: Bound,
        name: &str,
        serve: impl FnOnce(TcpListener, Stopped) -> F,
    ) {
        let (stop, stopped) = oneshot::channel::<()>();
        self.served.push(runtime.spawn(serve(listener, Box::pin(async move { drop(stopped.await) }))));
        self.stops.push(stop);
        tracing::info!(%address, "{name} listens");
    }

    /// Has them take no new requests; ends when those that are under way are answered.
    pub(crate) fn stop(self) -> impl Future<Output = ()> {
        // They may have ended by themselves.
        drop(self.stops);
        async move {
            for served in self.served {
                let _ = served.await;
            }
        }
    }
}

/// Binds the address of an interface.
fn bind(runtime: &Runtime, key: &'static str, address: SocketAddr) -> Result<Bound, StartError> {
    let failed = |error| StartError::Listen { key, address, error };
    let listener = runtime.block_on(TcpListener::bind(address)).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Bound { listener, address })
}
