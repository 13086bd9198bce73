use super::*;
use crate::{
    speaker::message::Report,
    topology::{Link, Topology},
};

fn config() -> Route {
    let track = |what| Track { what, weight: 0, rise: 1, fall: 1 };
    Route {
        name: "web".into(),
        addresses: vec![[203, 0, 113, 10].into()],
        interface: "lo".into(),
        tracks: vec![track(Tracked::Datapath), track(Tracked::Service("web".into()))],
    }
}

fn node(interface: &str) -> Topology {
    let link = Link {
        name: interface.into(),
        mac: lb_common::addr::Mac([0; 6]),
        up: true,
        mtu: 1500,
        vlan: None,
        addresses: Vec::new(),
    };
    Topology { links: [(1, link)].into(), ..Topology::default() }
}

fn report(services: &[(&str, bool)]) -> Report {
    let services = services.iter().map(|(name, good)| ((*name).to_owned(), *good)).collect();
    Report { datapath: true, services }
}

/// A look at the node; what is noted.
fn look(entry: &mut Entry, topology: &Topology, report: Option<&Report>) -> Option<RouteState> {
    let sight = Sight { topology, report };
    for (index, track) in entry.config.tracks.clone().iter().enumerate() {
        if let Some(good) = sight.of(&track.what) {
            entry.tracking.see(index, good);
        }
    }
    let noted = entry.decide(&sight, &Who::lb())?;
    let What::Route(state, _, _) = noted.what else { panic!("{noted:?}") };
    Some(state)
}

#[test]
fn it_is_announced_only_when_all_was_seen_to_be_well() {
    let (lo, mut entry) = (node("lo"), Entry::new(config(), None));
    assert_eq!(look(&mut entry, &Topology::default(), None), None, "before the first look");
    assert_eq!(look(&mut entry, &lo, None), None);
    assert_eq!(entry.past.cause, "no daemon has said yet that its program is attached");
    assert_eq!(look(&mut entry, &lo, Some(&report(&[]))), None);
    assert_eq!(entry.past.cause, "service web: not known yet");
    assert_eq!(look(&mut entry, &lo, Some(&report(&[("web", false)]))), None);
    assert_eq!(entry.past.cause, "service web fails");
    let well = report(&[("web", true)]);
    assert_eq!(look(&mut entry, &node("eth0"), Some(&well)), None);
    assert_eq!(entry.past.cause, "there is no interface lo");
    assert_eq!(look(&mut entry, &lo, Some(&well)), Some(RouteState::Announced));
    assert_eq!(look(&mut entry, &lo, Some(&well)), None);
    let failing = Some(RouteState::Withdrawn);
    assert_eq!(look(&mut entry, &lo, Some(&report(&[("web", false)]))), failing);
}

#[test]
fn another_process_goes_on_from_what_it_was() {
    let (lo, well) = (node("lo"), report(&[("web", true)]));
    let mut entry = Entry::new(config(), None);
    assert_eq!(look(&mut entry, &lo, Some(&well)), Some(RouteState::Announced));
    let mut next = Entry::new(config(), Some(entry.past()));
    assert_eq!(look(&mut next, &lo, Some(&report(&[]))), None, "{:?}", next.past);
    assert_eq!(next.past.state, RouteState::Announced);

    next.past.wanted = false;
    assert_eq!(look(&mut next, &lo, Some(&well)), Some(RouteState::Withdrawn));
    let mut last = Entry::new(config(), Some(next.past()));
    assert_eq!(look(&mut last, &lo, Some(&well)), None, "an operator's wish is kept");
    assert_eq!(last.past.cause, "an operator wants it");
}
