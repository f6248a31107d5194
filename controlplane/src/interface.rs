//! How interfaces over HTTP are opened, started and stopped.

use std::future::Future;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::compat::containerdns::Service;
use crate::compat::kdns;
use crate::config::KdnsApiConfig;
use crate::control::StartError;
use crate::tls;

/// What stops an interface by being sent or dropped, and what ends when it has stopped.
pub(crate) type Interface = (oneshot::Sender<()>, JoinHandle<()>);

/// Binds the address of an interface; also where it really listens: the port may have been left open.
pub(crate) fn listen(
    runtime: &Runtime,
    key: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error| StartError::Listen { key, address, error };
    let listener = runtime.block_on(TcpListener::bind(address)).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// What stops an interface, by being sent or dropped, and what the interface waits for.
pub(crate) fn stop() -> (oneshot::Sender<()>, impl Future<Output = ()> + Send + 'static) {
    let (stop, stopped) = oneshot::channel::<()>();
    (stop, async move { drop(stopped.await) })
}

/// Starts the record interface of ContainerDNS.
pub(crate) fn spawn_interface(runtime: &Runtime, listener: TcpListener, service: Service) -> Interface {
    let (stop, stopped) = stop();
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "record interface of ContainerDNS listens");
    }
    (stop, runtime.spawn(service.serve(listener, stopped)))
}

/// The record interface of kdns before it is started.
pub(crate) struct KdnsListener {
    /// Where it listens.
    listener: TcpListener,
    /// The same as an address.
    pub(crate) address: SocketAddr,
    /// How connections are protected.
    tls: Option<TlsAcceptor>,
}

impl KdnsListener {
    /// Binds the address and reads the certificates.
    pub(crate) fn open(runtime: &Runtime, api: &KdnsApiConfig) -> Result<Self, StartError> {
        let tls = api.tls.as_ref().map(tls::load).transpose();
        let tls = tls.map_err(|error| StartError::Tls { key: "kdns_api.cert_file", error })?;
        let (listener, address) = listen(runtime, "kdns_api.listen", api.listen)?;
        Ok(Self { listener, address, tls })
    }

    /// Starts it.
    pub(crate) fn spawn(self, runtime: &Runtime, service: kdns::Service) -> Interface {
        let (stop, stopped) = stop();
        tracing::info!(address = %self.address, tls = self.tls.is_some(), "record interface of kdns listens");
        (stop, runtime.spawn(service.serve(self.listener, self.tls, stopped)))
    }
}
