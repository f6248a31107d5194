//! Following an API server: what is told is what a listing says, whatever goes wrong in between.

mod double;
mod follow;
