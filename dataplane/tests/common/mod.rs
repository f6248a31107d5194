//! Records and frames that the tests of the worker share.

#![allow(dead_code, clippy::unwrap_used, reason = "each test file takes what it needs, and fails by unwrapping")]

use ringdns_engine::name::WireName;
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::{Editor, RrsetSpec};
use ringdns_engine::testing::{UdpFrame, query, query_edns, query_options};

/// Type A.
pub const A: u16 = 1;
/// Type SOA.
pub const SOA: u16 = 6;
/// Type TXT.
pub const TXT: u16 = 16;
/// Type AAAA.
pub const AAAA: u16 = 28;

/// The zone.
pub const APEX: &str = "example.org.";

/// Reads a name.
pub fn name(text: &str) -> WireName {
    text.parse().unwrap()
}

/// Puts an A record into the zone.
pub fn put_address(editor: &mut Editor, owner: &str, address: [u8; 4]) {
    let rrset = RrsetSpec { rtype: A, ttl: 300, rdatas: vec![address.to_vec()], ..RrsetSpec::default() };
    editor.put_rrset(&name(APEX), &name(owner), &rrset).unwrap();
}

/// A zone with a SOA record, ten hosts and a TXT record.
pub fn snapshot() -> Snapshot {
    let mut editor = Editor::new(&Snapshot::empty());
    let apex = name(APEX);
    editor.add_zone(&apex);
    let mut soa = [name("ns.example.org.").as_bytes(), name("hostmaster.example.org.").as_bytes()].concat();
    soa.extend([1u32, 3600, 600, 86400, 60].into_iter().flat_map(u32::to_be_bytes));
    let soa = RrsetSpec { rtype: SOA, ttl: 300, rdatas: vec![soa], ..RrsetSpec::default() };
    editor.put_rrset(&apex, &apex, &soa).unwrap();
    for host in 0..10 {
        put_address(&mut editor, &format!("host{host}.{APEX}"), [192, 0, 2, host]);
    }
    // Eight strings of 200 letters: too much for 512 bytes and for 1,232.
    let strings = (b'a'..=b'h').map(|letter| [&[200][..], &[letter; 200]].concat()).collect();
    let text = RrsetSpec { rtype: TXT, ttl: 300, rdatas: strings, ..RrsetSpec::default() };
    editor.put_rrset(&apex, &name("text.example.org."), &text).unwrap();
    editor.set_complete(true);
    editor.commit()
}

/// A query over IPv4 in a frame.
pub fn ipv4_query(qname: &str, qtype: u16) -> Vec<u8> {
    UdpFrame::ipv4().build(&query(qname, qtype))
}

/// Frames of every fate: hits, misses, refusals, malformed messages, frames for others.
pub fn mixed_frames() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for host in 0..10 {
        let qname = format!("host{host}.example.org.");
        frames.push(ipv4_query(&qname, A));
        frames.push(UdpFrame::ipv6().build(&query_edns(&qname, A, 1232, false)));
        frames.push(ipv4_query(&qname, AAAA));
        frames.push(ipv4_query(&format!("nothing{host}.example.org."), A));
    }
    // Truncated without EDNS, whole with it.
    frames.push(ipv4_query("text.example.org.", TXT));
    frames.push(UdpFrame::ipv4().build(&query_edns("text.example.org.", TXT, 4096, true)));
    frames.push(ipv4_query("www.example.net.", A));
    frames.push(ipv4_query("changing.example.org.", A));
    // Learning a cookie, with a wrong one, with a malformed one.
    for cookie in [&[1; 8][..], &[1; 24], &[1; 9]] {
        let message = query_options("host1.example.org.", A, 1232, &[(3, b""), (10, cookie)]);
        frames.push(UdpFrame::ipv6().build(&message));
    }
    frames.extend(malformed_frames());
    frames
}

/// Frames that are broken in every layer, or for somebody else.
pub fn malformed_frames() -> Vec<Vec<u8>> {
    let whole = ipv4_query("host1.example.org.", A);
    let mut frames: Vec<Vec<u8>> = (0..whole.len()).map(|len| whole[..len].to_vec()).collect();
    // One bit of each byte.
    frames.extend((0..whole.len()).map(|at| {
        let mut frame = whole.clone();
        frame[at] ^= 0x40;
        frame
    }));
    let message = query("host1.example.org.", A);
    // A message cut off at every length, in a datagram that is right.
    frames.extend((0..message.len()).map(|len| UdpFrame::ipv4().build(&message[..len])));
    // A pointer to itself in place of the name.
    let mut pointer = message[..12].to_vec();
    pointer.extend([0xc0, 12, 0, 1, 0, 1]);
    frames.push(UdpFrame::ipv4().build(&pointer));
    // For a port and an address that are not served.
    frames.push(UdpFrame { ports: (40000, 5353), ..UdpFrame::ipv4() }.build(&message));
    let addresses = ("192.0.2.1".parse().unwrap(), "192.0.2.54".parse().unwrap());
    frames.push(UdpFrame { addresses, ..UdpFrame::ipv4() }.build(&message));
    // Longer than a buffer.
    frames.push(vec![0; 3000]);
    frames
}
