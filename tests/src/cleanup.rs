//! What a site owns outside of its namespaces, and removing what a crashed run left behind.

use std::{
    env,
    fs::{self, File, TryLockError},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use crate::{Error, netns};

/// The list of directories elsewhere that a site owns, in its folder.
const OWNED: &str = "owned";
/// The file in a site's folder that is locked while its maker lives; it holds the process id.
const LOCK: &str = "lock";
/// The prefix of sites made by tests; the process id and a number follow.
const TEST_PREFIX: &str = "lb-test-";

/// A site's folder for files. It is made before everything else and removed after everything
/// else, so that a folder without a site marks a crashed run.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder of a prefix.
    pub fn create(prefix: &str) -> Result<Self, Error> {
        let path = folder(prefix);
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(Error::file("create", &path))?;
        let lock = lock(&path.join(LOCK)).map_err(Error::file("lock", path.join(LOCK)))?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Notes that a directory elsewhere is the site's, to be removed with it. It may not hold
    /// anything yet: that would be somebody else's.
    pub fn own(&self, directory: &Path) -> Result<(), Error> {
        let in_use = fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some());
        if in_use {
            return Err(Error::Foreign(directory.into()));
        }
        let list = self.path.join(OWNED);
        let file = fs::OpenOptions::new().append(true).create(true).open(&list);
        file.and_then(|mut file| writeln!(file, "{}", directory.display()))
            .map_err(Error::file("write", list))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = remove_folder(&self.path) {
            eprintln!("{} stays: {error}", self.path.display());
        }
    }
}

/// Removes all that a crashed run with this prefix left: processes, namespaces, directories.
/// Returns what there was. A run that is not over is left alone: that is an error.
pub fn clean(prefix: &str) -> Result<Vec<String>, Error> {
    if is_locked(prefix) == Some(true) {
        let pid = fs::read_to_string(folder(prefix).join(LOCK)).unwrap_or_default();
        return Err(Error::Running { prefix: prefix.into(), pid });
    }
    let mut removed = Vec::new();
    for name in netns::named(&format!("{prefix}-"))? {
        netns::delete(&name)?;
        removed.push(format!("namespace {name}"));
    }
    removed.extend(remove_folder(&folder(prefix))?);
    Ok(removed)
}

/// Removes what tests left whose process is no more.
pub fn clean_dead_tests() -> Result<Vec<String>, Error> {
    let temp = env::temp_dir();
    let entries = fs::read_dir(&temp).map_err(Error::file("list", &temp))?;
    let mut removed = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        // A process that is dead, but not yet buried, still has its number.
        let is_over = |pid| match is_locked(&name) {
            Some(locked) => !locked,
            None => !Path::new("/proc").join(pid).exists(),
        };
        if test_process(&name).is_some_and(is_over) {
            removed.extend(clean(&name)?);
        }
    }
    Ok(removed)
}

/// The prefix of the `number`th site that this test process makes.
#[must_use]
pub fn test_prefix(number: usize) -> String {
    format!("{TEST_PREFIX}{}-{number}", std::process::id())
}

fn test_process(prefix: &str) -> Option<&str> {
    let (pid, _number) = prefix.strip_prefix(TEST_PREFIX)?.split_once('-')?;
    pid.bytes().all(|byte| byte.is_ascii_digit()).then_some(pid)
}

/// Whether somebody holds the lock of a prefix; `None` if there is no such file.
fn is_locked(prefix: &str) -> Option<bool> {
    let lock = File::open(folder(prefix).join(LOCK)).ok()?;
    Some(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Locks a new file; the lock ends with the process, however that ends.
fn lock(path: &Path) -> io::Result<File> {
    let mut file = File::create_new(path)?;
    file.lock()?;
    write!(file, "{}", std::process::id())?;
    Ok(file)
}

fn folder(prefix: &str) -> PathBuf {
    env::temp_dir().join(prefix)
}

/// Removes a site's folder and the directories that it owns.
fn remove_folder(folder: &Path) -> Result<Vec<String>, Error> {
    let mut removed = Vec::new();
    let owned = fs::read_to_string(folder.join(OWNED)).unwrap_or_default();
    for directory in owned.lines().map(Path::new).chain([folder]) {
        match fs::remove_dir_all(directory) {
            Ok(()) => removed.push(format!("directory {}", directory.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::file("remove", directory)(error)),
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sites_of_tests_name_a_process() {
        assert_eq!(test_process("lb-test-17-0"), Some("17"));
        for other in ["lb-demo", "lb-test-17", "lb-test-../x-1", "lb-testing"] {
            assert_eq!(test_process(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_owned_goes_with_the_folder_and_nothing_foreign_is_taken() {
        let prefix = format!("lb-cleanup-{}", std::process::id());
        let elsewhere = env::temp_dir().join(format!("{prefix}-elsewhere"));
        let folder = Folder::create(&prefix).unwrap();
        folder.own(&elsewhere).unwrap();
        fs::create_dir_all(elsewhere.join("deep")).unwrap();
        assert!(matches!(folder.own(&elsewhere), Err(Error::Foreign(path)) if path == elsewhere));
        let running = clean(&prefix).unwrap_err().to_string();
        assert!(running.contains(&std::process::id().to_string()), "{running}");
        assert!(elsewhere.exists());
        drop(folder);
        assert!(!elsewhere.exists());
        assert!(clean(&prefix).unwrap().is_empty());
    }
}
