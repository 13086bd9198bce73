//! The rules of what a virtual router's priority follows.

use std::time::Duration;

use super::{Broken, at_most, say, spell};
use crate::config::{
    validate::{Problem, node::interface},
    vrrp::{Track, Tracked},
};

/// The rules of one; `key` is its table, and `again` says that another one tracks the same.
pub(super) fn check(key: &str, track: &Track, again: bool) -> Vec<Problem> {
    let Track { what, weight: _, rise, fall } = track;
    let (name, own) = match what {
        Tracked::Interface(_) => ("interface", Vec::new()),
        Tracked::Script { command, interval, timeout } => {
            ("script", script(command, *interval, *timeout))
        }
        Tracked::Datapath => ("datapath", Vec::new()),
        Tracked::Service(_) => ("service", Vec::new()),
    };
    let zeros = [("rise", rise), ("fall", fall)].into_iter().filter(|(_, number)| **number == 0);
    let zeros =
        zeros.map(|(name, _)| say(name, "0 results cannot change anything", "use 1 or more"));
    let again = again.then(|| say(name, "it is tracked already", "keep one of both"));
    let broken = own.into_iter().chain(zeros).chain(again);
    let problem = |(name, message, remedy)| Problem::new(format!("{key}.{name}"), message, remedy);
    let unnamable = match what {
        Tracked::Interface(it) => interface(|| format!("{key}.interface"), it),
        Tracked::Script { .. } | Tracked::Datapath | Tracked::Service(_) => None,
    };
    unnamable.into_iter().chain(broken.map(problem)).collect()
}

fn script(command: &[String], interval: Duration, timeout: Duration) -> Vec<Broken> {
    let program = match command.first() {
        None => Some(say("script", "it is empty", "write `script = [\"/usr/local/bin/ok\"]`")),
        Some(program) if program.starts_with('/') => None,
        Some(_) => Some(say("script", "not an absolute path", "begin it with `/`")),
    };
    let late = if timeout.is_zero() {
        Some(say("timeout", "no script can end in no time", "use \"500ms\", for example"))
    } else if timeout > interval {
        let (timeout, interval) = (spell(timeout), spell(interval));
        let message = format!("{timeout} is more than the interval of {interval}");
        Some(say("timeout", message, "shorten it, or lengthen `interval`"))
    } else {
        at_most("interval", interval)
    };
    program.into_iter().chain(late).collect()
}
