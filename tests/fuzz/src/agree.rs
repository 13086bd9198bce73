//! What the parser says, in the model's words.

use lb_common::verdict::Verdict;
use lb_ebpf::parse::{Family, Packet, Part};
use lb_model::parse as model;

/// A result of the parser as the model would say it.
pub(crate) fn translated(parsed: &Result<Packet, Verdict>) -> Result<model::Packet, Verdict> {
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
    let ip = |address: lb_common::addr::Addr| match family {
        Family::V4 => {
            assert!(address.is_v4(), "an IPv4 packet with an IPv6 address");
            address.to_ip()
        }
        Family::V6 => std::net::Ipv6Addr::from(address.octets()).into(),
    };
    Ok(model::Packet {
        network: l3,
        transport: l4,
        end,
        source: ip(source),
        destination: ip(destination),
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
