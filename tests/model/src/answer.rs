//! What an answer of the node must say. The standards leave some of its bytes free, such as its own
//! TTL; so it is checked, and not compared.

use std::net::IpAddr;

use lb_common::verdict::Verdict;

use crate::{
    parse::{ICMP, ICMPV6, Packet, Part, parse},
    wire::{get, get16, sum},
};

const RST: u8 = 4;
const ACK: u8 = 16;
/// No IPv6 link takes less (RFC 8200 §5).
const LEAST_MTU: u16 = 1280;

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An echo reply.
    Echo,
    /// "Fragmentation needed" or "packet too big", with this MTU.
    TooBig {
        /// The longest packet that gets through.
        mtu: u16,
    },
    /// A TCP reset.
    Reset,
    /// "Port unreachable".
    PortUnreachable,
}

/// Whether a packet may be answered: none that went to many, or that does not say which host it came
/// from (RFC 1122 §3.2.2, RFC 4443 §2.4 e).
pub(crate) fn is_answerable(frame: &[u8], packet: &Packet) -> bool {
    let is_host = match packet.source {
        IpAddr::V4(ip) => !matches!(ip.octets()[0], 0 | 127 | 224..),
        IpAddr::V6(ip) => !ip.is_multicast() && !ip.is_loopback() && !ip.is_unspecified(),
    };
    is_host && frame[0] & 1 == 0
}

/// Whether there is nothing between the IP header and the transport's.
pub(crate) fn is_plain(packet: &Packet) -> bool {
    packet.transport - packet.network == if packet.source.is_ipv4() { 20 } else { 40 }
}

/// Whether a TCP packet resets its connection: a reset is not answered (RFC 9293 §3.5.2).
pub(crate) fn is_reset(frame: &[u8], packet: &Packet) -> bool {
    frame[packet.transport + 13] & RST != 0
}

/// Gives what is wrong if a statement does not hold.
fn must(holds: bool, what: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(what) }
}

impl Answer {
    /// What is counted.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Echo => Verdict::EchoReply,
            Self::TooBig { mtu: _ } => Verdict::TooBig,
            Self::Reset => Verdict::Reset,
            Self::PortUnreachable => Verdict::PortUnreachable,
        }
    }

    /// Checks the frame that answers another.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn check(self, given: &[u8], answer: &[u8]) -> Result<(), &'static str> {
        let question = parse(given).map_err(|_| "the question does not parse")?;
        let packet = parse(answer).map_err(|_| "it does not parse")?;
        link(given, &question, answer, &packet)?;
        network(&question, answer, &packet)?;
        // An echo is the request turned round; all else has a header of its own.
        let kept = self == Self::Echo && !is_header_sound(given, &question);
        must(kept || is_header_sound(answer, &packet), "its IPv4 header checksum is wrong")?;
        let asked = &given[question.network..question.end];
        let (segment, ends) = (&answer[packet.transport..packet.end], &packet);
        match self {
            Self::Echo => echo(&given[question.transport..question.end], segment, &question, ends),
            Self::TooBig { mtu } => too_big(asked, segment, ends, mtu),
            Self::Reset => reset(&given[question.transport..question.end], segment, ends),
            Self::PortUnreachable => {
                let code = if packet.source.is_ipv4() { [3, 3] } else { [1, 4] };
                must(segment[..2] == code, "it is not \"port unreachable\"")?;
                must(segment[4..8] == [0; 4], "its unused bytes are not zero")?;
                quote(asked, segment, ends)
            }
        }
    }
}

/// It goes back where the question came from, in the same VLAN.
fn link(
    given: &[u8],
    question: &Packet,
    answer: &[u8],
    packet: &Packet,
) -> Result<(), &'static str> {
    must(answer[..6] == given[6..12], "it is not for the MAC that asked")?;
    must(answer[6..12] == given[..6], "it is not from the MAC that was asked")?;
    must(answer[12..packet.network] == given[12..question.network], "its VLAN or EtherType differs")
}

fn network(question: &Packet, answer: &[u8], packet: &Packet) -> Result<(), &'static str> {
    must(packet.source == question.destination, "it is not from the address that was asked")?;
    must(packet.destination == question.source, "it is not for the address that asked")?;
    must(packet.part == Part::Whole, "it is a fragment")?;
    let header = &answer[packet.network..packet.transport];
    let hops = if packet.source.is_ipv4() { header[8] } else { header[7] };
    must(hops >= 32, "its hop limit is low")
}

/// Whether the checksum of an IPv4 header holds; IPv6 has none.
fn is_header_sound(frame: &[u8], packet: &Packet) -> bool {
    !packet.source.is_ipv4() || sum(&[&frame[packet.network..packet.transport]]) == 0xffff
}

/// Whether the checksum that covers a segment holds, with the pseudo-header of RFC 9293 §3.1 or
/// RFC 8200 §8.1.
fn is_sound(segment: &[u8], ends: &Packet) -> bool {
    let [high, low] = (segment.len() as u16).to_be_bytes();
    let addresses = [ends.source, ends.destination].map(|ip| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    });
    let pseudo = [&addresses.concat()[..], &[high, low, 0, ends.protocol]].concat();
    let pseudo: &[u8] = if ends.protocol == ICMP { &[] } else { &pseudo };
    sum(&[pseudo, segment]) == 0xffff
}

/// RFC 792, RFC 4443 §4.2. A request whose checksum is wrong may be answered by a reply whose is.
fn echo(
    request: &[u8],
    reply: &[u8],
    question: &Packet,
    ends: &Packet,
) -> Result<(), &'static str> {
    let kind = if ends.protocol == ICMP { 0 } else { 129 };
    must(reply[..2] == [kind, request[1]], "it is not an echo reply")?;
    must(reply[4..] == request[4..], "it does not hold what was sent")?;
    must(!is_sound(request, question) || is_sound(reply, ends), "its checksum is wrong")
}

/// RFC 792 with RFC 1191 §4, RFC 4443 §3.2.
fn too_big(asked: &[u8], error: &[u8], ends: &Packet, mtu: u16) -> Result<(), &'static str> {
    let mtu = if ends.source.is_ipv4() { mtu } else { mtu.max(LEAST_MTU) };
    let [high, low] = mtu.to_be_bytes();
    let code = if ends.source.is_ipv4() { [3, 4] } else { [2, 0] };
    must(error[..2] == code, "it is not \"too big\"")?;
    must(error[4..8] == [0, 0, high, low], "its MTU is another")?;
    quote(asked, error, ends)
}

/// It quotes the IP header and at least eight bytes behind it, and is not itself too long
/// (RFC 1812 §4.3.2.3, RFC 4443 §2.4 c).
fn quote(asked: &[u8], error: &[u8], ends: &Packet) -> Result<(), &'static str> {
    let v4 = ends.source.is_ipv4();
    let protocol = if v4 { ICMP } else { ICMPV6 };
    must(ends.protocol == protocol, "it is no ICMP error")?;
    let header = if v4 { usize::from(asked[0] & 0xf) * 4 } else { 40 };
    let (quote, least) = (&error[8..], header + 8);
    must(quote.len() >= least, "it quotes too little")?;
    must(asked.starts_with(quote), "it quotes something else")?;
    let longest = if v4 { 576 - 20 } else { 1280 - 40 };
    must(error.len() <= longest, "it is too long")?;
    must(is_sound(error, ends), "its checksum is wrong")
}

/// RFC 9293 §3.5.2, group 1.
fn reset(asked: &[u8], reset: &[u8], ends: &Packet) -> Result<(), &'static str> {
    must(get::<2>(reset, 0) == get(asked, 2), "its source port is another")?;
    must(get::<2>(reset, 2) == get(asked, 0), "its destination port is another")?;
    must(get16(reset, 12).is_some_and(|word| word >> 12 == 5), "it has options")?;
    must(reset.len() == 20, "it carries data")?;
    if asked[13] & ACK != 0 {
        must(reset[13] == RST, "its flags are not RST alone")?;
        must(reset[4..8] == asked[8..12], "its sequence number is not what was acknowledged")?;
    } else {
        let data = asked.len().wrapping_sub(usize::from(asked[12] >> 4) * 4);
        let flags = u32::from(asked[13] & 1) + u32::from(asked[13] >> 1 & 1);
        let sequence = u32::from_be_bytes([asked[4], asked[5], asked[6], asked[7]]);
        let next = sequence.wrapping_add(data as u32 + flags).to_be_bytes();
        must(reset[13] == RST | ACK, "its flags are not RST and ACK")?;
        must(reset[8..12] == next, "it does not acknowledge what came")?;
    }
    must(is_sound(reset, ends), "its checksum is wrong")
}
