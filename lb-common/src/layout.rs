//! The layout of the maps, pinned down at compile time.

use core::mem::{align_of, size_of};

use crate::{
    answer::Bucket,
    backend::Backend,
    decap::DecapSettings,
    drive::Drive,
    flow::{Flow, FlowKey, Pending},
    fragment::{FragmentFlow, FragmentKey},
    probe::{Probe, ProbeKey, ProbeNote, ProbeSettings},
    route::{NextHop, Prefix},
    service::{Reply, ReplyKey, Service, ServiceKey, ServiceLine},
    settings::Settings,
    slot::Slot,
    stats::Traffic,
};

/// The version of the maps' layout and meaning; it stands in [`Settings::abi`].
pub const ABI: u32 = 4;

const _: () = {
    assert!(size_of::<Slot>() == 4);
    assert!(size_of::<Backend>() == 64);
    assert!(size_of::<ServiceKey>() == 24 && align_of::<ServiceKey>() == 4);
    assert!(size_of::<Service>() == 28);
    assert!(size_of::<ServiceLine>() == 64);
    assert!(size_of::<ReplyKey>() == 20);
    assert!(size_of::<Reply>() == 28);
    assert!(size_of::<NextHop>() == 24);
    assert!(size_of::<Prefix>() == 20);
    assert!(size_of::<Settings>() == 176);
    assert!(size_of::<Traffic>() == 32);
    assert!(size_of::<FlowKey>() == 24);
    assert!(size_of::<Flow>() == 8);
    assert!(size_of::<Pending>() == 8);
    assert!(size_of::<FragmentKey>() == 40);
    assert!(size_of::<FragmentFlow>() == 64);
    assert!(size_of::<ProbeSettings>() == 56);
    assert!(size_of::<Probe>() == 72);
    assert!(size_of::<ProbeKey>() == 40);
    assert!(size_of::<ProbeNote>() == 16);
    assert!(size_of::<Bucket>() == 16);
    assert!(size_of::<DecapSettings>() == 8);
    assert!(size_of::<Drive>() == 416);
};
