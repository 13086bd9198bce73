//! Fuzzes the reader of what an agent on a backend says.
//!
//! What was read, written down in a line of its own, must be read as the same. The parser is compiled here
//! alone, since libFuzzer watches every crate that it is built with.
//!
//! Run by `cargo xtask fuzz`.
#![expect(clippy::panic, reason = "a fuzzer: a panic is a finding")]
#![no_main]

#[path = "../../../lb-userspace/src/health/agent/line.rs"]
#[expect(unreachable_pub, reason = "the parser of another crate, of which this is a part")]
mod line;
mod seed;

use libfuzzer_sys::fuzz_target;

use crate::line::{Health, Line, SHARE_MAX, parse};

fuzz_target!(init: seed::write(&seeds()), |data: &[u8]| {
    let ends = data.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
    let Some(said) = parse(data) else { return assert!(!ends, "a line was not seen") };
    assert!(ends, "a line that does not end");
    let Line { admin, health, share, unknown } = said;
    assert!(share.is_none_or(|share| share <= SHARE_MAX));
    let shown = |text: &str| text.chars().count() <= 100 && !text.contains(char::is_control);
    assert!(unknown.is_none_or(|word| shown(&word)));

    let mut words = Vec::new();
    words.extend(admin.map(|admin| admin.word().to_owned()));
    words.extend(health.as_ref().map(|health| health.word().to_owned()));
    words.extend(share.map(|share| format!("{share}%")));
    let health = health.map(|health| match health {
        Health::Up => Health::Up,
        Health::Down { word, reason } => {
            assert!(shown(&reason));
            Health::Down { word, reason: reason.trim().to_owned() }
        }
    });
    let reason = match &health {
        Some(Health::Down { reason, .. }) => reason,
        Some(Health::Up) | None => "",
    };
    let text = format!("{} #{reason}\n", words.join(" "));
    assert_eq!(parse(text.as_bytes()), Some(Line { admin, health, share, unknown: None }));
});

fn seeds() -> Vec<Vec<u8>> {
    ["75%\n", "up ready 100%\r\n", "drain,maxconn:10\n", "stopped #disk full\n", "fail 0% halb\n"]
        .map(Into::into)
        .into()
}
