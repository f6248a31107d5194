//! DNS messages taken apart and shown as text, with the letters that they came with.

use std::net::{Ipv4Addr, Ipv6Addr};

use ringdns_engine::name::WireName;

/// A record as text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shown {
    /// The owner.
    pub name: String,
    /// The TTL in seconds.
    pub ttl: u32,
    /// The type.
    pub rtype: String,
    /// The rdata.
    pub rdata: String,
}

/// An answer taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The response code.
    pub rcode: &'static str,
    /// The AA bit.
    pub authoritative: bool,
    /// The TC bit.
    pub truncated: bool,
    /// The sections behind the question; OPT is left out.
    pub sections: [Vec<Shown>; 3],
}

/// The number of a type.
pub fn type_number(text: &str) -> u16 {
    let types = [
        ("A", 1),
        ("NS", 2),
        ("CNAME", 5),
        ("SOA", 6),
        ("PTR", 12),
        ("HINFO", 13),
        ("MX", 15),
        ("TXT", 16),
        ("AAAA", 28),
        ("SRV", 33),
        ("ANY", 255),
        ("IXFR", 251),
        ("AXFR", 252),
    ];
    types.iter().find(|(name, _)| *name == text).map(|(_, number)| *number).unwrap_or_else(|| panic!("type {text}"))
}

/// The mnemonic of a type.
fn type_name(number: u16) -> String {
    let names = ["A", "NS", "CNAME", "SOA", "PTR", "HINFO", "MX", "TXT", "AAAA", "SRV"];
    names.iter().find(|name| type_number(name) == number).map_or_else(|| format!("TYPE{number}"), ToString::to_string)
}

/// Walks over a message.
struct Walk<'a> {
    /// The message.
    message: &'a [u8],
    /// Where it is.
    at: usize,
}

impl Walk<'_> {
    /// A number of two bytes.
    fn u16(&mut self) -> u16 {
        self.at += 2;
        u16::from_be_bytes(self.message[self.at - 2..self.at].try_into().unwrap())
    }

    /// A number of four bytes.
    fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    /// A name, whose pointers go backwards only.
    fn name(&mut self) -> String {
        let (mut wire, mut at, mut end) = (Vec::new(), self.at, None);
        loop {
            let length = usize::from(self.message[at]);
            if length >= 0xc0 {
                end = end.or(Some(at + 2));
                let target = (length & 0x3f) << 8 | usize::from(self.message[at + 1]);
                assert!(target < at, "a pointer goes forwards");
                at = target;
                continue;
            }
            wire.extend_from_slice(&self.message[at..=at + length]);
            at += 1 + length;
            if length == 0 {
                break;
            }
        }
        self.at = end.unwrap_or(at);
        WireName::from_wire(&wire).unwrap().to_string()
    }

    /// A record.
    fn record(&mut self) -> Shown {
        let name = self.name();
        let (number, _class, ttl, length) = (self.u16(), self.u16(), self.u32(), usize::from(self.u16()));
        let end = self.at + length;
        let rdata = match number {
            1 => Ipv4Addr::from(<[u8; 4]>::try_from(&self.message[self.at..end]).unwrap()).to_string(),
            28 => Ipv6Addr::from(<[u8; 16]>::try_from(&self.message[self.at..end]).unwrap()).to_string(),
            2 | 5 | 12 => self.name(),
            6 => {
                let names = [self.name(), self.name()];
                let numbers: Vec<String> = (0..5).map(|_| self.u32().to_string()).collect();
                format!("{} {}", names.join(" "), numbers.join(" "))
            }
            33 => format!("{} {} {} {}", self.u16(), self.u16(), self.u16(), self.name()),
            16 => format!("\"{}\"", String::from_utf8_lossy(&self.message[self.at + 1..end])),
            _ => format!("{:?}", &self.message[self.at..end]),
        };
        self.at = end;
        Shown { name, ttl, rtype: type_name(number), rdata }
    }
}

/// Takes an answer apart.
pub fn read(message: &[u8]) -> Reply {
    let mut walk = Walk { message, at: 2 };
    let flags = walk.u16();
    let counts = [walk.u16(), walk.u16(), walk.u16(), walk.u16()];
    assert_eq!(counts[0], 1, "one question comes back");
    walk.name();
    walk.at += 4;
    let sections = [1, 2, 3].map(|section| {
        let mut records: Vec<Shown> = (0..counts[section]).map(|_| walk.record()).collect();
        records.retain(|record| record.rtype != "TYPE41");
        records
    });
    let rcode = match flags & 15 {
        0 => "NOERROR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        5 => "REFUSED",
        other => panic!("response code {other}"),
    };
    Reply { rcode, authoritative: flags & 0x0400 != 0, truncated: flags & 0x0200 != 0, sections }
}
