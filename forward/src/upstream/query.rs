//! Queries as they are written.

use std::net::IpAddr;

use super::Ask;
use super::cookie::ClientSide;

/// What an answer over UDP may have: no fragments on any link of today (DNS flag day 2020).
pub(super) const PAYLOAD_BYTES_MAX: u16 = 1232;

/// The same without EDNS (RFC 1035 section 4.2.1).
pub(super) const PLAIN_PAYLOAD_BYTES_MAX: u16 = 512;

/// Queries over TLS are filled up to a multiple of it (RFC 8467 section 4.1).
const PADDING_BLOCK_BYTES: usize = 128;

/// The header's bytes.
pub(super) const HEADER_BYTES: usize = 12;

/// EDNS options (IANA).
pub(super) mod option {
    /// Client subnet (RFC 7871).
    pub(in super::super) const SUBNET: u16 = 8;
    /// Cookies (RFC 7873).
    pub(in super::super) const COOKIE: u16 = 10;
    /// Padding (RFC 7830).
    pub(in super::super) const PADDING: u16 = 12;
}

/// How a query is written.
#[derive(Clone, Debug, Default)]
pub(super) struct Form {
    /// Which letters are upper case (0x20), by their place in the name; nothing: none is.
    pub(super) case: Option<[u8; 32]>,
    /// With EDNS (RFC 6891).
    pub(super) edns: bool,
    /// The cookie, where one is sent.
    pub(super) cookie: Option<ClientSide>,
    /// Filled up, for who sees only how long it is.
    pub(super) padded: bool,
    /// AD is asked for (RFC 6840 section 5.7).
    pub(super) wants_ad: bool,
}

/// A query.
#[derive(Clone, Debug)]
pub(super) struct Query {
    /// The message.
    pub(super) bytes: Vec<u8>,
    /// Where its question ends.
    question_end: usize,
    /// The subnet's option as it was sent, without code and length.
    pub(super) subnet: Option<Vec<u8>>,
}

impl Query {
    /// Writes a query.
    pub(super) fn write(ask: &Ask<'_>, form: &Form, id: u16) -> Self {
        let mut bytes = Vec::with_capacity(2 * PADDING_BLOCK_BYTES);
        bytes.extend_from_slice(&id.to_be_bytes());
        // RD, and AD and CD as they are wanted (RFC 4035 section 3.2.2 for CD).
        bytes.push(0x01);
        bytes.push(u8::from(form.wants_ad) << 5 | u8::from(ask.checking_disabled) << 4);
        bytes.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, u8::from(form.edns)]);
        write_name(&mut bytes, ask.name.as_bytes(), form.case.as_ref());
        bytes.extend_from_slice(&ask.qtype.to_be_bytes());
        bytes.extend_from_slice(&1u16.to_be_bytes());
        let question_end = bytes.len();
        let subnet = ask.client_subnet.filter(|_| form.edns).map(|(address, bits)| subnet(address, bits));
        if form.edns {
            write_opt(&mut bytes, ask, form, subnet.as_deref());
        }
        Self { bytes, question_end, subnet }
    }

    /// The question: name, type, class.
    pub(super) fn question(&self) -> &[u8] {
        self.bytes.get(HEADER_BYTES..self.question_end).unwrap_or_default()
    }

    /// The message with another id.
    pub(super) fn with_id(&self, id: u16) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        if let Some(place) = bytes.first_chunk_mut() {
            *place = id.to_be_bytes();
        }
        bytes
    }
}

/// Writes a name, its letters in lower case or as `case` has it.
fn write_name(bytes: &mut Vec<u8>, name: &[u8], case: Option<&[u8; 32]>) {
    for (place, byte) in name.iter().enumerate() {
        // Length octets are below 64 and so never letters.
        let is_upper = case.is_some_and(|bits| bits.get(place / 8).is_some_and(|bits| bits >> (place % 8) & 1 == 1));
        bytes.push(if is_upper { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() });
    }
}

/// Writes the OPT record (RFC 6891 section 6.1.2).
fn write_opt(bytes: &mut Vec<u8>, ask: &Ask<'_>, form: &Form, subnet: Option<&[u8]>) {
    bytes.extend_from_slice(&[0, 0, 41]);
    bytes.extend_from_slice(&PAYLOAD_BYTES_MAX.to_be_bytes());
    bytes.extend_from_slice(&[0, 0, u8::from(ask.dnssec_ok) << 7, 0]);
    let length_at = bytes.len();
    bytes.extend_from_slice(&[0, 0]);
    if let Some(cookie) = &form.cookie {
        write_option(bytes, option::COOKIE, &cookie.option());
    }
    if let Some(subnet) = subnet {
        write_option(bytes, option::SUBNET, subnet);
    }
    if form.padded {
        let unpadded = bytes.len() + 4;
        write_option(bytes, option::PADDING, &vec![0; unpadded.next_multiple_of(PADDING_BLOCK_BYTES) - unpadded]);
    }
    let length = u16::try_from(bytes.len() - length_at - 2).unwrap_or(0);
    if let Some(place) = bytes.get_mut(length_at..length_at + 2) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// Writes an option; all of ours are short.
fn write_option(bytes: &mut Vec<u8>, code: u16, data: &[u8]) {
    bytes.extend_from_slice(&code.to_be_bytes());
    bytes.extend_from_slice(&u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
    bytes.extend_from_slice(data);
}

/// The option of a client's subnet (RFC 7871 section 6): family, prefix bits, scope 0, as many bytes as the prefix has, and
/// nothing of the address behind it.
fn subnet(address: IpAddr, bits: u8) -> Vec<u8> {
    let (family, octets) = match address.to_canonical() {
        IpAddr::V4(address) => (1, address.octets().to_vec()),
        IpAddr::V6(address) => (2, address.octets().to_vec()),
    };
    let bits = usize::from(bits).min(8 * octets.len());
    let mut data = vec![0, family, u8::try_from(bits).unwrap_or(0), 0];
    data.extend(octets.iter().take(bits.div_ceil(8)));
    if let (Some(last), 1..) = (data.last_mut(), bits % 8) {
        *last &= 0xff << (8 - bits % 8);
    }
    data
}

#[cfg(test)]
mod tests {
    use ringdns_engine::name::WireName;

    use super::*;

    /// A query for a name's addresses.
    fn query(name: &str, form: &Form, client_subnet: Option<(IpAddr, u8)>) -> Query {
        let name: WireName = name.parse().unwrap();
        let ask = Ask { name: &name, qtype: 1, dnssec_ok: true, checking_disabled: true, client_subnet };
        Query::write(&ask, form, 0x1234)
    }

    #[test]
    fn a_plain_query_has_a_question_and_nothing_else() {
        let query = query("WWW.a.", &Form { wants_ad: true, ..Form::default() }, Some(([10, 0, 0, 1].into(), 24)));
        assert_eq!(query.bytes, b"\x12\x34\x01\x30\0\x01\0\0\0\0\0\0\x03www\x01a\0\0\x01\0\x01");
        assert_eq!(query.question(), b"\x03www\x01a\0\0\x01\0\x01");
        assert_eq!(query.with_id(0x4321)[..2], [0x43, 0x21]);
    }

    #[test]
    fn case_varies_letters_and_nothing_else() {
        let form = Form { case: Some([0xff; 32]), ..Form::default() };
        assert_eq!(query("a-0.\\000z.", &form, None).question(), b"\x03A-0\x02\0Z\0\0\x01\0\x01");
        let form = Form { case: Some([0b101_0101; 32]), ..Form::default() };
        assert_eq!(query("abcd.", &form, None).question(), b"\x04aBcD\0\0\x01\0\x01");
    }

    #[test]
    fn a_subnet_tells_its_prefix_and_no_more() {
        assert_eq!(subnet([192, 0, 2, 255].into(), 24), [0, 1, 24, 0, 192, 0, 2]);
        assert_eq!(subnet([192, 0, 2, 255].into(), 20), [0, 1, 20, 0, 192, 0, 0]);
        assert_eq!(subnet("2001:db8::ffff".parse().unwrap(), 56), [0, 2, 56, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0]);
        assert_eq!(subnet("::ffff:192.0.2.1".parse().unwrap(), 99), [0, 1, 32, 0, 192, 0, 2, 1]);
        assert_eq!(subnet([192, 0, 2, 255].into(), 0), [0, 1, 0, 0]);
    }

    #[test]
    fn options_stand_in_opt_and_padding_fills_the_block() {
        let cookie = ClientSide { client: *b"clientco", server: b"serverco".to_vec() };
        let form = Form { edns: true, cookie: Some(cookie), ..Form::default() };
        let plain = query("a.", &form, Some(([10, 0, 0, 1].into(), 8)));
        let opt = b"\0\0\x29\x04\xd0\0\0\x80\0\0\x1d\0\x0a\0\x10clientcoserverco\0\x08\0\x05\0\x01\x08\0\x0a";
        assert_eq!(plain.bytes[HEADER_BYTES + plain.question().len()..], *opt);
        for name in ["a.", "abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz."] {
            let padded = query(name, &Form { padded: true, ..form.clone() }, None);
            assert_eq!(padded.bytes.len() % 128, 0, "{name}");
        }
    }
}
