//! What the verifiers of other kernels say, put into `tests/budget.toml`.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result};

use crate::workspace;

/// The tables of a series, by their heads.
type Tables = BTreeMap<String, String>;

/// Puts what guests said into the file: the lines that begin with `budget: `.
pub(crate) fn write<'a>(said: impl Iterator<Item = &'a str>) -> Result<()> {
    let path = workspace::root().join("tests/budget.toml");
    let old =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let (comment, mut tables) = parse(&old);
    for line in said {
        let (head, body) = table(line).with_context(|| format!("not understood: {line}"))?;
        let _ = tables.insert(head, body);
    }
    let mut new = comment;
    for (head, body) in tables {
        new.extend(["\n", &head, "\n", &body]);
    }
    fs::write(&path, new).with_context(|| format!("cannot write {}", path.display()))
}

/// The comment at the beginning, and the tables.
fn parse(file: &str) -> (String, Tables) {
    let (mut comment, mut tables) = (String::new(), Tables::new());
    let mut head = None;
    for line in file.lines() {
        if line.starts_with('[') {
            head = Some(line.to_owned());
        } else if let Some(head) = head.as_ref().filter(|_| !line.is_empty()) {
            tables.entry(head.clone()).or_default().extend([line, "\n"]);
        } else if line.starts_with('#') {
            comment.extend([line, "\n"]);
        }
    }
    (comment, tables)
}

/// `budget: SERIES PROGRAM KEY = NUMBER …` as a table.
fn table(line: &str) -> Option<(String, String)> {
    let mut words = line.strip_prefix("budget: ")?.split(' ');
    let (series, program) = (words.next()?, words.next()?);
    let words: Vec<&str> = words.collect();
    let keys = words.chunks(3).map(|key| key.join(" ") + "\n");
    Some((format!("[\"{series}\".{program}]"), keys.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_tables() {
        let (head, body) = table("budget: 6.1 lb instructions = 5 stack = 448").unwrap();
        assert_eq!(head, "[\"6.1\".lb]");
        assert_eq!(body, "instructions = 5\nstack = 448\n");
        assert_eq!(table("budget:"), None);
        let (comment, tables) =
            parse("# one\n\n[\"6.18\".lb]\nstack = 1\n\n[\"6.1\".lb]\nstack = 2\n");
        assert_eq!(comment, "# one\n");
        assert_eq!(tables["[\"6.18\".lb]"], "stack = 1\n");
        assert_eq!(tables.len(), 2);
    }
}
