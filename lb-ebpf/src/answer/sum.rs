//! The sum of a stretch of a frame.

use crate::frame::Frame;

/// The longest stretch: what follows the IP header in an ICMPv6 error (RFC 4443 §2.4(c)).
const LONGEST: usize = 1280 - 40;
const BLOCK: usize = 32;

/// The one's-complement sum of `len` bytes from an even offset on, in the order of memory; `None`
/// if they leave the frame.
///
/// A loop of blocks and then of what is left, the latter from an offset that is computed anew: so
/// the verifier walks it once, and not once for each end that the first loop may have.
#[inline(never)]
pub(super) fn words(frame: &Frame, start: usize, len: usize) -> Option<u64> {
    let (start, len) = (start & 0x7e, len & 0x7ff);
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
