//! The layout of the maps, pinned down at compile time.

use core::mem::{align_of, size_of};

use crate::{
    backend::Backend,
    route::{NextHop, Prefix},
    service::{Reply, ReplyKey, Service, ServiceKey},
    settings::Settings,
    slot::Slot,
    stats::Traffic,
};

/// The version of the maps' layout and meaning; it stands in [`Settings::abi`].
pub const ABI: u32 = 1;

const _: () = {
    assert!(size_of::<Slot>() == 4);
    assert!(size_of::<Backend>() == 64);
    assert!(size_of::<ServiceKey>() == 20 && align_of::<ServiceKey>() == 4);
    assert!(size_of::<ReplyKey>() == size_of::<ServiceKey>());
    assert!(size_of::<Service>() == 16);
    assert!(size_of::<Reply>() == 28);
    assert!(size_of::<NextHop>() == 16);
    assert!(size_of::<Prefix>() == 20);
    assert!(size_of::<Settings>() == 56);
    assert!(size_of::<Traffic>() == 32);
};
