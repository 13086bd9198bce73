//! The backends of a pool.

use std::sync::{Arc, atomic::AtomicBool};

use crate::{
    config::{
        Admin,
        proxy::{Backend, OnDown, Place},
    },
    proxy::{State, counters::Counters, eject::Ejection, end::End},
    ring::Endpoint,
};

/// A backend, as long as it is configured or has sessions.
#[derive(Debug)]
pub(in crate::proxy) struct Member {
    pub(in crate::proxy) name: String,
    pub(in crate::proxy) place: Place,
    pub(in crate::proxy) counters: Counters,
    /// Whether connecting to it has failed since it last succeeded.
    pub(super) troubled: AtomicBool,
}

/// A backend, as the last order has it.
pub(super) struct Entry {
    pub(super) member: Arc<Member>,
    /// Of new sessions; 0: it gets none.
    pub(super) weight: u32,
    pub(super) backup: bool,
    pub(super) limit: u32,
    pub(super) ejection: Ejection,
}

impl Entry {
    /// As ordered, with what is known of it from before.
    pub(super) fn new(backend: &Backend, state: State, before: &mut Vec<Self>) -> Self {
        let is_same =
            |it: &Self| it.member.name == backend.name && it.member.place == backend.address;
        let known = before.iter().position(is_same).map(|at| before.swap_remove(at));
        let known = known.map(|it| (it.member, it.ejection));
        let (member, ejection) = known.unwrap_or_else(|| {
            let member = Member {
                name: backend.name.clone(),
                place: backend.address.clone(),
                counters: Counters::default(),
                troubled: AtomicBool::new(false),
            };
            (Arc::new(member), Ejection::default())
        });
        let open = state.up && state.eligible && !state.close && backend.admin == Admin::Ready;
        Self {
            member,
            weight: if open { u32::from(backend.weight) * u32::from(state.parts) } else { 0 },
            backup: backend.backup,
            limit: backend.max_connections.unwrap_or(u32::MAX),
            ejection,
        }
    }
}

/// Why a backend's sessions must end, if they must.
pub(super) fn close(backend: &Backend, state: State, on_down: OnDown) -> Option<End> {
    let is_down = !state.up || backend.admin == Admin::Maintenance;
    if state.close {
        Some(End::Withdrawn)
    } else {
        (is_down && on_down == OnDown::Close).then_some(End::BackendDown)
    }
}

/// What stands for a backend on the ring. A Unix socket is the hash of its path there.
pub(super) fn endpoint(place: &Place) -> Endpoint {
    match place {
        Place::Tcp(socket) => (*socket).into(),
        Place::Unix(path) => {
            // FNV-1a, 128 bits: equal on all nodes, which std's hasher does not promise.
            let step = |hash: u128, byte: &u8| {
                (hash ^ u128::from(*byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b)
            };
            let bytes = path.as_os_str().as_encoded_bytes();
            let hash = bytes.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, step);
            std::net::SocketAddr::from((std::net::Ipv6Addr::from(hash), 0)).into()
        }
    }
}
