//! Good virtual routers.

use std::time::Duration;

use lb_userspace::{
    config::{
        file::{self, Error, Loaded},
        vrrp::{Announce, Checksum, Track, Tracked, VirtualAddress, Vrrp},
    },
    vrrp::sm::Announcements,
};

use crate::{NODE, SERVICE};

const SHORT: &str = "[[vrrp]]\nname = 'out'\ninterface = 'eth0'\nid = 51\n";

fn load(pieces: &[&str]) -> Result<Loaded, Error> {
    file::parse(&[&[NODE], pieces].concat().concat(), "lb.toml")
}

fn routers(pieces: &[&str]) -> Result<Vec<Vrrp>, Error> {
    load(pieces).map(|loaded| loaded.config.vrrp)
}

fn short() -> Vrrp {
    let address = VirtualAddress { address: [203, 0, 113, 10].into(), prefix_length: 32 };
    Vrrp {
        name: "out".into(),
        interface: "eth0".into(),
        id: 51,
        version: 3,
        addresses: vec![address],
        priority: 100,
        interval: Duration::from_secs(1),
        preempt: true,
        preempt_delay: Duration::ZERO,
        source: None,
        peers: Vec::new(),
        virtual_mac: false,
        checksum: Checksum::Auto,
        group: None,
        announce: Announce {
            copies: 5,
            repeat_after: Duration::from_secs(5),
            refresh: Some(Duration::from_secs(60)),
        },
        tracks: Vec::new(),
    }
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let routers = |text| routers(&[SHORT, text]).expect("valid");
    assert_eq!(routers("addresses = ['203.0.113.10']\n"), [short()]);
    let tracks = "addresses = ['203.0.113.10']\n[[vrrp.track]]\nscript = ['/bin/ok']\n";
    let what = Tracked::Script {
        command: vec!["/bin/ok".into()],
        interval: Duration::from_secs(1),
        timeout: Duration::from_millis(500),
    };
    let track = Track { what, weight: 0, rise: 1, fall: 1 };
    assert_eq!(routers(tracks)[0].tracks, [track]);
    let refresh = Some(Duration::from_secs(60));
    let announcements = Announcements { refresh, ..Announcements::default() };
    assert_eq!(Announcements::from(short().announce), announcements);
}

#[test]
fn every_key_can_be_configured() {
    let text = "addresses = ['2001:db8::10/64', 'fe80::10']\nversion = 3\npriority = 150\n\
                interval = '40s 950ms'\npreempt_delay = '1m'\nsource = 'fe80::1'\n\
                peers = ['fe80::2', '2001:db8::3']\nvirtual_mac = true\nchecksum = 'auto'\n\
                group = 'pair'\nannounce = { copies = 3, repeat_after = '0s', refresh = '1m' }\n\
                [[vrrp.track]]\ninterface = 'eth1'\nweight = -254\nrise = 2\nfall = 3\n\
                [[vrrp.track]]\ndatapath = true\n\
                [[vrrp.track]]\nservice = 'web'\nweight = 254\n";
    let second = "[[vrrp]]\nname = 'in'\ninterface = 'eth0'\nid = 51\nversion = 2\ngroup = 'pair'\n\
                  addresses = ['203.0.113.10']\ninterval = '255s'\npreempt = false\n";
    let routers = routers(&[SERVICE, SHORT, text, second]).expect("valid");
    let [six, four] = &routers[..] else { panic!("two") };
    let address = |text: &str, prefix_length| VirtualAddress {
        address: text.parse().expect("an address"),
        prefix_length,
    };
    let track = |what, weight| Track { what, weight, rise: 1, fall: 1 };
    let expected = Vrrp {
        addresses: vec![address("2001:db8::10", 64), address("fe80::10", 128)],
        priority: 150,
        interval: Duration::from_millis(40_950),
        preempt_delay: Duration::from_secs(60),
        source: "fe80::1".parse().ok(),
        peers: ["fe80::2", "2001:db8::3"].map(|it| it.parse().expect("an address")).into(),
        virtual_mac: true,
        group: Some("pair".into()),
        announce: Announce {
            copies: 3,
            repeat_after: Duration::ZERO,
            refresh: Some(Duration::from_secs(60)),
        },
        tracks: vec![
            Track { rise: 2, fall: 3, ..track(Tracked::Interface("eth1".into()), -254) },
            track(Tracked::Datapath, 0),
            track(Tracked::Service("web".into()), 254),
        ],
        ..short()
    };
    assert_eq!(*six, expected);
    assert_eq!((four.version, four.interval.as_secs(), four.preempt), (2, 255, false));
    // Another process gets them as JSON.
    for router in [six, four] {
        let json = serde_json::to_string(router).expect("JSON");
        assert_eq!(serde_json::from_str::<Vrrp>(&json).expect(&json), *router);
    }
}

#[test]
fn an_owner_may_have_its_own_address_and_lose_it_by_a_fault() {
    let text = "addresses = ['203.0.113.10']\npriority = 255\nsource = '203.0.113.10'\n\
                checksum = 'plain'\n[[vrrp.track]]\ninterface = 'eth1'\n";
    let routers = routers(&[SHORT, text]).expect("valid");
    let [router] = &routers[..] else { panic!("one") };
    assert_eq!((router.priority, router.checksum), (255, Checksum::Plain));
}

#[test]
fn what_is_probably_not_meant_is_warned_of() {
    let text = "addresses = ['203.0.113.10']\nvirtual_mac = true\npeers = ['10.0.0.2']\n\
                group = 'pair'\n[[vrrp.track]]\nservice = 'web'\n";
    let backends = "backend = [{ address = '10.0.0.11' }]\n";
    let loaded = load(&[SERVICE, backends, SHORT, text]).expect("valid");
    let warnings: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    let expected = [
        "lb.toml:15: vrrp[0].virtual_mac: switches learn where the MAC address is from adverts to the \
         group, and these go to `peers`; remove one of both",
        "lb.toml:17: vrrp[0].group: `out` is alone in the group `pair`; name the group at another \
         virtual router as well, or remove it",
        "lb.toml:19: vrrp[0].track[0].service: `web` has no check: all its backends count as healthy, \
         always; add a [service.check]",
    ];
    assert_eq!(warnings, expected);
}
