//! The directory of one interface in a bpffs: a link, and the maps of its program.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::{Decap, Error, load::MAPS};
use crate::{dataplane::kernel::pins, preflight};

/// The directory, held against other processes.
pub(super) struct Pins {
    dir: PathBuf,
    _lock: File,
}

/// What the names of maps end with whose program is not attached yet.
const STAGED: &str = "-new";

impl Pins {
    /// The directory of an interface, made if need be.
    pub(super) fn open(parent: &Path, interface: &str) -> Result<Self, Error> {
        let dir = parent.join(pins::name(interface));
        let failed = failed("create", &dir);
        if !preflight::is_on_bpffs(&dir).map_err(&failed)? {
            return Err(Error::NotBpffs { path: parent.into() });
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(failed)?;
        Self::lock(dir)
    }

    /// The directory of an interface, if there is one.
    pub(super) fn existing(parent: &Path, interface: &str) -> Result<Option<Self>, Error> {
        let dir = parent.join(pins::name(interface));
        match dir.try_exists() {
            Ok(true) => Self::lock(dir).map(Some),
            Ok(false) => Ok(None),
            Err(cause) => Err(failed("look into", &dir)(cause)),
        }
    }

    fn lock(dir: PathBuf) -> Result<Self, Error> {
        let file = File::open(&dir).map_err(failed("open", &dir))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { dir, _lock: file }),
            Err(Errno::WOULDBLOCK) => Err(Error::Busy { path: dir }),
            Err(error) => Err(failed("lock", &dir)(error.into())),
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Pins the maps of a program that is not attached yet.
    pub(super) fn stage(&self, decap: &Decap) -> Result<(), Error> {
        for (name, map) in decap.maps() {
            let pin = self.staged(name);
            match fs::remove_file(&pin) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("remove", &pin)(cause));
                }
                _ => {}
            }
            map.pin(&pin).map_err(|error| {
                failed("pin", &pin)(io::Error::other(crate::error::with_causes(&error)))
            })?;
        }
        Ok(())
    }

    /// The program is attached: its maps take the place of the last one's.
    pub(super) fn commit(&self) -> Result<(), Error> {
        MAPS.iter().try_for_each(|name| {
            let pin = self.staged(name);
            fs::rename(&pin, self.dir.join(name)).map_err(failed("rename", &pin))
        })
    }

    fn staged(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}{STAGED}"))
    }

    /// Unpins all that is there, the link too, and removes the directory.
    pub(super) fn remove(&self) -> Result<(), Error> {
        let _: usize = pins::clear(&self.dir)?;
        fs::remove_dir(&self.dir).map_err(failed("remove", &self.dir))
    }
}

fn failed(what: &str, path: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let what = format!("{what} {}", path.display());
    move |cause| Error::Pins { what: what.clone(), cause }
}
