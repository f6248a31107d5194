//! Rules by which packets of this node to and from the addresses go past connection tracking, and with that past the translation
//! of services: a table of nf_tables that is ours. It belongs to a socket (`flags owner`, Linux 5.12): the kernel takes it away when
//! the socket is closed, which it is when the process is gone, however it went; until then nobody else can change it.

use std::io;
use std::net::{IpAddr, SocketAddr};

use nix::sys::socket::SockProtocol;

use crate::netlink::{Attributes, Message, NLM_F_APPEND, NLM_F_CREATE, Netlink};

/// The table's name.
const TABLE: &str = "ringdns_node_local";
/// The part of nfnetlink that is nf_tables (linux/netfilter/nfnetlink.h).
const NFNL_SUBSYS_NFTABLES: u16 = 10;
/// Message type: what follows is carried out as a whole, or not at all.
const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
/// Message type: the end of that.
const NFNL_MSG_BATCH_END: u16 = 0x11;
/// Messages about tables, chains and rules (linux/netfilter/nf_tables.h).
const NFT_MSG_NEWTABLE: u16 = 0;
/// A table is asked for.
const NFT_MSG_GETTABLE: u16 = 1;
/// A chain is made.
const NFT_MSG_NEWCHAIN: u16 = 3;
/// A rule is made.
const NFT_MSG_NEWRULE: u16 = 6;
/// IPv4 and IPv6 in one table (linux/netfilter.h).
const NFPROTO_INET: u8 = 1;
/// IPv4.
const NFPROTO_IPV4: u8 = 2;
/// IPv6.
const NFPROTO_IPV6: u8 = 10;
/// The table belongs to the socket that makes it.
const NFT_TABLE_F_OWNER: u32 = 0x2;
/// Before connection tracking, which is at -200.
const PRIORITY_RAW: i32 = -300;
/// Packets that come in, and those that this host sends, with the names of their chains.
const CHAINS: [(&str, u32); 2] = [("prerouting", 0), ("output", 3)];
/// The register that values are loaded to and compared in.
const NFT_REG_1: u32 = 1;
/// What is known of a packet: its family.
const NFT_META_NFPROTO: u32 = 15;
/// What is known of a packet: its transport.
const NFT_META_L4PROTO: u32 = 16;
/// Places are counted from the IP header.
const NFT_PAYLOAD_NETWORK_HEADER: u32 = 1;
/// Places are counted from the header of UDP or TCP.
const NFT_PAYLOAD_TRANSPORT_HEADER: u32 = 2;
/// The number of UDP.
const UDP: u8 = 17;
/// The number of TCP.
const TCP: u8 = 6;

/// The rules; they are gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Rules(Netlink);

/// Which end of a packet is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It is sent by us.
    Source,
    /// It is sent to us.
    Destination,
}

impl Rules {
    /// Sets rules for the ports over UDP and TCP, and for others over TCP alone, all at once or none.
    pub(crate) fn set(ports: &[SocketAddr], tcp_ports: &[SocketAddr]) -> io::Result<Self> {
        let mut netlink = Netlink::open(SockProtocol::NetlinkNetFilter)?;
        let mut messages = vec![batch(NFNL_MSG_BATCH_BEGIN), table(), chain(CHAINS[0]), chain(CHAINS[1])];
        let both = ports.iter().flat_map(|&port| [(port, UDP), (port, TCP)]);
        for (port, transport) in both.chain(tcp_ports.iter().map(|&port| (port, TCP))) {
            for (chain, _) in CHAINS {
                for end in [End::Destination, End::Source] {
                    messages.push(rule(chain, port, transport, end));
                }
            }
        }
        messages.push(batch(NFNL_MSG_BATCH_END));
        let last = messages.len() - 2;
        netlink.ask_all(&messages, last)?;
        Ok(Self(netlink))
    }

    /// Whether they are there; nobody else can take them away, but a kernel can be wrong.
    pub(crate) fn are_there(&mut self) -> io::Result<()> {
        self.0.ask(&message(NFT_MSG_GETTABLE, 0, Attributes::new().text(1, TABLE)))
    }
}

/// Begins or ends what is carried out as a whole.
fn batch(kind: u16) -> Message {
    let [high, low] = NFNL_SUBSYS_NFTABLES.to_be_bytes();
    Message { kind, flags: 0, head: vec![0, 0, high, low], attributes: Attributes::new() }
}

/// A message about tables, chains and rules.
fn message(kind: u16, flags: u16, attributes: Attributes) -> Message {
    Message { kind: NFNL_SUBSYS_NFTABLES << 8 | kind, flags, head: vec![NFPROTO_INET, 0, 0, 0], attributes }
}

/// Makes the table.
fn table() -> Message {
    let attributes = Attributes::new().text(1, TABLE).number(2, NFT_TABLE_F_OWNER);
    message(NFT_MSG_NEWTABLE, NLM_F_CREATE, attributes)
}

/// Makes a chain, which sees packets before connection tracking does.
fn chain((name, hook): (&str, u32)) -> Message {
    let place = Attributes::new().number(1, hook).bytes(2, &PRIORITY_RAW.to_be_bytes());
    let attributes = Attributes::new().text(1, TABLE).text(3, name).nested(4, &place).text(7, "filter");
    message(NFT_MSG_NEWCHAIN, NLM_F_CREATE, attributes)
}

/// Makes a rule: what one end of is this port is counted and not tracked.
fn rule(chain: &str, port: SocketAddr, transport: u8, end: End) -> Message {
    // Most packets of a node are not ours: the address is compared first.
    let (family, octets, places) = match port.ip() {
        IpAddr::V4(address) => (NFPROTO_IPV4, address.octets().to_vec(), [12, 16]),
        IpAddr::V6(address) => (NFPROTO_IPV6, address.octets().to_vec(), [8, 24]),
    };
    let (address_place, port_place) = if end == End::Source { (places[0], 0) } else { (places[1], 2) };
    let address_bytes = if port.is_ipv4() { 4 } else { 16 };
    let expressions = [
        meta(NFT_META_NFPROTO),
        compare(&[family]),
        payload(NFT_PAYLOAD_NETWORK_HEADER, address_place, address_bytes),
        compare(&octets),
        meta(NFT_META_L4PROTO),
        compare(&[transport]),
        payload(NFT_PAYLOAD_TRANSPORT_HEADER, port_place, 2),
        compare(&port.port().to_be_bytes()),
        expression("counter", &Attributes::new()),
        expression("notrack", &Attributes::new()),
    ];
    let list = expressions.iter().fold(Attributes::new(), |list, expression| list.nested(1, expression));
    let attributes = Attributes::new().text(1, TABLE).text(2, chain).nested(4, &list);
    message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, attributes)
}

/// A step of a rule.
fn expression(name: &str, data: &Attributes) -> Attributes {
    Attributes::new().text(1, name).nested(2, data)
}

/// Loads what is known of the packet.
fn meta(key: u32) -> Attributes {
    expression("meta", &Attributes::new().number(1, NFT_REG_1).number(2, key))
}

/// Loads bytes of the packet.
fn payload(base: u32, place: u32, bytes: u32) -> Attributes {
    let data = Attributes::new().number(1, NFT_REG_1).number(2, base).number(3, place).number(4, bytes);
    expression("payload", &data)
}

/// Goes on where what was loaded is this (`NFT_CMP_EQ`).
fn compare(value: &[u8]) -> Attributes {
    let value = Attributes::new().bytes(1, value);
    expression("cmp", &Attributes::new().number(1, NFT_REG_1).number(2, 0).nested(3, &value))
}
