//! What is not taken although the request is answered with OK, as the original answers it: said in the log, counted by reason,
//! and named in a header of the reply, which clients of the original do not look at.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::DescriptorEncoder;

use crate::metrics::counter;
use crate::store::WriteError;

/// Refusals that are logged one by one for a request; the rest is counted.
const LOGGED_MAX: usize = 10;

/// One line a reason: variant, metric label, words for the log.
macro_rules! reasons {
    ($($variant:ident, $label:literal, $words:literal;)*) => {
        /// Why something was not taken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Reason {
            $(#[doc = $words] $variant,)*
        }

        impl Reason {
            /// Every reason, in the order of its counter.
            const ALL: &[Reason] = &[$(Reason::$variant,)*];

            /// The label that metrics and replies show.
            fn label(self) -> &'static str {
                match self { $(Reason::$variant => $label,)* }
            }

            /// One sentence for people.
            fn words(self) -> &'static str {
                match self { $(Reason::$variant => $words,)* }
            }
        }
    };
}

reasons! {
    UnknownZone, "unknown_zone", "its zone is none of kdns_api.zones";
    OtherZone, "other_zone", "its name is not in the zone that it names, or in a zone below that";
    ZoneReadOnly, "zone_read_only", "its zone is served from a zone file, or read from etcd";
    Ttl, "ttl", "its TTL is not between 0 and 2147483647 seconds (RFC 2181 section 8)";
    Mode, "lb_mode", "its lbMode is none of 0 to 3";
    ViewName, "view_name", "a view's name has letters, digits, \"-\", \"_\" and \".\" only, and is not \"default\"";
    OtherTtl, "other_ttl", "records of the same name, type and view have another ttl";
    OtherMode, "other_lb_mode", "records of the same name, type and view have another lbMode";
    SecondCname, "second_cname", "the name has another CNAME record in this view";
    CnameAndOther, "cname_and_other", "a CNAME record cannot stand beside other records of its name (RFC 2181 section 10.1)";
    TooMany, "too_many", "more records of one name, type and view than can be served";
    Network, "network", "it is no network";
    OtherView, "other_view", "the network is that of another view, or written otherwise";
    NotServable, "not_servable", "it cannot be served";
}

impl Reason {
    /// Why the store has refused; nothing where that has failed.
    pub(super) fn of_error(error: &WriteError) -> Option<Self> {
        use crate::model::RrsetError;
        match error {
            WriteError::Storage(_) | WriteError::Unavailable => None,
            WriteError::CnameAndOther => Some(Self::CnameAndOther),
            WriteError::Rrset(RrsetError::TooLarge | RrsetError::TooManyMembers) => Some(Self::TooMany),
            WriteError::NetworkTaken { .. } => Some(Self::OtherView),
            _ => Some(Self::NotServable),
        }
    }
}

/// One thing that was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// What it is.
    pub(super) what: String,
    /// Why.
    pub(super) reason: Reason,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.reason.words())
    }
}

/// Says what was not taken of a request; gives the value of the reply's header, where anything was not.
pub(super) fn tell(refused: &[Refused], counts: &Refusals) -> Option<String> {
    let mut labels: Vec<&str> = Vec::new();
    for (place, one) in refused.iter().enumerate() {
        counts.count(one.reason);
        if place < LOGGED_MAX {
            tracing::warn!("answered with OK and not taken by the kdns interface: {one}");
        }
        if !labels.contains(&one.reason.label()) {
            labels.push(one.reason.label());
        }
    }
    if let Some(rest) = refused.len().checked_sub(LOGGED_MAX).filter(|&rest| rest > 0) {
        tracing::warn!("answered with OK and not taken by the kdns interface: {rest} more of the same request");
    }
    (!refused.is_empty()).then(|| format!("{} {}", refused.len(), labels.join(",")))
}

/// Counts what was not taken, by reason.
#[derive(Debug, Default)]
pub(crate) struct Refusals([AtomicU64; Reason::ALL.len()]);

impl Refusals {
    /// Counts one.
    fn count(&self, reason: Reason) {
        if let Some(counter) = self.0.get(reason as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes the counts.
    pub(crate) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let rows = Reason::ALL
            .iter()
            .zip(&self.0)
            .map(|(reason, count)| (vec![("reason", reason.label().to_owned())], count.load(Ordering::Relaxed)));
        let help =
            "Records and networks of views that the kdns interface answered with OK and did not take, by reason.";
        counter(encoder, "ringdns_kdns_refused", help, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_counted_and_named_once_a_reason() {
        let counts = Refusals::default();
        let one = |reason| Refused { what: "a.e.com. A".into(), reason };
        let many = [one(Reason::OtherTtl), one(Reason::UnknownZone), one(Reason::OtherTtl)];
        assert_eq!(tell(&many, &counts).as_deref(), Some("3 other_ttl,unknown_zone"));
        assert_eq!(tell(&[], &counts), None);
        assert_eq!(counts.0[Reason::OtherTtl as usize].load(Ordering::Relaxed), 2);
        assert_eq!(many[1].to_string(), "a.e.com. A: its zone is none of kdns_api.zones");
        for (place, &reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason as usize, place);
        }
    }
}
