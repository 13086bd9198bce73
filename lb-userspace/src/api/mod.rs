//! What people and programs talk to: HTTP and JSON over a Unix socket.

pub mod client;
pub mod events;
pub mod explain;
pub mod ports;
pub mod server;
pub mod types;
