//! A packet case: what goes in, what must come out, and which counters may move.

use std::{collections::BTreeMap, path::PathBuf};

use self::xdp::{XDP_DROP, XDP_PASS, XDP_REDIRECT, XDP_TX};
use lb_common::verdict::{Kind, Verdict};

use crate::{
    packet_path::{Outcome, PacketPath},
    pcap,
};

/// `enum xdp_action` of `include/uapi/linux/bpf.h`.
mod xdp {
    pub(super) const XDP_DROP: u32 = 1;
    pub(super) const XDP_PASS: u32 = 2;
    pub(super) const XDP_TX: u32 = 3;
    pub(super) const XDP_REDIRECT: u32 = 4;
}

/// One row of a packet table.
#[derive(Clone, Debug)]
pub struct Case {
    /// What the packet is.
    pub name: &'static str,
    /// The frame that arrives.
    pub given: Vec<u8>,
    /// What becomes of it.
    pub verdict: Verdict,
    /// The frame that leaves; `None`: untouched.
    pub sent: Option<Vec<u8>>,
    /// Whose traffic it is, and which way.
    pub counted: Option<Counted>,
}

/// A backend's counters.
#[derive(Clone, Copy, Debug)]
pub enum Counted {
    /// Towards the backend.
    Request(&'static str),
    /// From the backend.
    Reply(&'static str),
}

impl Case {
    /// A packet that is not for a service, or never gets there.
    #[must_use]
    pub fn stopped(name: &'static str, given: Vec<u8>, verdict: Verdict) -> Self {
        Self { name, given, verdict, sent: None, counted: None }
    }

    /// What must come out of it.
    fn expected(&self) -> Outcome {
        let action = match (self.verdict, self.verdict.kind()) {
            (Verdict::Redirected | Verdict::Probe | Verdict::ProbeAnswer, _) => XDP_REDIRECT,
            (_, Kind::Forwarded | Kind::Answered) => XDP_TX,
            (_, Kind::Passed) => XDP_PASS,
            (_, Kind::Dropped) => XDP_DROP,
        };
        let mut moved = BTreeMap::from([(self.verdict.as_str().to_owned(), 1)]);
        if let Some(counted) = self.counted {
            let (backend, way) = match counted {
                Counted::Request(backend) => (backend, ""),
                Counted::Reply(backend) => (backend, "reply "),
            };
            let _ = moved.insert(format!("{backend} {way}packets"), 1);
            let _ = moved.insert(format!("{backend} {way}bytes"), self.given.len() as u64);
        }
        Outcome { action, frame: self.sent.clone().unwrap_or_else(|| self.given.clone()), moved }
    }
}

/// Runs a table; all rows, and then it fails for all that were wrong. A dropped packet's bytes are
/// nobody's business.
///
/// # Panics
///
/// If a row's outcome is not the expected one; the frames are left in a capture file.
pub fn run(path: &mut PacketPath, cases: &[Case]) {
    run_by(cases, |frame| path.run(frame));
}

/// As [`run`], by the program of the probe link.
///
/// # Panics
///
/// As [`run`].
pub fn run_probes(path: &mut PacketPath, cases: &[Case]) {
    run_by(cases, |frame| path.run_probe(frame));
}

fn run_by(cases: &[Case], mut program: impl FnMut(&[u8]) -> Outcome) {
    let failures: Vec<String> =
        cases.iter().filter_map(|case| failure(case, program(&case.given))).collect();
    assert!(failures.is_empty(), "{}", failures.concat());
}

/// Tells what was wrong with what became of a row.
fn failure(case: &Case, mut outcome: Outcome) -> Option<String> {
    let expected = case.expected();
    if case.verdict.kind() == Kind::Dropped {
        outcome.frame.clone_from(&expected.frame);
    }
    (outcome != expected).then(|| {
        format!(
            "\n{}:\n  expected action {} and {:?}\n  got      action {} and {:?}\n  {}\n  {}",
            case.name,
            expected.action,
            expected.moved,
            outcome.action,
            outcome.moved,
            difference(&expected.frame, &outcome.frame),
            capture(case, &expected, &outcome),
        )
    })
}

/// Where the two frames part.
fn difference(expected: &[u8], got: &[u8]) -> String {
    let part = expected.iter().zip(got).position(|(a, b)| a != b);
    match part {
        Some(at) => format!(
            "the frames differ from byte {at} on: expected {:02x?}, got {:02x?}",
            &expected[at..expected.len().min(at + 16)],
            &got[at..got.len().min(at + 16)]
        ),
        None if expected.len() == got.len() => "the frames are the same".into(),
        None => format!("the frame has {} bytes instead of {}", got.len(), expected.len()),
    }
}

/// Leaves the given, the expected and the actual frame for Wireshark.
fn capture(case: &Case, expected: &Outcome, outcome: &Outcome) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/packet-failures");
    let file = folder.join(format!("{}.pcap", case.name.replace([' ', '/'], "-")));
    match pcap::write(&file, &[&case.given, &expected.frame, &outcome.frame]) {
        Ok(()) => format!("given, expected and got: {}", file.display()),
        Err(error) => format!("no capture at {}: {error}", file.display()),
    }
}
