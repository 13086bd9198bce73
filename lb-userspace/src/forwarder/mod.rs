//! The forwarder: a process of its own that hosts the proxies.
//!
//! It outlives the daemon: while that is stopped, restarted or upgraded, sessions begin and go on. The daemon
//! tells it which proxies there are and what the checks say of their backends; who is the primary of a pool
//! of database servers it finds out by itself, so that the fence stands without a daemon too.
//!
//! ```text
//! daemon ◄─ client ─ companion ─► host ─► engine: crate::proxy
//!    └───── sessions, kill ─────► desk     └◄ monitors: crate::proxy::mysql
//! ```
//!
//! An upgrade starts the new program with the listening sockets; this one then accepts no more, and ends with
//! its last session, or at the end of its time.

pub mod client;
pub mod desk;
mod host;
mod legacy;
pub mod message;
pub mod process;
