//! An upstream on loopback, over UDP and TCP, that says what it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use ringdns_engine::name::WireName;

/// How long anything is waited for before it is looked whether the end has come.
const PATIENCE: Duration = Duration::from_millis(50);

/// Types of which rdata is made.
const ALIAS: u16 = 5;

/// Records of an owner and type: TTL and rdata of each.
type Set = Vec<(u32, Vec<u8>)>;

/// What an upstream knows.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Records by owner and type.
    pub records: BTreeMap<(WireName, u16), Set>,
    /// Names that do not exist.
    pub absent: BTreeSet<WireName>,
    /// The response code for all others.
    pub otherwise: u8,
    /// TC is set, over TCP too.
    pub truncates: bool,
    /// Nothing is said at all.
    pub is_silent: bool,
    /// A denial comes with an SOA record of the name above, of this TTL.
    pub denial_ttl: Option<u32>,
}

impl Known {
    /// One more address of a name.
    pub fn address(mut self, name: &WireName, ttl: u32, address: [u8; 4]) -> Self {
        self.records.entry((name.clone(), 1)).or_default().push((ttl, address.to_vec()));
        self
    }

    /// The message that answers a query; nothing where that is no query.
    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let (qname, behind) = WireName::split_wire(query.get(12..)?).ok()?;
        let qtype = behind.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))?;
        let question = query.get(12..query.len() - behind.len() + 4)?;
        let (mut current, mut answers, mut records) = (qname.to_lowercase(), 0u8, Vec::new());
        let mut append = |owner: &WireName, rtype: u16| {
            let found = self.records.get(&(owner.clone(), rtype)).map(Vec::as_slice).unwrap_or_default();
            for (ttl, rdata) in found {
                answers += 1;
                let length = u16::try_from(rdata.len()).unwrap();
                let fixed = [&rtype.to_be_bytes()[..], &[0, 1], &ttl.to_be_bytes(), &length.to_be_bytes()].concat();
                records.extend([owner.as_bytes(), &fixed, rdata].concat());
            }
            found.first().map(|(_, rdata)| rdata.clone())
        };
        for _ in 0..8 {
            let target = append(&current, ALIAS).filter(|_| qtype != ALIAS);
            match target.and_then(|target| WireName::from_wire(&target).ok()) {
                Some(target) => current = target.to_lowercase(),
                None => break,
            }
        }
        if qtype != ALIAS {
            append(&current, qtype);
        }
        let exists = self.records.keys().any(|(owner, _)| *owner == current);
        let rcode = match (exists, self.absent.contains(&current)) {
            (true, _) => 0,
            (false, true) => 3,
            (false, false) => self.otherwise,
        };
        let mut denials = 0;
        if let (Some(ttl), None, 0 | 3) = (self.denial_ttl, self.records.get(&(current.clone(), qtype)), rcode) {
            let owner = current.parent().unwrap_or_else(WireName::root);
            let soa = [&[0, 6, 0, 1][..], &ttl.to_be_bytes(), &[0, 22], &[0; 18], &ttl.to_be_bytes()].concat();
            records.extend([owner.as_bytes(), &soa].concat());
            denials = 1;
        }
        let flags = [0x81 | if self.truncates { 0x02 } else { 0 }, 0x80 | rcode];
        let header = [&query[..2], &flags, &[0, 1, 0, answers, 0, denials, 0, 0]].concat();
        Some([&header, question, &records].concat())
    }
}

/// An upstream; it ends when this is dropped.
pub struct Upstream {
    /// Where it is.
    pub address: SocketAddr,
    /// What the threads look at.
    desk: Arc<Desk>,
    /// What it runs on.
    threads: Vec<JoinHandle<()>>,
}

/// What its threads have in common.
#[derive(Default)]
struct Desk {
    /// What it knows.
    known: Mutex<Known>,
    /// The questions that came: the name in lower case, and the type.
    asked: Mutex<Vec<(WireName, u16)>>,
    /// The end has come.
    is_over: AtomicBool,
}

impl Desk {
    /// The answer to a query; notes the question.
    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let (qname, behind) = WireName::split_wire(query.get(12..)?).ok()?;
        let qtype = behind.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))?;
        self.asked.lock().unwrap().push((qname.to_lowercase(), qtype));
        let known = self.known.lock().unwrap();
        if known.is_silent { None } else { known.answer(query) }
    }
}

impl Upstream {
    /// One that knows nothing: there is no such name.
    pub fn start() -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            // The same port is free for TCP nearly always.
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
                break (udp, tcp);
            }
        };
        let (address, desk) = (udp.local_addr().unwrap(), Arc::<Desk>::default());
        let desks = [Arc::clone(&desk), Arc::clone(&desk)];
        let [of_udp, of_tcp] = desks;
        let threads = vec![
            std::thread::spawn(move || packets(&udp, &of_udp)),
            std::thread::spawn(move || streams(&tcp, &of_tcp)),
        ];
        let upstream = Self { address, desk, threads };
        upstream.says(Known { otherwise: 3, ..Known::default() });
        upstream
    }

    /// Knows something else from now on, and forgets what it was asked.
    pub fn says(&self, known: Known) {
        *self.desk.known.lock().unwrap() = known;
        self.desk.asked.lock().unwrap().clear();
    }

    /// How often it was asked for a name.
    pub fn asked(&self, name: &str) -> usize {
        let name: WireName = name.parse().unwrap();
        self.desk.asked.lock().unwrap().iter().filter(|(asked, _)| *asked == name).count()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.desk.is_over.store(true, Ordering::Relaxed);
        // Nobody else comes.
        drop(TcpStream::connect(self.address));
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

/// Answers packets.
fn packets(udp: &UdpSocket, desk: &Desk) {
    udp.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut packet = [0; 4096];
    while !desk.is_over.load(Ordering::Relaxed) {
        let Ok((length, from)) = udp.recv_from(&mut packet) else { continue };
        if let Some(answer) = desk.answer(&packet[..length]) {
            drop(udp.send_to(&answer, from));
        }
    }
}

/// Answers messages on connections.
fn streams(tcp: &TcpListener, desk: &Arc<Desk>) {
    while let Ok((stream, _)) = tcp.accept() {
        if desk.is_over.load(Ordering::Relaxed) {
            return;
        }
        let desk = Arc::clone(desk);
        // It ends with the connection, which the other side closes.
        std::thread::spawn(move || drop(messages(stream, &desk)));
    }
}

/// Answers the messages of a connection.
fn messages(mut stream: TcpStream, desk: &Desk) -> std::io::Result<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut message)?;
        if let Some(answer) = desk.answer(&message) {
            let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
            stream.write_all(&[&length[..], &answer].concat())?;
        }
    }
}
