//! VRRP: several nodes own one address between them, and one at a time holds it (RFC 9568 for
//! version 3, RFC 3768 for version 2).
//!
//! Nothing here has a clock or a socket: adverts and "now" go in, [`Action`]s come out.
//!
//! ```text
//! bytes ─► packet ─► Group ─► Machine … Machine ─► actions
//!                    members move together         Send, Become, Announce
//!                                                          └─► announce: frames
//! ```
//!
//! States are named as operators know them from keepalived and RFC 5798: what RFC 9568 calls active is
//! [`State::Master`], and its initialize is [`State::Fault`].

pub mod announce;
pub mod group;
pub mod packet;
#[cfg(test)]
mod simulate;
pub mod sm;

pub use self::{
    group::Group,
    packet::{Advert, Dialect, Received, Reject, Unsendable, Version, Vrid},
    sm::{Action, Cause, Counters, Handover, Machine, Peer, Settings, Standing, State},
};
