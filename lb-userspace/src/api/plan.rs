//! The JSON of configurations: what differs, what a new one would do, and what it did.

use serde::{Deserialize, Serialize};

/// `POST /v1/plan` and `POST /v1/config`: a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its name, for messages.
    pub name: String,
    /// What it says: TOML.
    pub text: String,
}

/// What one thing is in relation to an earlier state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It is new.
    Added,
    /// It is another.
    Changed,
    /// It is gone.
    Removed,
}

/// One of `GET /v1/diff`: something in which two configurations differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// How.
    pub kind: Kind,
    /// What: `service web`, `backend web/web2`, or the key of a table such as `firewall.deny`.
    pub subject: String,
    /// The values: those of something new, or the old and the new ones.
    pub detail: String,
}

/// What a configuration changes: before it is applied, or after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Where the configuration came from.
    pub file: String,
    /// What differs from what runs, with the run-time changes over both.
    pub differences: Vec<Difference>,
    /// The rings that change, as they will be once what is new was found up.
    pub rings: Vec<Ring>,
    /// What happens to connections that are open, in sentences.
    pub cut: Vec<String>,
    /// Run-time changes that the file leaves without an object, in sentences.
    pub forgotten: Vec<String>,
    /// What is allowed in the file, but probably not meant.
    pub warnings: Vec<String>,
}

/// `POST /v1/save`: the run-time changes that the daemon's file has now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The file.
    pub file: String,
    /// What was written.
    pub differences: Vec<Difference>,
}

/// One ring that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ring {
    /// The service.
    pub service: String,
    /// Its slots.
    pub slots: u32,
    /// The slots that go to another backend. Connections on them that are open stay where they are.
    pub moved: u64,
    /// The connections that are remembered of the service, as of the last sweep.
    pub connections: u32,
}

/// How many there are, in words.
#[must_use]
pub fn count(differences: &[Difference]) -> String {
    let number = differences.len();
    if number == 1 { "1 difference".into() } else { format!("{number} differences") }
}
