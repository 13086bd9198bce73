//! An array map in this process's memory: words are read and stored without system calls.

use std::{
    marker::PhantomData,
    ptr::NonNull,
    sync::atomic::{AtomicU32, Ordering},
};

use aya::maps::MapData;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A mapping of an array map made with `BPF_F_MMAPABLE` as a row of `T`, which are whole words.
/// The map's own values are a multiple of 8 bytes, as the kernel pads them; a `T` may be smaller,
/// if it divides them.
pub(super) struct Mapped<T> {
    words: NonNull<AtomicU32>,
    entries: u32,
    values: PhantomData<T>,
    /// The object's programs name their maps by descriptors, and some are loaded later.
    _map: MapData,
}

// SAFETY: the mapping belongs to this value and is only reached through atomics.
unsafe impl<T> Send for Mapped<T> {}

impl<T: aya::Pod> Mapped<T> {
    const WORDS: usize = size_of::<T>() / 4;

    /// Maps all `entries` of a map.
    pub(super) fn new(map: MapData, entries: u32) -> std::io::Result<Self> {
        const { assert!(size_of::<T>().is_multiple_of(4)) };
        let len = Self::bytes(entries);
        // SAFETY: a fresh mapping of the map's memory, at an address of the kernel's choice.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                map.fd(),
                0,
            )
        }?;
        let words = NonNull::new(start.cast()).ok_or(std::io::ErrorKind::Other)?;
        Ok(Self { words, entries, values: PhantomData, _map: map })
    }

    fn bytes(entries: u32) -> usize {
        entries as usize * size_of::<T>()
    }

    /// The number of entries.
    pub(super) fn len(&self) -> u32 {
        self.entries
    }

    /// The words of an entry, if there is one.
    fn entry(&self, index: u32) -> Option<&[AtomicU32]> {
        (index < self.entries).then(|| {
            // SAFETY: within the mapping; BPF values are word-aligned from a page boundary on.
            unsafe {
                let first = self.words.add(index as usize * Self::WORDS);
                std::slice::from_raw_parts(first.as_ptr(), Self::WORDS)
            }
        })
    }

    /// Reads an entry.
    pub(super) fn load(&self, index: u32) -> Option<T> {
        let words = self.entry(index)?;
        let mut value = std::mem::MaybeUninit::<T>::uninit();
        for (place, word) in words.iter().enumerate() {
            // SAFETY: `WORDS` words make up a `T`, of which every bit pattern is a value.
            unsafe {
                value
                    .as_mut_ptr()
                    .cast::<u32>()
                    .add(place)
                    .write_unaligned(word.load(Ordering::Acquire));
            }
        }
        // SAFETY: all words were written.
        Some(unsafe { value.assume_init() })
    }

    /// Stores an entry word by word: a packet in flight may see a mix of old and new words of one
    /// entry, never a torn word.
    pub(super) fn store(&self, index: u32, value: &T) -> Option<()> {
        for (place, word) in self.entry(index)?.iter().enumerate() {
            // SAFETY: `WORDS` words make up a `T` without padding.
            let new =
                unsafe { std::ptr::from_ref(value).cast::<u32>().add(place).read_unaligned() };
            word.store(new, Ordering::Release);
        }
        Some(())
    }
}

impl<T: aya::Pod> Mapped<T> {
    /// Stores one word of an entry, after all that was stored before.
    pub(super) fn store_word(&self, index: u32, word: usize, value: u32) -> Option<()> {
        self.entry(index)?.get(word)?.store(value, Ordering::Release);
        Some(())
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this length and nothing refers to it any more.
        let unmapped =
            unsafe { munmap(self.words.as_ptr().cast(), self.entries as usize * size_of::<T>()) };
        if let Err(error) = unmapped {
            tracing::debug!("munmap: {error}");
        }
    }
}
