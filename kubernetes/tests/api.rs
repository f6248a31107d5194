//! Following an API server: what is told is what a listing says, whatever goes wrong in between.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]
#![allow(clippy::needless_pass_by_value, reason = "objects are written where they are used")]

mod double;
mod follow;
mod source;
