//! Paths that take less than the servers' packets, packets in pieces, and packets larger than a page.

use std::{io, net::UdpSocket, time::Duration};

use lb_tests::{
    config::{Carried, HTTP, UDP_PORT},
    echo::Echo,
    plan::{Forward, VIPS, Vip},
    run::{output, run},
    site::Site,
    upload::{Sink, upload},
};

const SINK: u16 = 7002;
/// Three pieces over Ethernet.
const LARGE: usize = 4000;

/// The router behind the servers tells them that their packets are too big: they hear of it only if
/// its messages, which are addressed to the VIP, find the server that sent the packet.
#[test]
fn a_narrow_path_to_the_client_is_found() {
    let site = super::site();
    let node = super::node(&site);
    // Only this end: the client asks for more than the way to it takes.
    site.router.ip("link set client mtu 1400").unwrap();
    for vip in VIPS {
        let body = site.curl(&site.client, &vip.url("/big"), &[]).unwrap();
        assert!(body.stdout == std::fs::read(site.big()).unwrap(), "{vip:?}");
    }
    super::assert_nothing_dropped(&node);
}

#[test]
fn a_vip_answers_echo_requests() {
    let site = super::site();
    let node = super::node(&site);
    for vip in VIPS {
        let mut ping = site.client.command("ping");
        let address = vip.address.to_string();
        let text = run(ping.args(["-c", "3", "-i", "0.2", "-W", "2", &address])).unwrap();
        assert!(text.contains("3 received"), "{text}");
    }
    let verdicts = node.stats().unwrap().verdicts;
    assert_eq!(verdicts["echo-reply"], 3 * VIPS.len() as u64, "{verdicts:?}");
    // Other addresses of the node are the kernel's business.
    let mut ping = site.client.command("ping");
    let other = output(ping.args(["-c", "1", "-W", "2", "10.0.0.2"])).unwrap();
    assert!(other.status.success());
    assert_eq!(node.stats().unwrap().verdicts["echo-reply"], verdicts["echo-reply"]);
}

#[test]
fn fragments_follow_the_first() {
    let site = super::site();
    let pairs = VIPS.iter().flat_map(|vip| (1..).zip(site.webs()).map(move |pair| (*vip, pair)));
    let echoes: Vec<_> = pairs
        .map(|(vip, (number, web))| Echo::start(web, Site::udp_backend(vip, number)).unwrap())
        .collect();
    let node = site.start_node(&site.udp_config()).unwrap();
    node.wait_until_ready().unwrap();
    for vip in VIPS {
        for _ in 0..50 {
            site.client
                .enter(|| in_pieces(vip))
                .unwrap()
                .unwrap_or_else(|e| panic!("{vip:?}: {e}"));
        }
    }
    for backend in node.backends().unwrap() {
        // Replies pass the node behind nat alone.
        let replies = VIPS.iter().find(|vip| vip.service == backend.service);
        let nat = replies.is_some_and(|vip| vip.forward == Forward::Nat);
        assert_eq!(backend.traffic.packets % 3, 0, "{backend:?}");
        assert_eq!(backend.traffic.reply_packets > 0, nat, "{backend:?}");
    }
    super::assert_nothing_dropped(&node);
    drop(echoes);
}

/// A datagram that is sent, and answered, in pieces.
fn in_pieces(vip: Vip) -> io::Result<()> {
    let any = if vip.address.is_ipv4() { "192.0.2.2:0" } else { "[2001:db8:c::2]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect((vip.address, UDP_PORT))?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    let text = "x".repeat(LARGE);
    let _: usize = socket.send(text.as_bytes())?;
    let mut answer = [0; 2 * LARGE];
    let length = socket.recv(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer[..length]);
    if answer.ends_with(&text) { Ok(()) } else { Err(io::Error::other("not what was sent")) }
}

/// Frames of 9000 bytes lie in several buffers.
#[test]
fn jumbo_frames_pass() {
    let site = super::site();
    site.client.ip("link set eth0 mtu 9000").unwrap();
    site.router.ip("link set client mtu 9000").unwrap();
    site.router.ip("link set lb mtu 9000").unwrap();
    site.lb.ip("link set eth0 mtu 9000").unwrap();
    for web in site.webs() {
        site.router.ip(&format!("link set {} mtu 9000", web.name)).unwrap();
        web.netns.ip("link set eth0 mtu 9000").unwrap();
    }
    site.router.ip("link set br0 mtu 9000").unwrap();
    let sinks: Vec<_> = site.webs().iter().map(|web| Sink::start(web, SINK).unwrap()).collect();
    let carried = Carried { port: SINK, nat_port: SINK, ..HTTP };
    let node = site.start_node(&site.config_of(&carried)).unwrap();
    node.wait_until_ready().unwrap();
    for vip in VIPS {
        let sent = site.client.enter(|| upload((vip.address, SINK).into(), &site.big())).unwrap();
        sent.unwrap_or_else(|error| panic!("{vip:?}: {error}"));
    }
    let traffic = node.backends().unwrap().into_iter().map(|backend| backend.traffic);
    let (packets, bytes) = traffic.fold((0, 0), |(p, b), t| (p + t.packets, b + t.bytes));
    assert!(bytes / packets > 4000, "{bytes} bytes in {packets} packets are not jumbo frames");
    super::assert_nothing_dropped(&node);
    drop(sinks);
}
