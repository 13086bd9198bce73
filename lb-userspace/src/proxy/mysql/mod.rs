//! Which database server is the primary, and which replicas may be read from.
//!
//! Only [`monitor`] has a clock and connections. In the rest, what servers say of themselves and "now" go
//! in; [`View`]s, which say all that is to be, and [`Note`]s come out.
//!
//! ```text
//! Said ─► server: valid for a while ─┬─► fence: one primary or none ─┬─► view: eligible, close, hold
//!                                    └─► lag: near enough or not    ─┘
//! ```
//!
//! [`Roles`] is all of it for one pool, and [`monitor`] drives it by real connections. Two servers never get
//! writes at once, also where that means that none does.

mod fence;
mod lag;
pub mod monitor;
mod note;
mod roles;
mod server;
#[cfg(test)]
mod simulate;
#[cfg(test)]
mod tests;
mod view;

pub use self::{
    fence::Past,
    note::{Loss, Note},
    roles::Roles,
    server::{Identity, Replication, Said},
    view::{Access, View},
};
