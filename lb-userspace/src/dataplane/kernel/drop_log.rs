//! Rare diagnostics of the packet path: which frames are dropped, for `LB_LOG=lb::drops=debug`.

use std::{convert::Infallible, io};

use aya::Ebpf;
use aya_log::EbpfLogger;
use lb_common::verdict::Verdict;
use log::{Log, Metadata, Record};
use tokio::io::unix::AsyncFd;

use super::Error;

/// The symbol in the object that decides which messages exist.
pub(super) const LEVEL: &str = "AYA_LOG_LEVEL";

/// What to patch [`LEVEL`] with: `log::Level`'s number, or 0 for none. The verifier removes what
/// is off from the loaded program.
pub(super) fn level() -> u8 {
    if tracing::enabled!(target: "lb::drops", tracing::Level::DEBUG) {
        log::Level::Debug as u8
    } else {
        0
    }
}

/// The messages of a loaded program.
pub struct DropLog(EbpfLogger<Translator>);

impl DropLog {
    pub(super) fn of(ebpf: &mut Ebpf) -> Result<Self, Error> {
        let logger = EbpfLogger::init_with_logger(ebpf, Translator);
        logger.map(Self).map_err(|_| Error::Missing("AYA_LOGS"))
    }

    /// Passes the messages on to tracing; ends with an error of the reactor alone.
    pub async fn run(self) -> io::Result<Infallible> {
        // SAFETY: the logger owns its descriptor and never puts another in its place.
        let mut logger = unsafe { AsyncFd::register(self.0) }?;
        loop {
            let mut ready = logger.readable_mut().await?;
            ready.get_inner_mut().flush();
            ready.clear_ready();
        }
    }
}

/// Turns the packet path's numbers into words.
struct Translator;

impl Log for Translator {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let numbers = record.args().to_string();
        tracing::debug!(target: "lb::drops", "{}", describe(&numbers).unwrap_or(numbers));
    }

    fn flush(&self) {}
}

/// `VERDICT COUNT BYTES INTERFACE`, as the program writes them, in words.
fn describe(numbers: &str) -> Option<String> {
    let mut numbers = numbers.split(' ').map(str::parse::<u64>);
    let mut next = || numbers.next()?.ok();
    let verdict = Verdict::ALL.get(usize::try_from(next()?).ok()?)?;
    let (count, bytes, interface) = (next()?, next()?, next()?);
    Some(format!(
        "dropped {bytes} bytes from interface {interface}: {}: {} ({count} so far on this CPU)",
        verdict.as_str(),
        verdict.describe().trim(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_become_words() {
        let line = format!("{} 4 60 2", Verdict::HopLimit.index());
        assert_eq!(
            describe(&line).unwrap(),
            "dropped 60 bytes from interface 2: hop-limit: TTL or hop limit used up: a forwarding \
             loop ends here. (4 so far on this CPU)"
        );
        assert_eq!(describe("1000 4 60 2"), None);
        assert_eq!(describe("0 4"), None);
        assert_eq!(describe("nonsense"), None);
    }
}
