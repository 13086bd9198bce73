//! The chain of IPv6 extension headers (RFC 8200 §4).

use lb_common::{addr::Protocol, verdict::Verdict};

use super::Part;
use crate::frame::{Frame, Header};

/// Hop-by-hop options (RFC 8200 §4.3).
const HOP_BY_HOP: u8 = 0;
/// A source route (RFC 8200 §4.4).
const ROUTING: u8 = 43;
/// A fragment (RFC 8200 §4.5).
const FRAGMENT: u8 = 44;
/// Destination options (RFC 8200 §4.6); may come before a routing header and at the end.
pub const DESTINATION_OPTIONS: u8 = 60;

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
    /// A fragment's identification.
    rest: [u8; 4],
}

// SAFETY: `repr(C)` bytes.
unsafe impl Header for Extension {}

/// What stands behind the chain.
pub(super) struct Chain {
    pub(super) protocol: Protocol,
    pub(super) offset: usize,
    pub(super) part: Part,
}

/// Walks the chain up to the transport header, or to where a later fragment has its data.
///
/// # Errors
///
/// A verdict for a source route that is not at its end, a chain that is too long to be walked, and
/// one that leaves the packet.
#[inline(always)]
pub(super) fn walk(
    frame: &Frame,
    mut protocol: u8,
    mut offset: usize,
    end: usize,
) -> Result<Chain, Verdict> {
    let mut part = Part::Whole;
    for _ in 0..LONGEST_CHAIN {
        if !is_extension(protocol) || matches!(part, Part::Later(_)) {
            break;
        }
        let header: &Extension = frame.header(offset).ok_or(Verdict::BadExtension)?;
        let len = match protocol {
            FRAGMENT => {
                part = fragment(header, part);
                8
            }
            ROUTING if header.words[1] != 0 => return Err(source_route(offset, end)),
            _ => (usize::from(header.len) + 1) * 8,
        };
        offset += len;
        if offset > end {
            return Err(Verdict::BadExtension);
        }
        protocol = header.next_header;
    }
    if is_extension(protocol) && !matches!(part, Part::Later(_)) {
        return Err(Verdict::ExtensionChain);
    }
    Ok(Chain { protocol: Protocol(protocol), offset, part })
}

/// What is read as a source route may be padding.
#[inline(always)]
fn source_route(offset: usize, end: usize) -> Verdict {
    if offset + size_of::<Extension>() > end {
        return Verdict::BadExtension;
    }
    Verdict::ExtensionChain
}

#[inline(always)]
const fn is_extension(protocol: u8) -> bool {
    matches!(protocol, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION_OPTIONS)
}

/// A fragment that is the whole packet ("atomic", RFC 6946) changes nothing.
#[inline(always)]
fn fragment(header: &Extension, before: Part) -> Part {
    const MORE: u16 = 1;
    const OFFSET: u16 = 0xfff8;
    match u16::from_be_bytes(header.words) & (OFFSET | MORE) {
        0 => before,
        MORE => Part::First(header.rest),
        _ => Part::Later(header.rest),
    }
}
