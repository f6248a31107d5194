//! What the tests of selection and of views share: clients of many addresses, and what each is answered.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_docs_in_private_items,
    clippy::cast_possible_truncation,
    reason = "tests state what they expect by failing"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::op::Message;
use ringdns_engine::select::{Member, Mode, Selection};
use ringdns_engine::snapshot::Snapshot;
use ringdns_engine::snapshot::edit::{Editor, RrsetSpec};
use ringdns_engine::testing::{UdpFrame, query_edns, reply_message};
use ringdns_engine::verdict::Verdict;

use super::{Host, name, snapshot};

/// Numbers that are the same in every run (SplitMix64).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound
    }

    /// An address that queries may come from.
    pub fn client(&mut self, is_ipv6: bool) -> IpAddr {
        if is_ipv6 {
            let address = u128::from(self.draw()) << 64 | u128::from(self.draw());
            return Ipv6Addr::from_bits(address >> 1 | 2).into();
        }
        loop {
            let address = Ipv4Addr::from_bits(self.draw() as u32);
            if can_ask(address) {
                return address.into();
            }
        }
    }
}

/// True for addresses that queries may come from.
pub fn can_ask(address: Ipv4Addr) -> bool {
    !matches!(address.octets(), [0 | 127 | 224.., ..] | [192, 0, 2, 53])
}

/// An RRset of addresses with a selection: `members` one for each.
pub fn addresses(mode: Mode, answers_max: u16, members: &[Member]) -> RrsetSpec {
    let rdatas = (0..members.len()).map(|index| address(index).octets().to_vec()).collect();
    let selection = Selection { mode, answers_max, members: members.to_vec() };
    RrsetSpec { rtype: 1, ttl: 60, rdatas, selection: Some(Box::new(selection)), ..RrsetSpec::default() }
}

/// The address of a member.
pub fn address(index: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0000 + index as u32)
}

/// Members with weights, all of them up.
pub fn weighted(weights: &[u16]) -> Vec<Member> {
    weights.iter().map(|&weight| Member { weight, up: true }).collect()
}

/// A zone `example.` with more records as zone-file text, and changes made by an editor.
pub fn zone(text: &str, change: impl FnOnce(&mut Editor)) -> Snapshot {
    let text = format!("@ SOA ns hostmaster 1 2 3 4 5\n@ NS ns\n{text}");
    let mut editor = Editor::new(&snapshot(&[("example.", &text)]));
    change(&mut editor);
    editor.commit()
}

/// Puts an RRset into the zone `example.`.
pub fn put(editor: &mut Editor, owner: &str, rrset: &RrsetSpec) {
    editor.put_rrset(&name("example."), &name(owner), rrset).unwrap();
}

/// A host that serves one RRset, as `www.example.`.
pub fn host(rrset: &RrsetSpec) -> Host {
    Host::new(zone("", |editor| put(editor, "www.example.", rrset)))
}

/// The server's answer to a client, which takes 4096 bytes.
pub fn answer(host: &mut Host, client: IpAddr, qname: &str, qtype: u16) -> Message {
    let path = match client {
        IpAddr::V4(_) => UdpFrame { addresses: (client, "192.0.2.53".parse().unwrap()), ..UdpFrame::ipv4() },
        IpAddr::V6(_) => UdpFrame { addresses: (client, "2001:db8::53".parse().unwrap()), ..UdpFrame::ipv6() },
    };
    let (verdict, reply) = host.frame(&path.build(&query_edns(qname, qtype, 4096, false)));
    assert_eq!(verdict, Verdict::Reply, "{client}");
    Message::from_vec(reply_message(&reply, &path)).unwrap()
}

/// The rdata of an answer's answer section as text, in its order.
pub fn answers(host: &mut Host, client: IpAddr, qname: &str, qtype: u16) -> Vec<String> {
    answer(host, client, qname, qtype).answers.iter().map(|record| record.data.to_string()).collect()
}

/// The members that a client is given of `www.example.`, in their order.
pub fn given(host: &mut Host, client: IpAddr) -> Vec<usize> {
    let answers = answers(host, client, "www.example.", 1);
    let index = |text: &String| (text.parse::<Ipv4Addr>().unwrap().to_bits() - 0x0a00_0000) as usize;
    answers.iter().map(index).collect()
}

/// The one member that a client is given of `www.example.`.
pub fn given_one(host: &mut Host, client: IpAddr) -> usize {
    let given = given(host, client);
    assert_eq!(given.len(), 1, "{client}");
    given[0]
}
