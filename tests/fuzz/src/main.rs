//! Fuzzes the parser of the packet path.
//!
//! A frame ends where a page ends behind which nothing may be touched, and then begins where one
//! begins before which nothing may be. It is parsed twice; both times what comes out must be what
//! the model says of it, which also keeps every offset within the frame.
//!
//! Run by `cargo xtask fuzz`, which compiles it so that it sees which branches are taken.
#![expect(clippy::panic, reason = "a fuzzer: a panic is a finding")]
#![no_main]

mod agree;
mod guard;
mod seed;
mod seeds;

use std::cell::RefCell;

use lb_ebpf::frame::Frame;
use libfuzzer_sys::fuzz_target;

use crate::guard::Guarded;

// aya-ebpf defines `memcpy` and its like on the host as well, without the value that C expects back:
// libFuzzer must find libc's first.
#[link(name = "c")]
unsafe extern "C" {}

/// The longest frame: more would say nothing new of the headers.
const LONGEST: usize = 4096;

thread_local! {
    static MEMORY: RefCell<Guarded> = RefCell::new(Guarded::new(LONGEST));
}

fuzz_target!(init: seed::write(&seeds::frames()), |data: &[u8]| {
    let data = &data[..data.len().min(LONGEST)];
    let expected = agree::expected(data);
    MEMORY.with_borrow_mut(|memory| {
        let check = |memory: &Guarded, place: usize| {
            // SAFETY: the place is even, the data lies there, and nothing else refers to it.
            let frame = unsafe { Frame::new(place, place + data.len(), 0) };
            assert_eq!(agree::parsed(&frame), expected, "the model says something else");
            assert!(memory.holds(place, data), "parsing changed the frame");
        };
        for behind in [0x00, 0xff] {
            let place = memory.at_end(data, behind);
            check(memory, place);
        }
        let place = memory.at_start(data);
        check(memory, place);
    });
});
