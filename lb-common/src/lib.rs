//! What crosses the kernel boundary, and the arithmetic that both sides must share.
//!
//! A type stands here only if a byte of it crosses, or if a disagreement between the packet path
//! and the control plane would be a bug. The contract:
//!
//! * Addresses, ports and MACs are kept in wire order and have accessors in std types.
//! * Every map type is `repr(C)` without implicit padding ([`layout`] asserts it), so that keys
//!   compare by bytes.
//! * [`layout::ABI`] changes whenever a map's layout or meaning does; the daemon refuses pinned
//!   maps of another version.
#![cfg_attr(not(test), no_std)]

pub mod addr;
pub mod answer;
pub mod backend;
pub mod checksum;
pub mod decap;
pub mod drive;
pub mod flow;
pub mod fragment;
pub mod hash;
pub mod layout;
pub mod names;
#[cfg(feature = "user")]
mod pod;
pub mod ports;
pub mod probe;
pub mod route;
pub mod service;
pub mod settings;
pub mod slot;
pub mod stats;
pub mod verdict;
