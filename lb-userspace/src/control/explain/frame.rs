//! Frames for the explanation of a packet: made from a question, and put into words.

use std::fmt::Write as _;

use etherparse::{
    IpSlice, LinkExtSlice, LinkSlice, NetSlice, PacketBuilder, PacketBuilderStep, SlicedPacket,
    TransportSlice, ip_number,
};
use lb_common::addr::Mac;

use crate::api::explain::{Question, Transport};

/// The frame's addresses: locally administered ones, since the question names none.
const CLIENT: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
const NODE: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];
const HOPS: u8 = 64;
/// The offset of the payload in a GUE packet of variant 0 without options
/// (draft-ietf-intarea-gue-09 §3.1).
const GUE: usize = 4;

/// A frame without payload.
///
/// # Errors
///
/// What is wrong with the question.
pub(super) fn of(question: &Question) -> Result<Vec<u8>, String> {
    let Question { protocol, source, destination, syn } = *question;
    let ethernet = PacketBuilder::ethernet2(CLIENT, NODE);
    let ip = match (source, destination) {
        (std::net::SocketAddr::V4(from), std::net::SocketAddr::V4(to)) => {
            ethernet.ipv4(from.ip().octets(), to.ip().octets(), HOPS)
        }
        (std::net::SocketAddr::V6(from), std::net::SocketAddr::V6(to)) => {
            ethernet.ipv6(from.ip().octets(), to.ip().octets(), HOPS)
        }
        _ => {
            return Err(format!(
                "{source} and {destination} are of different families: give two IPv4 or two IPv6 \
                 addresses"
            ));
        }
    };
    if source.port() == 0 || destination.port() == 0 {
        return Err("a port is 0: give ports from 1 to 65535".into());
    }
    let (from, to) = (source.port(), destination.port());
    let mut frame = Vec::new();
    let written = match protocol {
        Transport::Tcp => segment(ip, from, to, syn).write(&mut frame, &[]),
        Transport::Udp => ip.udp(from, to).write(&mut frame, &[]),
    };
    written.map_err(|error| format!("there is no such packet: {error}"))?;
    Ok(frame)
}

fn segment(
    ip: PacketBuilderStep<etherparse::IpHeaders>,
    from: u16,
    to: u16,
    syn: bool,
) -> PacketBuilderStep<etherparse::TcpHeader> {
    let tcp = ip.tcp(from, to, 1, u16::MAX);
    if syn { tcp.syn() } else { tcp.ack(1) }
}

/// A frame in words: its headers from the outer to the inner.
pub(super) fn summary(frame: &[u8]) -> String {
    let Ok(packet) = SlicedPacket::from_ethernet(frame) else {
        return format!("{} bytes that are no packet", frame.len());
    };
    let mut words = Vec::new();
    if let Some(LinkSlice::Ethernet2(link)) = &packet.link {
        words.push(format!("{} > {}", Mac(link.source()), Mac(link.destination())));
    }
    for extension in &packet.link_exts {
        if let LinkExtSlice::Vlan(tag) = extension {
            words.push(format!("VLAN {}", tag.vlan_identifier().value()));
        }
    }
    match packet.net {
        Some(NetSlice::Ipv4(ip)) => within(&IpSlice::Ipv4(ip), &mut words),
        Some(NetSlice::Ipv6(ip)) => within(&IpSlice::Ipv6(ip), &mut words),
        Some(NetSlice::Arp(_)) | None => {}
    }
    if let Some(transport) = &packet.transport {
        transport_words(transport, &mut words);
    }
    words.push(format!("{} bytes", frame.len()));
    words.join(", ")
}

/// An IP header, and those of the packets inside.
fn within(ip: &IpSlice<'_>, words: &mut Vec<String>) {
    let (version, hops) = match ip {
        IpSlice::Ipv4(ip) => ("IPv4", ip.header().ttl()),
        IpSlice::Ipv6(ip) => ("IPv6", ip.header().hop_limit()),
    };
    words.push(format!("{version} {} > {} ttl {hops}", ip.source_addr(), ip.destination_addr()));
    if matches!(ip.payload_ip_number(), ip_number::IPV4 | ip_number::IPV6) {
        inner(ip.payload().payload, words);
    }
}

/// A packet in a tunnel, up to its ports.
fn inner(bytes: &[u8], words: &mut Vec<String>) {
    let Ok(packet) = SlicedPacket::from_ip(bytes) else { return };
    match packet.net {
        Some(NetSlice::Ipv4(ip)) => within(&IpSlice::Ipv4(ip), words),
        Some(NetSlice::Ipv6(ip)) => within(&IpSlice::Ipv6(ip), words),
        Some(NetSlice::Arp(_)) | None => {}
    }
    if let Some(transport) = &packet.transport {
        transport_words(transport, words);
    }
}

fn transport_words(transport: &TransportSlice<'_>, words: &mut Vec<String>) {
    match transport {
        TransportSlice::Tcp(tcp) => {
            let flags = [(tcp.syn(), "SYN"), (tcp.ack(), "ACK"), (tcp.rst(), "RST")];
            let flags = flags.iter().filter(|(is_set, _)| *is_set).map(|(_, name)| *name);
            let flags = flags.collect::<Vec<_>>().join("+");
            words.push(format!("TCP {} > {} {flags}", tcp.source_port(), tcp.destination_port()));
        }
        TransportSlice::Udp(udp) => {
            words.push(format!("UDP {} > {}", udp.source_port(), udp.destination_port()));
            if let Some(payload) = udp.payload().get(GUE..)
                && udp.payload().first() == Some(&0)
            {
                inner(payload, words);
            }
        }
        TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_) => words.push("ICMP".into()),
    }
}

/// Two digits a byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(protocol: Transport, source: &str, destination: &str) -> Question {
        let [source, destination] = [source, destination].map(|end| end.parse().unwrap());
        Question { protocol, source, destination, syn: true }
    }

    #[test]
    fn a_question_becomes_a_frame_and_that_words() {
        let tcp = of(&question(Transport::Tcp, "198.51.100.7:40000", "203.0.113.10:443"));
        assert_eq!(
            summary(&tcp.unwrap()),
            "02:00:00:00:00:01 > 02:00:00:00:00:02, IPv4 198.51.100.7 > 203.0.113.10 ttl 64, TCP \
             40000 > 443 SYN, 54 bytes"
        );
        let udp = of(&question(Transport::Udp, "[2001:db8::7]:40000", "[2001:db8::10]:53"));
        assert_eq!(
            summary(&udp.unwrap()),
            "02:00:00:00:00:01 > 02:00:00:00:00:02, IPv6 2001:db8::7 > 2001:db8::10 ttl 64, UDP \
             40000 > 53, 62 bytes"
        );
    }

    #[test]
    fn a_tunnel_shows_both_packets() {
        let client = of(&question(Transport::Tcp, "198.51.100.7:40000", "203.0.113.10:443"));
        let packet = &client.unwrap()[14..];
        let mut frame = Vec::new();
        let outer = PacketBuilder::ethernet2(CLIENT, NODE).ipv4([10, 0, 0, 2], [10, 0, 0, 11], 64);
        outer.write(&mut frame, ip_number::IPV4, packet).unwrap();
        let words = summary(&frame);
        assert!(words.contains("IPv4 10.0.0.2 > 10.0.0.11 ttl 64, IPv4 198.51.100.7 >"), "{words}");
        assert!(words.ends_with("TCP 40000 > 443 SYN, 74 bytes"), "{words}");
    }

    #[test]
    fn what_is_no_packet_is_said() {
        let mixed = of(&question(Transport::Tcp, "198.51.100.7:1", "[2001:db8::10]:2"));
        assert!(mixed.unwrap_err().contains("different families"));
        let none = of(&question(Transport::Udp, "198.51.100.7:0", "203.0.113.10:443"));
        assert!(none.unwrap_err().contains("port is 0"));
        assert_eq!(summary(&[1, 2]), "2 bytes that are no packet");
        assert_eq!(hex(&[0, 0xab]), "00ab");
    }
}
