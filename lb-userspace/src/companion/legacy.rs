//! What a companion leaves to the program that goes on for it.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, Write as _},
    os::fd::{FromRawFd as _, OwnedFd, RawFd},
};

use rustix::{
    fs::{MemfdFlags, memfd_create},
    io::{FdFlags, fcntl_setfd},
};
use serde::{Serialize, de::DeserializeOwned};

/// Writes it into a file that stays open when the program changes. A program of another version reads it:
/// what is new needs a default there, and what it does not know it skips.
pub fn bequeath<T: Serialize>(legacy: &T) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("lb-legacy", MemfdFlags::empty())?);
    file.write_all(&serde_json::to_vec(legacy)?)?;
    file.rewind()?;
    fcntl_setfd(&file, FdFlags::empty())?;
    Ok(file.into())
}

/// Reads the open file of this number, which the process before left for this one.
pub fn inherit<T: DeserializeOwned>(number: RawFd) -> anyhow::Result<T> {
    // SAFETY: the process before left it open for this one, and nothing else has the number.
    let mut file = File::from(unsafe { OwnedFd::from_raw_fd(number) });
    let mut text = String::new();
    let _length = file.read_to_string(&mut text)?;
    serde_json::from_str(&text).map_err(|error| {
        anyhow::anyhow!("what the process before has left is not readable: {error}")
    })
}
