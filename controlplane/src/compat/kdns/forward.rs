//! What the routes about forwarding show. Nothing is forwarded yet: this is what the original shows then too.

use serde::Serialize;

/// An answer that is kept from a forwarded query.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Cached {
    /// The name that was asked for, in lower case, with its dot.
    domain: String,
    /// The type that was asked for.
    #[serde(rename = "Type")]
    rtype: u16,
    /// Until when it is given again, as `YYYY-mm-dd HH:MM:SS`.
    expired_time: String,
}

/// Every answer that is kept.
pub(super) fn cached() -> Vec<Cached> {
    Vec::new()
}

/// Forgets all of them.
pub(super) fn forget() {}

/// What was counted of forwarded queries, by name or by client.
pub(super) fn metrics() -> [(); 0] {
    []
}
