//! The directories of a node.

use std::{io, path::Path};

use rustix::fs::statfs;

use super::Error;

/// `BPF_FS_MAGIC` of linux/magic.h.
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;

/// Whether a directory is on a bpffs, or would be once it is created.
pub(super) fn pin_dir(path: &Path) -> Result<(), Error> {
    let nearest = path.ancestors().find(|ancestor| ancestor.exists());
    // The ancestor of a relative path is the empty one.
    let nearest = nearest.unwrap_or(Path::new("."));
    let stat = statfs(nearest)
        .map_err(|error| Error::PinDir { path: path.into(), source: error.into() })?;
    // The field's type differs between architectures; the magic number has 32 bits.
    #[allow(clippy::allow_attributes, clippy::cast_sign_loss, reason = "see above")]
    let magic = stat.f_type as u64 & 0xffff_ffff;
    if magic == BPF_FS_MAGIC { Ok(()) } else { Err(Error::NotBpffs { path: path.into() }) }
}

/// Creates the runtime directory, and tries whether files can be made in it.
pub(super) fn runtime_dir(path: &Path) -> Result<(), Error> {
    let attempt = || -> io::Result<()> {
        std::fs::create_dir_all(path)?;
        rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)?;
        Ok(())
    };
    attempt().map_err(|source| Error::RuntimeDir { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_dir_elsewhere_is_refused_even_before_it_exists() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().into(), dir.path().join("a/b"), "relative/dir".into()] {
            let error = pin_dir(&path).unwrap_err();
            assert!(matches!(error, Error::NotBpffs { .. }), "{error:?}");
            assert!(error.to_string().contains("mount -t bpf bpf /sys/fs/bpf"), "{error}");
        }
    }

    #[test]
    fn a_runtime_dir_is_created() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/lb");
        runtime_dir(&path).unwrap();
        assert!(path.is_dir());
        runtime_dir(&path).unwrap();
    }

    #[test]
    fn a_runtime_dir_that_cannot_be_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [file.path().into(), file.path().join("lb"), "/proc/lb".into()] {
            let error = runtime_dir(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("node.runtime_dir {}", path.display())), "{error}");
        }
    }
}
