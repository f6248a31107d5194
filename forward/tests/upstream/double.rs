//! An upstream on loopback, over UDP and TCP (or TLS) on one port, that does as it is told.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, WriteHalf, split};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::reply::{Asked, Reply, framed};

/// What is done about a query, one after the other.
#[derive(Clone, Debug)]
pub enum Act {
    /// A message is sent; over TCP with its length.
    Send(Vec<u8>),
    /// Bytes are sent as they are.
    Raw(Vec<u8>),
    /// A message is sent from another port.
    FromElsewhere(Vec<u8>),
    /// Time passes.
    Wait(u64),
    /// The connection is closed.
    Close,
}

impl From<Reply> for Act {
    fn from(reply: Reply) -> Self {
        Act::Send(reply.bytes())
    }
}

/// A reply, and nothing else.
pub fn only(reply: Reply) -> Vec<Act> {
    vec![reply.into()]
}

/// What is done about queries.
type Manner = Arc<dyn Fn(&Asked) -> Vec<Act> + Send + Sync>;

/// An upstream. Its tasks end with it.
pub struct Double {
    /// Where it is.
    pub address: SocketAddr,
    /// Its UDP socket.
    pub udp: Arc<UdpSocket>,
    /// What it was asked.
    asked: Arc<Mutex<Vec<(Asked, SocketAddr)>>>,
    /// Connections that have begun, and ended.
    connections: Arc<Mutex<(usize, usize)>>,
    /// What keeps it going.
    _tasks: JoinSet<()>,
}

/// What its tasks need.
#[derive(Clone)]
struct Desk {
    /// What is done.
    manner: Manner,
    /// What was asked.
    asked: Arc<Mutex<Vec<(Asked, SocketAddr)>>>,
    /// Connections.
    connections: Arc<Mutex<(usize, usize)>>,
}

impl Double {
    /// One with UDP and TCP.
    pub async fn start(manner: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::with(true, None, manner).await
    }

    /// One without TCP.
    pub async fn without_tcp(manner: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::with(false, None, manner).await
    }

    /// One with TCP or TLS, or without.
    pub async fn with(
        tcp: bool,
        tls: Option<TlsAcceptor>,
        manner: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        Self::at(Ipv4Addr::LOCALHOST.into(), tcp, tls, manner).await
    }

    /// One at a loopback address.
    pub async fn at(
        ip: IpAddr,
        tcp: bool,
        tls: Option<TlsAcceptor>,
        manner: impl Fn(&Asked) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        let (udp, listener) = loop {
            let udp = UdpSocket::bind((ip, 0)).await.unwrap();
            // The same port is free for TCP nearly always.
            if let Ok(listener) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (Arc::new(udp), listener);
            }
        };
        let address = udp.local_addr().unwrap();
        let (asked, connections) = Default::default();
        let desk = Desk { manner: Arc::new(manner), asked: Arc::clone(&asked), connections: Arc::clone(&connections) };
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_udp(Arc::clone(&udp), desk.clone()));
        if tcp {
            tasks.spawn(serve_tcp(listener, tls, desk));
        }
        Self { address, udp, asked, connections, _tasks: tasks }
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().map(|(asked, _)| asked.clone()).collect()
    }

    /// From where.
    pub fn askers(&self) -> Vec<SocketAddr> {
        self.asked.lock().unwrap().iter().map(|(_, asker)| *asker).collect()
    }

    /// Connections that have begun, and those that have ended.
    pub fn connections(&self) -> (usize, usize) {
        *self.connections.lock().unwrap()
    }
}

/// Answers packets.
async fn serve_udp(udp: Arc<UdpSocket>, desk: Desk) {
    let mut packet = vec![0; 65_535];
    let mut running = JoinSet::new();
    loop {
        let Ok((length, asker)) = udp.recv_from(&mut packet).await else { continue };
        let asked = Asked { over_tcp: false, on_connection: 0, message: packet[..length].to_vec() };
        desk.asked.lock().unwrap().push((asked.clone(), asker));
        let (acts, udp) = ((desk.manner)(&asked), Arc::clone(&udp));
        running.spawn(async move {
            for act in acts {
                match act {
                    Act::Send(message) | Act::Raw(message) => drop(udp.send_to(&message, asker).await),
                    Act::FromElsewhere(message) => {
                        let ip = udp.local_addr().unwrap().ip();
                        let other = UdpSocket::bind((ip, 0)).await.unwrap();
                        drop(other.send_to(&message, asker).await);
                    }
                    Act::Wait(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                    Act::Close => {}
                }
            }
        });
    }
}

/// Takes connections.
async fn serve_tcp(listener: TcpListener, tls: Option<TlsAcceptor>, desk: Desk) {
    let mut running = JoinSet::new();
    loop {
        let Ok((stream, asker)) = listener.accept().await else { continue };
        // Each piece goes out by itself.
        stream.set_nodelay(true).unwrap();
        let (tls, desk) = (tls.clone(), desk.clone());
        running.spawn(async move {
            desk.connections.lock().unwrap().0 += 1;
            serve_connection(stream, tls, asker, &desk).await;
            desk.connections.lock().unwrap().1 += 1;
        });
    }
}

/// Answers on a connection.
async fn serve_connection(stream: TcpStream, tls: Option<TlsAcceptor>, asker: SocketAddr, desk: &Desk) {
    match tls {
        None => serve_messages(stream, asker, desk).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                serve_messages(stream, asker, desk).await;
            }
        }
    }
}

/// Answers messages, each when it is due, until one says that the connection ends.
async fn serve_messages(stream: impl AsyncRead + AsyncWrite + Send + 'static, asker: SocketAddr, desk: &Desk) {
    let (mut reader, writer) = split(stream);
    let writer = Arc::new(tokio::sync::Mutex::new(writer));
    let mut running: JoinSet<bool> = JoinSet::new();
    let mut on_connection = 0;
    loop {
        let mut length = [0; 2];
        tokio::select! {
            read = reader.read_exact(&mut length) => if read.is_err() { return },
            Some(Ok(closes)) = running.join_next(), if !running.is_empty() => {
                if closes { return }
                continue;
            }
        }
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        if reader.read_exact(&mut message).await.is_err() {
            return;
        }
        on_connection += 1;
        let asked = Asked { over_tcp: true, on_connection, message };
        desk.asked.lock().unwrap().push((asked.clone(), asker));
        let (acts, writer) = ((desk.manner)(&asked), Arc::clone(&writer));
        running.spawn(perform(acts, writer));
    }
}

/// Does what is to be done about one message; true where the connection is to be closed.
async fn perform<S: AsyncWrite>(acts: Vec<Act>, writer: Arc<tokio::sync::Mutex<WriteHalf<S>>>) -> bool {
    for act in acts {
        match act {
            Act::Send(message) | Act::FromElsewhere(message) => {
                let framed = framed(&message, message.len());
                drop(writer.lock().await.write_all(&framed).await);
            }
            Act::Raw(bytes) => drop(writer.lock().await.write_all(&bytes).await),
            Act::Wait(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
            Act::Close => {
                drop(writer.lock().await.shutdown().await);
                return true;
            }
        }
        drop(writer.lock().await.flush().await);
    }
    false
}
