//! TCP resets (RFC 9293 §3.5.2).

use lb_common::{addr::Protocol, checksum};
use network_types::tcp::TcpHdr;

use super::header;
use crate::{
    frame::{Buffer, Frame},
    parse::Packet,
};

const RST: u8 = 0x04;
const ACK: u8 = 0x10;
/// The length of a header without options, as it stands in the header.
const PLAIN: u8 = 5 << 4;

/// The segment that resets a connection.
#[derive(Clone, Copy)]
pub(super) struct Reset {
    source: [u8; 2],
    destination: [u8; 2],
    sequence: [u8; 4],
    acknowledgement: [u8; 4],
    flags: u8,
}

/// The reset that the sender of a segment accepts; none for a reset.
#[inline(always)]
pub(super) fn of(frame: &Frame, packet: &Packet) -> Option<Reset> {
    let tcp: &TcpHdr = frame.header(packet.l4 & 0x3fff)?;
    if tcp.rst() == 1 {
        return None;
    }
    let (source, destination) = (tcp.dest, tcp.source);
    if tcp.ack() == 1 {
        let (sequence, acknowledgement, flags) = (tcp.ack_seq, [0; 4], RST);
        return Some(Reset { source, destination, sequence, acknowledgement, flags });
    }
    let data = packet.end - packet.l4 - usize::from(tcp.doff()) * 4;
    let len = data as u32 + u32::from(tcp.syn()) + u32::from(tcp.fin());
    let acknowledgement = u32::from_be_bytes(tcp.seq).wrapping_add(len).to_be_bytes();
    Some(Reset { source, destination, sequence: [0; 4], acknowledgement, flags: RST | ACK })
}

impl Reset {
    /// Puts it in the packet's place. Gives whether that could be done.
    #[inline(always)]
    pub(super) fn send(self, buffer: &mut impl Buffer, packet: &Packet) -> bool {
        let start = header::l3(packet) + header::ip_len(packet.family);
        let surplus = buffer.frame().total_len().wrapping_sub(start + TcpHdr::LEN);
        buffer.cut(surplus) && self.write(&mut buffer.frame(), packet, start).is_some()
    }

    #[inline(always)]
    fn write(self, frame: &mut Frame, packet: &Packet, start: usize) -> Option<()> {
        let Self { source, destination, sequence, acknowledgement, flags } = self;
        header::link(frame, packet, 0)?;
        header::ip(frame, packet, Protocol::TCP, 0, TcpHdr::LEN)?;
        let (ports, length_and_flags) = ([source, destination], [PLAIN, flags, 0, 0]);
        let [[a, b], [c, d]] = ports;
        let mut sum = header::pseudo(packet, Protocol::TCP, TcpHdr::LEN);
        for word in [[a, b, c, d], sequence, acknowledgement, length_and_flags] {
            sum += u64::from(u32::from_ne_bytes(word));
        }
        let [check_high, check_low] = checksum::finish_wide(sum);
        *frame.header_mut(start)? = [a, b, c, d];
        *frame.header_mut(start + 4)? = sequence;
        *frame.header_mut(start + 8)? = acknowledgement;
        // A window of nothing.
        *frame.header_mut(start + 12)? = length_and_flags;
        *frame.header_mut(start + 16)? = [check_high, check_low, 0, 0];
        Some(())
    }
}
