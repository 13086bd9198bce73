//! The run-time changes on disk, where the next daemon finds them.

use std::{
    fs::{self, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::config::Layer;

/// The version of the file's form.
const VERSION: u32 = 1;

/// The file that the run-time changes are kept in, if there is one.
#[derive(Clone, Debug, Default)]
pub struct Store(Option<PathBuf>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    version: u32,
    changes: Layer,
}

/// What is read before the rest is understood.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl Store {
    /// A store in a file.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(Some(path))
    }

    /// What an earlier daemon kept. A file that is of no use is put aside, and the sentence says so.
    pub(super) fn load(&self) -> Result<Layer, String> {
        let Some(path) = &self.0 else { return Ok(Layer::default()) };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Layer::default()),
            Err(error) => return Err(put_aside(path, &error)),
        };
        read(&text).map_err(|reason| put_aside(path, &reason))
    }

    /// Keeps changes; nothing is kept of none.
    pub(super) fn save(&self, changes: Layer) -> Result<(), String> {
        let Some(path) = &self.0 else { return Ok(()) };
        let written = if changes.is_empty() {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                Ok(()) | Err(_) => Ok(()),
            }
        } else {
            let form = Form { version: VERSION, changes };
            let text = serde_json::to_string_pretty(&form).map_err(io::Error::from);
            text.and_then(|text| replace(path, &(text + "\n"), Permissions::from_mode(0o600)))
        };
        written.map_err(|error| {
            let path = path.display();
            format!("run-time changes cannot be kept in {path} for a restarted daemon: {error}")
        })
    }
}

fn read(text: &str) -> Result<Layer, String> {
    let Version { version } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if version != VERSION {
        return Err(format!("it is of version {version}, this daemon reads {VERSION}"));
    }
    let Form { changes, .. } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(changes)
}

fn put_aside(path: &Path, reason: &dyn std::fmt::Display) -> String {
    let aside = path.with_extension("bad");
    let kept = match fs::rename(path, &aside) {
        Ok(()) => format!("it is kept as {}", aside.display()),
        Err(error) => format!("and it cannot be put aside: {error}"),
    };
    let path = path.display();
    format!(
        "the run-time changes in {path} are lost, the file's configuration runs: {reason}; {kept}"
    )
}

/// Replaces a file as a whole, or not at all.
pub(super) fn replace(path: &Path, text: &str, permissions: Permissions) -> io::Result<()> {
    // A link stays one.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = path.parent().ok_or_else(|| io::Error::other("it has no directory"))?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(permissions)?;
    file.as_file().sync_all()?;
    let _: fs::File = file.persist(&path).map_err(|error| error.error)?;
    fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Admin, file};

    fn layer() -> Layer {
        let file = file::embedded().unwrap().config;
        let mut running = file.clone();
        running.services[0].backends[1].admin = Admin::DRAIN;
        Layer::between(&file, &running)
    }

    #[test]
    fn what_is_kept_is_found_again_and_none_leaves_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("changes.json");
        let store = Store::new(path.clone());
        assert_eq!(store.load(), Ok(Layer::default()));
        store.save(layer()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(store.load(), Ok(layer()));
        store.save(Layer::default()).unwrap();
        assert!(!path.exists());
        store.save(Layer::default()).unwrap();
    }

    #[test]
    fn what_is_of_no_use_is_put_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("changes.json");
        let aside = directory.path().join("changes.bad");
        for (text, reason) in [
            ("", "EOF while parsing"),
            ("{\"version\": 2, \"moved\": []}", "it is of version 2, this daemon reads 1"),
            ("{\"version\": 1, \"changes\": [{}]}", "missing field"),
            ("{\"version\": 1, \"changes\": [], \"more\": 1}", "unknown field `more`"),
        ] {
            fs::write(&path, text).unwrap();
            let message = Store::new(path.clone()).load().unwrap_err();
            assert!(message.contains(reason) && message.contains("changes.bad"), "{message}");
            assert!(!path.exists());
            assert_eq!(fs::read_to_string(&aside).unwrap(), text);
        }
    }

    #[test]
    fn what_cannot_be_kept_is_said() {
        let store = Store::new("/proc/no/changes.json".into());
        let message = store.save(layer()).unwrap_err();
        assert!(message.contains("/proc/no/changes.json"), "{message}");
    }
}
