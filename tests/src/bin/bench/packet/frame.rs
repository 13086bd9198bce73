//! The frames of the rows, and what the driver varies in them.

use std::net::{IpAddr, SocketAddr};

use lb_common::drive::Drive;
use lb_tests::packet::{Packet, Transport};

use super::{
    row::{Family, Kind, Row},
    world::{self, PORT},
};

const ETHERNET: usize = 14;
/// An address that is no VIP of any row.
const ELSEWHERE: u32 = 0x00ff_0000;
const CLIENT_PORT: u16 = 40_000;
const PROTOCOL_FRAGMENT: u8 = 44;
const IDENTIFICATION: [u8; 2] = [0x12, 0x34];

/// What a row's driver is told.
pub(super) struct Orders {
    /// For the passes that are measured.
    pub(super) order: Drive,
    /// For passes before, without which the packets would be others.
    pub(super) prime: Option<Drive>,
}

impl Orders {
    pub(super) fn of_floor() -> Self {
        let row = Row::new(lb_common::service::ForwardMode::L2, Family::V4, Kind::Ack, 1);
        Self {
            order: order(&row, &client(&row, Transport::TcpAck), Offsets::of(row.family)),
            prime: None,
        }
    }

    pub(super) fn of(row: &Row) -> Self {
        let offsets = Offsets::of(row.family);
        let whole = |transport| order(row, &client(row, transport), offsets);
        match row.kind {
            Kind::Ack | Kind::Pass => Self { order: whole(Transport::TcpAck), prime: None },
            Kind::Syn => Self { order: whole(Transport::TcpSyn), prime: None },
            Kind::Udp => Self { order: whole(Transport::Udp), prime: None },
            Kind::IcmpError => Self { order: icmp_error(row), prime: None },
            Kind::Fragment => {
                let first = fragment(row, true);
                Self { order: fragment(row, false), prime: Some(first) }
            }
        }
    }
}

/// Where the driver writes.
#[derive(Clone, Copy)]
struct Offsets {
    client: usize,
    port: usize,
    vip: usize,
}

impl Offsets {
    const fn of(family: Family) -> Self {
        match family {
            Family::V4 => Self { client: ETHERNET + 12, port: ETHERNET + 20, vip: ETHERNET + 16 },
            Family::V6 => Self { client: ETHERNET + 20, port: ETHERNET + 40, vip: ETHERNET + 36 },
        }
    }
}

const fn ip_len(family: Family) -> usize {
    match family {
        Family::V4 => 20,
        Family::V6 => 40,
    }
}

fn client_address(family: Family) -> IpAddr {
    match family {
        Family::V4 => [198, 51, 100, 7].into(),
        Family::V6 => [0x2001, 0xdb8, 0xc, 0, 0, 0, 0, 7].into(),
    }
}

/// The VIP that the row's packets go to.
fn destination(row: &Row) -> IpAddr {
    let elsewhere = if row.kind == Kind::Pass { ELSEWHERE } else { 0 };
    world::vip(row.family, elsewhere)
}

/// A client's packet of a frame's full length.
fn client(row: &Row, transport: Transport) -> Vec<u8> {
    let source = SocketAddr::new(client_address(row.family), CLIENT_PORT).to_string();
    let destination = SocketAddr::new(destination(row), PORT.get()).to_string();
    let packet = Packet::new(transport, &source, &destination);
    let headers = packet.clone().payload(Vec::new()).bytes().len();
    packet.payload(vec![0; Drive::FRAME - headers]).bytes()
}

fn order(row: &Row, frame: &[u8], offsets: Offsets) -> Drive {
    let first_vip = match destination(row) {
        IpAddr::V4(vip) => vip.to_bits(),
        IpAddr::V6(vip) => vip.to_bits() as u32,
    };
    let mut template = [0; Drive::FRAME / 8];
    for (word, bytes) in template.iter_mut().zip(frame.as_chunks().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    Drive {
        template,
        passes: 0,
        flow_mask: row.flows - 1,
        service_mask: row.services.saturating_sub(1),
        client_at: offsets.client as u16,
        port_at: offsets.port as u16,
        vip_at: offsets.vip as u16,
        padding: 0,
        first_vip,
        reserved: 0,
        marks: [0; Drive::MARKS],
    }
}

/// What a router says of a backend's packet to a client, which has the VIP as its source.
fn icmp_error(row: &Row) -> Drive {
    let (family, ip) = (row.family, ip_len(row.family));
    let mut frame = client(row, Transport::TcpAck);
    let inner = ETHERNET + ip + 8;
    let (vip, client) = (destination(row), client_address(family));
    let addresses = |at: usize, source: IpAddr, destination: IpAddr| {
        let bytes: Vec<u8> = [source, destination].into_iter().flat_map(octets).collect();
        (at + ip - bytes.len(), bytes)
    };
    let header = frame[ETHERNET..ETHERNET + ip].to_vec();
    frame[inner..inner + ip].copy_from_slice(&header);
    let (at, bytes) = addresses(inner, vip, client);
    frame[at..at + bytes.len()].copy_from_slice(&bytes);
    let ports = [PORT.wire(), CLIENT_PORT.to_be_bytes()].concat();
    frame[inner + ip..inner + ip + 4].copy_from_slice(&ports);
    let icmp: [u8; 8] = match family {
        // Type 3, code 4 (RFC 1191 §4).
        Family::V4 => [3, 4, 0, 0, 0, 0, 0x05, 0x14],
        // Type 2 (RFC 4443 §3.2).
        Family::V6 => [2, 0, 0, 0, 0, 0, 0x05, 0x14],
    };
    frame[ETHERNET + ip..inner].copy_from_slice(&icmp);
    frame[protocol_at(family)] = if family == Family::V4 { 1 } else { 58 };
    let inside = Offsets {
        client: inner + ip - octets(client).len(),
        port: inner + ip + 2,
        ..Offsets::of(family)
    };
    order(row, &frame, inside)
}

const fn protocol_at(family: Family) -> usize {
    match family {
        Family::V4 => ETHERNET + 9,
        Family::V6 => ETHERNET + 6,
    }
}

/// A fragment of a UDP datagram: the first, with the ports, or the one behind it.
fn fragment(row: &Row, first: bool) -> Drive {
    let mut frame = client(row, Transport::TcpAck);
    let mut offsets = Offsets::of(row.family);
    match row.family {
        Family::V4 => {
            frame[ETHERNET + 4..ETHERNET + 6].copy_from_slice(&IDENTIFICATION);
            let flags = if first { [0x20, 0] } else { [0, 8] };
            frame[ETHERNET + 6..ETHERNET + 8].copy_from_slice(&flags);
        }
        Family::V6 => {
            let (start, len) = (ETHERNET + 40, 8);
            frame.copy_within(start..Drive::FRAME - len, start + len);
            let protocol = frame[protocol_at(row.family)];
            frame[protocol_at(row.family)] = PROTOCOL_FRAGMENT;
            let [a, b] = IDENTIFICATION;
            let place = if first { [0, 1] } else { [0, 64] };
            frame[start..start + len]
                .copy_from_slice(&[protocol, 0, place[0], place[1], 0, 0, a, b]);
            offsets.port += len;
        }
    }
    // Later fragments have no ports.
    let offsets = Offsets { port: if first { offsets.port } else { 0 }, ..offsets };
    order(row, &frame, offsets)
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}
