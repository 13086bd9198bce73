use etherparse::{
    Icmpv6Type, NetSlice, SlicedPacket, TransportSlice, icmpv6::NeighborAdvertisementHeader,
};

use super::*;
use crate::vrrp::Vrid;

const MAC: Mac = [0x00, 0x00, 0x5e, 0x00, 0x02, 0x07];

#[test]
fn a_gratuitous_arp_is_the_bytes_of_the_figures() {
    for (form, operation, target) in [(Arp::Request, 1, BROADCAST), (Arp::Reply, 2, MAC)] {
        let frame = gratuitous_arp(Ipv4Addr::new(192, 0, 2, 10), MAC, form);
        let (head, target_hardware) = ([0xff; 6], target);
        assert_eq!(frame[..6], head);
        assert_eq!(frame[6..12], MAC);
        assert_eq!(frame[12..20], [0x08, 0x06, 0, 1, 0x08, 0, 6, 4]);
        assert_eq!(frame[20..22], [0, operation]);
        assert_eq!(frame[22..28], MAC);
        assert_eq!(frame[28..32], [192, 0, 2, 10]);
        assert_eq!(frame[32..38], target_hardware);
        assert_eq!(frame[38..], [192, 0, 2, 10]);
    }
}

#[test]
fn a_neighbour_advertisement_is_what_another_parser_reads() {
    let address: Ipv6Addr = "2001:db8::a".parse().unwrap();
    // Summed up by another program.
    for (router, checksum) in [(true, 0x1b12), (false, 0x9b12)] {
        let frame = neighbour_advertisement(address, MAC, router);
        assert_eq!(frame.len(), 86);
        assert_eq!(frame[..12], [ALL_NODES_MAC, MAC].concat());
        let packet = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(NetSlice::Ipv6(six)) = &packet.net else { panic!("{packet:?}") };
        let header = six.header().to_header();
        assert_eq!((header.source, header.destination), (address.octets(), ALL_NODES.octets()));
        assert_eq!(
            (header.hop_limit, header.traffic_class, header.payload_length),
            (255, 0xc0, 32)
        );
        let Some(TransportSlice::Icmpv6(message)) = &packet.transport else { panic!("{packet:?}") };
        let expected = NeighborAdvertisementHeader { router, solicited: false, r#override: true };
        assert_eq!(message.icmp_type(), Icmpv6Type::NeighborAdvertisement(expected));
        assert!(message.is_checksum_valid(header.source, header.destination));
        assert_eq!(message.checksum(), checksum);
        assert_eq!(message.payload(), [&address.octets()[..], &[2, 1], &MAC].concat());
    }
}

#[test]
fn virtual_macs_are_by_family() {
    let vrid = Vrid::new(7).unwrap();
    assert_eq!(virtual_mac(vrid, true), MAC);
    assert_eq!(virtual_mac(vrid, false), [0x00, 0x00, 0x5e, 0x00, 0x01, 0x07]);
}
