//! The options of a query's OPT record, and those that go back: NSID, the cookie, and over TCP the keepalive. Queries without
//! any that is answered pay one comparison.

use crate::answer::Outcome;
use crate::cookie::{Client, Cookie, CookieConfig, Finding, Keeper};
use crate::counters::Counters;
use crate::frame::Packet;
use crate::limits::NSID_BYTES_MAX;
use crate::query::{Asks, FLAG_TC, HEADER_BYTES, OPTION_COOKIE, OPTION_KEEPALIVE, OPTION_NSID, Query};
use crate::rtype::rcode;
use crate::verdict::Reason;

/// Bytes of an option before its data.
const OPTION_HEAD_BYTES: usize = 4;

/// Most bytes of the options of an answer.
pub(crate) const OPTIONS_BYTES_MAX: usize =
    3 * OPTION_HEAD_BYTES + NSID_BYTES_MAX + crate::cookie::COOKIE_BYTES + KEEPALIVE_BYTES;

/// Bytes of the keepalive option's time (RFC 7828 section 3.1).
const KEEPALIVE_BYTES: usize = 2;

/// How a port deals with the options of queries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdnsConfig {
    /// What the server calls itself where NSID is asked for, at most [`NSID_BYTES_MAX`] bytes; empty: it is not answered.
    pub nsid: Vec<u8>,
    /// Cookies; nothing: they are ignored.
    pub cookies: Option<CookieConfig>,
}

/// Answers options. Holds those of one answer at a time.
pub(crate) struct Options {
    /// What is answered at all; every query is looked at where it needs a cookie.
    answered: Asks,
    /// What NSID is answered with.
    nsid: Box<[u8]>,
    /// Makes and checks cookies.
    keeper: Option<Keeper>,
    /// Whether a query needs a valid server cookie.
    enforce: bool,
    /// Seconds since 1970, as the caller told last.
    now: u32,
    /// How long an idle connection is kept, in tenths of a second, as the caller told last.
    keepalive: u16,
    /// The options of the answer, and stale bytes.
    bytes: [u8; OPTIONS_BYTES_MAX],
    /// Bytes of the options.
    length: usize,
}

impl Options {
    /// What is answered to datagrams. RFC 7828 section 3.3.2: a keepalive there is ignored.
    pub(crate) fn over_udp(config: &EdnsConfig) -> Self {
        let nsid: Box<[u8]> = config.nsid.iter().copied().take(NSID_BYTES_MAX).collect();
        let keeper = config.cookies.as_ref().map(Keeper::new);
        let enforce = config.cookies.as_ref().is_some_and(|cookies| cookies.enforce);
        let answered = [(Asks::ANSWER, enforce), (Asks::NSID, !nsid.is_empty()), (Asks::COOKIE, keeper.is_some())];
        let answered = answered.into_iter().filter(|(_, is_answered)| *is_answered);
        Self {
            answered: answered.fold(Asks::NOTHING, |set, (asks, _)| set.and(asks)),
            nsid,
            keeper,
            enforce,
            now: 0,
            keepalive: 0,
            bytes: [0; OPTIONS_BYTES_MAX],
            length: 0,
        }
    }

    /// What is answered over a stream, whose client has shown its address: it needs no cookie (RFC 7873 section 5.2.3).
    pub(crate) fn over_tcp(config: &EdnsConfig) -> Self {
        let trusting = config.cookies.clone().map(|cookies| CookieConfig { enforce: false, ..cookies });
        let udp = Self::over_udp(&EdnsConfig { cookies: trusting, ..config.clone() });
        Self { answered: udp.answered.and(Asks::KEEPALIVE), ..udp }
    }

    /// True where every query is looked at.
    pub(crate) fn concerns_all(&self) -> bool {
        self.answered.meets(Asks::ANSWER)
    }

    /// True where cookies are answered.
    pub(crate) fn has_cookies(&self) -> bool {
        self.keeper.is_some()
    }

    /// Sets the time in seconds since 1970.
    pub(crate) fn set_now(&mut self, seconds: u32) {
        self.now = seconds;
    }

    /// Sets for how long idle connections are kept, in tenths of a second.
    pub(crate) fn set_keepalive(&mut self, deciseconds: u16) {
        self.keepalive = deciseconds;
    }

    /// The options of the answer to the query that was judged last.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// True where [`Options::judge`] has something to do.
    #[inline]
    pub(crate) fn concern(&self, query: &Query) -> bool {
        query.asked.asks.meets(self.answered)
    }

    /// Appends the options to a message that ends in an OPT record without any. Returns its length then; nothing where it
    /// stays as it is.
    pub(crate) fn append(&self, message: &mut [u8], length: usize) -> Option<usize> {
        append(self.bytes(), message, length)
    }

    /// Looks at a query's options and makes those of its answer. Returns what the answer is, where that is not to come from
    /// the zones.
    #[cold]
    pub(crate) fn judge(&mut self, query: &Query, client: Option<Client>, counters: &Counters) -> Option<Outcome> {
        self.length = 0;
        let asks = query.asked.asks;
        // RFC 6891 section 6.1.3: BADVERS it is, whatever else there is.
        if query.edns.is_some_and(|edns| edns.version != 0) {
            return None;
        }
        if asks.meets(Asks::NSID) && self.answered.meets(Asks::NSID) {
            self.length = put(&mut self.bytes, self.length, OPTION_NSID, &self.nsid);
        }
        if asks.meets(Asks::KEEPALIVE) && self.answered.meets(Asks::KEEPALIVE) {
            self.length = put(&mut self.bytes, self.length, OPTION_KEEPALIVE, &self.keepalive.to_be_bytes());
        }
        let finding = if asks.meets(Asks::COOKIE) { self.cookie(query.asked.cookie, client, counters) } else { None };
        match finding {
            None if asks.meets(Asks::COOKIE) && self.has_cookies() => {
                counters.count(Reason::CookieMalformed);
                Some(Outcome::new(rcode::FORMERR, 0))
            }
            // RFC 7873 section 5.2.3: who sends no cookie may come again over TCP, which shows where it is.
            None => self.enforce.then_some(Outcome::new(rcode::NOERROR, FLAG_TC)),
            // The same, section 5.4: a query without question.
            Some(finding) if query.question_end == HEADER_BYTES => {
                let rcode = if finding == Finding::Invalid { rcode::BADCOOKIE } else { rcode::NOERROR };
                Some(Outcome::new(rcode, 0))
            }
            Some(Finding::Valid) => None,
            Some(_) => self.enforce.then_some(Outcome::new(rcode::BADCOOKIE, 0)),
        }
    }

    /// Checks a query's cookie and makes the answer's; nothing for a malformed one, and where cookies are ignored.
    fn cookie(&mut self, cookie: Cookie, client: Option<Client>, counters: &Counters) -> Option<Finding> {
        let (finding, cookies) = self.keeper.as_ref()?.answer(cookie, client?, self.now)?;
        self.length = put(&mut self.bytes, self.length, OPTION_COOKIE, &cookies);
        let counter = match finding {
            Finding::Absent => &counters.cookies_absent,
            Finding::Valid => &counters.cookies_valid,
            Finding::Invalid => &counters.cookies_invalid,
        };
        counter.add(1);
        Some(finding)
    }
}

/// Appends options to a message that ends in an OPT record without any; see [`Options::append`].
pub(crate) fn append(options: &[u8], message: &mut [u8], length: usize) -> Option<usize> {
    let end = length + options.len();
    if options.is_empty() {
        return None;
    }
    // The length of the record's data is what it ends in. A buffer with hardly room for the query has none for options.
    let (record_end, to) = message.get_mut(length.checked_sub(2)?..end)?.split_first_chunk_mut::<2>()?;
    to.copy_from_slice(options);
    *record_end = u16::try_from(options.len()).ok()?.to_be_bytes();
    Some(end)
}

/// Writes an option at a place; returns where it ends, or the place where there is no room.
fn put(bytes: &mut [u8], place: usize, code: u16, data: &[u8]) -> usize {
    let ([c1, c2], [l1, l2]) = (code.to_be_bytes(), u16::try_from(data.len()).unwrap_or_default().to_be_bytes());
    let end = place + OPTION_HEAD_BYTES + data.len();
    let room = bytes.get_mut(place..end).and_then(<[u8]>::split_first_chunk_mut::<OPTION_HEAD_BYTES>);
    let Some((head, rest)) = room else { return place };
    *head = [c1, c2, l1, l2];
    rest.copy_from_slice(data);
    end
}

/// The address that a packet came from.
pub(crate) fn source(frame: &[u8], packet: Packet) -> Option<Client> {
    let header = frame.get(packet.ip..)?;
    if packet.is_ipv6 {
        header.get(8..)?.first_chunk().copied().map(Client::Ipv6)
    } else {
        header.get(12..)?.first_chunk().copied().map(Client::Ipv4)
    }
}
