//! The sweep of the flow table: what is not needed any more is dropped, the rest is counted.
//!
//! A pass goes over the table in slices, one a tick, so that none takes long.

use std::collections::{BTreeMap, BTreeSet};

use lb_common::{
    flow::{Flow, FlowKey, Phase},
    hash::{HashKey, flow_hash, slot_index},
    slot::{Index, Slot, State},
};

use super::view::View;

/// A flow whose client has closed it is over after this many ticks without a packet: about the time
/// for which the ends themselves keep the connection (RFC 9293 §3.6.1).
const CLOSED: u32 = 120;

/// One pass over the flow table.
#[derive(Debug)]
pub(super) struct Pass {
    /// The tick at which it began.
    pub(super) started: u32,
    /// Where the next slice begins.
    pub(super) cursor: Option<u32>,
    /// The flows that stay, by service.
    pub(super) kept: BTreeMap<u32, u32>,
    /// The flows that were to go.
    pub(super) dropped: u64,
    /// The backends of the flows that stay, with how many of these are open.
    pub(super) open: BTreeMap<(u32, Index), u32>,
    /// The slots of the flows that stay.
    occupied: BTreeSet<(u32, u32)>,
}

impl Pass {
    /// A pass that has seen nothing yet.
    pub(super) fn new(now: u32) -> Self {
        Self {
            started: now,
            cursor: None,
            kept: BTreeMap::new(),
            dropped: 0,
            open: BTreeMap::new(),
            occupied: BTreeSet::new(),
        }
    }

    /// Takes note of a slice; gives the flows that go.
    pub(super) fn slice(
        &mut self,
        flows: Vec<(FlowKey, Flow)>,
        views: &[View],
        hash_key: &HashKey,
        now: u32,
    ) -> Vec<(FlowKey, Flow)> {
        let by_id: BTreeMap<u32, &View> =
            views.iter().map(|view| (view.service.id, view)).collect();
        let mut gone = flows;
        gone.retain(|(key, flow)| {
            let Some(view) = by_id.get(&key.service) else { return true };
            let offset = offset(key, view.service.ring_size, hash_key);
            let stays = view.window.is_none_or(|window| {
                let slot = view.slots.get(offset as usize).copied();
                slot.is_some_and(|slot| is_needed(slot, *flow, window, now))
            });
            if stays {
                *self.kept.entry(key.service).or_default() += 1;
                let open = self.open.entry((key.service, flow.backend)).or_default();
                *open += u32::from(flow.phase != Phase::CLOSING);
                let _: bool = self.occupied.insert((key.service, offset));
            }
            !stays
        });
        self.dropped += gone.len() as u64;
        gone
    }

    /// Whether a flow that stays names a backend.
    pub(super) fn names(&self, service: u32, index: Index) -> bool {
        self.open.contains_key(&(service, index))
    }

    /// Whether a flow that stays falls on a slot.
    pub(super) fn occupies(&self, service: u32, offset: u32) -> bool {
        self.occupied.contains(&(service, offset))
    }
}

fn offset(key: &FlowKey, size: u32, hash_key: &HashKey) -> u32 {
    slot_index(flow_hash(hash_key, &key.client, key.client_port, key.service_port), size)
}

/// Whether a packet of the flow would go elsewhere without the entry.
fn is_needed(slot: Slot, flow: Flow, window: u32, now: u32) -> bool {
    match slot.state() {
        State::Stable { .. } => false,
        State::Settled { current } if current == Some(flow.backend) => false,
        State::Settled { .. } | State::Moving { .. } => {
            let idle = now.wrapping_sub(flow.seen);
            let longest = if flow.phase == Phase::CLOSING { window.min(CLOSED) } else { window };
            idle < longest
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_stays_while_it_lives_and_the_ring_says_otherwise() {
        let flow = |phase, seen| Flow { backend: 2, phase, seen };
        let moving = State::Moving { current: Some(2), previous: 1 };
        let settled = |current| State::Settled { current };
        for (state, flow, stays) in [
            (State::Stable { current: Some(1) }, flow(Phase::OPEN, 1000), false),
            (moving, flow(Phase::OPEN, 701), true),
            (moving, flow(Phase::OPEN, 700), false),
            (moving, flow(Phase::CLOSING, 881), true),
            (moving, flow(Phase::CLOSING, 880), false),
            (settled(Some(1)), flow(Phase::OPEN, 701), true),
            (settled(None), flow(Phase::OPEN, 701), true),
            (settled(Some(1)), flow(Phase::OPEN, 700), false),
            (settled(Some(2)), flow(Phase::OPEN, 1000), false),
        ] {
            assert_eq!(is_needed(Slot::new(state), flow, 300, 1000), stays, "{state:?} {flow:?}");
        }
        let closing = flow(Phase::CLOSING, 980);
        assert!(!is_needed(Slot::new(moving), closing, 20, 1000), "a window shorter than that");
    }
}
