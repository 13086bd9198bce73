//! The transport headers: ports, and lengths that agree with the IP header's.

use lb_common::{addr::Port, verdict::Verdict};
use network_types::{tcp::TcpHdr, udp::UdpHdr};

use crate::frame::Frame;

/// Source and destination port of a segment (RFC 9293 §3.1).
#[inline(always)]
pub(super) fn tcp(frame: &Frame, offset: usize, len: usize) -> Result<(Port, Port), Verdict> {
    let tcp: &TcpHdr = frame.header(offset).ok_or(Verdict::ShortTcp)?;
    if len < TcpHdr::LEN {
        return Err(Verdict::ShortTcp);
    }
    let data_offset = usize::from(tcp.doff()) * 4;
    if data_offset < TcpHdr::LEN || data_offset > len {
        return Err(Verdict::BadTcpOffset);
    }
    Ok((Port::from_wire(tcp.source), Port::from_wire(tcp.dest)))
}

/// Source and destination port of a datagram (RFC 768).
#[inline(always)]
pub(super) fn udp(frame: &Frame, offset: usize, len: usize) -> Result<(Port, Port), Verdict> {
    let udp: &UdpHdr = frame.header(offset).ok_or(Verdict::ShortUdp)?;
    if len < UdpHdr::LEN {
        return Err(Verdict::ShortUdp);
    }
    let datagram_len = usize::from(u16::from_be_bytes(udp.len));
    if datagram_len < UdpHdr::LEN || datagram_len > len {
        return Err(Verdict::BadUdpLength);
    }
    Ok((Port::from_wire(udp.src), Port::from_wire(udp.dst)))
}
