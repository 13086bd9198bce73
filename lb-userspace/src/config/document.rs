//! A TOML document whose keys know their lines, read table by table.
//!
//! Reading goes on after a problem, so that one run reports all of them: a reader notes what is
//! wrong and answers [`Reported`], which says that there is no value and no more to say.

use std::{cell::RefCell, collections::BTreeMap, ops::Range};

use serde_spanned::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::{
    validate::Problem,
    value::{self, Fault},
};

/// There is no value, and the reason has been noted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported;

/// The lines of all keys of a document.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines(BTreeMap<String, usize>);

impl Lines {
    /// Finds the line of every key.
    pub(super) fn new(text: &str, root: &DeTable<'_>) -> Self {
        let newlines: Vec<_> = text.match_indices('\n').map(|(at, _)| at).collect();
        let mut lines = Self::default();
        lines.add_table(&newlines, "", root);
        lines
    }

    /// The line of a key, or of the nearest key above it that the document has.
    pub(super) fn locate(&self, key: &str) -> Option<usize> {
        let mut key = key;
        loop {
            if let Some(line) = self.0.get(key) {
                return Some(*line);
            }
            key = &key[..key.rfind(['.', '['])?];
        }
    }

    fn add_table(&mut self, newlines: &[usize], path: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            self.add(newlines, join(path, key.get_ref()), &key.span(), value.get_ref());
        }
    }

    fn add(&mut self, newlines: &[usize], path: String, span: &Range<usize>, value: &DeValue<'_>) {
        match value {
            DeValue::Table(table) => self.add_table(newlines, &path, table),
            DeValue::Array(array) => {
                for (index, item) in array.iter().enumerate() {
                    self.add(newlines, format!("{path}[{index}]"), &item.span(), item.get_ref());
                }
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {}
        }
        let _previous = self.0.insert(path, line_of(newlines, span.start));
    }
}

/// The line, counted from 1, of a byte offset; `newlines` are the offsets of the line ends.
fn line_of(newlines: &[usize], offset: usize) -> usize {
    newlines.partition_point(|&newline| newline < offset) + 1
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A table whose keys are read one by one.
pub(super) struct Table<'a> {
    path: String,
    /// `None` for a table that the document leaves out.
    entries: Option<&'a DeTable<'a>>,
    problems: &'a RefCell<Vec<Problem>>,
}

type Entry<'a> = &'a Spanned<DeValue<'a>>;

impl<'a> Table<'a> {
    /// The document itself.
    pub(super) fn root(
        entries: &'a DeTable<'a>,
        known: &[&str],
        problems: &'a RefCell<Vec<Problem>>,
    ) -> Self {
        Self { path: String::new(), entries: Some(entries), problems }.without_unknown(known)
    }

    /// A key that may be left out.
    pub(super) fn optional<T>(
        &self,
        key: &str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, Fault>,
    ) -> Result<Option<T>, Reported> {
        self.get(key).map(|value| self.read(join(&self.path, key), value, read)).transpose()
    }

    /// A key that has a default.
    pub(super) fn or<T>(
        &self,
        key: &str,
        default: T,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, Fault>,
    ) -> Result<T, Reported> {
        Ok(self.optional(key, read)?.unwrap_or(default))
    }

    /// A key that must be there; `example` shows one.
    pub(super) fn required<T>(
        &self,
        key: &str,
        example: &str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, Fault>,
    ) -> Result<T, Reported> {
        let missing = || self.fault(key, Fault::new("missing", format!("add `{key} = {example}`")));
        self.optional(key, read)?.ok_or_else(missing)
    }

    /// An array of values; empty if left out.
    pub(super) fn list<T>(
        &self,
        key: &str,
        read: impl Fn(&DeValue<'_>) -> Result<T, Fault>,
    ) -> Result<Vec<T>, Reported> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.fault(key, value::wrong_type("an array", value.get_ref())));
        };
        let read_item = |(index, item): (usize, Entry<'a>)| {
            self.read(format!("{}[{index}]", join(&self.path, key)), item, &read)
        };
        all(items.iter().enumerate().map(read_item))
    }

    /// A table; without entries if left out.
    pub(super) fn table(&self, key: &str, known: &[&str]) -> Result<Table<'a>, Reported> {
        Ok(self.optional_table(key, known)?.unwrap_or(Table {
            path: join(&self.path, key),
            entries: None,
            problems: self.problems,
        }))
    }

    /// A table that may be left out.
    pub(super) fn optional_table(
        &self,
        key: &str,
        known: &[&str],
    ) -> Result<Option<Table<'a>>, Reported> {
        let Some(value) = self.get(key) else { return Ok(None) };
        self.enter(join(&self.path, key), value, known).map(Some)
    }

    /// An array of tables; empty if left out.
    pub(super) fn tables(
        &self,
        key: &str,
        known: &[&str],
    ) -> Result<Vec<Result<Table<'a>, Reported>>, Reported> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let path = join(&self.path, key);
        let DeValue::Array(items) = value.get_ref() else {
            let parts: Vec<_> = path.split('.').filter_map(|part| part.split('[').next()).collect();
            let header = parts.join(".");
            let fault = Fault::new(
                format!("must be an array of tables, not a {}", value.get_ref().type_str()),
                format!("begin each with a line `[[{header}]]`"),
            );
            return Err(self.fault(key, fault));
        };
        let enter = |(index, item)| self.enter(format!("{path}[{index}]"), item, known);
        Ok(items.iter().enumerate().map(enter).collect())
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Notes a problem with a key.
    pub(super) fn fault(&self, key: &str, Fault { message, remedy }: Fault) -> Reported {
        self.problems.borrow_mut().push(Problem { key: join(&self.path, key), message, remedy });
        Reported
    }

    fn get(&self, key: &str) -> Option<Entry<'a>> {
        self.entries?.get(key)
    }

    fn read<T>(
        &self,
        path: String,
        value: Entry<'a>,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, Fault>,
    ) -> Result<T, Reported> {
        read(value.get_ref()).map_err(|Fault { message, remedy }| {
            self.problems.borrow_mut().push(Problem { key: path, message, remedy });
            Reported
        })
    }

    fn enter(&self, path: String, value: Entry<'a>, known: &[&str]) -> Result<Self, Reported> {
        let problems = self.problems;
        match value.get_ref().as_table() {
            Some(entries) => {
                Ok(Self { path, entries: Some(entries), problems }.without_unknown(known))
            }
            None => self.read(path, value, |value| Err(value::wrong_type("a table", value))),
        }
    }

    fn without_unknown(self, known: &[&str]) -> Self {
        let keys = self.entries.into_iter().flat_map(|entries| entries.keys());
        for key in keys.map(Spanned::get_ref).filter(|key| !known.contains(&key.as_ref())) {
            let _reported = self.fault(key, unknown(key, known));
        }
        self
    }
}

/// Collects after everything was read, so that every problem is noted.
pub(super) fn all<T>(
    results: impl IntoIterator<Item = Result<T, Reported>>,
) -> Result<Vec<T>, Reported> {
    let results: Vec<_> = results.into_iter().collect();
    results.into_iter().collect()
}

fn unknown(key: &DeString<'_>, known: &[&str]) -> Fault {
    const ALIKE: f64 = 0.6;
    let likeness = |known: &&str| strsim::normalized_damerau_levenshtein(key, known);
    let closest = known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let list = known.join(", ");
    Fault::new(
        "unknown key",
        match closest.filter(|closest| likeness(closest) >= ALIKE) {
            Some(closest) => format!("did you mean `{closest}`? Known here: {list}"),
            None => format!("remove it; known here: {list}"),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_lines_and_missing_keys_have_their_parents() {
        let text = "a = 1\n[b]\nc = [\n 1,\n 2]\n[[d]]\n[[d]]\ne = 1\n[d.f]\ng.h = 2\n";
        let root = DeTable::parse(text).unwrap();
        let lines = Lines::new(text, root.get_ref());
        for (key, line) in [
            ("a", Some(1)),
            ("b", Some(2)),
            ("b.c", Some(3)),
            ("b.c[1]", Some(5)),
            ("b.missing", Some(2)),
            ("d", Some(6)),
            ("d[0]", Some(6)),
            ("d[1]", Some(7)),
            ("d[1].e", Some(8)),
            ("d[1].missing[3].too", Some(7)),
            ("d[1].f", Some(9)),
            ("d[1].f.g.h", Some(10)),
            ("missing", None),
        ] {
            assert_eq!(lines.locate(key), line, "{key}");
        }
    }
}
