//! A line of an agent: HAProxy's configuration manual, "agent-check". Pure.

/// What a line says; of several words of a kind the last counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// `ready`, `drain` or `maint`.
    pub admin: Option<Admin>,
    /// `up`, or `down` and its like.
    pub health: Option<Health>,
    /// `75%`.
    pub share: Option<u16>,
    /// The first word that means nothing.
    pub unknown: Option<String>,
}

/// What an agent wants of its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin {
    /// It takes its share.
    Ready,
    /// It gets no new connections.
    Drain,
    /// It gets no packets.
    Maint,
}

impl Admin {
    /// As an agent writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        }
    }
}

/// Whether a backend works, as far as its agent knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Up,
    /// It does not.
    Down {
        /// `down`, `fail`, `failed` or `stopped`: they differ for people only.
        word: &'static str,
        /// What follows the `#`.
        reason: String,
    },
}

impl Health {
    /// As an agent writes it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down { word, .. } => word,
        }
    }
}

/// The largest share, in percent: more counts as this.
pub const SHARE_MAX: u16 = 1000;
const DOWN: [&str; 4] = ["down", "fail", "failed", "stopped"];
/// The longest reason or unknown word that is kept, in characters.
const TEXT_MAX: usize = 100;

/// Reads the first line; `None` where it does not end.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Line> {
    let end = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'))?;
    let line = String::from_utf8_lossy(&bytes[..end]);
    let (words, reason) = line.split_once('#').unwrap_or((&line, ""));
    let mut said = Line::default();
    for word in words.split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
        said.add(&word.to_ascii_lowercase(), reason);
    }
    Some(said)
}

impl Line {
    fn add(&mut self, word: &str, reason: &str) {
        let admins = [Admin::Ready, Admin::Drain, Admin::Maint];
        if let Some(admin) = admins.into_iter().find(|admin| admin.word() == word) {
            self.admin = Some(admin);
        } else if let Some(word) = DOWN.into_iter().find(|down| *down == word) {
            self.health = Some(Health::Down { word, reason: shown(reason.trim()) });
        } else if word == "up" {
            self.health = Some(Health::Up);
        } else if let Some(share) = word.strip_suffix('%').and_then(number) {
            self.share = Some(u16::try_from(share).unwrap_or(u16::MAX).min(SHARE_MAX));
        } else if word.strip_prefix("maxconn:").and_then(number).is_none() && self.unknown.is_none()
        {
            self.unknown = Some(shown(word));
        }
    }
}

/// Digits alone; what is too large for the type is the largest.
fn number(digits: &str) -> Option<u64> {
    let digital = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digital.then(|| digits.parse().unwrap_or(u64::MAX))
}

fn shown(text: &str) -> String {
    text.chars().filter(|it| !it.is_control()).take(TEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(admin: Option<Admin>, health: Option<Health>, share: Option<u16>) -> Line {
        Line { admin, health, share, unknown: None }
    }

    fn down(word: &'static str, reason: &str) -> Line {
        line(None, Some(Health::Down { word, reason: reason.into() }), None)
    }

    #[test]
    fn words_are_those_of_haproxy() {
        let up = Some(Health::Up);
        for (text, expected) in [
            ("75%\n", line(None, None, Some(75))),
            ("up 100%\r\n", line(None, up.clone(), Some(100))),
            ("UP,Ready\t50%\n", line(Some(Admin::Ready), up.clone(), Some(50))),
            ("drain\n", line(Some(Admin::Drain), None, None)),
            ("maint, maxconn:10\n", line(Some(Admin::Maint), None, None)),
            ("down\n", down("down", "")),
            ("down #  disk full \n", down("down", "disk full")),
            ("stopped#for the night, up\n", down("stopped", "for the night, up")),
            ("fail failed\n", down("failed", "")),
            ("down up 10% 20%\n", line(None, up.clone(), Some(20))),
            ("0%\n", line(None, None, Some(0))),
            ("99999999999999999999%\n", line(None, None, Some(SHARE_MAX))),
            ("up\ndown\n", line(None, up.clone(), None)),
            ("# nothing\n", line(None, None, None)),
            ("\n", line(None, None, None)),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn what_means_nothing_is_named_and_the_rest_counts() {
        for (text, word) in [
            ("50% halb -5%\n", "halb"),
            ("50% 7.5%\n", "7.5%"),
            ("50% maxconn:\n", "maxconn:"),
            ("50% %\n", "%"),
        ] {
            let said = parse(text.as_bytes()).unwrap();
            assert_eq!((said.share, said.unknown.as_deref()), (Some(50), Some(word)), "{text:?}");
        }
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"down"), None, "a line that was cut off");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_line_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let said = parse(&bytes);
            prop_assert_eq!(said.is_some(), bytes.iter().any(|it| matches!(it, b'\n' | b'\r')));
            let said = said.unwrap_or_default();
            prop_assert!(said.share.is_none_or(|share| share <= SHARE_MAX));
            prop_assert!(said.unknown.is_none_or(|word| word.chars().count() <= TEXT_MAX));
        }

        /// From the words to bytes, in any case and with any separators, and back.
        #[test]
        fn what_is_said_is_understood(
            admin in proptest::option::of(0usize..3),
            health in proptest::option::of(0usize..5),
            share in proptest::option::of(0u16..=SHARE_MAX),
            separator in "[ ,\t]{1,3}",
            upper: bool,
            reason in "[a-z ]{0,20}",
        ) {
            let admin = admin.map(|it| [Admin::Ready, Admin::Drain, Admin::Maint][it]);
            let word = health.map(|it| ["up", "down", "fail", "failed", "stopped"][it]);
            let share_text = share.map(|share| format!("{share}%"));
            let words = [share_text.as_deref(), word, admin.map(Admin::word)];
            let text = words.into_iter().flatten().collect::<Vec<_>>().join(&separator);
            let text = if upper { text.to_uppercase() } else { text };
            let health = word.map(|word| match word {
                "up" => Health::Up,
                word => Health::Down { word, reason: reason.trim().into() },
            });
            let said = parse(format!("{text} #{reason}\r\n").as_bytes());
            prop_assert_eq!(said, Some(line(admin, health, share)));
        }
    }
}
