//! Names of others: asked for at other people's servers and kept, whatever becomes of those servers.
//!
//! The server has two networks: the one of its clients, which its port serves, and one with name servers of others, which live
//! in a namespace of their own behind a veth pair and have an address each.

mod dead;
mod kept;
mod lying;
mod real;
mod spoofed;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use harness::link::addresses::SERVED4;
use harness::message::{Answer, Question};
use harness::process::run;
use harness::{Namespace, Setup, udp};
use hickory_proto::op::ResponseCode;

use crate::zone_text;

/// The server's end of the pair.
const OURS: &str = "veth-ours";
/// The end of the others.
const THEIRS: &str = "veth-theirs";
/// The server's address there.
const OUR_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// Where the server's sockets listen.
const SOCKETS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5399);
/// The address that liars and forgers lead to.
const WRONG: [u8; 4] = [203, 0, 113, 66];
/// Type A.
const A: u16 = 1;

/// From a question's arrival to its answer at most, as the servers of these tests are told.
const DEADLINE: Duration = Duration::from_millis(1500);
/// One try at most.
const TRY: Duration = Duration::from_millis(400);
/// Longest that a client waits here: less than the five seconds after which resolver libraries give up, and more than the
/// deadline by what a busy machine may take.
const CLIENT_TIME: Duration = Duration::from_millis(4500);
/// Longest wait for something that takes a moment.
const TIME_MAX: Duration = Duration::from_secs(20);

/// The part of the configuration that every server here has: a zone of its own, sockets, and how long things may take.
/// `more` are keys of `[forward]`, then other tables.
fn setup(more: &str) -> Setup {
    let mut setup = Setup::new();
    setup.write_zone("ours.example.", &zone_text("ours.example.", 1, "www IN A 203.0.113.1\n"));
    setup.more = format!(
        "[sockets]\nlisten = [\"{SOCKETS}\"]\n[forward]\ndeadline_ms = {}\ntry_ms = {}\n{more}",
        DEADLINE.as_millis(),
        TRY.as_millis()
    );
    setup
}

/// A `[[forward.zone]]` table: who is asked for the names below a zone, in this order.
fn forward_zone(zone: &str, upstreams: &[SocketAddr]) -> String {
    let upstreams: Vec<String> = upstreams.iter().map(|upstream| format!("\"{upstream}\"")).collect();
    let upstreams = upstreams.join(", ");
    format!(
        "[[forward.zone]]\nzone = \"{zone}\"\npolicy = \"sequential\"\nnext_rcodes = [\"servfail\", \"refused\"]\nupstreams = [{upstreams}]\n"
    )
}

/// The address of an other one by its last part, and port 53.
fn there(last: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(198, 51, 100, last), 53))
}

/// The same over IPv6.
fn there6(last: u8) -> SocketAddr {
    SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0x51, 0, 0, 0, 0, last.into()), 53))
}

/// The namespace of the others, joined to this one, with the addresses that end in these numbers.
fn others(lasts: &[u8]) -> Namespace {
    let theirs = Namespace::new();
    run("ip", &["link", "add", OURS, "type", "veth", "peer", "name", THEIRS]);
    run("ip", &["link", "set", THEIRS, "netns", &theirs.path()]);
    address(OURS, &[1]);
    let entered = theirs.enter();
    address(THEIRS, lasts);
    drop(entered);
    theirs
}

/// Gives an interface its addresses and brings it up.
fn address(interface: &str, lasts: &[u8]) {
    let commands: String = lasts
        .iter()
        .map(|&last| {
            let (four, six) = (there(last).ip(), there6(last).ip());
            format!("address add {four}/24 dev {interface}\naddress add {six}/64 dev {interface} nodad\n")
        })
        .collect();
    let batch = tempfile::NamedTempFile::new().expect("a folder for files of a moment");
    std::fs::write(batch.path(), commands).expect("a file of ours");
    run("ip", &["-batch", &batch.path().display().to_string()]);
    run("ip", &["link", "set", interface, "up"]);
}

/// An answer and when it came.
#[derive(Debug)]
struct Told {
    /// What it says.
    answer: Answer,
    /// How long it took.
    after: Duration,
}

impl Told {
    /// The addresses of its answer section, in order.
    fn addresses(&self) -> Vec<[u8; 4]> {
        let records = self.answer.answer.iter().filter(|rr| rr.rtype == A);
        records.filter_map(|rr| rr.rdata.as_slice().try_into().ok()).collect()
    }
}

/// A query for an address as stub resolvers send it: RD, and an OPT record.
fn query(name: &str, id: u16) -> Vec<u8> {
    let mut wire = Question { owner: name.to_owned(), rtype: A, edns_bytes: Some(1232) }.to_wire(id);
    wire[2] |= 1;
    wire
}

/// Asks for the addresses of names, all at once and each once; none stands for no answer within [`CLIENT_TIME`].
fn ask_all(server: SocketAddr, names: &[String]) -> Vec<Option<Told>> {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a free port");
    socket.connect(server).expect("a route to the server");
    let begun = Instant::now();
    for (index, name) in names.iter().enumerate() {
        let id = u16::try_from(index).expect("few names");
        socket.send(&query(name, id)).expect("a sent datagram");
    }
    let mut told: Vec<Option<Told>> = names.iter().map(|_| None).collect();
    while told.iter().any(Option::is_none) && begun.elapsed() < CLIENT_TIME {
        let left = CLIENT_TIME.saturating_sub(begun.elapsed()).max(Duration::from_millis(1));
        socket.set_read_timeout(Some(left)).expect("a time");
        let Some(wire) = udp::receive(&socket) else { continue };
        let id = wire.first_chunk().map(|bytes| usize::from(u16::from_be_bytes(*bytes))).expect("a message");
        let answer = Answer::parse(&wire).unwrap_or_else(|error| panic!("{error}: {wire:02x?}"));
        told[id] = Some(Told { answer, after: begun.elapsed() });
    }
    told
}

/// The same for one name over the device; panics without an answer.
fn ask(name: &str) -> Told {
    let server = SocketAddr::new(SERVED4, 53);
    let told = ask_all(server, &[name.to_owned()]).pop().flatten();
    told.unwrap_or_else(|| panic!("{name}: no answer within {CLIENT_TIME:?}"))
}

/// Something if a name's addresses are these.
fn leads_to(name: &str, addresses: &[[u8; 4]]) -> Option<()> {
    let told = ask(name);
    (told.answer.rcode == ResponseCode::NoError && told.addresses() == addresses).then_some(())
}

/// The true address of a name that doubles know: one for each name, in no relation to that of another.
fn truth(name: &str) -> [u8; 4] {
    // FNV-1a (RFC 9923).
    let hash = name
        .to_lowercase()
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let [a, b, c, _] = hash.to_be_bytes();
    [10, a, b, c]
}
