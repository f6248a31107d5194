//! What the server tells of itself in class CH: `version.bind`, `id.server` and their like (RFC 4892). Only what is
//! configured; all else in that class is refused.

use crate::answer::Outcome;
use crate::limits::CHAOS_TEXT_BYTES_MAX;
use crate::query::{FLAG_AA, FLAG_TC, Query};
use crate::rtype::{CLASS_CHAOS, rcode, types};
use crate::writer::{Full, Section, Writer};

/// Names that ask for the version, in lower case.
const VERSION_NAMES: [&[u8]; 2] = [b"\x07version\x04bind\0", b"\x07version\x06server\0"];
/// Names that ask which of several servers answers, in lower case.
const IDENTITY_NAMES: [&[u8]; 2] = [b"\x02id\x06server\0", b"\x08hostname\x04bind\0"];

/// What a port tells of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChaosConfig {
    /// Answers `version.bind` and `version.server`; at most [`CHAOS_TEXT_BYTES_MAX`] bytes, empty: they are refused.
    pub version: Vec<u8>,
    /// Answers `id.server` and `hostname.bind`; the same.
    pub identity: Vec<u8>,
}

/// The records of class CH, ready to copy; empty where there is none.
pub(crate) struct Chaos {
    /// For the names that ask for the version.
    version: Box<[u8]>,
    /// For the names that ask for the identity.
    identity: Box<[u8]>,
}

impl Chaos {
    /// What a port tells.
    pub(crate) fn new(config: &ChaosConfig) -> Self {
        Self { version: record(&config.version), identity: record(&config.identity) }
    }

    /// Answers a query of any class but IN.
    pub(crate) fn answer(&self, query: &Query, writer: &mut Writer<'_>) -> Outcome {
        match self.find(query) {
            [] => Outcome::new(rcode::REFUSED, 0),
            record => match writer.put_ready(Section::Answer, record) {
                Ok(()) => Outcome::new(rcode::NOERROR, FLAG_AA),
                Err(Full) => Outcome::new(rcode::NOERROR, FLAG_AA | FLAG_TC),
            },
        }
    }

    /// The record that answers a query; empty where there is none.
    fn find(&self, query: &Query) -> &[u8] {
        let name = query.name.bytes();
        if query.qclass != CLASS_CHAOS || !matches!(query.qtype, types::TXT | types::ANY) {
            &[]
        } else if VERSION_NAMES.contains(&name) {
            &self.version
        } else if IDENTITY_NAMES.contains(&name) {
            &self.identity
        } else {
            &[]
        }
    }
}

/// A TXT record that belongs to the question's name; empty for no text.
fn record(text: &[u8]) -> Box<[u8]> {
    let text = text.get(..CHAOS_TEXT_BYTES_MAX).unwrap_or(text);
    let (Ok(length), false) = (u8::try_from(text.len()), text.is_empty()) else {
        return Box::default();
    };
    // Pointer to the question, TXT, CH, TTL 0 (it is this server's alone), length of the one string and its octet.
    let [l1, l2] = (u16::from(length) + 1).to_be_bytes();
    [&[0xc0, 12, 0, 16, 0, 3, 0, 0, 0, 0, l1, l2, length], text].concat().into()
}
