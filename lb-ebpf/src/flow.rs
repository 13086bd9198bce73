//! Flow: what is remembered where a slot has changed.

use core::ptr::NonNull;

use aya_ebpf::{
    bindings::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC},
    btf_maps::{Array, HashMap, LruHashMap},
    macros::btf_map,
};
use lb_common::{
    backend::Condition,
    flow::{Choice, Flow, FlowKey, Memory, Moment, Pending, Phase, choose},
    service::Service,
    slot::{Index, Slot},
};

use crate::{backend, clock, parse::Packet};

/// The flows of slots that have changed. Entries take memory as they come.
#[btf_map]
static FLOWS: HashMap<FlowKey, Flow, 1_048_576, { BPF_F_NO_PREALLOC as usize }> = HashMap::new();

/// Connections that are being opened in slots that have changed: all that a flood of SYNs reaches.
#[btf_map]
static PENDING: LruHashMap<FlowKey, Pending, 65536> = LruHashMap::new();

/// By service: the flows that are remembered, and those that there was no room for.
#[btf_map]
static FLOW_COUNTS: Array<[u32; 2], 1025, { BPF_F_MMAPABLE as usize }> = Array::new();

/// What names a packet's flow.
#[inline(always)]
#[must_use]
pub fn key(service: &Service, packet: &Packet) -> FlowKey {
    FlowKey {
        client: packet.source,
        service: service.id,
        client_port: packet.source_port,
        service_port: packet.destination_port,
    }
}

/// Decides on a packet of a slot that has changed.
#[inline(always)]
#[must_use]
pub fn decide(service: &Service, key: &FlowKey, slot: Slot, moment: Moment) -> Choice {
    let [a, b, c] = words(key);
    Choice::from_word(lb_decide(service, a, b, c, asked(slot, moment)))
}

/// As [`decide`], for a packet that only speaks of the flow: nothing is remembered of it.
#[inline(always)]
#[must_use]
pub fn look_up(service: &Service, key: &FlowKey, slot: Slot) -> Choice {
    let [a, b, c] = words(key);
    Choice::from_word(lb_look_up(service, a, b, c, asked(slot, Moment::Amid)))
}

/// A key as words: before Linux 6.2, helpers take none from memory that a function which the verifier
/// knows by name was given.
#[inline(always)]
const fn words(key: &FlowKey) -> [u64; 3] {
    // SAFETY: integers without padding, of the same size.
    unsafe { core::mem::transmute::<FlowKey, [u64; 3]>(*key) }
}

#[inline(always)]
const fn key_of(words: [u64; 3]) -> FlowKey {
    // SAFETY: as above.
    unsafe { core::mem::transmute::<[u64; 3], FlowKey>(words) }
}

/// A slot, and the moment in the life of the packet's connection.
#[inline(always)]
const fn asked(slot: Slot, moment: Moment) -> u64 {
    slot.word() as u64 | (moment as u64) << 32
}

/// A function that the verifier knows by name: it walks it once, and not again for each way in
/// which a packet can get here. All in words, as it wants what such functions take and give.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn lb_decide(service: *const Service, a: u64, b: u64, c: u64, asked: u64) -> u32 {
    // SAFETY: the callers give references; the verifier wants the comparison with null.
    let Some(service) = (unsafe { service.as_ref() }) else { return Choice::None.word() };
    let moment = match (asked >> 32) as u32 {
        OPENING => Moment::Opening,
        CLOSING => Moment::Closing,
        _ => Moment::Amid,
    };
    let key = key_of([a, b, c]);
    let mut memory = Maps::new(service, &key);
    choose(Slot::from_word(asked as u32).state(), moment, service.on_down, &mut memory).word()
}

const OPENING: u32 = Moment::Opening as u32;
const CLOSING: u32 = Moment::Closing as u32;

/// Likewise.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn lb_look_up(service: *const Service, a: u64, b: u64, c: u64, asked: u64) -> u32 {
    // SAFETY: as above.
    let Some(service) = (unsafe { service.as_ref() }) else { return Choice::None.word() };
    let key = key_of([a, b, c]);
    let mut memory = ReadOnly(Maps::new(service, &key));
    let state = Slot::from_word(asked as u32).state();
    choose(state, Moment::Amid, service.on_down, &mut memory).word()
}

/// The maps as memory of one flow.
struct Maps<'a> {
    service: &'a Service,
    key: &'a FlowKey,
    now: u32,
    /// The flow's entry, once it was looked up: in one word, which the verifier follows.
    entry: Option<NonNull<Flow>>,
}

impl<'a> Maps<'a> {
    #[inline(always)]
    fn new(service: &'a Service, key: &'a FlowKey) -> Self {
        Self { service, key, now: clock::tick(), entry: None }
    }
}

impl Memory for Maps<'_> {
    #[inline(always)]
    fn flow(&mut self) -> Option<Flow> {
        self.entry = FLOWS.get_ptr_mut(self.key).and_then(NonNull::new);
        // SAFETY: eight bytes of integers; a torn value is one of a flow that has just changed.
        self.entry.map(|entry| unsafe { *entry.as_ptr() })
    }

    #[inline(always)]
    fn pending(&mut self) -> Option<Index> {
        // SAFETY: as above.
        unsafe { PENDING.get(self.key) }.copied().and_then(|note| note.fresh(self.now))
    }

    #[inline(always)]
    fn touch(&mut self, closing: bool) {
        let Some(entry) = self.entry else { return };
        // SAFETY: words that every CPU may store, whoever is last.
        let flow = unsafe { &mut *entry.as_ptr() };
        if flow.seen != self.now {
            flow.seen = self.now;
        }
        if closing {
            flow.phase = Phase::CLOSING;
        }
    }

    #[inline(always)]
    fn remember(&mut self, backend: Index, closing: bool) -> bool {
        let phase = if closing { Phase::CLOSING } else { Phase::OPEN };
        let flow = Flow { backend, phase, seen: self.now };
        if let Some(existing) = self.entry {
            // SAFETY: as above.
            unsafe { *existing.as_ptr() = flow };
            return true;
        }
        let Some(counts) = FLOW_COUNTS.get_ptr_mut(self.service.id) else { return false };
        // SAFETY: words that every CPU may store. A count that two CPUs add to at once may lose one
        // of them, until userspace counts the flows themselves.
        let [held, refused] = unsafe { &mut *counts };
        if *held < self.service.flow_limit && FLOWS.insert(self.key, flow, 0).is_ok() {
            *held += 1;
            return true;
        }
        *refused += 1;
        false
    }

    #[inline(always)]
    fn note(&mut self, backend: Index) {
        let note = Pending { backend, padding: 0, noted: self.now };
        // Without the note the connection counts as older than the change.
        let _full: Result<(), i32> = PENDING.insert(self.key, note, 0);
    }

    #[inline(always)]
    fn forget_pending(&mut self) {
        // It may have been evicted meanwhile.
        let _evicted: Result<(), i32> = PENDING.remove(self.key);
    }

    #[inline(always)]
    fn is_down(&mut self, index: Index) -> bool {
        backend::at(backend::place(self.service, index))
            .is_ok_and(|backend| backend.condition.contains(Condition::DOWN))
    }
}

/// The maps, read only.
struct ReadOnly<'a>(Maps<'a>);

impl Memory for ReadOnly<'_> {
    #[inline(always)]
    fn flow(&mut self) -> Option<Flow> {
        self.0.flow()
    }

    #[inline(always)]
    fn pending(&mut self) -> Option<Index> {
        self.0.pending()
    }

    #[inline(always)]
    fn touch(&mut self, _: bool) {}

    #[inline(always)]
    fn remember(&mut self, _: Index, _: bool) -> bool {
        false
    }

    #[inline(always)]
    fn note(&mut self, _: Index) {}

    #[inline(always)]
    fn forget_pending(&mut self) {}

    #[inline(always)]
    fn is_down(&mut self, index: Index) -> bool {
        self.0.is_down(index)
    }
}
