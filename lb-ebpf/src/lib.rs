//! The packet's life, one module per stage: [`pipeline`] is the page to read first.
//!
//! Stages never call each other; only [`pipeline`] knows their order, and only `main.rs` knows
//! XDP's actions. A map is private to the module that reads it. Nothing here has variants at
//! compile time: what differs between nodes is read from [`settings`].
#![cfg_attr(target_arch = "bpf", no_std)]

pub mod answer;
pub mod backend;
pub mod clock;
pub mod decap;
pub mod devices;
pub mod firewall;
pub mod flow;
pub mod forward;
pub mod fragment;
pub mod frame;
mod gue;
pub mod icmp;
pub mod lpm;
pub mod parse;
pub mod pipeline;
pub mod probe;
#[cfg(target_arch = "bpf")]
pub mod received;
pub mod reply;
pub mod ring;
pub mod service;
pub mod settings;
pub mod stats;
