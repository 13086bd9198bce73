//! The transport headers: ports, and lengths that agree with the IP header's.

use lb_common::{addr::Port, flow::Moment, verdict::Verdict};
use network_types::{tcp::TcpHdr, udp::UdpHdr};

use super::Part;
use crate::frame::Frame;

/// Source and destination port of a segment (RFC 9293 §3.1), and what its flags say.
#[inline(always)]
pub(super) fn tcp(
    frame: &Frame,
    offset: usize,
    len: usize,
    part: Part,
) -> Result<(Port, Port, Moment), Verdict> {
    let tcp: &TcpHdr = frame.header(offset).ok_or(Verdict::ShortTcp)?;
    if len < TcpHdr::LEN {
        return Err(Verdict::ShortTcp);
    }
    let data_offset = usize::from(tcp.doff()) * 4;
    // The options of a segment may go on in the next fragment.
    if data_offset < TcpHdr::LEN || data_offset > len && part == Part::Whole {
        return Err(Verdict::BadTcpOffset);
    }
    let moment = if tcp.fin() | tcp.rst() != 0 {
        Moment::Closing
    } else if tcp.syn() == 1 && tcp.ack() == 0 {
        Moment::Opening
    } else {
        Moment::Amid
    };
    Ok((Port::from_wire(tcp.source), Port::from_wire(tcp.dest), moment))
}

/// Source and destination port of a datagram (RFC 768).
#[inline(always)]
pub(super) fn udp(
    frame: &Frame,
    offset: usize,
    len: usize,
    part: Part,
) -> Result<(Port, Port, Moment), Verdict> {
    let udp: &UdpHdr = frame.header(offset).ok_or(Verdict::ShortUdp)?;
    if len < UdpHdr::LEN {
        return Err(Verdict::ShortUdp);
    }
    let datagram_len = usize::from(u16::from_be_bytes(udp.len));
    // The length counts all fragments.
    if datagram_len < UdpHdr::LEN || datagram_len > len && part == Part::Whole {
        return Err(Verdict::BadUdpLength);
    }
    Ok((Port::from_wire(udp.src), Port::from_wire(udp.dst), Moment::Amid))
}
