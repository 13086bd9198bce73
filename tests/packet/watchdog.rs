//! What becomes of packets when the daemon says nothing any more.

use std::{thread, time::Duration};

use lb_common::{
    addr::Mac,
    settings::Stages,
    verdict::{Kind, Verdict},
};
use lb_tests::{
    packet::{Packet, Transport},
    packet_path::PacketPath,
};
use lb_userspace::dataplane::Op;

use crate::site::{self, CLIENT4, DENIED4, L2_VIP4, WEB};

/// The verdict of a frame.
fn verdict(path: &mut PacketPath, from: &str, to: &str) -> Verdict {
    let frame = Packet::new(Transport::TcpAck, from, to).bytes();
    let outcome = path.run(&frame);
    let moved = |it: &&Verdict| outcome.moved.get(it.as_str()) == Some(&1);
    let verdict = *Verdict::ALL.iter().find(moved).unwrap();
    if verdict.kind() == Kind::Passed {
        assert_eq!((outcome.frame, outcome.moved.len()), (frame, 1), "untouched");
    } else if verdict.kind() == Kind::Forwarded {
        assert_eq!(Mac(outcome.frame[..6].try_into().unwrap()), WEB);
    }
    verdict
}

#[test]
fn the_kernel_gets_everything_once_the_daemon_is_overdue() {
    let mut desired = site::desired();
    desired.settings.stages = desired.settings.stages.with(Stages::WATCHDOG);
    let mut path = PacketPath::load(desired);
    path.apply(&Op::Beat(3600));
    assert_eq!(verdict(&mut path, CLIENT4, L2_VIP4), Verdict::Transmitted);
    assert_eq!(verdict(&mut path, DENIED4, L2_VIP4), Verdict::Denied);

    // The word goes stale when a second of the clock has passed.
    path.apply(&Op::Beat(0));
    thread::sleep(Duration::from_millis(2100));
    for from in [CLIENT4, DENIED4] {
        assert_eq!(verdict(&mut path, from, L2_VIP4), Verdict::Unattended);
    }

    path.apply(&Op::Beat(3600));
    assert_eq!(verdict(&mut path, CLIENT4, L2_VIP4), Verdict::Transmitted);
}

#[test]
fn nobody_asks_for_the_daemon_where_no_watchdog_is_configured() {
    let mut path = site::load();
    path.apply(&Op::Beat(0));
    thread::sleep(Duration::from_millis(2100));
    assert_eq!(verdict(&mut path, CLIENT4, L2_VIP4), Verdict::Transmitted);
}
