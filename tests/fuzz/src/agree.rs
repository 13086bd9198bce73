//! What the parser says, in the model's words.

use lb_common::{
    addr::{Addr, Protocol},
    flow::Moment,
    verdict::Verdict,
};
use lb_ebpf::{
    frame::Frame,
    icmp::{self, Embedded, Message},
    parse::{Family, Packet, Part},
};
use lb_model::{error, parse as model};

/// What an ICMP error quotes; nothing for all else.
type Quote = Option<Result<model::Packet, Verdict>>;

/// What the model says of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    packet: Result<model::Packet, Verdict>,
    quote: Quote,
}

/// What the model says.
pub(crate) fn expected(frame: &[u8]) -> Said {
    let packet = model::parse(frame);
    let quote = packet.as_ref().ok().and_then(|packet| {
        let message = &frame[packet.transport..packet.end];
        let v4 = packet.protocol == model::ICMP;
        let is_icmp = v4 || packet.protocol == model::ICMPV6;
        let asked = is_icmp && packet.part == model::Part::Whole && error::is_error(message, v4);
        asked.then(|| error::quoted(message, packet))
    });
    Said { packet, quote }
}

/// What the parser says.
pub(crate) fn parsed(frame: &Frame) -> Said {
    let packet = lb_ebpf::parse::packet(frame);
    let quote = packet.as_ref().ok().and_then(|packet| quote(frame, packet));
    Said { packet: translated(&packet), quote }
}

fn quote(frame: &Frame, packet: &Packet) -> Quote {
    let is_icmp = matches!(packet.protocol, Protocol::ICMP | Protocol::ICMPV6);
    if !is_icmp || packet.part != Part::Whole {
        return None;
    }
    match icmp::message(frame, packet) {
        Ok(Message::Error) => Some(icmp::embedded(frame, packet).map(|found| {
            let Embedded { client, l3, l4, client_port, service_port, protocol, padding: _ } =
                found;
            model::Packet {
                network: 0,
                transport: l4 - l3,
                end: packet.end - l3,
                source: ip(packet.family, packet.destination),
                destination: ip(packet.family, client),
                protocol: protocol.0,
                ports: (service_port.get(), client_port.get()),
                part: model::Part::Whole,
                moment: Moment::Amid,
            }
        })),
        Ok(Message::EchoRequest | Message::Other) => None,
        Err(verdict) => Some(Err(verdict)),
    }
}

fn ip(family: Family, address: Addr) -> std::net::IpAddr {
    match family {
        Family::V4 => {
            assert!(address.is_v4(), "an IPv4 packet with an IPv6 address");
            address.to_ip()
        }
        Family::V6 => std::net::Ipv6Addr::from(address.octets()).into(),
    }
}

/// A result of the parser as the model would say it.
fn translated(parsed: &Result<Packet, Verdict>) -> Result<model::Packet, Verdict> {
    let Packet {
        source,
        destination,
        l3,
        l4,
        end,
        source_port,
        destination_port,
        family,
        protocol,
        moment,
        part,
    } = match parsed {
        Ok(packet) => *packet,
        Err(verdict) => return Err(*verdict),
    };
    Ok(model::Packet {
        network: l3,
        transport: l4,
        end,
        source: ip(family, source),
        destination: ip(family, destination),
        protocol: protocol.0,
        ports: (source_port.get(), destination_port.get()),
        part: match part {
            Part::Whole => model::Part::Whole,
            Part::First(identification) => model::Part::First(identification),
            Part::Later(identification) => model::Part::Later(identification),
        },
        moment,
    })
}
