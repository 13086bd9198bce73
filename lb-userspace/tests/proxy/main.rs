//! The proxy engine on loopback: real sockets on both sides.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test's helpers fail by panicking")]

mod descriptors;
mod ends;
mod headers;
mod life;
mod pool;
mod site;
mod stream;
