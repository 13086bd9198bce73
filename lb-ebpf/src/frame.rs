//! The one door to packet memory.

use core::mem::{align_of, size_of};

use network_types::{
    eth::EthHdr,
    ip::{Ipv4Hdr, Ipv6Hdr},
    tcp::TcpHdr,
    udp::UdpHdr,
};

/// A frame, from its Ethernet header to its last byte.
///
/// Made of two addresses and not of an XDP context, so that parsing runs on the host.
pub struct Frame {
    start: usize,
    end: usize,
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

headers!(EthHdr, Ipv4Hdr, Ipv6Hdr, TcpHdr, UdpHdr);

impl Frame {
    /// The frame between two addresses.
    ///
    /// # Safety
    ///
    /// `start` is even, `start..end` can be read and written while the frame lives, and nothing
    /// else refers to it.
    #[inline(always)]
    #[must_use]
    pub const unsafe fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The frame's length in bytes.
    #[inline(always)]
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no caller asks")]
    pub const fn len(&self) -> usize {
        self.end - self.start
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
