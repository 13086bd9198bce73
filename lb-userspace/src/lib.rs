//! The control plane of an `lb` node.
//!
//! ```text
//! config ─┐
//! control ┼─► desired ─► reconcile ─► dataplane     the control loop: file to maps
//! health ─┤
//! topology┘                                         publish what they see; never touch maps
//! api, cli                                          what people and programs talk to
//! cluster                                           what nodes that share a VIP tell each other
//! speaker                                           a process of its own that holds virtual addresses
//! forwarder                                         a process of its own that hosts the proxies
//! companion                                         what the daemon and such processes have in common
//! events                                            what happened, for them and for the log
//! proxy                                             forwards the sessions of the hops behind the web tier
//! backend                                           the other end: what a backend needs
//! detach                                            takes a node off its machine
//! vrrp                                              which node of several has an address
//! ```
//!
//! [`desired`] is a pure function of what is configured and seen; [`reconcile`] is the only writer
//! of maps; [`node`] is the only place where the parts meet.

pub mod api;
pub mod backend;
pub mod cli;
pub mod cluster;
pub mod companion;
pub mod config;
pub mod control;
pub mod dataplane;
pub mod desired;
pub mod detach;
mod error;
pub mod events;
pub mod forwarder;
pub mod health;
pub mod node;
pub mod preflight;
pub mod proxy;
pub mod reconcile;
pub mod ring;
pub mod speaker;
pub mod topology;
pub mod vrrp;
