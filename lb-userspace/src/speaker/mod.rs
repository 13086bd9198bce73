//! The VRRP speaker: a process of its own that holds virtual addresses, and those of routes.
//!
//! It outlives the daemon: while that is stopped, restarted or upgraded, adverts go on, and nothing that the
//! daemon does can delay them. The daemon tells it what to speak for, and what only a daemon knows.
//!
//! ```text
//! daemon ◄─ client ─ companion ─► engine ─► teams ─► wires
//!                                 ▲    └─► routes
//!                                 └ sockets, clock, links, scripts
//! ```
//!
//! The protocol itself, without I/O, is [`crate::vrrp`].

pub mod client;
mod ears;
mod engine;
pub mod leftovers;
mod legacy;
mod member;
pub mod message;
pub mod process;
mod routes;
mod script;
mod show;
mod sight;
mod socket;
mod team;
mod track;
pub(crate) mod wire;
