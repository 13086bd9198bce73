//! What people and programs talk to: HTTP and JSON over a Unix socket.

pub mod client;
pub mod events;
pub mod explain;
pub mod plan;
pub mod ports;
mod routes;
pub mod server;
pub mod types;
