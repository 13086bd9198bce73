//! What the packet path should do, written a second time: from the RFCs and from what the shared
//! types say, in plain userspace Rust over byte slices.
//!
//! It shares with the packet path the flow hash, the index into a ring and the choice of a tunnel's
//! source, which both sides of the kernel boundary share anyway. All else is its own, so that a
//! mistake would have to be made twice to go unseen. Nothing here is fast.

pub mod answer;
mod deliver;
pub mod error;
mod memory;
pub mod node;
pub mod parse;
mod rewrite;
mod run;
mod wire;

pub use self::{
    answer::Answer,
    run::{Model, Outcome, Sent, Stage},
};
