//! Packets through the loaded program, one at a time: bytes, verdict, and every counter.
#![expect(clippy::unwrap_used, reason = "a test")]

mod agree;
mod differential;
mod extension;
mod forward;
mod malformed;
mod pass;
mod redirect;
mod reply;
mod site;
