//! What is done about a question, and the answers that come of it.

use std::net::IpAddr;
use std::sync::Arc;

use ringdns_controlplane::config::forward::{BlockAnswer, NAME_RECORDS_MAX};
use ringdns_engine::limits::UDP_ANSWER_BYTES_LIMIT;
use ringdns_engine::name::WireName;
use ringdns_engine::recall::KeptAnswer;
use ringdns_engine::rtype::types;

use super::Ruling;
use super::made::{Making, RECORD_BYTES};

/// How long such an answer holds at most, in seconds: a name that is taken off a list is there a minute later.
pub(super) const TTL_SECONDS: u32 = 60;

/// Most bytes of the records of a name: they are one answer.
const DATA_BYTES_MAX: usize = 32 << 10;

/// A question, as answers are made for it.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The name in wire form, in lower case.
    pub(super) name: &'a [u8],
    /// The type.
    pub(super) qtype: u16,
    /// AAAA records are shown to nobody.
    pub(super) hides_aaaa: bool,
}

impl Asked<'_> {
    /// True where records of a type are part of the answer.
    pub(super) fn wants(&self, rtype: u16) -> bool {
        (self.qtype == rtype || self.qtype == types::ANY) && !(self.hides_aaaa && rtype == types::AAAA)
    }

    /// True where an address is.
    pub(super) fn wants_address(&self, address: IpAddr) -> bool {
        self.wants(if address.is_ipv4() { types::A } else { types::AAAA })
    }
}

/// A record of a response policy zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Datum {
    /// Its type.
    pub(super) rtype: u16,
    /// Its TTL in seconds.
    pub(super) ttl: u32,
    /// Its rdata, with whole names.
    pub(super) rdata: Box<[u8]>,
}

/// What is done about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Others are asked all the same.
    Pass,
    /// There is no such name.
    Nxdomain,
    /// It has nothing.
    Nodata,
    /// REFUSED.
    Refused,
    /// Nothing is answered.
    Drop,
    /// By UDP it is told to come by TCP, and then others are asked.
    TcpOnly,
    /// These are its addresses.
    Addresses(Vec<IpAddr>),
    /// It is an alias.
    Alias {
        /// Of this name, or of the question's below it.
        target: WireName,
        /// The question's name stands before the target.
        is_below: bool,
        /// The alias' TTL in seconds.
        ttl: u32,
    },
    /// It has these records.
    Data(Vec<Datum>),
}

impl From<&BlockAnswer> for Action {
    fn from(answer: &BlockAnswer) -> Self {
        match answer {
            BlockAnswer::Nxdomain => Self::Nxdomain,
            BlockAnswer::Nodata => Self::Nodata,
            BlockAnswer::Refused => Self::Refused,
            BlockAnswer::Drop => Self::Drop,
            BlockAnswer::Addresses(addresses) => Self::Addresses(addresses.to_vec()),
        }
    }
}

impl Action {
    /// Adds records of the same name; false where they are too many, or do not go together.
    pub(super) fn join(&mut self, other: Self) -> bool {
        match (self, other) {
            (Self::Data(data), Self::Data(more)) => {
                for datum in more {
                    if data.iter().any(|known| (known.rtype, &known.rdata) == (datum.rtype, &datum.rdata)) {
                        continue;
                    }
                    let bytes =
                        data.iter().chain([&datum]).map(|datum| datum.rdata.len() + RECORD_BYTES).sum::<usize>();
                    if data.len() >= NAME_RECORDS_MAX || bytes > DATA_BYTES_MAX {
                        return false;
                    }
                    data.push(datum);
                }
                true
            }
            (known, other) => *known == other,
        }
    }

    /// True for one record that is more than an answer has room for.
    pub(super) fn is_too_long(&self) -> bool {
        matches!(self, Self::Data(data) if data.iter().any(|datum| datum.rdata.len() + RECORD_BYTES > DATA_BYTES_MAX))
    }

    /// The ruling about a question; nothing where others are asked. `zone_at`: the byte of its name where that begins which the
    /// action is about.
    pub(super) fn ruling(&self, asked: Asked<'_>, zone_at: usize) -> Option<Ruling> {
        let answer = |answer| Some(Ruling::Answer(Arc::new(answer)));
        let nothing = |exists| Making::new(TTL_SECONDS).nothing(exists, zone_at);
        match self {
            Self::Pass | Self::TcpOnly => None,
            Self::Nxdomain => answer(nothing(false)),
            Self::Nodata => answer(nothing(true)),
            Self::Refused => Some(Ruling::Refuse),
            Self::Drop => Some(Ruling::Drop),
            Self::Addresses(addresses) => {
                let wanted = addresses.iter().filter(|address| asked.wants_address(**address));
                let made = wanted.fold(Making::new(TTL_SECONDS), |making, address| making.address(*address)).done();
                answer(if made.counts[0] == 0 { nothing(true) } else { made })
            }
            Self::Alias { target, is_below, ttl } => {
                let target = if *is_below { below(asked.name, target) } else { Some(target.clone()) };
                // A name that becomes too long is none.
                let Some(target) = target else { return answer(nothing(false)) };
                let made = Making::new((*ttl).min(TTL_SECONDS)).record_of(types::CNAME, target.as_bytes()).done();
                match asked.qtype {
                    types::CNAME | types::ANY => answer(made),
                    _ => Some(Ruling::Follow(Arc::new(made), None)),
                }
            }
            Self::Data(data) => {
                let wanted: Vec<&Datum> = data.iter().filter(|datum| asked.wants(datum.rtype)).collect();
                let Some(ttl) = wanted.iter().map(|datum| datum.ttl.min(TTL_SECONDS)).min() else {
                    return answer(nothing(true));
                };
                let making = Making::new(ttl);
                answer(wanted.iter().fold(making, |making, datum| making.record_of(datum.rtype, &datum.rdata)).done())
            }
        }
    }
}

/// A name before another.
fn below(name: &[u8], above: &WireName) -> Option<WireName> {
    let labels = name.split_last().map(|(_, labels)| labels).unwrap_or_default();
    WireName::from_wire(&[labels, above.as_bytes()].concat()).ok()
}

/// What has a client that asks by UDP come by TCP: an answer that no datagram has room for, so that it is cut (TC). It is not
/// kept, and a client by TCP must not be given it.
pub(super) fn too_long_for_udp() -> Ruling {
    /// The type that nobody reads anything from (RFC 1035 section 3.3.10).
    const NULL: u16 = 10;
    let mut answer = Making::new(0).record_of(NULL, &[0; UDP_ANSWER_BYTES_LIMIT]).done();
    answer.ttl_seconds = 0;
    Ruling::Answer(Arc::new(answer))
}

/// The same for one client alone: it is not kept.
pub(super) fn unkept(answer: &KeptAnswer) -> Arc<KeptAnswer> {
    Arc::new(KeptAnswer { ttl_seconds: 0, ..answer.clone() })
}
