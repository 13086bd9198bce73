//! Packets by description: what is sent, and what should come out of it.
//!
//! Headers and checksums are built by etherparse, which knows nothing of the code under test.

#![expect(clippy::expect_used, clippy::panic, reason = "a test kit: a panic is a test that fails")]

use std::net::{IpAddr, SocketAddr};

use etherparse::{
    EtherType, Ethernet2Header, IpNumber, Ipv4Header, Ipv4Options, Ipv6FlowLabel, Ipv6Header,
    TcpHeader, UdpHeader,
};
use lb_common::addr::Mac;

/// One TCP segment or UDP datagram in an Ethernet frame.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The frame's sender.
    pub source_mac: Mac,
    /// The frame's receiver.
    pub destination_mac: Mac,
    /// Where it comes from.
    pub source: SocketAddr,
    /// Where it goes; of the same family.
    pub destination: SocketAddr,
    /// TTL or hop limit.
    pub hops: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// IPv4 options; a multiple of 4 bytes.
    pub options: Vec<u8>,
    /// What it carries.
    pub transport: Transport,
    /// What that carries.
    pub payload: Vec<u8>,
}

/// The transport of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A SYN.
    TcpSyn,
    /// A later segment.
    TcpAck,
    /// A datagram with a checksum.
    Udp,
    /// A datagram without; IPv4 only (RFC 768).
    UdpUnchecked,
}

impl Packet {
    /// A packet between two endpoints, hop limit 64, with some payload.
    #[must_use]
    pub fn new(transport: Transport, source: &str, destination: &str) -> Self {
        Self {
            source_mac: Mac([0x02, 0, 0, 0, 0, 0xc1]),
            destination_mac: Mac([0x02, 0, 0, 0, 0, 0x1b]),
            source: endpoint(source),
            destination: endpoint(destination),
            hops: 64,
            traffic_class: 0b1011_1001,
            options: Vec::new(),
            transport,
            payload: b"payload".to_vec(),
        }
    }

    /// With another source.
    #[must_use]
    pub fn from(self, source: &str) -> Self {
        Self { source: endpoint(source), ..self }
    }

    /// With another destination.
    #[must_use]
    pub fn to(self, destination: &str) -> Self {
        Self { destination: endpoint(destination), ..self }
    }

    /// With another hop limit.
    #[must_use]
    pub fn hops(self, hops: u8) -> Self {
        Self { hops, ..self }
    }

    /// With other Ethernet addresses.
    #[must_use]
    pub fn macs(self, source_mac: Mac, destination_mac: Mac) -> Self {
        Self { source_mac, destination_mac, ..self }
    }

    /// With IPv4 options.
    #[must_use]
    pub fn options(self, options: &[u8]) -> Self {
        Self { options: options.to_vec(), ..self }
    }

    /// With another payload.
    #[must_use]
    pub fn payload(self, payload: Vec<u8>) -> Self {
        Self { payload, ..self }
    }

    /// The frame.
    ///
    /// # Panics
    ///
    /// If the two ends are of different families, or the packet is too large.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut frame = Vec::new();
        let ether_type = if self.source.is_ipv4() { EtherType::IPV4 } else { EtherType::IPV6 };
        frame.extend(
            Ethernet2Header {
                source: self.source_mac.0,
                destination: self.destination_mac.0,
                ether_type,
            }
            .to_bytes(),
        );
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let transport = self.transport(source.octets().into(), destination.octets().into());
                let ip = self.ipv4(source.octets(), destination.octets(), transport.len());
                frame.extend(ip.to_bytes());
                frame.extend(transport);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let transport = self.transport(source.octets().into(), destination.octets().into());
                let ip = self.ipv6(source.octets(), destination.octets(), transport.len());
                frame.extend(ip.to_bytes());
                frame.extend(transport);
            }
            mixed => panic!("a packet has one family, not {mixed:?}"),
        }
        frame
    }

    fn protocol(&self) -> IpNumber {
        match self.transport {
            Transport::TcpSyn | Transport::TcpAck => IpNumber::TCP,
            Transport::Udp | Transport::UdpUnchecked => IpNumber::UDP,
        }
    }

    fn ipv4(&self, source: [u8; 4], destination: [u8; 4], len: usize) -> Ipv4Header {
        let len = u16::try_from(len).expect("a packet's length");
        let mut ip = Ipv4Header::new(len, self.hops, self.protocol(), source, destination)
            .expect("a packet's length");
        ip.identification = 0x1234;
        ip.dscp = (self.traffic_class >> 2).try_into().expect("six bits");
        ip.ecn = (self.traffic_class & 3).try_into().expect("two bits");
        ip.options = Ipv4Options::try_from(self.options.as_slice()).expect("IPv4 options");
        ip.set_payload_len(len.into()).expect("a packet's length");
        ip.header_checksum = ip.calc_header_checksum();
        ip
    }

    fn ipv6(&self, source: [u8; 16], destination: [u8; 16], len: usize) -> Ipv6Header {
        Ipv6Header {
            traffic_class: self.traffic_class,
            flow_label: Ipv6FlowLabel::try_new(0xf_00ba).expect("twenty bits"),
            payload_length: u16::try_from(len).expect("a packet's length"),
            next_header: self.protocol(),
            hop_limit: self.hops,
            source,
            destination,
        }
    }

    fn transport(&self, source: Address, destination: Address) -> Vec<u8> {
        let (source_port, destination_port) = (self.source.port(), self.destination.port());
        let mut bytes = match self.transport {
            Transport::TcpSyn | Transport::TcpAck => {
                let mut tcp = TcpHeader::new(source_port, destination_port, 1000, 64240);
                tcp.syn = self.transport == Transport::TcpSyn;
                tcp.ack = !tcp.syn;
                tcp.checksum = match (source, destination) {
                    (Address::V4(from), Address::V4(to)) => {
                        tcp.calc_checksum_ipv4_raw(from, to, &self.payload)
                    }
                    (Address::V6(from), Address::V6(to)) => {
                        tcp.calc_checksum_ipv6_raw(from, to, &self.payload)
                    }
                    _ => unreachable!("the families were compared"),
                }
                .expect("a packet's length");
                tcp.to_bytes().to_vec()
            }
            Transport::Udp | Transport::UdpUnchecked => {
                let len = u16::try_from(8 + self.payload.len()).expect("a packet's length");
                let mut udp = UdpHeader { source_port, destination_port, length: len, checksum: 0 };
                if self.transport == Transport::Udp {
                    udp.checksum = match (source, destination) {
                        (Address::V4(from), Address::V4(to)) => {
                            udp.calc_checksum_ipv4_raw(from, to, &self.payload)
                        }
                        (Address::V6(from), Address::V6(to)) => {
                            udp.calc_checksum_ipv6_raw(from, to, &self.payload)
                        }
                        _ => unreachable!("the families were compared"),
                    }
                    .expect("a packet's length");
                }
                udp.to_bytes().to_vec()
            }
        };
        bytes.extend(&self.payload);
        bytes
    }
}

#[derive(Clone, Copy)]
enum Address {
    V4([u8; 4]),
    V6([u8; 16]),
}

impl From<[u8; 4]> for Address {
    fn from(octets: [u8; 4]) -> Self {
        Self::V4(octets)
    }
}

impl From<[u8; 16]> for Address {
    fn from(octets: [u8; 16]) -> Self {
        Self::V6(octets)
    }
}

fn endpoint(text: &str) -> SocketAddr {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no endpoint"))
}
