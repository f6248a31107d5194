//! Raw DPDK: what bindgen makes of the allow-list in `build.rs`, the C shim's functions, and [`rte_mbuf`].
//!
//! Nothing here is safe to call by itself; `ringdns_dataplane::dpdk` wraps it and is the only crate that may import it.

mod mbuf;

pub use bindings::*;
pub use mbuf::rte_mbuf;

/// The generated declarations.
#[allow(
    non_camel_case_types,
    non_upper_case_globals,
    missing_docs,
    unsafe_op_in_unsafe_fn,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated: names and shapes are DPDK's, and which of these apply depends on its release"
)]
mod bindings {
    use super::mbuf::rte_mbuf;

    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}
