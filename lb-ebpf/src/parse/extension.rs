//! The chain of IPv6 extension headers (RFC 8200 §4).

use lb_common::verdict::Verdict;

use crate::frame::{Frame, Header};

/// Hop-by-hop options (RFC 8200 §4.3).
const HOP_BY_HOP: u8 = 0;
/// A source route (RFC 8200 §4.4).
const ROUTING: u8 = 43;
/// A fragment (RFC 8200 §4.5).
const FRAGMENT: u8 = 44;
/// Destination options (RFC 8200 §4.6); may come before a routing header and at the end.
const DESTINATION_OPTIONS: u8 = 60;

/// RFC 8200 §4.1 recommends each header at most once, and destination options twice.
const LONGEST_CHAIN: usize = 5;

/// The first eight bytes of an extension header; there are never fewer.
#[repr(C)]
struct Extension {
    next_header: u8,
    /// In units of 8 bytes, not counting the first 8; reserved in a fragment header.
    len: u8,
    /// A fragment's offset and flags; a routing header's type and segments left.
    words: [u8; 2],
    rest: [u8; 4],
}

// SAFETY: `repr(C)` bytes.
unsafe impl Header for Extension {}

/// The transport header behind the chain: its protocol and offset.
///
/// # Errors
///
/// A verdict for a fragment, a source route that is not at its end, a chain that is too long to be
/// walked, and one that leaves the packet.
#[inline(always)]
pub(super) fn walk(
    frame: &Frame,
    mut protocol: u8,
    mut offset: usize,
    end: usize,
) -> Result<(u8, usize), Verdict> {
    for _ in 0..LONGEST_CHAIN {
        if !matches!(protocol, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION_OPTIONS) {
            return Ok((protocol, offset));
        }
        let header: &Extension = frame.header(offset).ok_or(Verdict::BadExtension)?;
        let len = match protocol {
            FRAGMENT => whole(header.words)?,
            ROUTING if header.words[1] != 0 => return Err(Verdict::ExtensionChain),
            _ => (usize::from(header.len) + 1) * 8,
        };
        offset += len;
        if offset > end {
            return Err(Verdict::BadExtension);
        }
        protocol = header.next_header;
    }
    match protocol {
        HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION_OPTIONS => Err(Verdict::ExtensionChain),
        _ => Ok((protocol, offset)),
    }
}

/// The length of the header of a fragment that is the whole packet ("atomic", RFC 6946).
#[inline(always)]
fn whole(offset_and_flags: [u8; 2]) -> Result<usize, Verdict> {
    const OFFSET_OR_MORE: u16 = 0xfff9;
    match u16::from_be_bytes(offset_and_flags) & OFFSET_OR_MORE {
        0 => Ok(8),
        _ => Err(Verdict::Fragment),
    }
}
