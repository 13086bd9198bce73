//! The Ethernet header and its VLAN tags (IEEE 802.1Q-2022 §9).

use lb_common::verdict::Verdict;
use network_types::eth::{EthHdr, EtherType};

use crate::frame::{Frame, Header};

/// The length of an Ethernet header without tags.
pub const ETHERNET: usize = EthHdr::LEN;
/// The length of a tag.
pub const VLAN: usize = 4;
/// The EtherType of IPv4, as it lies in memory.
pub const IPV4: u16 = EtherType::Ipv4 as u16;
/// The EtherType of IPv6, as it lies in memory.
pub const IPV6: u16 = EtherType::Ipv6 as u16;

const CUSTOMER: u16 = EtherType::Ieee8021q as u16;
const SERVICE: u16 = EtherType::Ieee8021ad as u16;

/// What follows the tag's protocol.
#[repr(C)]
struct Tag {
    control: [u8; 2],
    ether_type: u16,
}

// SAFETY: `repr(C)` integers.
unsafe impl Header for Tag {}

/// The EtherType behind at most two tags, and the offset of what it announces.
#[inline(always)]
pub(super) fn header(frame: &Frame) -> Result<(u16, usize), Verdict> {
    let ethernet: &EthHdr = frame.header(0).ok_or(Verdict::ShortEthernet)?;
    let (mut ether_type, mut offset) = (ethernet.ether_type, ETHERNET);
    for _ in 0..2 {
        if !matches!(ether_type, CUSTOMER | SERVICE) {
            break;
        }
        let tag: &Tag = frame.header(offset).ok_or(Verdict::ShortEthernet)?;
        ether_type = tag.ether_type;
        offset += VLAN;
    }
    Ok((ether_type, offset))
}
