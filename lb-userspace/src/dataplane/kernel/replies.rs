//! What NAT backends' answers become, and the filter that spares other packets the lookup.

use std::collections::{BTreeMap, BTreeSet};

use aya::{
    Ebpf,
    maps::{HashMap, MapData},
};
use lb_common::{
    addr::{Addr, Port, Protocol},
    names,
    service::{REPLY_BITS, Reply, ReplyKey},
};

use super::{Error, collect, map, mapped::Mapped, mmap, take};

/// The table and its filter.
pub(super) struct Table {
    replies: HashMap<MapData, ReplyKey, Reply>,
    filter: Filter<Mapped<u32>>,
}

impl Table {
    /// Over the object's maps.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, Error> {
        let replies: HashMap<_, ReplyKey, Reply> = take(ebpf, names::REPLIES)?;
        let words = mmap(ebpf, names::REPLY_FILTER, REPLY_BITS / 32)?;
        let keys = replies.keys().collect::<Result<BTreeSet<_>, _>>();
        let filter = Filter::new(words, keys.map_err(map(names::REPLIES))?);
        Ok(Self { replies, filter })
    }

    /// All of the table.
    pub(super) fn read(&self) -> Result<BTreeMap<ReplyKey, Reply>, Error> {
        collect(self.replies.iter(), names::REPLIES)
    }

    /// Adds or replaces an entry. Where that fails, its bit stays: it costs a lookup.
    pub(super) fn put(&mut self, key: &ReplyKey, reply: &Reply) -> Result<(), Error> {
        self.filter.add(*key);
        self.replies.insert(key, reply, 0).map_err(map(names::REPLIES))
    }

    /// Removes an entry.
    pub(super) fn remove(&mut self, key: &ReplyKey) -> Result<(), Error> {
        self.replies.remove(key).map_err(map(names::REPLIES))?;
        self.filter.remove(*key);
        Ok(())
    }
}

/// The words that packets read.
trait Words {
    fn load(&self, place: u32) -> u32;
    fn store(&self, place: u32, word: u32);
}

impl Words for Mapped<u32> {
    fn load(&self, place: u32) -> u32 {
        Self::load(self, place).unwrap_or(0)
    }

    fn store(&self, place: u32, word: u32) {
        let _: Option<()> = Self::store(self, place, &word);
    }
}

/// A bit for each key; a packet whose key's bit is not set is no answer. So a bit is set before
/// its first key comes, and cleared after its last one has gone.
struct Filter<W> {
    words: W,
    /// The keys behind their bits.
    keys: BTreeSet<(u32, ReplyKey)>,
}

impl<W: Words> Filter<W> {
    /// Over the words as another daemon, or none, has left them. No bit of a key is ever cleared.
    fn new(words: W, keys: BTreeSet<ReplyKey>) -> Self {
        let keys: BTreeSet<_> = keys.into_iter().map(|key| (key.bit(), key)).collect();
        let mut wanted = vec![0; REPLY_BITS as usize / 32];
        for (bit, _) in &keys {
            wanted[*bit as usize / 32] |= mask(*bit);
        }
        for (place, word) in (0..).zip(wanted) {
            if words.load(place) != word {
                words.store(place, word);
            }
        }
        Self { words, keys }
    }

    fn add(&mut self, key: ReplyKey) {
        let bit = key.bit();
        let _new: bool = self.keys.insert((bit, key));
        self.words.store(bit / 32, self.words.load(bit / 32) | mask(bit));
    }

    fn remove(&mut self, key: ReplyKey) {
        let bit = key.bit();
        let _known: bool = self.keys.remove(&(bit, key));
        let lowest = ReplyKey::new(Addr::UNSPECIFIED, Port::ZERO, Protocol(0));
        let next = self.keys.range((bit, lowest)..).next();
        let is_shared = next.is_some_and(|(other, _)| *other == bit);
        if !is_shared {
            self.words.store(bit / 32, self.words.load(bit / 32) & !mask(bit));
        }
    }
}

const fn mask(bit: u32) -> u32 {
    1 << (bit % 32)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::prelude::*;

    use super::*;

    /// Words in memory, and the keys that each store must leave a bit.
    struct Memory {
        words: RefCell<Vec<u32>>,
        needed: RefCell<BTreeSet<ReplyKey>>,
    }

    impl Memory {
        fn new(word: u32) -> Self {
            let words = vec![word; REPLY_BITS as usize / 32].into();
            Self { words, needed: RefCell::default() }
        }

        fn has(&self, key: &ReplyKey) -> bool {
            self.load(key.bit() / 32) & mask(key.bit()) != 0
        }
    }

    impl Words for Memory {
        fn load(&self, place: u32) -> u32 {
            self.words.borrow()[place as usize]
        }

        fn store(&self, place: u32, word: u32) {
            let before: Vec<_> =
                self.needed.borrow().iter().filter(|key| self.has(key)).copied().collect();
            self.words.borrow_mut()[place as usize] = word;
            assert!(before.iter().all(|key| self.has(key)), "a bit in use was cleared");
        }
    }

    fn key(port: u16) -> ReplyKey {
        ReplyKey::new(Addr::from_v4([10, 0, 1, 11]), Port::new(port), Protocol::TCP)
    }

    /// Ports of which some share a bit.
    fn ports() -> Vec<u16> {
        let mut by_bit = BTreeMap::<u32, Vec<u16>>::new();
        for port in 1..=u16::MAX {
            by_bit.entry(key(port).bit()).or_default().push(port);
        }
        by_bit.into_values().filter(|ports| ports.len() > 2).take(4).flatten().collect()
    }

    proptest! {
        #[test]
        fn a_key_has_its_bit_while_it_is_there(
            left in any::<u32>(),
            steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 1..60),
        ) {
            let ports = ports();
            let mut model: BTreeSet<_> = ports.iter().take(3).map(|port| key(*port)).collect();
            let memory = Memory::new(left);
            *memory.needed.borrow_mut() = model.clone();
            let mut filter = Filter::new(memory, model.clone());
            for (put, index) in steps {
                let key = key(*index.get(&ports));
                if put {
                    filter.add(key);
                    let _: bool = model.insert(key);
                    *filter.words.needed.borrow_mut() = model.clone();
                } else {
                    let _: bool = model.remove(&key);
                    *filter.words.needed.borrow_mut() = model.clone();
                    filter.remove(key);
                }
                let bits = model.iter().map(ReplyKey::bit).collect::<BTreeSet<_>>();
                let set: u32 = filter.words.words.borrow().iter().map(|word| word.count_ones()).sum();
                prop_assert!(model.iter().all(|key| filter.words.has(key)));
                prop_assert_eq!(set as usize, bits.len(), "no other bit is set");
            }
        }
    }
}
