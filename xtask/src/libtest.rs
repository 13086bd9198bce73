//! What Rust's test harness says on its standard output.

use std::process::Command;

use anyhow::Result;

use crate::{
    exec::{self, Stream},
    progress::{self, Progress},
};

/// How far a harness is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tests {
    /// Tests that have ended.
    pub(crate) done: u64,
    /// Tests that were announced.
    pub(crate) announced: u64,
    /// The test that was named last.
    pub(crate) current: String,
}

/// What a line is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// So many tests begin.
    Running,
    /// A test has ended well, or was named.
    Test,
    /// All tests of a binary have ended.
    Result,
    /// Anything else, of the harness or of a test.
    Other,
}

impl Tests {
    /// Takes note of a line. What a test says stands between its name and its end, if it is not
    /// kept from being shown.
    pub(crate) fn hear(&mut self, line: &str) -> Line {
        if let Some(count) = line.strip_prefix("running ").and_then(|rest| rest.split_once(" test"))
            && let Ok(count) = count.0.parse::<u64>()
        {
            self.announced += count;
            return Line::Running;
        }
        if line.starts_with("test result: ") {
            return Line::Result;
        }
        let named = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... "));
        if let Some((name, _)) = named {
            name.clone_into(&mut self.current);
        }
        let ok = line == "ok" || line.ends_with(" ... ok");
        self.done += u64::from(ok || line == "FAILED" || line.ends_with(" ... FAILED"));
        if ok || named.is_some_and(|(_, end)| end.is_empty()) { Line::Test } else { Line::Other }
    }
}

/// Runs tests. On a terminal a bar stands for those that end well; elsewhere the harness's own
/// lines tell how far it is.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    if !progress::is_terminal() {
        return exec::run(command);
    }
    let mut running: Option<(Tests, Progress)> = None;
    exec::heard(command, Stream::Output, |line| {
        let (tests, bar) =
            running.get_or_insert_with(|| (Tests::default(), Progress::new("tests", 0)));
        match tests.hear(line) {
            Line::Running => {}
            Line::Test => bar.at(tests.done, tests.announced, &tests.current),
            Line::Other if line.is_empty() => {}
            Line::Other => progress::say(line),
            Line::Result => {
                progress::say(line);
                // The next harness may have to be compiled first, and cargo shows that itself.
                running = None;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted() {
        let mut tests = Tests::default();
        let mut hear = |line| tests.hear(line);
        assert_eq!(hear("running 3 tests"), Line::Running);
        assert_eq!(hear("test a ... ok"), Line::Test);
        assert_eq!(hear("test b::c ... budget: 5"), Line::Other);
        assert_eq!(hear("FAILED"), Line::Other);
        assert_eq!(hear("test d ... "), Line::Test);
        assert_eq!(hear("running late"), Line::Other);
        assert_eq!(hear("ok"), Line::Test);
        assert_eq!(hear("test result: FAILED. 2 passed; 1 failed"), Line::Result);
        assert_eq!(tests, Tests { done: 3, announced: 3, current: "d".into() });
    }
}
