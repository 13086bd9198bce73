//! The proxy engine on loopback: real sockets on both sides.

mod descriptors;
mod ends;
mod headers;
mod life;
mod pool;
mod site;
mod stream;
