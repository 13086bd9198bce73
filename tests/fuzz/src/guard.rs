//! Memory between two pages that nothing may touch.

use std::ffi::c_void;

use rustix::{
    mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect},
    param::page_size,
};

/// Some pages with a guard page on either side. They are kept until the process ends.
pub(crate) struct Guarded {
    start: usize,
    len: usize,
}

impl Guarded {
    /// At least `len` bytes.
    pub(crate) fn new(len: usize) -> Self {
        let page = page_size();
        let len = len.next_multiple_of(page);
        let (all, flags) = (len + 2 * page, MapFlags::PRIVATE);
        // SAFETY: a new mapping, wherever the kernel likes.
        let base = unsafe { mmap_anonymous(std::ptr::null_mut(), all, ProtFlags::empty(), flags) };
        let base = base.unwrap_or_else(|errno| panic!("mmap of {all} bytes: {errno}"));
        let start = base as usize + page;
        // SAFETY: the middle of the mapping that was just made, which nothing refers to.
        unsafe { mprotect(start as *mut c_void, len, MprotectFlags::READ | MprotectFlags::WRITE) }
            .unwrap_or_else(|errno| panic!("mprotect of {len} bytes: {errno}"));
        Self { start, len }
    }

    /// Puts data at the end of the memory and gives its place, which is even as in the kernel.
    /// Behind data of an odd length there is one byte, of the given value.
    pub(crate) fn at_end(&mut self, data: &[u8], behind: u8) -> usize {
        let end = self.start + self.len;
        let place = end - data.len().next_multiple_of(2);
        self.put(place, data);
        if data.len() % 2 == 1 {
            self.put(end - 1, &[behind]);
        }
        place
    }

    /// Puts data at the start of the memory and gives its place.
    pub(crate) fn at_start(&mut self, data: &[u8]) -> usize {
        self.put(self.start, data);
        self.start
    }

    /// Whether data lies at a place.
    pub(crate) fn holds(&self, place: usize, data: &[u8]) -> bool {
        self.check(place, data.len());
        // SAFETY: within the memory, as was checked; `&self` keeps it from changing.
        let there = unsafe { std::slice::from_raw_parts(place as *const u8, data.len()) };
        there == data
    }

    fn put(&mut self, place: usize, data: &[u8]) {
        self.check(place, data.len());
        // SAFETY: within the memory, as was checked, and `data` is not part of it.
        unsafe { (place as *mut u8).copy_from_nonoverlapping(data.as_ptr(), data.len()) };
    }

    fn check(&self, place: usize, len: usize) {
        let is_within = self.start <= place && place + len <= self.start + self.len;
        assert!(is_within, "{len} bytes do not fit");
    }
}
