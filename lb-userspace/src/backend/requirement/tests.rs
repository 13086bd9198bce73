//! Requirements, on machines that exist only here.

use std::collections::BTreeSet;

use lb_common::service::ForwardMode;

use super::*;
use crate::{
    backend::{GUE_PORT, machine::Link, setup, spec::Pieces},
    config::{AttachMode, parse_prefix},
};

fn pieces(mode: ForwardMode, vips: &[&str]) -> Pieces {
    Pieces {
        mode,
        vips: vips.iter().map(|vip| vip.parse().unwrap()).collect(),
        interface: "eth0".into(),
        kernel_tunnel: false,
        from: vec![parse_prefix("10.0.0.0/24").unwrap()],
        gue_port: GUE_PORT,
        attach: AttachMode::Native,
        gateway: None,
    }
}

fn list(pieces: Pieces) -> Vec<Requirement> {
    requirements(&pieces.fit().unwrap())
}

/// The commands of `--print`, without comments.
fn commands(pieces: Pieces) -> Vec<String> {
    let script = setup::script(&list(pieces));
    let is_command = |line: &&str| !line.starts_with('#') && !line.is_empty();
    script.lines().filter(is_command).map(str::to_owned).collect()
}

const ARP: [&str; 4] = [
    "sysctl -w net/ipv4/conf/all/arp_ignore=1",
    "sysctl -w net/ipv4/conf/all/arp_announce=2",
    "sysctl -w net/ipv4/conf/eth0/arp_ignore=1",
    "sysctl -w net/ipv4/conf/eth0/arp_announce=2",
];

#[test]
fn l2_needs_a_silent_vip() {
    let mut expected = ARP.map(str::to_owned).to_vec();
    expected.push("ip address replace 192.0.2.10/32 dev lo".into());
    assert_eq!(commands(pieces(ForwardMode::L2, &["192.0.2.10"])), expected);
    // Neighbour discovery answers for the interface's own addresses alone.
    assert_eq!(
        commands(pieces(ForwardMode::L2, &["2001:db8::20"])),
        ["ip address replace 2001:db8::20/128 dev lo preferred_lft 0 nodad"]
    );
}

#[test]
fn tunnels_end_in_lb_decap_or_in_devices() {
    let decap = commands(pieces(ForwardMode::IPIP, &["192.0.2.10"]));
    assert_eq!(decap[5..], ["lb decap --interface eth0 --from 10.0.0.0/24"]);
    let other = Pieces {
        gue_port: 7000,
        attach: AttachMode::Generic,
        ..pieces(ForwardMode::GUE, &["2001:db8::20"])
    };
    assert_eq!(
        commands(other)[1..],
        ["lb decap --interface eth0 --from 10.0.0.0/24 --gue-port 7000 --mode generic"]
    );

    let kernel = |mode, vips: &[&str]| Pieces { kernel_tunnel: true, ..pieces(mode, vips) };
    assert_eq!(
        commands(kernel(ForwardMode::IPIP, &["192.0.2.10"]))[5..],
        ["modprobe ipip", "ip link set dev tunl0 up", "sysctl -w net/ipv4/conf/tunl0/rp_filter=2"]
    );
    assert_eq!(
        commands(kernel(ForwardMode::GUE, &["2001:db8::20"]))[1..],
        ["modprobe sit", "ip link set dev sit0 up", "modprobe fou", "ip fou add port 6080 gue"]
    );
    let over_v6 = Pieces {
        from: vec![parse_prefix("fd00::/64").unwrap()],
        ..kernel(ForwardMode::GUE, &["192.0.2.10"])
    };
    assert_eq!(
        commands(over_v6)[5..],
        [
            "modprobe ip6_tunnel",
            "ip -6 tunnel change ip6tnl0 mode any",
            "ip link set dev ip6tnl0 up",
            "sysctl -w net/ipv4/conf/ip6tnl0/rp_filter=2",
            "modprobe fou6",
            "ip -6 fou add port 6080 gue"
        ]
    );
}

#[test]
fn pieces_that_do_not_fit_are_named_by_their_option() {
    let l2 = || pieces(ForwardMode::L2, &[]);
    let ipip = pieces(ForwardMode::IPIP, &["192.0.2.10"]);
    for (pieces, option) in [
        (l2(), "--vip"),
        (Pieces { from: Vec::new(), ..ipip }, "--from"),
        (Pieces { mode: ForwardMode::NAT, ..l2() }, "--gateway"),
    ] {
        let error = pieces.fit().unwrap_err().to_string();
        assert!(error.contains(option), "{error}");
    }
}

#[test]
fn the_overhead_is_that_of_the_outer_headers() {
    for (mode, from, expected) in [
        (ForwardMode::IPIP, "10.0.0.0/24", 20),
        (ForwardMode::IPIP, "fd00::/64", 40),
        (ForwardMode::GUE, "10.0.0.0/24", 32),
        (ForwardMode::GUE, "fd00::/64", 52),
    ] {
        let from = vec![parse_prefix(from).unwrap()];
        let list = list(Pieces { from, ..pieces(mode, &["192.0.2.10"]) });
        let Some(Requirement::Mtu { overhead, .. }) = list.last() else { panic!("{list:?}") };
        assert_eq!(*overhead, expected, "{mode:?}");
    }
}

/// A machine with `eth0`, all of whose settings are zero.
fn machine(requirements: &[Requirement]) -> Machine {
    let link = |index| Link { index, up: true, mtu: 1500, ..Link::default() };
    Machine {
        links: [("lo".to_owned(), link(1)), ("eth0".to_owned(), link(2))].into(),
        sysctls: requirements.iter().flat_map(Requirement::sysctls).map(|it| (it, 0)).collect(),
        ..Machine::default()
    }
}

fn missing(requirements: &[Requirement], machine: &Machine) -> Vec<String> {
    let items = setup::check(requirements, machine).into_iter();
    items.filter(|it| it.state == setup::State::Missing).filter_map(|it| it.found).collect()
}

#[test]
fn a_check_names_what_is_missing_and_nothing_else() {
    let list = list(pieces(ForwardMode::IPIP, &["192.0.2.10"]));
    let mut machine = machine(&list);
    let (zero, vip) = ("it is 0", "lo does not have it");
    assert_eq!(missing(&list, &machine), [zero, zero, zero, zero, vip, "it is not attached"]);
    for (path, value) in &mut machine.sysctls {
        // The stricter value of arp_ignore serves as well.
        *value = if path.ends_with("eth0/arp_ignore") { 2 } else { 1 };
    }
    assert_eq!(missing(&list, &machine), ["it is 1", "it is 1", vip, "it is not attached"]);
    machine.sysctls.values_mut().for_each(|value| *value = 2);
    let lo = machine.links.get_mut("lo").unwrap();
    lo.addresses = BTreeSet::from(["192.0.2.10".parse().unwrap()]);
    machine.decap = Some(attached(&["10.0.0.0/24"], 7));
    assert_eq!(missing(&list, &machine), ["it is not attached"], "its interface is another");
    machine.links.get_mut("eth0").unwrap().programs = vec![7];
    assert_eq!(missing(&list, &machine), <[&str; 0]>::default());
    machine.links.get_mut("eth0").unwrap().up = false;
    assert_eq!(missing(&list, &machine), ["eth0 is down"]);
}

fn attached(sources: &[&str], program: u32) -> decap::Status {
    let sources = sources.iter().map(|source| parse_prefix(source).unwrap()).collect();
    let options = decap::Options { sources, gue_port: 7000, mode: AttachMode::Native };
    decap::Status { options, program, verdicts: Vec::new() }
}

#[test]
fn what_is_undone_for_other_services_stays() {
    let list = list(pieces(ForwardMode::IPIP, &["192.0.2.10"]));
    let decap = list.iter().find(|it| matches!(it, Requirement::Decap { .. })).unwrap();
    let mut machine = machine(&list);
    machine.links.get_mut("eth0").unwrap().programs = vec![7];
    machine.decap = Some(attached(&["10.9.0.0/24"], 7));
    let found = "it does not undo those from 10.0.0.0/24".to_owned();
    assert_eq!(decap.check(&machine), Finding::Missing(found));
    assert_eq!(
        decap.steps_on(&machine)[0].to_string(),
        "lb decap --interface eth0 --from 10.0.0.0/24 --from 10.9.0.0/24 --gue-port 7000"
    );
}

#[test]
fn devices_that_the_kernel_lacks_are_missing() {
    let ipip = pieces(ForwardMode::GUE, &["192.0.2.10"]);
    let list = list(Pieces { kernel_tunnel: true, ..ipip });
    let mut machine = machine(&list);
    let _rp_filter = machine.sysctls.remove("net/ipv4/conf/tunl0/rp_filter");
    machine.fou = "port 6080 gue -6\nport 6080 ipproto 4\n".into();
    let no_tunl0 = "there is no device tunl0";
    let no_port = "`ip fou show` lists no such port 6080";
    assert_eq!(missing(&list, &machine)[5..], [no_tunl0, no_tunl0, no_port]);
    machine.fou.push_str("port 6080 gue\n");
    assert_eq!(missing(&list, &machine)[5..], [no_tunl0, no_tunl0]);
}

#[test]
fn the_stricter_filter_counts_and_loose_is_not_strict() {
    let device = TunnelDevice::Tunl0;
    let requirement = [Requirement::ReversePath { device }];
    for (all, own, fits) in [(0, 0, true), (1, 0, false), (0, 1, false), (1, 2, true), (2, 1, true)]
    {
        let mut machine = machine(&requirement);
        machine.sysctls = [(reverse_path("all"), all), (reverse_path("tunl0"), own)].into();
        assert_eq!(missing(&requirement, &machine).is_empty(), fits, "{all} {own}");
    }
}

#[test]
fn nat_needs_the_way_back_and_leaves_routes_to_people() {
    let nat =
        Pieces { gateway: Some("10.0.0.2".parse().unwrap()), ..pieces(ForwardMode::NAT, &[]) };
    assert_eq!(commands(nat.clone()), <[&str; 0]>::default());
    let list = list(nat);
    let mut machine = machine(&list);
    assert_eq!(missing(&list, &machine), ["default routes lead through nobody"]);
    machine.gateways = BTreeSet::from(["10.0.0.1".parse().unwrap()]);
    assert_eq!(missing(&list, &machine), ["default routes lead through 10.0.0.1"]);
    machine.gateways.extend(["10.0.0.2".parse::<IpAddr>().unwrap()]);
    assert_eq!(missing(&list, &machine), <[&str; 0]>::default());
}
