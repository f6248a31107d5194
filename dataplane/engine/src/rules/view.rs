//! Rules as the packet path reads them.

use crate::writer::split_name;

/// See `Rules::soa_below_apex`; the others likewise.
pub(crate) const SOA_BELOW_APEX: u16 = 1;
/// There is a rule for Pods.
pub(crate) const PODS: u16 = 1 << 1;
/// A label of a Pod that is no address is NODATA.
pub(crate) const BAD_POD_NODATA: u16 = 1 << 2;
/// A Pod's namespace need not exist.
pub(crate) const ANY_NAMESPACE: u16 = 1 << 3;
/// Labels to the left of a Pod's name are ignored.
pub(crate) const DEEP_PODS: u16 = 1 << 4;
/// Ports and protocols may lack their underscores.
pub(crate) const BARE_PORTS: u16 = 1 << 5;
/// Names that do not exist are for others to answer.
pub(crate) const FALLTHROUGH: u16 = 1 << 6;
/// CNAME records that lead to nothing are left out.
pub(crate) const NO_DANGLING_CNAME: u16 = 1 << 7;
/// CNAME records are for questions for addresses.
pub(crate) const CNAME_FOR_ADDRESSES_ONLY: u16 = 1 << 8;
/// NODATA is true while sources are loading.
pub(crate) const WHOLE_NAMES: u16 = 1 << 9;
/// Names end in the letters of the question.
pub(crate) const ZONE_CASE: u16 = 1 << 10;
/// The search path is walked.
pub(crate) const SEARCH: u16 = 1 << 11;
/// What the search path leads to is told by a CNAME record.
pub(crate) const SEARCH_CNAME: u16 = 1 << 12;

/// Questions for ANY are refused.
pub(crate) const REFUSE_ANY: u16 = 1 << 13;
/// CNAME records may stand beside others.
pub(crate) const ALIASES_BESIDE: u16 = 1 << 14;

/// The zone's names are those of others, and it has nothing.
pub(crate) const FOR_OTHERS: u16 = 1 << 15;

/// Bytes before the host suffixes.
pub(super) const HEAD_BYTES: usize = 8;

/// The rules of a zone as they are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RulesView<'a> {
    /// Which of them hold.
    habits: u16,
    /// Labels below the apex at which an empty non-terminal still exists.
    empty_depth_max: u8,
    /// TTL of the addresses of Pods.
    pod_ttl: u32,
    /// The host suffixes, one behind the other.
    suffixes: &'a [u8],
}

impl<'a> RulesView<'a> {
    /// The rules in what an apex stores.
    #[inline]
    pub(crate) fn of(stored: &'a [u8]) -> Option<Self> {
        let (&[h1, h2, empty_depth_max, _, t1, t2, t3, t4], suffixes) = stored.split_first_chunk::<HEAD_BYTES>()?;
        let (habits, pod_ttl) = (u16::from_le_bytes([h1, h2]), u32::from_le_bytes([t1, t2, t3, t4]));
        Some(Self { habits, empty_depth_max, pod_ttl, suffixes })
    }

    /// True where all of the given rules hold.
    #[inline]
    pub(crate) fn has(&self, habits: u16) -> bool {
        self.habits & habits == habits
    }

    /// Labels below the apex at which an empty non-terminal still exists; nothing: at all.
    pub(crate) fn empty_depth_max(&self) -> Option<u8> {
        Some(self.empty_depth_max).filter(|&depth| depth != u8::MAX)
    }

    /// TTL of the addresses of Pods in seconds.
    pub(crate) fn pod_ttl(&self) -> u32 {
        self.pod_ttl
    }

    /// What is searched beyond the zone, in order; in lower case.
    pub(crate) fn host_suffixes(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.suffixes;
        core::iter::from_fn(move || {
            let (suffix, after) = split_name(rest)?;
            rest = after;
            Some(suffix)
        })
    }
}
