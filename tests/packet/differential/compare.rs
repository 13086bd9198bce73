//! One batch through both, and what is left of a disagreement.

use std::fmt::Write as _;
use std::path::PathBuf;

use lb_common::verdict::{Kind, Verdict};
use lb_model::{Model, Outcome, Sent, Stage};
use lb_tests::{packet_path::PacketPath, pcap};
use lb_userspace::dataplane::Counters as _;

use super::Verdicts;

/// The packet path and the model of the same node.
pub(super) struct Pair {
    pub(super) seed: u64,
    pub(super) path: PacketPath,
    pub(super) model: Model,
}

/// What the kernel did with a frame.
type Done = (u32, Vec<u8>);

impl Pair {
    /// Runs frames through both; gives the verdicts.
    pub(super) fn batch(&mut self, frames: &[Vec<u8>]) -> Verdicts {
        let (model, before) = (self.model.clone(), self.counters());
        let mut verdicts = Verdicts::new();
        for frame in frames {
            let outcome = self.model.run(frame);
            let done = self.path.run_only(frame);
            if let Err(what) = compare(&outcome, frame, &done) {
                self.fail(frame, &outcome, &done, &what);
            }
            *verdicts.entry(outcome.verdict).or_default() += 1;
        }
        if difference(&before, &self.counters()) != verdicts {
            self.model = model;
            self.find(frames, &verdicts);
        }
        verdicts
    }

    /// Finds the frame whose verdict is wrong, though its action and bytes are right.
    fn find(&mut self, frames: &[Vec<u8>], expected: &Verdicts) {
        for frame in frames {
            let outcome = self.model.run(frame);
            let before = self.counters();
            let done = self.path.run_only(frame);
            let verdicts = difference(&before, &self.counters());
            if verdicts != [(outcome.verdict, 1)].into() {
                self.fail(frame, &outcome, &done, &format!("the program counted {verdicts:?}"));
            }
        }
        panic!("LB_SEED={}: the verdicts of one batch were not {expected:?}", self.seed);
    }

    fn counters(&self) -> Verdicts {
        self.path.reconciler().dataplane().verdicts().unwrap().into_iter().collect()
    }

    /// Leaves the frame, what the model sends and what the program sent in a capture file.
    fn fail(&mut self, frame: &[u8], outcome: &Outcome, done: &Done, what: &str) -> ! {
        let small = if outcome.stage == Stage::Single { self.minimised(frame) } else { None };
        let expected = if let Sent::Frame(sent) = &outcome.sent { &sent[..] } else { &[] };
        let mut frames = vec![frame, expected, &done.1];
        frames.extend(small.as_deref());
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../target/packet-failures")
            .join(format!("differential-{}.pcap", self.seed));
        let written = pcap::write(&file, &frames);
        panic!(
            "LB_SEED={}: {what}\nthe model: {:?} ({:?})\nthe program: action {}\ngiven    {}\n\
             expected {}\ngot      {}\nsmallest {}\ngiven, expected, got and smallest are in {} \
             ({written:?})\n{:#?}",
            self.seed,
            outcome.verdict,
            outcome.stage,
            done.0,
            hex(frame),
            hex(expected),
            hex(&done.1),
            hex(small.as_deref().unwrap_or_default()),
            file.display(),
            self.model
                .node()
                .services
                .iter()
                .map(|s| (s.vip, s.protocol, &s.ports, s.mode))
                .collect::<Vec<_>>(),
        )
    }

    /// A shorter and emptier frame that they still disagree on, by action or bytes.
    fn minimised(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let mut small = frame.to_vec();
        if !self.disagree(&small) {
            return None;
        }
        while small.len() > 14 && self.disagree(&small[..small.len() - 1]) {
            let _: Option<u8> = small.pop();
        }
        for at in 0..small.len() {
            let kept = std::mem::replace(&mut small[at], 0);
            if !self.disagree(&small) {
                small[at] = kept;
            }
        }
        Some(small)
    }

    fn disagree(&mut self, frame: &[u8]) -> bool {
        let outcome = Model::new(self.model.node().clone()).run(frame);
        compare(&outcome, frame, &self.path.run_only(frame)).is_err()
    }
}

fn compare(outcome: &Outcome, given: &[u8], (action, frame): &Done) -> Result<(), String> {
    let expected = match (outcome.verdict, outcome.verdict.kind()) {
        (Verdict::Redirected, _) => 4,
        (_, Kind::Forwarded | Kind::Answered) => 3,
        (_, Kind::Passed) => 2,
        (_, Kind::Dropped) => 1,
    };
    if *action != expected {
        return Err(format!("the action is {action} instead of {expected}"));
    }
    match &outcome.sent {
        Sent::Nothing => Ok(()),
        Sent::Untouched if frame == given => Ok(()),
        Sent::Untouched => Err("what passes was changed".into()),
        Sent::Frame(sent) if frame == sent => Ok(()),
        Sent::Frame(sent) => {
            let at = frame.iter().zip(sent).position(|(a, b)| a != b);
            Err(format!("the bytes differ from {at:?} on"))
        }
        Sent::Answer(answer) => answer.check(given, frame).map_err(Into::into),
    }
}

fn difference(before: &Verdicts, after: &Verdicts) -> Verdicts {
    after
        .iter()
        .map(|(verdict, count)| (*verdict, count - before[verdict]))
        .filter(|(_, count)| *count > 0)
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
