//! Descriptions of VLAN devices in the kernel's words: not every kernel has such devices.

use rtnetlink::packet_route::link::{InfoKind, VlanProtocol};

use super::*;

fn link(index: u32, name: &str, attributes: Vec<LinkAttribute>) -> RouteNetlinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.header.flags = LinkFlags::Up | LinkFlags::LowerUp;
    message.attributes = vec![LinkAttribute::IfName(name.into()), LinkAttribute::Mtu(1500)];
    message.attributes.extend(attributes);
    RouteNetlinkMessage::NewLink(message)
}

fn info(kind: InfoKind, data: Option<InfoData>) -> LinkAttribute {
    let data = data.map(LinkInfo::Data);
    LinkAttribute::LinkInfo([LinkInfo::Kind(kind)].into_iter().chain(data).collect())
}

fn vlan(id: u16, protocol: VlanProtocol) -> LinkAttribute {
    let data = vec![InfoVlan::Protocol(protocol), InfoVlan::Id(id)];
    info(InfoKind::Vlan, Some(InfoData::Vlan(data)))
}

#[test]
fn vlan_devices_have_a_link_below_and_a_tag() {
    let below = LinkAttribute::Link;
    let dump = Dump::new(vec![
        link(2, "eth0", vec![]),
        link(3, "eth0.100", vec![below(2), vlan(100, VlanProtocol::Ieee8021Ad)]),
        link(4, "eth0.100.7", vec![below(3), vlan(7, VlanProtocol::Ieee8021Q)]),
        // The end of a veth has a link "below" as well: its peer.
        link(5, "veth0", vec![below(6), info(InfoKind::Veth, None)]),
        link(
            7,
            "away",
            vec![below(2), LinkAttribute::LinkNetNsId(0), vlan(9, VlanProtocol::Ieee8021Q)],
        ),
    ]);
    let found = |index| dump.topology.links.get(&index).and_then(|link: &Link| link.vlan);
    assert_eq!(found(2), None);
    assert_eq!(found(3), Some(Vlan { lower: 2, tag: VlanTag::new(0x88a8, 100) }));
    assert_eq!(found(4), Some(Vlan { lower: 3, tag: VlanTag::new(0x8100, 7) }));
    assert_eq!(found(5), None);
    let elsewhere = Vlan { lower: 0, tag: VlanTag::new(0x8100, 9) };
    assert_eq!(found(7), Some(elsewhere), "2 is another link in that namespace");
    let tags = [VlanTag::new(0x88a8, 100), VlanTag::new(0x8100, 7)];
    let way = dump.topology.egress(4);
    assert_eq!(way.map(|way| (way.interface, way.tags)), Some((2, tags)));
    assert_eq!(dump.topology.egress(7), None);
}
