//! A backend: set up, checked, and reached through tunnels that `lb decap` undoes.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket},
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use lb_tests::{
    cleanup::{self, Folder},
    netns::{End, Netns, veth},
    packet::{Packet, Transport},
    run::output,
    site::mount_bpffs,
    tunnel::ETHERNET,
    workspace::lb_binary,
};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};

const VIP4: &str = "192.0.2.10";
const VIP6: &str = "2001:db8::20";
const PORT: u16 = 5353;
const BACKEND4: Ipv4Addr = Ipv4Addr::new(10, 44, 0, 2);
const BACKEND6: &str = "fd44::2";

/// Two machines on a cable.
struct Lab {
    backend: Netns,
    node: Netns,
    pins: PathBuf,
    _folder: Folder,
}

impl Lab {
    fn build() -> Self {
        // Beside the sites of the other tests.
        static NUMBER: AtomicUsize = AtomicUsize::new(1000);
        drop(cleanup::clean_dead_tests().unwrap());
        let _: bool = mount_bpffs().unwrap();
        let prefix = cleanup::test_prefix(NUMBER.fetch_add(1, Ordering::Relaxed));
        let folder = Folder::create(&prefix).unwrap();
        let pins = PathBuf::from("/sys/fs/bpf").join(&prefix);
        folder.own(&pins).unwrap();
        let backend = Netns::create(format!("{prefix}-backend")).unwrap();
        let node = Netns::create(format!("{prefix}-node")).unwrap();
        veth(End { netns: &backend, name: "eth0" }, End { netns: &node, name: "eth0" }).unwrap();
        for (netns, host) in [(&backend, 2), (&node, 1)] {
            netns.checksum_in_software("eth0").unwrap();
            netns.ip(&format!("addr add 10.44.0.{host}/24 dev eth0")).unwrap();
            netns.ip(&format!("addr add fd44::{host}/64 dev eth0 nodad")).unwrap();
        }
        backend.ip("route add default via 10.44.0.1").unwrap();
        backend.ip("-6 route add default via fd44::1").unwrap();
        Self { backend, node, pins, _folder: folder }
    }

    /// Exit code, stdout, and stderr of `lb` on the backend, behind another program if need be.
    fn behind(&self, wrapper: &[&str], arguments: &str) -> (i32, String, String) {
        let lb = lb_binary().unwrap();
        let mut command = self.backend.command("timeout");
        let _: &mut Command = command.arg("60").args(wrapper).arg(lb);
        let _: &mut Command = command.args(arguments.split_whitespace());
        let _: &mut Command = command.arg("--pin-dir").arg(&self.pins);
        let output = output(&mut command).unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    fn lb(&self, arguments: &str) -> (i32, String, String) {
        self.behind(&[], arguments)
    }

    fn good(&self, arguments: &str) -> (String, String) {
        let (code, stdout, stderr) = self.lb(arguments);
        assert_eq!(code, 0, "{arguments}: {stdout}{stderr}");
        (stdout, stderr)
    }

    /// A counter of the decapsulation.
    fn count(&self, verdict: &str) -> u64 {
        let (report, _) = self.good("decap --interface eth0 --show --json");
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        report["verdicts"][verdict].as_u64().unwrap()
    }

    /// A server on the VIP.
    fn server(&self, vip: &str) -> UdpSocket {
        let address = SocketAddr::new(vip.parse().unwrap(), PORT);
        let socket = self.backend.enter(|| UdpSocket::bind(address)).unwrap().unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket
    }

    /// The node sends IP in IP; the kernel adds the outer header.
    fn send_ipip(&self, inner: &[u8]) {
        let send = || -> io::Result<()> {
            let protocol = rustix::net::ipproto::IPIP;
            let (family, kind) = (AddressFamily::INET, SocketType::RAW);
            let socket =
                rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, Some(protocol))?;
            let to = SocketAddrV4::new(BACKEND4, 0);
            let _: usize = rustix::net::sendto(&socket, inner, SendFlags::empty(), &to)?;
            Ok(())
        };
        self.node.enter(send).unwrap().unwrap();
    }

    /// The node sends GUE: to the kernel, a datagram.
    fn send_gue(&self, backend: IpAddr, port: u16, inner: &[u8]) {
        let protocol = if inner[0] >> 4 == 4 { 4 } else { 41 };
        let payload = [&[0, protocol, 0, 0], inner].concat();
        let any = if backend.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let send = || UdpSocket::bind(any)?.send_to(&payload, (backend, port));
        let _: usize = self.node.enter(send).unwrap().unwrap();
    }
}

/// A client's datagram to a VIP, without the link's header.
fn datagram(client: &str, vip: &str, text: &str) -> Vec<u8> {
    let vip = SocketAddr::new(vip.parse().unwrap(), PORT).to_string();
    let packet = Packet::new(Transport::Udp, client, &vip).payload(text.into());
    packet.bytes()[ETHERNET..].to_vec()
}

const CLIENT4: &str = "198.51.100.9:40000";
const CLIENT6: &str = "[2001:db8:c::9]:40000";

fn assert_received(server: &UdpSocket, client: &str, text: &str) {
    let mut buffer = [0; 2048];
    let (len, from) = server.recv_from(&mut buffer).unwrap_or_else(|_| panic!("no {text}"));
    assert_eq!((&buffer[..len], from.to_string().as_str()), (text.as_bytes(), client));
}

const SETUP: &str = "--mode ipip --vip 192.0.2.10 --vip 2001:db8::20 --from 10.44.0.0/24";

#[test]
fn a_backend_is_checked_made_and_found_ready() {
    let lab = Lab::build();
    let (code, table, stderr) = lab.lb(&format!("backend-setup --check {SETUP}"));
    assert_eq!((code, stderr.as_str()), (1, ""), "{table}");
    assert_eq!(table.lines().filter(|line| line.starts_with("missing ")).count(), 7, "{table}");
    assert!(table.contains("  ip address replace 192.0.2.10/32 dev lo\n"), "{table}");

    let (table, steps) = lab.good(&format!("backend-setup --apply {SETUP}"));
    assert_eq!(steps.lines().count(), 7, "{steps}");
    assert!(!table.contains("missing"), "{table}");
    let (table, _) = lab.good(&format!("backend-setup --check {SETUP}"));
    assert_eq!(table.lines().filter(|line| line.starts_with("ok ")).count(), 8, "{table}");
    let (_, steps) = lab.good(&format!("backend-setup --apply {SETUP}"));
    assert_eq!(steps, "", "nothing was missing");

    // One thing is lost, and it alone comes back.
    lab.backend.ip("addr del 192.0.2.10/32 dev lo").unwrap();
    let (code, report, _) = lab.lb(&format!("backend-setup --check --json {SETUP}"));
    let report: Vec<serde_json::Value> = serde_json::from_str(&report).unwrap();
    let missing: Vec<_> = report.iter().filter(|item| item["state"] == "missing").collect();
    assert_eq!((code, missing.len()), (1, 1), "{report:?}");
    assert_eq!(missing[0]["remedy"][0], "ip address replace 192.0.2.10/32 dev lo");
    let (_, steps) = lab.good(&format!("backend-setup --apply {SETUP}"));
    assert_eq!(steps, "+ ip address replace 192.0.2.10/32 dev lo\n");

    // Another service's nodes are undone as well, not instead.
    let other = "--mode gue --vip 192.0.2.10 --from 10.45.0.0/24 --gue-port 7000";
    let (_, steps) = lab.good(&format!("backend-setup --apply {other}"));
    let both = "--from 10.44.0.0/24 --from 10.45.0.0/24 --gue-port 7000";
    assert_eq!(steps, format!("+ lb decap --interface eth0 {both}\n"));
    drop(lab.good(&format!("backend-setup --check {SETUP}")));
}

#[test]
fn what_a_script_shows_makes_a_backend_ready() {
    let lab = Lab::build();
    let l2 = "--mode l2 --vip 192.0.2.10 --vip 2001:db8::20";
    let (script, _) = lab.good(&format!("backend-setup --print {l2}"));
    assert_eq!(lab.lb(&format!("backend-setup --check {l2}")).0, 1, "nothing was changed");
    let mut shell = lab.backend.command("sh");
    let ran = output(shell.arg("-e").arg("-c").arg(&script)).unwrap();
    assert!(ran.status.success(), "{script}{ran:?}");
    drop(lab.good(&format!("backend-setup --check {l2}")));
}

#[test]
fn what_cannot_be_is_named() {
    let lab = Lab::build();
    let (code, table, _) = lab.lb(&format!("backend-setup --check --tunnel kernel {SETUP}"));
    assert!(code == 1 && table.contains("there is no device tunl0"), "{table}");
    let without = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"];
    let decap = "decap --interface eth0 --from 10.44.0.0/24";
    let nobody = ["setpriv", "--reuid", "65534", "--clear-groups"];
    let apply = format!("backend-setup --apply {SETUP}");
    for (wrapper, arguments, reason) in [
        (&[] as &[_], "decap --interface eth7 --from 10.44.0.0/24", "this machine has eth0, lo"),
        (&[], "decap --interface eth0 --show", "no decapsulation is attached to eth0"),
        (&[], "decap --interface eth0 --detach", "no decapsulation is attached to eth0"),
        (&without, decap, "missing CAP_BPF"),
        (&nobody, &apply, "only root"),
        (&without, &apply, "missing CAP_BPF"),
        (&[], &format!("{apply} --interface eth7"), "no interface `eth7`"),
    ] {
        let (code, stdout, stderr) = lab.behind(wrapper, arguments);
        assert!(code == 1 && stderr.contains(reason), "{arguments}: {code}: {stdout}{stderr}");
    }
    assert!(!lab.pins.exists(), "nothing was pinned");
    lab.backend.ip("addr del ::1/128 dev lo").unwrap();
    let (code, table, _) = lab.lb("backend-setup --check --mode l2 --vip 127.0.0.1");
    assert_eq!(
        (code, table.contains("missing  net/ipv4/conf/all/arp_ignore")),
        (1, true),
        "{table}"
    );

    let elsewhere = std::env::temp_dir();
    let mut command = lab.backend.command(lb_binary().unwrap());
    let _: &mut Command = command.args(decap.split_whitespace());
    let refused = output(command.arg("--pin-dir").arg(elsewhere)).unwrap();
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(message.contains("is not on a bpffs: mount one by"), "{message}");
}

#[test]
fn tunnelled_datagrams_reach_the_vip_and_are_counted() {
    let lab = Lab::build();
    drop(lab.good(&format!("backend-setup --apply {SETUP} --from fd44::/64")));
    let (server4, server6) = (lab.server(VIP4), lab.server(VIP6));
    let (backend4, backend6) = (IpAddr::V4(BACKEND4), BACKEND6.parse().unwrap());

    lab.send_ipip(&datagram(CLIENT4, VIP4, "4in4"));
    assert_received(&server4, CLIENT4, "4in4");
    assert_eq!((lab.count("ipip"), lab.count("gue")), (1, 0));
    for (number, backend) in (1..).step_by(2).zip([backend4, backend6]) {
        lab.send_gue(backend, 6080, &datagram(CLIENT4, VIP4, "gue 4"));
        assert_received(&server4, CLIENT4, "gue 4");
        lab.send_gue(backend, 6080, &datagram(CLIENT6, VIP6, "gue 6"));
        assert_received(&server6, CLIENT6, "gue 6");
        assert_eq!((lab.count("ipip"), lab.count("gue")), (1, number + 1));
    }

    // From elsewhere: the stack gets it as it is.
    drop(lab.good("decap --interface eth0 --from 10.99.0.0/24"));
    lab.send_ipip(&datagram(CLIENT4, VIP4, "from elsewhere"));
    super::soon("a packet of another source", || match lab.count("other-source") {
        0 => Err("none".into()),
        _ => Ok(()),
    });
    server4.set_nonblocking(true).unwrap();
    let nothing = server4.recv_from(&mut [0; 64]).unwrap_err();
    assert_eq!((nothing.kind(), lab.count("ipip")), (io::ErrorKind::WouldBlock, 0));
}

#[test]
fn a_replacement_loses_no_packet_and_a_detachment_leaves_nothing() {
    let lab = Lab::build();
    drop(lab.good(&format!("backend-setup --apply {SETUP}")));
    let server = lab.server(VIP4);
    std::thread::scope(|scope| {
        let replacing = scope.spawn(|| {
            for _ in 0..5 {
                let (text, _) = lab.good("decap --interface eth0 --from 10.44.0.0/24");
                assert!(text.starts_with("eth0: replaced: "), "{text}");
            }
        });
        let mut sent = 0;
        while !replacing.is_finished() || sent < 100 {
            lab.send_ipip(&datagram(CLIENT4, VIP4, "one of many"));
            assert_received(&server, CLIENT4, "one of many");
            sent += 1;
        }
        replacing.join().unwrap();
    });

    let attached = |interface: &str| {
        let shown = output(lab.backend.command("ip").args(["link", "show", interface])).unwrap();
        String::from_utf8(shown.stdout).unwrap().contains("prog/xdp")
    };
    assert!(attached("eth0"));
    // In the other mode the link itself is another.
    let (text, _) = lab.good("decap --interface eth0 --from 10.44.0.0/24 --mode generic");
    assert!(text.ends_with("generic mode\n") && attached("eth0"), "{text}");
    lab.send_ipip(&datagram(CLIENT4, VIP4, "generic"));
    assert_received(&server, CLIENT4, "generic");
    drop(lab.good("decap --interface eth0 --detach"));
    assert!(!attached("eth0") && !lab.pins.join("eth0").exists());
    assert_eq!(lab.lb("decap --interface eth0 --show").0, 1);

    // A bpffs takes no dots.
    lab.backend.ip("link add eth0.7 type veth peer name far").unwrap();
    drop(lab.good("decap --interface eth0.7 --from 10.44.0.0/24 --mode generic"));
    drop(lab.good("decap --interface eth0.7 --show"));
    assert!(attached("eth0.7"));
    drop(lab.good("decap --interface eth0.7 --detach"));
}

#[test]
fn an_interface_that_went_and_came_again_is_not_taken_for_the_old_one() {
    let lab = Lab::build();
    drop(lab.good(&format!("backend-setup --apply {SETUP}")));
    lab.backend.ip("link del eth0").unwrap();
    veth(End { netns: &lab.backend, name: "eth0" }, End { netns: &lab.node, name: "eth0" })
        .unwrap();
    let (code, table, _) = lab.lb(&format!("backend-setup --check {SETUP}"));
    assert!(code == 1 && table.contains("it is not attached"), "{table}");
    drop(lab.good(&format!("backend-setup --apply {SETUP}")));
    drop(lab.good(&format!("backend-setup --check {SETUP}")));
}
