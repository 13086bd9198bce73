//! Packets within packets, as nodes send them to backends, and as they should not be sent.

#![expect(clippy::expect_used, clippy::panic, reason = "a test kit: a panic is a test that fails")]

use std::net::IpAddr;

use etherparse::{
    IpNumber, Ipv4Header, Ipv4Options, Ipv6FlowLabel, Ipv6Header, UdpHeader, ether_type,
};

/// The length of an Ethernet header.
pub const ETHERNET: usize = 14;

/// The headers around a packet.
#[derive(Clone, Debug)]
pub struct Tunnel {
    /// Where the outer packet comes from.
    pub source: IpAddr,
    /// Where it goes; of the same family.
    pub destination: IpAddr,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// VLAN tags, the outer first.
    pub tags: Vec<[u8; 4]>,
    /// IPv4 options; a multiple of 4 bytes.
    pub options: Vec<u8>,
    /// IPv6 extension headers, and the protocol of the first.
    pub extensions: Option<(u8, Vec<u8>)>,
    /// IPv4's flags and fragment offset.
    pub fragment: [u8; 2],
    /// The UDP port and the bytes of the GUE header; IP in IP if there are none.
    pub gue: Option<(u16, Vec<u8>)>,
    /// The protocol of what is inside; its own if there is none.
    pub protocol: Option<u8>,
}

impl Tunnel {
    /// IP in IP between two addresses.
    ///
    /// # Panics
    ///
    /// If they are no addresses.
    #[must_use]
    pub fn ipip(source: &str, destination: &str) -> Self {
        let address = |text: &str| text.parse().unwrap_or_else(|_| panic!("{text}: no address"));
        Self {
            source: address(source),
            destination: address(destination),
            traffic_class: 0,
            tags: Vec::new(),
            options: Vec::new(),
            extensions: None,
            fragment: [0, 0],
            gue: None,
            protocol: None,
        }
    }

    /// GUE to a port.
    #[must_use]
    pub fn gue(source: &str, destination: &str, port: u16) -> Self {
        Self { gue: Some((port, Vec::new())), ..Self::ipip(source, destination) }
    }

    /// The frame with its packet put into this tunnel; MACs stay, tags come.
    ///
    /// # Panics
    ///
    /// If the frame is none, or too long.
    #[must_use]
    pub fn wrap(&self, frame: &[u8]) -> Vec<u8> {
        let (link, inner) = frame.split_at(ETHERNET);
        let outer = self.outer(inner, link[12..] == ether_type::IPV4.0.to_be_bytes());
        let ether_type = if self.source.is_ipv4() { ether_type::IPV4 } else { ether_type::IPV6 };
        [&link[..12], &self.tags.concat(), &ether_type.0.to_be_bytes(), &outer, inner].concat()
    }

    /// The frame with this tunnel's tags alone: what is to come out of it.
    #[must_use]
    pub fn tagged(&self, frame: &[u8]) -> Vec<u8> {
        [&frame[..12], &self.tags.concat(), &frame[12..]].concat()
    }

    /// All headers from the outer IP header to the packet inside.
    fn outer(&self, inner: &[u8], v4: bool) -> Vec<u8> {
        let inside = self.protocol.unwrap_or(if v4 { 4 } else { 41 });
        let Some((port, header)) = &self.gue else { return self.ip(inside, inner.len(), &[]) };
        let header = if header.is_empty() { vec![0, inside, 0, 0] } else { header.clone() };
        let len = u16::try_from(8 + header.len() + inner.len()).expect("a packet's length");
        let udp =
            UdpHeader { source_port: 50000, destination_port: *port, length: len, checksum: 0 };
        let middle = [&udp.to_bytes()[..], &header].concat();
        self.ip(17, inner.len() + middle.len(), &middle)
    }

    fn ip(&self, protocol: u8, len: usize, middle: &[u8]) -> Vec<u8> {
        let header = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.ipv4(source.octets(), destination.octets(), protocol, len)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                self.ipv6(source.octets(), destination.octets(), protocol, len)
            }
            mixed => panic!("a header has one family, not {mixed:?}"),
        };
        [&header, middle].concat()
    }

    fn ipv4(&self, source: [u8; 4], destination: [u8; 4], protocol: u8, len: usize) -> Vec<u8> {
        let len = u16::try_from(len).expect("a packet's length");
        let mut ip = Ipv4Header::new(len, 64, IpNumber(protocol), source, destination)
            .expect("a packet's length");
        ip.dscp = (self.traffic_class >> 2).try_into().expect("six bits");
        ip.ecn = (self.traffic_class & 3).try_into().expect("two bits");
        ip.options = Ipv4Options::try_from(self.options.as_slice()).expect("IPv4 options");
        ip.set_payload_len(len.into()).expect("a packet's length");
        let mut bytes = ip.to_bytes().to_vec();
        bytes[6..8].copy_from_slice(&self.fragment);
        bytes
    }

    fn ipv6(&self, source: [u8; 16], destination: [u8; 16], protocol: u8, len: usize) -> Vec<u8> {
        let (next_header, mut extensions) =
            self.extensions.clone().unwrap_or((protocol, Vec::new()));
        if let Some(first) = extensions.first_mut() {
            *first = protocol;
        }
        let ip = Ipv6Header {
            traffic_class: self.traffic_class,
            flow_label: Ipv6FlowLabel::try_new(0xb_00ba).expect("twenty bits"),
            payload_length: u16::try_from(len + extensions.len()).expect("a packet's length"),
            next_header: IpNumber(next_header),
            hop_limit: 64,
            source,
            destination,
        };
        [&ip.to_bytes()[..], &extensions].concat()
    }
}
