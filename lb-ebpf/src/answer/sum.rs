//! The sum of a stretch of a frame.

use crate::frame::Frame;

/// The longest stretch: what follows the IP header in an ICMPv6 error (RFC 4443 §2.4(c)).
const LONGEST: usize = 1280 - 40;
const BLOCK: usize = 32;

/// The one's-complement sum of `len` bytes from an even offset on, in the order of memory; `None`
/// if they leave the frame.
#[inline(always)]
pub(super) fn words(frame: &Frame, start: usize, len: usize) -> Option<u64> {
    called::sum(frame, start as u32, len as u32)
}

/// A loop of blocks and then of what is left, the latter from an offset that is computed anew: so
/// newer verifiers walk it once, and not once for each end that the first loop may have.
#[inline(always)]
fn walk(frame: &Frame, start: usize, len: usize) -> Option<u64> {
    // Were the lowest bit known to be clear, the verifier of Linux 7.2 would narrow the end of each
    // word by it, but not its beginning, and find them apart.
    let (start, len) = (start & 0x7f, len & 0x7ff);
    let mut sum = 0;
    for block in 0..LONGEST / BLOCK {
        if block >= len / BLOCK {
            break;
        }
        let bytes: &[u8; BLOCK] = frame.header(start + block * BLOCK)?;
        for word in bytes.as_chunks().0 {
            sum += u64::from(u32::from_ne_bytes(*word));
        }
    }
    let mut rest = start + len / BLOCK * BLOCK;
    for _ in 0..BLOCK / 2 {
        if rest + 2 > start + len {
            break;
        }
        sum += u64::from(u16::from_ne_bytes(*frame.header(rest)?));
        rest += 2;
    }
    if rest < start + len {
        let [last] = *frame.header(rest)?;
        sum += u64::from(u16::from_ne_bytes([last, 0]));
    }
    Some(sum)
}

#[cfg(target_arch = "bpf")]
mod called {
    use core::ptr;

    use aya_ebpf::bindings::xdp_md;

    use crate::frame::Frame;

    /// No stretch has this sum.
    const OUTSIDE: u64 = u64::MAX;

    #[inline(always)]
    pub(super) fn sum(frame: &Frame, start: u32, len: u32) -> Option<u64> {
        match lb_sum(frame.context(), start, len) {
            OUTSIDE => None,
            sum => Some(sum),
        }
    }

    /// A function that the verifier knows by name: it walks the loops once, and not again for each
    /// way in which an error comes about.
    #[unsafe(no_mangle)]
    #[inline(never)]
    extern "C" fn lb_sum(context: *mut xdp_md, start: u32, len: u32) -> u64 {
        // SAFETY: the context of the running program.
        let frame = unsafe { Frame::of(context) };
        // SAFETY: a reference. The compiler knows what it reads from a context to have 32 bits, and
        // would compare the last byte's place with the end in a way that teaches the verifier of
        // Linux 6.1 nothing.
        let frame = unsafe { ptr::read_volatile(&raw const frame) };
        super::walk(&frame, start as usize, len as usize).unwrap_or(OUTSIDE)
    }
}

#[cfg(not(target_arch = "bpf"))]
mod called {
    use crate::frame::Frame;

    pub(super) fn sum(frame: &Frame, start: u32, len: u32) -> Option<u64> {
        super::walk(frame, start as usize, len as usize)
    }
}

#[cfg(test)]
mod tests {
    use lb_common::checksum;
    use proptest::prelude::*;

    use super::*;

    /// As RFC 1071 §1 defines it, over big-endian words.
    fn checksum(bytes: &[u8]) -> [u8; 2] {
        let word = |pair: &[u8]| u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]);
        let mut sum: u32 = bytes.chunks(2).map(|pair| u32::from(word(pair))).sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        (!(sum as u16)).to_be_bytes()
    }

    proptest! {
        #[test]
        fn every_length_has_its_sum(
            mut words in prop::collection::vec(any::<u16>(), 700),
            start in 0usize..31,
            len in 0usize..=LONGEST,
        ) {
            let start = start * 2;
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            let address = words.as_mut_ptr() as usize;
            // SAFETY: even, and the words outlive the frame.
            let frame = unsafe { Frame::new(address, address + start + len, 0) };
            let sum = super::words(&frame, start, len).map(checksum::finish_wide);
            prop_assert_eq!(sum, Some(checksum(&bytes[start..start + len])));
            prop_assert_eq!(super::words(&frame, start, len + 1), None);
        }
    }
}
