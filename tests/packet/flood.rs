//! A flood of SYNs during a move reaches the table of pending connections, and nothing else.

use lb_common::{
    addr::{Mac, Protocol},
    route::NextHop,
    service::ForwardMode,
    slot::{Slot, State},
};
use lb_tests::{
    packet::{Packet, Transport},
    packet_path::{self, PacketPath},
};
use lb_userspace::dataplane::Op;

use crate::site::{self, HOP, L2_VIP4};

const FLOOD: u32 = 5_000_000;
const LIVE: u16 = 1000;
const OLD: Mac = Mac([2, 0, 0, 0, 0xbb, 1]);
const NEW: Mac = Mac([2, 0, 0, 0, 0xbb, 2]);
/// Where the source address of a frame without VLAN tags begins.
const SOURCE: usize = 26;
/// Where its source port begins, without options.
const SOURCE_PORT: usize = 34;

/// Every slot moves from the first backend to the second.
fn moving() -> PacketPath {
    let key = packet_path::key(Protocol::TCP, L2_VIP4);
    let mut desired = packet_path::nothing([7; 16]);
    let mut pool = site::pool(ForwardMode::L2, &["10.0.0.11:80", "10.0.0.12:80"], HOP);
    for (mac, backend) in [OLD, NEW].into_iter().zip(pool.backends.values_mut()) {
        backend.way.next_hop = NextHop { destination: mac, ..HOP };
    }
    let _ = desired.services.insert(key, pool);
    let mut path = PacketPath::load(desired);
    let service = path.reconciler().actual().unwrap().services[&key];
    let slot = Slot::new(State::Moving { current: Some(2), previous: 1 });
    let places = service.ring_base..service.ring_base + service.ring_size;
    path.apply(&Op::WriteSlots(places.map(|place| (place, slot)).collect()));
    path
}

fn packet(transport: Transport, port: u16) -> Vec<u8> {
    Packet::new(transport, &format!("198.51.100.7:{port}"), L2_VIP4).bytes()
}

/// Who gets the packet.
fn taker(path: &mut PacketPath, frame: &[u8]) -> [u8; 6] {
    let (_, frame) = path.run_only(frame);
    [frame[0], frame[1], frame[2], frame[3], frame[4], frame[5]]
}

/// The ports of live connections; the odd ones are older than the move.
fn ports() -> impl Iterator<Item = (u16, Mac)> {
    (40_000..40_000 + LIVE).map(|port| (port, if port % 2 == 1 { OLD } else { NEW }))
}

#[test]
fn a_flood_of_syns_moves_no_live_connection() {
    let mut path = moving();
    for (port, owner) in ports() {
        if owner == NEW {
            assert_eq!(taker(&mut path, &packet(Transport::TcpSyn, port)), NEW.0);
        }
        assert_eq!(taker(&mut path, &packet(Transport::TcpAck, port)), owner.0);
    }
    let mut syn = packet(Transport::TcpSyn, 0);
    for number in 0..FLOOD {
        // Every source once, in an order that no table likes; some are those of live connections.
        let mixed = number.wrapping_mul(0x9e37_79b1);
        let port = 40_000 + (mixed >> 20) as u16 % (2 * LIVE);
        let address = if number % 64 == 0 { [198, 51, 100, 7] } else { mixed.to_be_bytes() };
        syn[SOURCE..SOURCE + 4].copy_from_slice(&address);
        syn[SOURCE_PORT..SOURCE_PORT + 2].copy_from_slice(&port.to_be_bytes());
        let (action, _) = path.run_only(&syn);
        assert_eq!(action, 3, "XDP_TX");
    }
    for (port, owner) in ports() {
        assert_eq!(taker(&mut path, &packet(Transport::TcpAck, port)), owner.0, "port {port}");
    }
}
