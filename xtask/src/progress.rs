//! How far long work is: a bar on a terminal, a line now and then elsewhere.

use std::{
    io::{IsTerminal as _, stderr},
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// How often a line tells how far work is.
const LINES: Duration = Duration::from_secs(15);

/// The bars of all work that is going on.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Whether people watch bars.
pub(crate) fn is_terminal() -> bool {
    stderr().is_terminal()
}

/// A line of news, above the bars.
pub(crate) fn say(line: &str) {
    if is_terminal() {
        // Where the terminal is gone, so is whoever would read it.
        let _gone = BARS.println(line);
    } else {
        eprintln!("{line}");
    }
}

/// Some work; its bar goes away with it.
pub(crate) struct Progress(Arc<Shown>);

struct Shown {
    what: String,
    bar: Option<ProgressBar>,
    told: Mutex<Instant>,
}

impl Progress {
    /// Work of `total` steps; 0 where nobody knows how many.
    pub(crate) fn new(what: &str, total: u64) -> Self {
        let bar = is_terminal().then(|| {
            let bar = BARS.add(ProgressBar::new(total));
            bar.set_style(style(total));
            bar.set_prefix(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self(Arc::new(Shown { what: what.to_owned(), bar, told: Mutex::new(Instant::now()) }))
    }

    /// `done` of `total` steps, and what is being done.
    pub(crate) fn at(&self, done: u64, total: u64, doing: &str) {
        self.0.at(done, total, doing);
    }
}

impl Shown {
    fn at(&self, done: u64, total: u64, doing: &str) {
        if let Some(bar) = &self.bar {
            if bar.length() != Some(total) {
                bar.set_length(total);
                bar.set_style(style(total));
            }
            bar.set_position(done);
            bar.set_message(doing.to_owned());
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() >= LINES {
            *told = Instant::now();
            eprintln!("{}", line(&self.what, done, total, doing));
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// `what: 3 of 12: doing`.
fn line(what: &str, done: u64, total: u64, doing: &str) -> String {
    let far = if total == 0 { String::new() } else { format!(": {done} of {total}") };
    let doing = if doing.is_empty() { String::new() } else { format!(": {doing}") };
    format!("xtask: {what}{far}{doing}")
}

fn style(total: u64) -> ProgressStyle {
    let template = if total == 0 {
        "{prefix} {spinner} {elapsed} {wide_msg}"
    } else {
        "{prefix} [{bar:30}] {pos}/{len} {elapsed} {wide_msg}"
    };
    // The templates are constants, and a plain bar is no loss.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Work that tells nothing itself: the clock goes on in its stead, until this is dropped.
pub(crate) struct Clock {
    _stop: Sender<()>,
}

impl Clock {
    /// Starts it. `expected` is how long the work takes, where that is known.
    pub(crate) fn start(what: &str, expected: Option<Duration>) -> Self {
        let total = expected.map_or(0, |expected| expected.as_secs());
        let progress = Progress::new(what, total);
        let (stop, stopped) = mpsc::channel();
        // It ends with the sender.
        drop(thread::spawn(move || {
            let start = Instant::now();
            while stopped.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                let seconds = start.elapsed().as_secs();
                match total {
                    0 => progress.at(0, 0, &format!("{seconds} s")),
                    total => progress.at(seconds.min(total), total, "seconds"),
                }
            }
        }));
        Self { _stop: stop }
    }
}

/// What a line of a program that tells how far it is says: `progress DONE/TOTAL DOING`.
pub(crate) fn told(line: &str) -> Option<(u64, u64, &str)> {
    let (far, doing) = line.strip_prefix("progress ")?.split_once(' ')?;
    let (done, total) = far.split_once('/')?;
    Some((done.parse().ok()?, total.parse().ok()?, doing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_how_far_it_is() {
        assert_eq!(line("ci", 3, 12, "docs"), "xtask: ci: 3 of 12: docs");
        assert_eq!(line("apt-get", 0, 0, "20 s"), "xtask: apt-get: 20 s");
        assert_eq!(line("fuzz", 20, 60, ""), "xtask: fuzz: 20 of 60");
    }

    #[test]
    fn programs_tell_how_far_they_are() {
        assert_eq!(told("progress 12/180 15 rounds"), Some((12, 180, "15 rounds")));
        for other in ["progress", "progress 1 x", "progress a/b x", "loading 3 rows"] {
            assert_eq!(told(other), None, "{other}");
        }
    }
}
