//! Packets through the loaded program, one at a time: bytes, verdict, and every counter.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

mod agree;
mod answer;
mod budget;
mod decap;
mod differential;
mod echo;
mod extension;
mod flood;
mod forward;
mod fragment;
mod icmp;
mod malformed;
mod memory;
mod pass;
mod ports;
mod probe;
mod redirect;
mod reply;
mod site;
mod tunnel;
mod vlan;
mod watchdog;
