//! `lb detach`.

use std::path::Path;

use super::{Error, block_on, output::Output};
use crate::{
    config::file,
    detach::{self, Detached},
};

pub(super) fn detach(config: Option<&Path>, output: Output) -> Result<(), Error> {
    let config = config.map_or_else(file::embedded, file::load)?.config;
    block_on(async {
        let detached = detach::run(&config).await.map_err(Error::Node)?;
        output.show(&detached, text)
    })
}

fn text(detached: &Detached) -> String {
    if *detached == Detached::default() {
        return "nothing was attached\n".into();
    }
    let Detached { interfaces, maps, probe_link, vrrp, forwarders, addresses, neighbours } =
        detached;
    let from = match interfaces.as_slice() {
        [] => "no interface had the program".into(),
        interfaces => format!("detached from {}", interfaces.join(", ")),
    };
    let link = if *probe_link { ", the probe link removed" } else { "" };
    let speaker = if *vrrp { ", VRRP resigned" } else { "" };
    let proxies = if *forwarders > 0 { ", proxies ended" } else { "" };
    let left = match addresses {
        0 => String::new(),
        1 => ", 1 address taken away".into(),
        several => format!(", {several} addresses taken away"),
    };
    format!(
        "{from}; {maps} maps removed{link}{speaker}{proxies}{left}, {neighbours} neighbours released\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_away_is_said() {
        let some = Detached {
            interfaces: vec!["eth0".into(), "eth1".into()],
            maps: 19,
            probe_link: false,
            vrrp: false,
            forwarders: 0,
            addresses: 0,
            neighbours: 4,
        };
        assert_eq!(
            text(&some),
            "detached from eth0, eth1; 19 maps removed, 4 neighbours released\n"
        );
        assert_eq!(
            text(&Detached { probe_link: true, ..some.clone() }),
            "detached from eth0, eth1; 19 maps removed, the probe link removed, 4 neighbours \
             released\n"
        );
        assert_eq!(
            text(&Detached { addresses: 2, ..some }),
            "detached from eth0, eth1; 19 maps removed, 2 addresses taken away, 4 neighbours \
             released\n"
        );
        assert_eq!(text(&Detached::default()), "nothing was attached\n");
    }
}
