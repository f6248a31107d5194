//! Poll-mode workers and the NICs they serve.
