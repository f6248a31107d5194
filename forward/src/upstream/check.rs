//! Whether a message is the answer to a query. What is in it is not judged, only that it is whole.

use super::cookie::ClientSide;
use super::query::{HEADER_BYTES, PLAIN_PAYLOAD_BYTES_MAX, Query, option};

/// Response codes that are more than an answer.
pub(super) mod rcode {
    /// The server does not understand the query.
    pub(in super::super) const FORMERR: u16 = 1;
    /// Nor this kind of query.
    pub(in super::super) const NOTIMP: u16 = 4;
    /// The server does not know the version of EDNS (RFC 6891 section 9).
    pub(in super::super) const BADVERS: u16 = 16;
    /// The server's part of the cookie is old or missing (RFC 7873 section 8).
    pub(in super::super) const BADCOOKIE: u16 = 23;
}

/// Why a packet or message is not believed; each is counted by its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// From another address or port.
    Address,
    /// Shorter than a header.
    Short,
    /// Another id.
    Id,
    /// No response.
    Query,
    /// Another operation.
    Opcode,
    /// Another question.
    Question,
    /// No question, in an error (FORMERR or NOTIMP) that old servers send so.
    NoQuestion,
    /// The question's letters are in another case.
    Case,
    /// Longer than it may be.
    Oversize,
    /// Records end behind the message, or bytes are left behind them.
    Garbage,
    /// The cookie is not an answer to ours.
    Cookie,
    /// No cookie, from a server that has them.
    NoCookie,
    /// The subnet is not the one that was sent (RFC 7871 section 7.3).
    Subnet,
}

impl Bad {
    /// All of them.
    pub(super) const ALL: [Bad; 13] = [
        Bad::Address,
        Bad::Short,
        Bad::Id,
        Bad::Query,
        Bad::Opcode,
        Bad::Question,
        Bad::NoQuestion,
        Bad::Case,
        Bad::Oversize,
        Bad::Garbage,
        Bad::Cookie,
        Bad::NoCookie,
        Bad::Subnet,
    ];

    /// The metric's label.
    pub(super) fn label(self) -> &'static str {
        match self {
            Bad::Address => "address",
            Bad::Short => "short",
            Bad::Id => "id",
            Bad::Query => "query",
            Bad::Opcode => "opcode",
            Bad::Question => "question",
            Bad::NoQuestion => "no_question",
            Bad::Case => "case",
            Bad::Oversize => "oversize",
            Bad::Garbage => "garbage",
            Bad::Cookie => "cookie",
            Bad::NoCookie => "no_cookie",
            Bad::Subnet => "subnet",
        }
    }

    /// True where the id and the question are right: either the upstream has its ways, or somebody has guessed port and id. A
    /// connection tells.
    pub(super) fn is_near(self) -> bool {
        matches!(
            self,
            Bad::NoQuestion | Bad::Case | Bad::Oversize | Bad::Garbage | Bad::Cookie | Bad::NoCookie | Bad::Subnet
        )
    }
}

/// What an answer must agree with.
pub(super) struct Expected<'a> {
    /// The query.
    pub(super) query: &'a Query,
    /// The id, which is not the query's own over connections.
    pub(super) id: u16,
    /// The cookie that was sent.
    pub(super) cookie: Option<&'a ClientSide>,
    /// It has come over UDP, where anybody may have sent it: at most so many bytes.
    pub(super) datagram_bytes_max: Option<u16>,
    /// The question's case must be right.
    pub(super) case_matters: bool,
    /// It must have a cookie.
    pub(super) needs_cookie: bool,
}

/// What was found in an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The response code with its upper bits.
    pub(super) rcode: u16,
    /// TC.
    pub(super) is_truncated: bool,
    /// It has an OPT record.
    pub(super) has_edns: bool,
    /// The case of the question's letters is as it was sent.
    pub(super) keeps_case: bool,
    /// The server's part of the cookie; empty where only ours came back.
    pub(super) cookie: Option<Vec<u8>>,
}

/// Checks a message.
pub(super) fn check(message: &[u8], expected: &Expected<'_>) -> Result<Found, Bad> {
    let (header, rest) = message.split_first_chunk::<HEADER_BYTES>().ok_or(Bad::Short)?;
    let [id_high, id_low, flags_high, flags_low, counts @ ..] = *header;
    if u16::from_be_bytes([id_high, id_low]) != expected.id {
        return Err(Bad::Id);
    }
    if flags_high & 0x80 == 0 {
        return Err(Bad::Query);
    }
    if flags_high & 0x78 != 0 {
        return Err(Bad::Opcode);
    }
    let [questions, records @ ..] = be_pairs(counts);
    let mut found =
        Found { rcode: u16::from(flags_low & 0x0f), is_truncated: flags_high & 0x02 != 0, ..Found::default() };
    if questions == 0 && rest.is_empty() && matches!(found.rcode, rcode::FORMERR | rcode::NOTIMP) {
        found.keeps_case = true;
        return if expected.datagram_bytes_max.is_some() { Err(Bad::NoQuestion) } else { Ok(found) };
    }
    let question = expected.query.question();
    let (theirs, behind) = rest.split_at_checked(question.len()).ok_or(Bad::Question)?;
    if questions != 1 || !same_question(theirs, question) {
        return Err(Bad::Question);
    }
    found.keeps_case = theirs == question;
    if expected.case_matters && !found.keeps_case {
        return Err(Bad::Case);
    }
    if expected.datagram_bytes_max.is_some_and(|bytes_max| message.len() > usize::from(bytes_max)) {
        return Err(Bad::Oversize);
    }
    if found.is_truncated {
        // It is asked for again over TCP: what is in it does not matter, and need not end with a record.
        return Ok(found);
    }
    let start = HEADER_BYTES + question.len();
    read_records(message, (start, behind), records, expected, &mut found)?;
    if expected.needs_cookie && found.cookie.is_none() {
        return Err(Bad::NoCookie);
    }
    Ok(found)
}

/// Four numbers.
fn be_pairs(bytes: [u8; 8]) -> [u16; 4] {
    let [a, b, c, d, e, f, g, h] = bytes;
    [[a, b], [c, d], [e, f], [g, h]].map(u16::from_be_bytes)
}

/// Compares questions: the case of the name's letters aside, type and class to the byte.
fn same_question(theirs: &[u8], ours: &[u8]) -> bool {
    theirs.eq_ignore_ascii_case(ours) && theirs.last_chunk::<4>() == ours.last_chunk::<4>()
}

/// True where a message is an answer to a question, in any case; over connections, where ids are few.
pub(super) fn is_answer_to(message: &[u8], question: &[u8]) -> bool {
    match message.split_first_chunk::<HEADER_BYTES>() {
        // An error without question.
        Some(([.., 0, 0, _, _, _, _, _, _], [])) => true,
        Some((_, rest)) => rest.get(..question.len()).is_some_and(|theirs| same_question(theirs, question)),
        None => false,
    }
}

/// Walks over the records: each within the message, OPT once at most and among the additional ones, nothing behind the last.
fn read_records(
    message: &[u8],
    (start, mut rest): (usize, &[u8]),
    [answers, authorities, additionals]: [u16; 3],
    expected: &Expected<'_>,
    found: &mut Found,
) -> Result<(), Bad> {
    let first_additional = u32::from(answers) + u32::from(authorities);
    for index in 0..first_additional + u32::from(additionals) {
        let here = message.len() - rest.len();
        debug_assert!(here >= start, "records stand behind the question");
        let is_root = rest.first() == Some(&0);
        let behind_name = skip_name(rest, here)?;
        let (fixed, data) = behind_name.split_first_chunk::<10>().ok_or(Bad::Garbage)?;
        let [type_high, type_low, _, _, rcode_high, _, _, _, length_high, length_low] = *fixed;
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let (data, behind) = data.split_at_checked(length).ok_or(Bad::Garbage)?;
        if [type_high, type_low] == [0, 41] {
            if index < first_additional || found.has_edns || !is_root {
                return Err(Bad::Garbage);
            }
            found.has_edns = true;
            found.rcode |= u16::from(rcode_high) << 4;
            read_options(data, expected, found)?;
        }
        rest = behind;
    }
    if rest.is_empty() { Ok(()) } else { Err(Bad::Garbage) }
}

/// What follows a name that starts at `here`. A pointer must lead back (RFC 1035 section 4.1.4); where it leads is for who reads
/// the record.
fn skip_name(mut rest: &[u8], here: usize) -> Result<&[u8], Bad> {
    loop {
        match *rest {
            [0, ref behind @ ..] => return Ok(behind),
            [high @ 0xc0..=0xff, low, ref behind @ ..] => {
                let target = usize::from(u16::from_be_bytes([high & 0x3f, low]));
                return if (HEADER_BYTES..here).contains(&target) { Ok(behind) } else { Err(Bad::Garbage) };
            }
            [length @ 1..=63, ref behind @ ..] => rest = behind.get(usize::from(length)..).ok_or(Bad::Garbage)?,
            _ => return Err(Bad::Garbage),
        }
    }
}

/// Reads the options of OPT.
fn read_options(mut rest: &[u8], expected: &Expected<'_>, found: &mut Found) -> Result<(), Bad> {
    while !rest.is_empty() {
        let (fixed, data) = rest.split_first_chunk::<4>().ok_or(Bad::Garbage)?;
        let [code_high, code_low, length_high, length_low] = *fixed;
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let (data, behind) = data.split_at_checked(length).ok_or(Bad::Garbage)?;
        match u16::from_be_bytes([code_high, code_low]) {
            option::COOKIE => {
                if let Some(sent) = expected.cookie {
                    found.cookie = Some(sent.server_part(data).ok_or(Bad::Cookie)?.to_vec());
                }
            }
            option::SUBNET => {
                if let Some(sent) = &expected.query.subnet {
                    is_same_subnet(data, sent).then_some(()).ok_or(Bad::Subnet)?;
                }
            }
            _ => {}
        }
        rest = behind;
    }
    Ok(())
}

/// Family, prefix and address are those that were sent; the scope is the upstream's.
fn is_same_subnet(theirs: &[u8], ours: &[u8]) -> bool {
    match (theirs, ours) {
        ([a, b, bits, _, address @ ..], [c, d, our_bits, _, our_address @ ..]) => {
            (a, b, bits, address) == (c, d, our_bits, our_address)
        }
        _ => false,
    }
}

/// What a datagram may have that answers a query.
pub(super) fn datagram_bytes_max(has_edns: bool) -> u16 {
    if has_edns { super::query::PAYLOAD_BYTES_MAX } else { PLAIN_PAYLOAD_BYTES_MAX }
}

#[cfg(test)]
mod tests {
    use ringdns_engine::name::WireName;

    use super::super::Ask;
    use super::super::query::Form;
    use super::*;

    /// A query with all that a query may have.
    fn query() -> (Query, ClientSide) {
        let name: WireName = "www.some.example.".parse().unwrap();
        let client_subnet = Some(([198, 51, 100, 0].into(), 24));
        let ask = Ask { name: &name, qtype: 1, dnssec_ok: true, checking_disabled: false, client_subnet };
        let cookie = ClientSide { client: *b"clientco", server: Vec::new() };
        let form = Form { case: Some([0x55; 32]), edns: true, cookie: Some(cookie.clone()), ..Form::default() };
        (Query::write(&ask, &form, 0x1234), cookie)
    }

    /// An answer to it: an alias, an address, SOA, OPT with cookie and subnet.
    fn answer(query: &Query) -> Vec<u8> {
        let mut bytes = b"\x12\x34\x81\x80\0\x01\0\x02\0\x01\0\x01".to_vec();
        bytes.extend(query.question());
        bytes.extend(b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x06\x03web\xc0\x10");
        bytes.extend(b"\x03web\xc0\x10\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01");
        bytes.extend(b"\0\0\x06\0\x01\0\0\0\x3c\0\x16\0\0\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01");
        bytes.extend(
            b"\0\0\x29\x04\xd0\0\0\0\0\0\x1f\0\x0a\0\x10clientcoserverco\0\x08\0\x07\0\x01\x18\x10\xc6\x33\x64",
        );
        bytes
    }

    /// Checks a message as one over UDP, under the strictest rules.
    fn checked(message: &[u8]) -> Result<Found, Bad> {
        let (query, cookie) = query();
        let (id, cookie, datagram_bytes_max) = (0x1234, Some(&cookie), Some(1232));
        let query = &query;
        check(message, &Expected { query, id, cookie, datagram_bytes_max, case_matters: true, needs_cookie: true })
    }

    #[test]
    fn an_answer_with_everything_is_read() {
        let found = checked(&answer(&query().0)).unwrap();
        let cookie = Some(b"serverco".to_vec());
        assert_eq!(found, Found { rcode: 0, is_truncated: false, has_edns: true, keeps_case: true, cookie });
    }

    #[test]
    fn whatever_is_cut_or_added_is_not_believed() {
        let whole = answer(&query().0);
        for length in 0..whole.len() {
            assert!(checked(&whole[..length]).is_err(), "{length}");
        }
        for byte in [0, 0xc0, 0xff] {
            assert_eq!(checked(&[whole.as_slice(), &[byte]].concat()), Err(Bad::Garbage));
        }
    }

    #[test]
    fn each_changed_byte_before_the_records_is_seen_but_flags_that_tell_something_else() {
        let whole = answer(&query().0);
        for place in 0..HEADER_BYTES + query().0.question().len() {
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[place] ^= 1 << bit;
                // AA, TC and RD; RA, Z, AD, CD and the response code.
                let tells = (place == 2 && bit < 3) || place == 3;
                assert_eq!(checked(&changed).is_ok(), tells, "byte {place}, bit {bit}");
            }
        }
    }

    #[test]
    fn no_bytes_lead_to_a_panic() {
        let whole = answer(&query().0);
        for place in 0..whole.len() {
            for byte in 0..=255 {
                let mut changed = whole.clone();
                changed[place] = byte;
                drop(checked(&changed));
                drop(checked(&changed[..place]));
                let _: bool = is_answer_to(&changed[..place], query().0.question());
            }
        }
    }

    #[test]
    fn pointers_lead_back_and_opt_stands_once_among_the_additional_records() {
        let (query, _) = query();
        let whole = answer(&query);
        let start = HEADER_BYTES + query.question().len();
        for target in [0, 11, start, start + 1, whole.len(), 0x3fff] {
            let mut changed = whole.clone();
            let pointer = 0xc000 | u16::try_from(target).unwrap();
            changed[start..start + 2].copy_from_slice(&pointer.to_be_bytes());
            assert_eq!(checked(&changed), Err(Bad::Garbage), "{target}");
        }
        let opt = [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0];
        let mut twice = [whole.as_slice(), &opt].concat();
        twice[11] = 2;
        assert_eq!(checked(&twice), Err(Bad::Garbage));
        let mut as_authority = whole.clone();
        (as_authority[9], as_authority[11]) = (2, 0);
        assert_eq!(checked(&as_authority), Err(Bad::Garbage));
    }

    #[test]
    fn upper_bits_of_the_response_code_come_from_opt() {
        let (query, _) = query();
        let mut message = b"\x12\x34\x81\x87\0\x01\0\0\0\0\0\x01".to_vec();
        message.extend(query.question());
        message.extend(b"\0\0\x29\x04\xd0\x01\0\0\0\0\x0c\0\x0a\0\x08clientco");
        let found = checked(&message).unwrap();
        assert_eq!((found.rcode, found.cookie), (rcode::BADCOOKIE, Some(Vec::new())));
    }
}
