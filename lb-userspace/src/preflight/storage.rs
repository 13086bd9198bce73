//! The directories of a node.

use std::{io, path::Path};

use rustix::fs::statfs;

use super::Error;

/// `BPF_FS_MAGIC` of linux/magic.h.
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;

/// Refuses a directory that is not on a bpffs, and would not be once it is created.
pub(super) fn pin_dir(path: &Path) -> Result<(), Error> {
    match is_on_bpffs(path) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::NotBpffs { path: path.into() }),
        Err(error) => Err(pin_dir_error(path, error)),
    }
}

/// Whether a directory is on a bpffs, or would be once it is created.
pub(crate) fn is_on_bpffs(path: &Path) -> io::Result<bool> {
    let stat = statfs(nearest(path))?;
    // The field's type differs between architectures; the magic number has 32 bits.
    #[allow(clippy::allow_attributes, clippy::cast_sign_loss, reason = "see above")]
    let magic = stat.f_type as u64 & 0xffff_ffff;
    Ok(magic == BPF_FS_MAGIC)
}

/// What is there of a path, as far as this process can see.
fn nearest(path: &Path) -> &Path {
    // The ancestor of a relative path is the empty one.
    path.ancestors().find(|ancestor| ancestor.exists()).unwrap_or(Path::new("."))
}

/// Why the directory for pins cannot be had, and what to do.
pub(super) fn pin_dir_error(path: &Path, cause: io::Error) -> Error {
    let remedy = if cause.kind() == io::ErrorKind::PermissionDenied {
        let user = rustix::process::geteuid();
        let above = path.parent().map_or(path, nearest);
        let closed = rustix::fs::access(above, rustix::fs::Access::EXEC_OK).is_err();
        grant(path, user.as_raw(), closed.then_some(above))
    } else {
        "it must be possible to create it".into()
    };
    Error::PinDir { path: path.into(), cause, remedy }
}

/// How root gives a user the directory; `closed` is one above it that the user cannot enter.
fn grant(path: &Path, user: u32, closed: Option<&Path>) -> String {
    let path = path.display();
    let open = closed.map_or(String::new(), |closed| format!(" && chmod 711 {}", closed.display()));
    format!(
        "run lb as root, or as root give its user the directory: `mkdir -p {path} && chown {user} \
         {path}{open}` (a bpffs is empty after each boot: do it in the systemd unit)"
    )
}

/// Creates the runtime directory, and tries whether files can be made in it.
pub(super) fn runtime_dir(path: &Path) -> Result<(), Error> {
    let attempt = || -> io::Result<()> {
        std::fs::create_dir_all(path)?;
        rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)?;
        Ok(())
    };
    attempt().map_err(|cause| Error::RuntimeDir { path: path.into(), cause })
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
    fn a_forbidden_pin_dir_comes_with_the_way_to_grant_it() {
        let path = Path::new("/sys/fs/bpf/lb");
        assert_eq!(
            grant(path, 998, Some(Path::new("/sys/fs/bpf"))),
            "run lb as root, or as root give its user the directory: `mkdir -p /sys/fs/bpf/lb && \
             chown 998 /sys/fs/bpf/lb && chmod 711 /sys/fs/bpf` (a bpffs is empty after each boot: \
             do it in the systemd unit)"
        );
        let mine = grant(path, 998, None);
        assert!(mine.contains("`mkdir -p /sys/fs/bpf/lb && chown 998 /sys/fs/bpf/lb`"), "{mine}");
        let forbidden = || io::Error::from(io::ErrorKind::PermissionDenied);
        let error = pin_dir_error(path, forbidden()).to_string();
        assert!(error.contains("permission denied; run lb as root, or"), "{error}");
        let error = pin_dir_error(path, io::ErrorKind::NotADirectory.into()).to_string();
        assert!(error.ends_with("not a directory; it must be possible to create it"), "{error}");
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
