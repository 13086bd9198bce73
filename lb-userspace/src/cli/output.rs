//! Where output goes, and in which form.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::Error;

/// Stdout, and what the user wants to see there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    /// JSON for programs instead of text for people.
    pub(super) json: bool,
    /// Whether somebody watches.
    pub(super) terminal: bool,
    /// Whether text may be coloured.
    pub(super) colour: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        Self { json, terminal, colour: terminal && colour_allowed() }
    }

    /// Prints a value as JSON or as the text that `text` makes of it.
    pub(super) fn show<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Error> {
        if self.json { self.show_json(value) } else { self.print(&text(value)) }
    }

    /// As [`Output::show`], but JSON is always one line: a value of many.
    pub(super) fn show_line<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Error> {
        Self { terminal: false, ..self }.show(value, text)
    }

    /// Prints text that ends with its own newline.
    #[expect(clippy::unused_self, reason = "all output goes through this type")]
    pub(super) fn print(self, text: &str) -> Result<(), Error> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        written.map_err(|cause| Error::Write { to: "stdout".to_owned(), cause })
    }

    /// One line when a program reads, indented when somebody watches.
    fn show_json<T: Serialize>(self, value: &T) -> Result<(), Error> {
        let text = if self.terminal {
            serde_json::to_string_pretty(value)
        } else {
            serde_json::to_string(value)
        };
        let text = text.map_err(|error| Error::Write {
            to: "stdout".to_owned(),
            cause: io::Error::from(error),
        })?;
        self.print(&(text + "\n"))
    }
}

/// Whether the user has nothing against colours: <https://no-color.org>.
pub(super) fn colour_allowed() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints a line to stderr; where that is closed, nobody can be told.
pub(super) fn complain(line: &dyn std::fmt::Display) {
    let _written = writeln!(io::stderr().lock(), "{line}");
}
