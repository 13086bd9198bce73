//! Datagrams reach a backend and are answered by the VIP.

use std::{collections::BTreeMap, io, net::UdpSocket, time::Duration};

use lb_tests::{
    config::UDP_PORT,
    echo::Echo,
    plan::{Forward, VIPS, Vip},
    site::Site,
};

/// The flows sent to each VIP.
const FLOWS: usize = 300;
/// What Ethernet takes in one piece, with the headers of IPv6 and UDP and the echo's own words.
const LARGE: usize = 1300;

#[test]
fn every_datagram_is_answered_and_a_flow_keeps_its_backend() {
    let site = super::site();
    let _echoes = echoes(&site);
    let node = site.start_node(&site.udp_config()).unwrap();
    node.wait_until_ready().unwrap();
    for vip in VIPS {
        let answers = site.client.enter(|| flows(vip)).unwrap().unwrap();
        println!("{}: {answers:?}", vip.service);
        assert_eq!(answers.len(), 3, "{vip:?}: {answers:?}");
        // A third each; 8 flows are one standard deviation of chance.
        assert!(answers.values().all(|count| (60..=140).contains(count)), "{answers:?}");
    }
    for vip in VIPS {
        let backends = node.backends().unwrap().into_iter().filter(|b| b.service == vip.service);
        let counts = backends.map(|b| (b.traffic.packets, b.traffic.reply_packets));
        let sum = counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
        let sent = 2 * FLOWS as u64;
        let replies = if vip.forward == Forward::Nat { sent } else { 0 };
        assert_eq!(sum, (sent, replies), "{vip:?}: (packets, reply_packets)");
    }
    super::assert_nothing_dropped(&node);
}

/// A server for every VIP on every web server's machine.
fn echoes(site: &Site) -> Vec<Echo> {
    let pairs = VIPS.iter().flat_map(|vip| (1..).zip(site.webs()).map(move |pair| (*vip, pair)));
    pairs
        .map(|(vip, (number, web))| Echo::start(web, Site::udp_backend(vip, number)).unwrap())
        .collect()
}

/// The flows that each backend got. Every flow sends a small and a large datagram.
fn flows(vip: Vip) -> io::Result<BTreeMap<String, usize>> {
    let mut answers = BTreeMap::new();
    for _ in 0..FLOWS {
        let any = if vip.address.is_ipv4() { "192.0.2.2:0" } else { "[2001:db8:c::2]:0" };
        let socket = UdpSocket::bind(any)?;
        // Answers from elsewhere than the VIP are not taken.
        socket.connect((vip.address, UDP_PORT))?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        let small = ask(&socket, "hello")?;
        let large = ask(&socket, &"x".repeat(LARGE))?;
        assert_eq!(small, large, "{vip:?}: one flow, two backends");
        *answers.entry(small).or_default() += 1;
    }
    Ok(answers)
}

/// Sends a datagram; the name of the server that answered.
fn ask(socket: &UdpSocket, text: &str) -> io::Result<String> {
    let _: usize = socket.send(text.as_bytes())?;
    let mut answer = [0; 2048];
    let length = socket.recv(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    let own = socket.local_addr()?;
    match answer.split(' ').collect::<Vec<_>>()[..] {
        // The server sees the client, also behind NAT.
        [name, seen, echoed] if echoed == text && seen == own.to_string() => Ok(name.into()),
        _ => Err(io::Error::other(format!("{own} asked {text:?} and got {answer:?}"))),
    }
}
