//! Answers that were in a cache of HTTP: their TTLs are of the time at which it got them (RFC 8484 section 5.1).

use super::query::HEADER_BYTES;

/// Bytes of a record between its name and its rdata: type, class, TTL and length.
const FIXED_BYTES: usize = 10;

/// OPT, which has something else in the place of a TTL (RFC 6891 section 6.1.3).
const OPT: [u8; 2] = [0, 41];

/// Seconds that a response was in caches, from the value of its header `Age` (RFC 9111 section 5.1): of several the first counts,
/// what is no number does not.
pub(super) fn seconds(value: &str) -> u32 {
    let first = value.split(',').next().unwrap_or_default().trim();
    let is_number = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    // RFC 9111 section 1.2.2: what is too large is the most that there is.
    if is_number { first.parse().unwrap_or(u32::MAX) } else { 0 }
}

/// Lowers the TTLs of a message by so many seconds. Behind what cannot be read nothing is changed: whoever checks the message
/// does not take it.
pub(super) fn lower(message: &mut [u8], seconds: u32) {
    if seconds > 0 {
        let _: Option<()> = lower_all(message, seconds);
    }
}

/// The same; nothing where the message ends too early.
fn lower_all(message: &mut [u8], seconds: u32) -> Option<()> {
    let counts: [u8; 8] = *message.get(4..HEADER_BYTES)?.first_chunk()?;
    let [questions, records @ ..] = counts.as_chunks::<2>().0 else { return None };
    let mut at = HEADER_BYTES;
    for _ in 0..u16::from_be_bytes(*questions) {
        at = name_end(message, at)? + 4;
    }
    for _ in 0..records.iter().map(|count| u32::from(u16::from_be_bytes(*count))).sum::<u32>() {
        at = name_end(message, at)?;
        let fixed: &mut [u8; FIXED_BYTES] = message.get_mut(at..)?.first_chunk_mut()?;
        let [type_high, type_low, _, _, ttl @ .., length_high, length_low] = fixed;
        if [*type_high, *type_low] != OPT {
            let before = u32::from_be_bytes(*ttl.first_chunk()?);
            *ttl.first_chunk_mut()? = before.saturating_sub(seconds).to_be_bytes();
        }
        at += FIXED_BYTES + usize::from(u16::from_be_bytes([*length_high, *length_low]));
    }
    Some(())
}

/// Where a name ends that begins somewhere in a message.
fn name_end(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            0xc0.. => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_numbers_or_nothing() {
        let cases = [("7", 7), (" 60 ", 60), ("5, 9", 5), ("0", 0), ("", 0), ("-1", 0), ("+3", 0), ("soon", 0)];
        for (value, expected) in cases.into_iter().chain([("4294967296", u32::MAX)]) {
            assert_eq!(seconds(value), expected, "{value:?}");
        }
    }

    #[test]
    fn the_ttls_of_all_sections_are_lowered_and_nothing_else_is() {
        let question = b"\x03www\x01a\0\0\x01\0\x01";
        let records = |first: u8, second: u8| {
            let alias = [&b"\xc0\x0c\0\x05\0\x01\0\0\0"[..], &[first], b"\0\x03\x01b\0"].concat();
            let soa = [&b"\x01a\0\0\x06\0\x01\0\0\0"[..], &[second], b"\0\x02\0\0"].concat();
            [&alias[..], &soa, b"\0\0\x29\x04\xd0\0\0\x80\0\0\0"].concat()
        };
        let message =
            |first, second| [&b"\0\0\x81\x80\0\x01\0\x01\0\x01\0\x01"[..], question, &records(first, second)].concat();
        let mut lowered = message(60, 9);
        lower(&mut lowered, 10);
        assert_eq!(lowered, message(50, 0));
        lower(&mut lowered, 0);
        assert_eq!(lowered, message(50, 0));
        for length in 0..lowered.len() {
            let mut cut = lowered[..length].to_vec();
            lower(&mut cut, 1);
            assert_eq!(cut.len(), length);
        }
    }
}
