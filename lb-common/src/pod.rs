//! Plain old data, for aya's maps.

use aya::Pod;

use crate::{
    addr::Addr,
    answer::Bucket,
    backend::Backend,
    decap::DecapSettings,
    drive::Drive,
    flow::{Flow, FlowKey, Pending},
    fragment::{FragmentFlow, FragmentKey},
    probe::{Probe, ProbeKey, ProbeNote},
    route::{NextHop, Prefix},
    service::{Reply, ReplyKey, ServiceLine},
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

pod!(
    Addr,
    Backend,
    Bucket,
    DecapSettings,
    Drive,
    Flow,
    FlowKey,
    FragmentFlow,
    FragmentKey,
    NextHop,
    Pending,
    Prefix,
    Probe,
    ProbeKey,
    ProbeNote,
    Reply,
    ReplyKey,
    ServiceLine,
    Settings,
    Traffic
);
