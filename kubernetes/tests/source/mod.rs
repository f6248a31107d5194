//! A control plane whose source is a cluster: what a client is answered, and what others see.

mod cases;
mod plane;

pub use plane::{Clients, Plane};
