//! The one door to packet memory.

use core::mem::{align_of, size_of};

#[cfg(target_arch = "bpf")]
use aya_ebpf::{bindings::xdp_md, programs::XdpContext};
use network_types::{
    eth::EthHdr,
    icmp::Icmpv4Hdr,
    ip::{Ipv4Hdr, Ipv6Hdr},
    tcp::TcpHdr,
    udp::UdpHdr,
};

/// What a program is given: a frame that can be made longer or shorter.
pub trait Buffer {
    /// The frame as it is. One that was taken before the buffer was resized must not be used.
    fn frame(&mut self) -> Frame;
    /// Moves the frame's start: forward (positive) or backward. Gives whether there was room.
    fn move_start(&mut self, by: i32) -> bool;
    /// Moves the frame's end likewise.
    fn move_end(&mut self, by: i32) -> bool;
    /// The kernel's monotonic clock, in ns: for what happens rarely.
    fn now(&self) -> u64;
    /// The same in seconds, as of the last jiffy: for what happens with each packet.
    fn second(&self) -> u32;

    /// Makes room for so many bytes at the start.
    #[inline(always)]
    fn grow(&mut self, by: usize) -> bool {
        self.move_start(-distance(by))
    }

    /// Cuts so many bytes off the end.
    #[inline(always)]
    fn cut(&mut self, by: usize) -> bool {
        by == 0 || self.move_end(-distance(by))
    }
}

/// A length within a frame, as the kernel wants it for moving an end.
#[inline(always)]
#[must_use]
pub const fn distance(len: usize) -> i32 {
    (len as u32).cast_signed()
}

/// A frame, from its Ethernet header to the last byte of its first buffer: all headers are there.
///
/// Made of two addresses and not of an XDP context, so that parsing runs on the host.
pub struct Frame {
    start: usize,
    end: usize,
    /// The XDP context, which knows of further buffers; 0 on the host.
    context: usize,
}

/// A header that may lie at any even place of a frame, with any bytes.
///
/// # Safety
///
/// Every bit pattern is a value, and the alignment is at most 2.
pub unsafe trait Header {}

macro_rules! headers {
    ($($header:ty),+) => { $(
        // SAFETY: `repr(C)` bytes; the alignment is asserted.
        unsafe impl Header for $header {}
        const _: () = assert!(align_of::<$header>() <= 2);
    )+ };
}

headers!(u16, EthHdr, Ipv4Hdr, Ipv6Hdr, TcpHdr, UdpHdr, Icmpv4Hdr);
headers!([u8; 1], [u8; 2], [u8; 4], [u8; 32]);

impl Frame {
    /// The frame between two addresses.
    ///
    /// # Safety
    ///
    /// `start` is even, `start..end` can be read and written while the frame lives, and nothing
    /// else refers to it. `context` is the frame's `xdp_md`, or 0 where there is none.
    #[inline(always)]
    #[must_use]
    pub const unsafe fn new(start: usize, end: usize, context: usize) -> Self {
        Self { start, end, context }
    }

    /// The frame of a program.
    ///
    /// # Safety
    ///
    /// `context` is that of the running program, and as in [`Frame::new`].
    #[cfg(target_arch = "bpf")]
    #[inline(always)]
    #[must_use]
    pub unsafe fn of(context: *mut xdp_md) -> Self {
        let known = XdpContext::new(context);
        Self { start: known.data(), end: known.data_end(), context: context as usize }
    }

    /// The frame's context, for a function that cannot be given addresses within the frame.
    #[cfg(target_arch = "bpf")]
    #[inline(always)]
    #[must_use]
    pub const fn context(&self) -> *mut xdp_md {
        self.context as *mut xdp_md
    }

    /// The length of the first buffer in bytes.
    #[inline(always)]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no caller asks")]
    pub const fn len(&self) -> usize {
        self.end - self.start
    }

    /// The length of all buffers in bytes.
    #[inline(always)]
    #[must_use]
    pub fn total_len(&self) -> usize {
        let total = more::total(self.context);
        if total > self.len() { total } else { self.len() }
    }

    /// Whether the frame, with all its buffers, has so many bytes.
    #[inline(always)]
    #[must_use]
    pub fn has(&self, len: usize) -> bool {
        len <= self.len() || len <= more::total(self.context)
    }

    /// The header at an even offset, if it ends within the frame.
    #[inline(always)]
    #[must_use]
    pub fn header<T: Header>(&self, offset: usize) -> Option<&T> {
        // SAFETY: within the frame, aligned, and any bytes are a `T`.
        self.place::<T>(offset).map(|place| unsafe { &*place })
    }

    /// The header at an even offset, to be rewritten.
    #[inline(always)]
    #[must_use]
    pub fn header_mut<T: Header>(&mut self, offset: usize) -> Option<&mut T> {
        // SAFETY: as in `header`; `&mut self` makes it the only reference.
        self.place::<T>(offset).map(|place| unsafe { &mut *place })
    }

    /// The comparison is written as the verifier knows it: pointer + constant against the end.
    #[inline(always)]
    fn place<T: Header>(&self, offset: usize) -> Option<*mut T> {
        let place = self.start + offset;
        if place + size_of::<T>() > self.end {
            return None;
        }
        Some(place as *mut T)
    }
}

/// Frames in several buffers.
mod more {
    /// Set when the program is loaded, where the kernel knows such frames (Linux 5.18): elsewhere
    /// the verifier never sees the helper.
    #[cfg(target_arch = "bpf")]
    #[unsafe(no_mangle)]
    static FRAGS: u8 = 0;

    /// The length of all buffers, in bytes; 0 where there are no others.
    #[cfg(target_arch = "bpf")]
    #[inline(always)]
    pub(super) fn total(context: usize) -> usize {
        // SAFETY: a `u8` of read-only data, which only the loader changes.
        if unsafe { core::ptr::read_volatile(&raw const FRAGS) } == 0 {
            return 0;
        }
        // SAFETY: the context of the running program.
        let total =
            unsafe { aya_ebpf::helpers::generated::bpf_xdp_get_buff_len(context as *mut _) };
        total as usize
    }

    #[cfg(not(target_arch = "bpf"))]
    pub(super) const fn total(_: usize) -> usize {
        0
    }
}
