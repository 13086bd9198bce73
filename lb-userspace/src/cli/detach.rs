//! `lb detach`.

use std::path::Path;

use super::{Error, block_on, output::Output};
use crate::{
    config::file,
    detach::{self, Detached},
};

pub(super) fn detach(config: Option<&Path>, output: Output) -> Result<(), Error> {
    let node = config.map_or_else(file::embedded, file::load)?.config.node;
    block_on(async {
        let detached = detach::run(&node).await.map_err(Error::Node)?;
        output.show(&detached, text)
    })
}

fn text(Detached { interfaces, maps, probe_link, vrrp, neighbours }: &Detached) -> String {
    if interfaces.is_empty() && *maps == 0 && !probe_link && !vrrp {
        return "nothing was attached\n".into();
    }
    let from = match interfaces.as_slice() {
        [] => "no interface had the program".into(),
        interfaces => format!("detached from {}", interfaces.join(", ")),
    };
    let link = if *probe_link { ", the probe link removed" } else { "" };
    let link = if *vrrp { format!("{link}, VRRP resigned") } else { link.into() };
    format!("{from}; {maps} maps removed{link}, {neighbours} neighbours released\n")
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
            neighbours: 4,
        };
        assert_eq!(
            text(&some),
            "detached from eth0, eth1; 19 maps removed, 4 neighbours released\n"
        );
        assert_eq!(
            text(&Detached { probe_link: true, ..some }),
            "detached from eth0, eth1; 19 maps removed, the probe link removed, 4 neighbours \
             released\n"
        );
        assert_eq!(text(&Detached::default()), "nothing was attached\n");
    }
}
