//! The ICMP header (RFC 792, RFC 4443 §2.1): only its presence; what it says, [`crate::icmp`] reads.

use lb_common::verdict::Verdict;

use super::Part;
use crate::frame::Frame;

/// Type, code, checksum, and four bytes whose meaning is the type's.
const LEN: usize = 8;

#[inline(always)]
pub(super) fn check(frame: &Frame, offset: usize, len: usize, part: Part) -> Result<(), Verdict> {
    match part {
        Part::Later(_) => Ok(()),
        Part::Whole | Part::First(_) if len < LEN => Err(Verdict::ShortIcmp),
        Part::Whole | Part::First(_) => {
            let _: &[u8; 4] = frame.header(offset + 4).ok_or(Verdict::ShortIcmp)?;
            Ok(())
        }
    }
}
