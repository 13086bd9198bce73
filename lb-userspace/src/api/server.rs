//! The API's server: HTTP/1.1 over a Unix socket that only its owner can connect to.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::{net::UnixListener, sync::oneshot};

use super::{
    routes::{Peer, router},
    sessions::Forwarders,
};
use crate::control::Handle;

/// How long open requests may delay the end.
const GRACE: Duration = Duration::from_secs(2);
const BACKLOG: i32 = 128;

/// Why there is no socket to listen on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon is there.
    #[error(
        "a daemon answers at {} already: stop it, or give this one its own `runtime_dir`",
        .0.display()
    )]
    InUse(PathBuf),
    /// Something else has that name.
    #[error("{} exists and is not a socket: remove it, or choose another `runtime_dir`", .0.display())]
    NotASocket(PathBuf),
    /// The system refuses.
    #[error(
        "cannot {action} {}: {cause}; check the permissions of `runtime_dir`", path.display()
    )]
    System {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
}

/// A socket at `path`, with mode 0600 before anybody can connect to it.
///
/// Makes the directory if it is missing, and replaces a socket that nobody listens on.
///
/// # Panics
/// Outside a tokio runtime.
pub fn bind(path: &Path) -> Result<UnixListener, BindError> {
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |cause: io::Error| BindError::System { action, path, cause }
    };
    if let Some(directory) = path.parent() {
        let made = DirBuilder::new().recursive(true).mode(0o755).create(directory);
        made.map_err(failed("make the directory", directory))?;
    }
    remove_stale(path)?;
    listen(path).map_err(failed("listen on", path))
}

fn remove_stale(path: &Path) -> Result<(), BindError> {
    let failed = |action, cause| BindError::System { action, path: path.to_owned(), cause };
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at", error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Ok(_connection) => Err(BindError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|cause| failed("remove the stale socket", cause))
        }
        Err(error) => Err(failed("connect to", error)),
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    // Connections are refused until the socket listens, so the mode comes in time.
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    rustix::net::listen(&socket, BACKLOG)?;
    UnixListener::from_std(socket.into())
}

/// Answers requests until `shutdown` is ready, then finishes the open ones.
pub async fn serve(
    listener: UnixListener,
    handle: Handle,
    forwarders: Forwarders,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stopping, stopped) = oneshot::channel::<()>();
    let shutdown = async move {
        shutdown.await;
        drop(stopping);
    };
    let router = router(handle, forwarders).into_make_service_with_connect_info::<Peer>();
    let server = axum::serve(listener, router).with_graceful_shutdown(shutdown);
    tokio::select! {
        result = server => result,
        () = async {
            let _closed = stopped.await;
            tokio::time::sleep(GRACE).await;
        } => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Events;

    #[tokio::test]
    async fn only_a_socket_that_nobody_listens_on_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("made/lb.sock");
        let listener = bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(bind(&path), Err(BindError::InUse(_))));
        drop(listener);
        drop(bind(&path).unwrap());

        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path), Err(BindError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_ends_its_request_does_not_delay_the_end_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lb.sock");
        let listener = bind(&path).unwrap();
        let mut client = UnixStream::connect(&path).unwrap();
        io::Write::write_all(&mut client, b"GET /v1/sta").unwrap();
        let (handle, _requests) = Handle::new();
        let socket = directory.path().join("proxy.sock");
        let forwarders = Forwarders { socket, events: Events::default() };
        serve(listener, handle, forwarders, tokio::time::sleep(Duration::from_millis(100)))
            .await
            .unwrap();
    }
}
