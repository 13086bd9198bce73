//! Placeholder.
use super::Config;

/// One violated rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path of the key in the file, such as `service[2].backend[0].weight` (counted from 0).
    pub key: String,
    /// What is wrong, with the names and values involved.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

/// Checks the rules that span several keys.
pub fn check(_config: &Config) -> Vec<Problem> {
    Vec::new()
}
