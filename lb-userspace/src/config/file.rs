//! Configuration files: text to [`Config`], or to errors with file, line, key and remedy.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
};

use toml::de::DeTable;

pub use super::schema::KEYS;
use super::{
    Config,
    document::Lines,
    schema::{self, Content},
    validate::{self, Problem},
};

/// The configuration of `lb run` without a file: the demo site's.
const EMBEDDED: &str = include_str!("default.toml");

/// A valid configuration, and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is allowed, but probably not meant.
    pub warnings: Vec<Diagnostic>,
    /// The file, if it was read from one.
    pub path: Option<PathBuf>,
    origin: Origin,
}

#[derive(Clone, Debug)]
struct Origin {
    name: String,
    text: String,
    lines: Lines,
}

/// Something to tell about a place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as it was named.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The key and what is to be said of it; the key is empty for an error of TOML itself.
    pub problem: Problem,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, problem: Problem { key, message, remedy } } = self;
        write!(f, "{file}:{line}: ")?;
        if !key.is_empty() {
            write!(f, "{key}: ")?;
        }
        write!(f, "{message}; {remedy}")
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{file}: cannot be read: {cause}; check the path and its permissions")]
    Unreadable {
        /// The file, as it was named.
        file: String,
        /// Why.
        cause: io::Error,
    },
    /// The file is not a configuration: everything that is wrong, in the file's order.
    #[error("{}", one_a_line(.0))]
    Invalid(Vec<Diagnostic>),
}

fn one_a_line(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl Loaded {
    /// The file, as it was named.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.origin.name
    }

    /// What the file says.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.origin.text
    }

    /// A problem with its file and line, for checks that need more than the file.
    #[must_use]
    pub fn locate(&self, problem: Problem) -> Diagnostic {
        self.origin.locate(problem)
    }

    /// [`Self::locate`] as text.
    #[must_use]
    pub fn render(&self, problem: &Problem) -> String {
        self.locate(problem.clone()).to_string()
    }

    /// The error that the configuration's file is at fault after all; `lb` exits with 2 on it.
    #[must_use]
    pub fn reject(&self, problems: Vec<Problem>) -> Error {
        self.origin.reject(problems)
    }
}

impl Origin {
    fn locate(&self, problem: Problem) -> Diagnostic {
        let line = self.lines.locate(&problem.key).unwrap_or(1);
        Diagnostic { file: self.name.clone(), line, problem }
    }

    fn locate_all(&self, problems: Vec<Problem>) -> Vec<Diagnostic> {
        let mut located: Vec<_> = problems.into_iter().map(|it| self.locate(it)).collect();
        located.sort_by_key(|diagnostic| diagnostic.line);
        located
    }

    fn reject(&self, problems: Vec<Problem>) -> Error {
        Error::Invalid(self.locate_all(problems))
    }
}

/// Reads a file.
pub fn load(path: &Path) -> Result<Loaded, Error> {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, &file).map(|it| Loaded { path: Some(path.to_owned()), ..it }),
        Err(cause) => Err(Error::Unreadable { file, cause }),
    }
}

/// The configuration of `lb run` without a file.
pub fn embedded() -> Result<Loaded, Error> {
    parse(EMBEDDED, "default.toml (embedded)")
}

/// Reads a text; `name` stands for the file in messages.
pub fn parse(text: &str, name: &str) -> Result<Loaded, Error> {
    let document = DeTable::parse(text).map_err(|error| syntax_error(text, name, &error))?;
    let lines = Lines::new(text, document.get_ref());
    let origin = Origin { name: name.to_owned(), text: text.to_owned(), lines };
    let Content { config, places, mut problems, mut warnings } = schema::read(document.get_ref());

    let in_file = |problem: Problem| Problem { key: key_in_file(&problem.key, &places), ..problem };
    let unreadable: Vec<_> = problems.iter().map(|problem| problem.key.clone()).collect();
    let broken = validate::check(&config).into_iter().map(in_file);
    problems.extend(broken.filter(|it| !unreadable.iter().any(|key| is_within(&it.key, key))));
    if !problems.is_empty() {
        return Err(origin.reject(problems));
    }
    warnings.extend(validate::warnings(&config));
    Ok(Loaded { config, warnings: origin.locate_all(warnings), path: None, origin })
}

/// Whether `key` is `outer` or stands in it.
fn is_within(key: &str, outer: &str) -> bool {
    key.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The rules count what could be read of an array of tables; messages count what the file has.
fn key_in_file(key: &str, places: &BTreeMap<&str, Vec<usize>>) -> String {
    let in_file = || {
        let (array, rest) = key.split_once('[')?;
        let (index, rest) = rest.split_once(']')?;
        let place = places.get(array)?.get(index.parse::<usize>().ok()?)?;
        Some(format!("{array}[{place}]{rest}"))
    };
    in_file().unwrap_or_else(|| key.to_owned())
}

fn syntax_error(text: &str, name: &str, error: &toml::de::Error) -> Error {
    let offset = error.span().map_or(text.len(), |span| span.start);
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    let problem = Problem::new(
        "",
        format!("not TOML: {}", error.message()),
        format!("look at column {column}"),
    );
    Error::Invalid(vec![Diagnostic { file: name.to_owned(), line, problem }])
}
