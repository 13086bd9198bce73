//! Good routes.

use std::time::Duration;

use lb_userspace::config::{
    Route,
    file::{self, Error, Loaded},
    vrrp::{Track, Tracked},
};

use crate::{NODE, SERVICE};

fn load(pieces: &[&str]) -> Result<Loaded, Error> {
    file::parse(&[&[NODE], pieces].concat().concat(), "lb.toml")
}

#[test]
fn what_the_file_leaves_out_has_a_default() {
    let loaded = load(&[SERVICE, "[[route]]\nname = 'web'\naddresses = ['192.0.2.10']\n"]);
    let expected = Route {
        name: "web".into(),
        addresses: vec![[192, 0, 2, 10].into()],
        interface: "lo".into(),
        tracks: Vec::new(),
    };
    assert_eq!(loaded.expect("valid").config.routes, [expected]);
}

#[test]
fn every_key_can_be_configured() {
    let text = "[[route]]\nname = 'web'\naddresses = ['192.0.2.10', '2001:db8::10']\n\
                interface = 'vips'\n[[route.track]]\ndatapath = true\n\
                [[route.track]]\nservice = 'web'\nrise = 2\nfall = 3\n\
                [[route.track]]\ninterface = 'eth1'\n\
                [[route.track]]\nscript = ['/bin/ok', '-v']\ninterval = '2s'\ntimeout = '1s'\n";
    let routes = load(&[SERVICE, text]).expect("valid").config.routes;
    let [route] = &routes[..] else { panic!("one") };
    let track = |what| Track { what, weight: 0, rise: 1, fall: 1 };
    let (command, second) = (vec!["/bin/ok".into(), "-v".into()], Duration::from_secs(1));
    let expected = Route {
        name: "web".into(),
        addresses: ["192.0.2.10", "2001:db8::10"].map(|it| it.parse().expect("valid")).into(),
        interface: "vips".into(),
        tracks: vec![
            track(Tracked::Datapath),
            Track { rise: 2, fall: 3, ..track(Tracked::Service("web".into())) },
            track(Tracked::Interface("eth1".into())),
            track(Tracked::Script { command, interval: 2 * second, timeout: second }),
        ],
    };
    assert_eq!(*route, expected);
    // Another process gets them as JSON.
    let json = serde_json::to_string(route).expect("JSON");
    assert_eq!(serde_json::from_str::<Route>(&json).expect(&json), *route);
}

#[test]
fn what_is_probably_not_meant_is_warned_of() {
    let text = "[[route]]\nname = 'web'\naddresses = ['192.0.2.10', '2001:db8::10']\n\
                [[route.track]]\nservice = 'web'\n";
    let backends = "backend = [{ address = '10.0.0.11' }]\n";
    let loaded = load(&[SERVICE, backends, text]).expect("valid");
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    let expected = [
        "lb.toml:12: route[0].addresses[1]: 2001:db8::10 is the VIP of no service: packets for it end \
         on this node; add a [[service]] with this `vip`, or remove it",
        "lb.toml:14: route[0].track[0].service: `web` has no check: all its backends count as \
         healthy, always; add a [service.check]",
    ];
    assert_eq!(warnings, expected);
}
