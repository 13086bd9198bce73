//! What people and programs talk to: HTTP and JSON over a Unix socket.

pub mod client;
pub mod events;
pub mod explain;
pub mod plan;
pub mod ports;
pub mod proxy;
mod routes;
pub mod server;
pub mod sessions;
pub mod types;
