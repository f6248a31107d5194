//! What fuzz targets reach of the checks on messages, which nobody else needs to see.

use ringdns_engine::name::WireName;

use super::check::{Expected, check, is_answer_to};
use super::cookie::ClientSide;
use super::query::{Form, Query};
use super::{Ask, age};

/// The id of the query.
pub const ID: u16 = 0x1234;

/// What the client chose of the query's cookie.
pub const COOKIE: [u8; 8] = *b"clientco";

/// How messages are checked.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// As datagrams, which have a greatest size.
    pub over_udp: bool,
    /// The question's case must be right.
    pub case_matters: bool,
    /// There must be a cookie.
    pub needs_cookie: bool,
}

/// The query for a name's addresses that messages are answers to: with DO, a subnet, a cookie, and letters in either case.
fn query(name: &WireName) -> (Query, ClientSide) {
    let client_subnet = Some(([198, 51, 100, 0].into(), 24));
    let ask = Ask { name, qtype: 1, dnssec_ok: true, checking_disabled: false, client_subnet };
    let cookie = ClientSide { client: COOKIE, server: Vec::new() };
    let form = Form { case: Some([0x55; 32]), edns: true, cookie: Some(cookie.clone()), ..Form::default() };
    (Query::write(&ask, &form, ID), cookie)
}

/// The question as it is asked.
pub fn question(name: &WireName) -> Vec<u8> {
    query(name).0.question().to_vec()
}

/// True for a message that is taken for the answer.
pub fn is_answer(name: &WireName, message: &[u8], rules: Rules) -> bool {
    let (query, cookie) = query(name);
    let Rules { over_udp, case_matters, needs_cookie } = rules;
    let expected = Expected {
        query: &query,
        id: ID,
        cookie: Some(&cookie),
        datagram_bytes_max: over_udp.then_some(1232),
        case_matters,
        needs_cookie,
    };
    let is_answer = check(message, &expected).is_ok();
    assert!(!is_answer || is_answer_to(message, query.question()), "a connection takes what passes the checks");
    is_answer
}

/// The same message as one that was in a cache of HTTP for some seconds.
pub fn aged(message: &[u8], seconds: u32) -> Vec<u8> {
    let mut message = message.to_vec();
    age::lower(&mut message, seconds);
    message
}
