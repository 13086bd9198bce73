//! Health checks through the packet path.

use std::{collections::BTreeMap, net::IpAddr};

use lb_common::{
    probe::{Aliases, ProbeSettings},
    route::{NextHop, Prefix},
};

use super::{
    Inputs, Probe,
    tunnel::{self, Family},
};
use crate::{
    config,
    ring::Endpoint,
    topology::{Topology, probe},
};

/// What all of them have in common; [`ProbeSettings::NONE`] while there is no need, or no link for them.
pub(super) fn settings(Inputs { config, topology, .. }: Inputs<'_>) -> ProbeSettings {
    let block = |is_v4| {
        let of_family = |block: &Prefix| block.address.is_v4() == is_v4;
        config.probe_blocks().find(of_family).map_or(Aliases::NONE, |block| Aliases(block.address))
    };
    let (aliases4, aliases6) = (block(true), block(false));
    let needed = [aliases4, aliases6].iter().any(|aliases| *aliases != Aliases::NONE);
    let answers = needed.then(|| far_end(topology)).flatten();
    answers.map_or(ProbeSettings::NONE, |answers| ProbeSettings { aliases4, aliases6, answers })
}

/// The way into the far end of the probe link, which leads to the near one.
fn far_end(topology: &Topology) -> Option<NextHop> {
    let link = |name| topology.interface(name).and_then(|index| topology.links.get(&index));
    let interface = topology.interface(probe::FAR)?;
    let (near, far) = (link(probe::NEAR)?, link(probe::FAR)?);
    Some(NextHop { interface, destination: near.mac, source: far.mac, ..NextHop::UNRESOLVED })
}

/// Those of a service's backends. One that the node has no address for is left out.
pub(super) fn pool(inputs: Inputs<'_>, service: &config::Service) -> BTreeMap<Endpoint, Probe> {
    let Some(check) = service.probe() else { return BTreeMap::new() };
    let patience = check.timeout.as_millis().try_into().unwrap_or(u32::MAX);
    let probes = service.backends.iter().filter_map(|backend| {
        let source = source(inputs, service.vip, backend.address)?.into();
        Some((backend.socket().into(), Probe { source, patience }))
    });
    probes.collect()
}

/// The node's own address that a backend answers to: of the VIP's family, and on the link to the
/// backend, if that is attached: the answers must come in where the program is.
fn source(
    Inputs { config, topology, .. }: Inputs<'_>,
    vip: IpAddr,
    backend: IpAddr,
) -> Option<IpAddr> {
    let attached = |interface| {
        let mut attached = config.node.interfaces.iter().filter_map(|it| topology.interface(it));
        attached.any(|it| it == interface)
    };
    let link = topology.path(backend).map(|path| path.interface);
    let near = link.filter(|&it| topology.egress(it).is_some_and(|way| attached(way.interface)));
    tunnel::own(config, topology, Family::of(vip), near)
}
