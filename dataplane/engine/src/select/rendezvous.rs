//! Rendezvous hashing with weights (Thaler and Ravishankar 1998; Schindelhauer and Schomaker 2005): every member draws a
//! number for a client, and the best one has it. So each client's order of preference is fixed, and a member that goes down
//! leaves its clients to the next in their own orders, all others stay where they are.
//!
//! A number depends on the client's address and the member's rdata, and on nothing that differs between processes; it is
//! computed in integers, so that no rounding differs between machines. Two names with the same members give a client the same
//! member.

use super::generator::mix;
use crate::cookie::Client;

/// From which the hashes of IPv4 clients grow: digits of pi, as those below.
const IPV4: u64 = 0x243f_6a88_85a3_08d3;
/// From which the hashes of IPv6 clients grow.
const IPV6: u64 = 0x1319_8a2e_0370_7344;
/// From which the hashes of members grow.
const MEMBER: u64 = 0xa409_3822_299f_31d0;

/// Bits of a logarithm behind the point.
const FRACTION_BITS: u32 = 26;

/// Bits of a number that find its place in the table of logarithms.
const TABLE_BITS: u32 = 8;

/// The hash of a client's address.
#[inline]
pub(crate) fn client_hash(client: Client) -> u64 {
    match client {
        Client::Ipv4(octets) => mix(IPV4 ^ u64::from(u32::from_be_bytes(octets))),
        Client::Ipv6(octets) => {
            let (halves, _) = octets.as_chunks::<8>();
            halves.iter().fold(IPV6, |hash, half| mix(hash ^ u64::from_be_bytes(*half)))
        }
    }
}

/// The hash of a member's rdata, worked out when it is published.
pub(crate) fn member_hash(rdata: &[u8]) -> u64 {
    let (words, tail) = rdata.as_chunks::<8>();
    let hash = words.iter().fold(MEMBER, |hash, word| mix(hash ^ u64::from_be_bytes(*word)));
    let tail = tail.iter().fold(rdata.len() as u64, |word, &byte| (word << 8) | u64::from(byte));
    mix(hash ^ tail)
}

/// What a member draws for a client: the smaller, the better. With its weight `w` and a number `u` between 0 and 1 that is
/// `-log(u) / w`, by which a member is the best for `w` in the sum of all weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw {
    /// `-log2(u)`, with [`FRACTION_BITS`] bits behind the point.
    logarithm: u64,
    /// The weight; not 0.
    weight: u64,
    /// Tells those apart that are equal in all else.
    member: u64,
}

impl Draw {
    /// The draw of a member.
    #[inline]
    pub(super) fn new(client: u64, member: u64, weight: u32) -> Self {
        Self { logarithm: minus_log2(mix(client ^ member)), weight: u64::from(weight), member }
    }

    /// True where this one has the client.
    #[inline]
    pub(super) fn beats(&self, other: &Self) -> bool {
        // Both logarithms are below 2^33 and both weights below 2^17.
        let (mine, theirs) = (self.logarithm * other.weight, other.logarithm * self.weight);
        (mine, self.member) < (theirs, other.member)
    }
}

/// `log2(1 + i / 256)` for i from 0 to 256.
const LOGARITHMS: [u32; (1 << TABLE_BITS) + 1] = logarithms();

/// [`LOGARITHMS`], bit by bit: squaring a number doubles its logarithm.
#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "run by the compiler, which would refuse")]
const fn logarithms() -> [u32; (1 << TABLE_BITS) + 1] {
    let mut table = [0; (1 << TABLE_BITS) + 1];
    let mut index = 0;
    while index < 1 << TABLE_BITS {
        // Between 1 and 2, with 32 bits behind the point.
        let mut number = ((1u64 << TABLE_BITS) + index as u64) << (32 - TABLE_BITS);
        let mut bit = 0;
        while bit < FRACTION_BITS {
            number = ((number as u128 * number as u128) >> 32) as u64;
            let carry = (number >> 33) as u32;
            table[index] = (table[index] << 1) | carry;
            number >>= carry;
            bit += 1;
        }
        index += 1;
    }
    table[index] = 1 << FRACTION_BITS;
    table
}

/// `-log2(number / 2^64)`, from the table and straight lines between its places: it never grows with the number, and is off
/// by less than 1 in 1000.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the upper eight bits are a place of the table")]
fn minus_log2(number: u64) -> u64 {
    let number = number.max(1);
    let zeros = number.leading_zeros();
    // What follows the first bit that is set, with 64 bits behind the point.
    let rest = (number << zeros) << 1;
    let place = (rest >> (64 - TABLE_BITS)) as usize;
    let along = (rest << TABLE_BITS) >> 32;
    let [low, high] = [place, place + 1].map(|place| u64::from(LOGARITHMS.get(place).copied().unwrap_or_default()));
    let fraction = low + (((high - low) * along) >> 32);
    (u64::from(zeros + 1) << FRACTION_BITS) - fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_right() {
        for number in (0..64).flat_map(|shift| [1u64 << shift, (1 << shift) | 0x1234_5678_9abc_def1 >> (63 - shift)]) {
            #[allow(clippy::cast_precision_loss, reason = "the test compares up to rounding")]
            let (exact, ours) =
                (64.0 - (number as f64).log2(), minus_log2(number) as f64 / f64::from(1 << FRACTION_BITS));
            assert!((exact - ours).abs() <= exact * 0.001 + 1e-6, "{number}: {exact} {ours}");
        }
        assert_eq!(minus_log2(u64::MAX) >> 2, 0, "the largest is next to nothing");
        assert!(minus_log2(0) <= 64 << FRACTION_BITS);
    }

    #[test]
    fn logarithms_never_grow() {
        let mut state = 1u64;
        for _ in 0..100_000 {
            state = mix(state);
            let step = state >> (state % 60);
            assert!(minus_log2(state) >= minus_log2(state.saturating_add(step)), "{state} {step}");
        }
    }

    #[test]
    fn hashes_stay_what_they_are() {
        // Replicas of different versions must agree: a change of these moves every client.
        assert_eq!(client_hash(Client::Ipv4([192, 0, 2, 1])), 0x9f3f_2ef0_5db3_e7a3);
        assert_eq!(client_hash(Client::Ipv6([0x20; 16])), 0x2579_9f8d_58f3_ba1e);
        assert_eq!(member_hash(&[192, 0, 2, 1]), 0x1d4f_be5a_304a_66b2);
        assert_eq!(member_hash(&[0x20; 16]), 0xc532_ce93_620c_70cd);
    }

    #[test]
    fn rdata_counts_whole() {
        let long: Vec<u8> = (0..20).collect();
        for length in 0..20 {
            assert_ne!(member_hash(&long[..length]), member_hash(&long[..=length]), "{length}");
        }
        assert_ne!(member_hash(&[0; 3]), member_hash(&[0; 4]));
    }
}
