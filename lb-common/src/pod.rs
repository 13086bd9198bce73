//! Plain old data, for aya's maps.

use aya::Pod;

use crate::{
    addr::Addr,
    backend::Backend,
    route::{NextHop, Prefix},
    service::{Reply, ReplyKey, Service, ServiceKey},
    settings::Settings,
    stats::Traffic,
};

// SAFETY (all below): `repr(C)` integers and arrays of integers without padding, as `layout`
// asserts; every bit pattern is a value.
macro_rules! pod {
    ($($t:ty),+) => { $(
        // SAFETY: see above.
        unsafe impl Pod for $t {}
    )+ };
}

pod!(Addr, Backend, NextHop, Prefix, Reply, ReplyKey, Service, ServiceKey, Settings, Traffic);
