//! Kubernetes as a source of records: Services, EndpointSlices, Namespaces and Pods by the letter of the DNS specification for
//! service discovery, version 1.1.0, and where it is silent as CoreDNS answers.
//!
//! ```text
//! API server --> watch --> objects, cut down --> records --> changes --> the control plane's cycle
//! ```

pub mod api;
mod cache;
mod config;
mod metrics;
pub mod object;
pub mod options;
pub mod records;
mod source;
mod state;
pub mod sync;

pub use api::check;
pub use source::{guest, guest_with};
pub use state::ClusterState;
