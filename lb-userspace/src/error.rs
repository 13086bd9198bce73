//! How errors are worded.
//!
//! An error's text has its cause in it, before the remedy. Therefore this crate's own errors have no
//! [`source`](std::error::Error::source) besides: whoever prints a chain would say it twice.

use std::error::Error;

/// The text of a foreign error with those of its causes that it does not contain.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Foreign {
        text: &'static str,
        source: io::Error,
    }

    #[test]
    fn a_cause_is_said_once() {
        for (text, expected) in [
            ("the syscall failed", "the syscall failed: no space"),
            ("the syscall failed: no space", "the syscall failed: no space"),
        ] {
            let error = Foreign { text, source: io::Error::other("no space") };
            assert_eq!(with_causes(&error), expected);
        }
    }
}
