//! The backends that are checked through the packet path.

use lb_common::{
    addr::Addr,
    checksum::Delta,
    probe::{Probe, ProbeSettings},
};

use super::pool::Pool;
use crate::{desired::Service, ring::Endpoint};

/// How one of them is.
pub(super) struct Probed {
    pub(super) endpoint: Endpoint,
    pub(super) place: u32,
    pub(super) alias: Addr,
    pub(super) probe: Probe,
}

/// Those of a service.
pub(super) fn all(
    pool: &Pool,
    service: &Service,
    settings: &ProbeSettings,
) -> impl Iterator<Item = Probed> {
    let vip = pool.key.vip;
    let aliases = *settings.aliases(vip.is_v4());
    let lines = pool.lines().filter(move |_| settings.answers.is_resolved());
    lines.filter_map(move |(place, line)| {
        let endpoint = line.into();
        let wanted = service.probes.get(&endpoint)?;
        let alias = aliases.of(place);
        let source = Delta::address(&aliases.own(), &wanted.source);
        let probe = Probe {
            vip,
            source: wanted.source,
            service: *pool.entry(),
            patience: wanted.patience,
            delta: Delta::address(&alias, &vip).and(source),
            padding: [0; 3],
        };
        Some(Probed { endpoint, place, alias, probe })
    })
}
