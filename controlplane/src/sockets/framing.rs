//! Messages in a stream: each behind its length in two bytes (RFC 1035 section 4.2.2).

use ringdns_engine::query::HEADER_BYTES;

use super::stats::Closed;

/// Bytes of a length.
pub(super) const LENGTH_BYTES: usize = 2;

/// Longest query that is taken. A name, an OPT record with padding (RFC 8467: 128) and a cookie take some hundred bytes. What
/// other protocols begin with reads as a longer one: a TLS handshake as 5635 bytes, text as more than 8192.
pub(super) const QUERY_BYTES_MAX: usize = 4096;

const _: () = assert!(QUERY_BYTES_MAX < 0x1603 && QUERY_BYTES_MAX < 0x2020);

/// The message that a stream begins with; nothing where it is not whole yet; an error where it can be none.
pub(super) fn first(stream: &[u8]) -> Result<Option<&[u8]>, Closed> {
    let Some((length, rest)) = stream.split_first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    match usize::from(u16::from_be_bytes(*length)) {
        length if length > QUERY_BYTES_MAX => Err(Closed::TooLong),
        length if length < HEADER_BYTES => Err(Closed::TooShort),
        length => Ok(rest.get(..length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_taken_once_it_is_whole() {
        let stream = [&[0, 12][..], &[7; 12], &[0]].concat();
        for end in 0..14 {
            assert_eq!(first(&stream[..end]), Ok(None), "{end} bytes");
        }
        assert_eq!(first(&stream), Ok(Some(&[7; 12][..])));
    }

    #[test]
    fn other_protocols_and_impossible_lengths_are_known_at_once() {
        for (stream, cause) in [
            (&b"\x16\x03\x01\x02\x00"[..], Closed::TooLong),
            (b"GET / HTTP/1.1\r\n", Closed::TooLong),
            (b"\x10\x01", Closed::TooLong),
            (b"\x00\x0b", Closed::TooShort),
            (b"\x00\x00", Closed::TooShort),
        ] {
            assert_eq!(first(stream), Err(cause), "{stream:?}");
        }
    }
}
