//! The server of requests: it sends back what it is sent, with a thread for each CPU.

use std::{
    collections::HashMap,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    num::NonZero,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::Result;
use lb_tests::netns::Netns;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

use super::{
    machines::{ECHO, SERVER},
    readable::Readable,
};

/// The bytes of a request, and of its answer.
pub(super) const MESSAGE: usize = 100;
/// A request of this is answered, and the connection goes on.
pub(super) const MORE: u8 = b'm';
/// A request that ends with this is the last of its connection, which the server ends first: who asks
/// keeps its ports.
pub(super) const LAST: u8 = b'l';

const BACKLOG: i32 = 4096;
/// The key of the listener; connections have those from 1.
const LISTENER: usize = 0;

/// The server's threads. They end on drop.
pub(super) struct Echo {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// As many as there are CPUs.
pub(super) fn cpus() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

impl Echo {
    /// Starts it on the server's machine.
    pub(super) fn start(server: &Netns) -> Result<Self> {
        let mut echo = Self { stop: Arc::default(), threads: Vec::new() };
        for _ in 0..cpus() {
            // A socket stays in the namespace that it was made in.
            let listener = server.enter(listener)??;
            let stop = Arc::clone(&echo.stop);
            echo.threads.push(thread::spawn(move || {
                if let Err(error) = Server::new(listener).and_then(|server| server.run(&stop)) {
                    eprintln!("the server of requests has ended: {error}");
                }
            }));
        }
        Ok(echo)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                eprintln!("a thread of the server panicked");
            }
        }
    }
}

/// One of several at the same address, among which the kernel deals out connections.
fn listener() -> io::Result<TcpListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    bind(&socket, &SocketAddr::from((SERVER, ECHO)))?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// One thread's.
struct Server {
    listener: TcpListener,
    sockets: Readable,
    connections: HashMap<usize, TcpStream>,
    /// The key of the newest connection.
    newest: usize,
}

impl Server {
    fn new(listener: TcpListener) -> io::Result<Self> {
        let sockets = Readable::new()?;
        sockets.add(&listener, LISTENER)?;
        Ok(Self { listener, sockets, connections: HashMap::new(), newest: LISTENER })
    }

    fn run(mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut keys = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            self.sockets.wait(&mut keys)?;
            for key in keys.drain(..) {
                if key == LISTENER {
                    self.accept()?;
                } else if let Some(stream) = self.connections.get_mut(&key)
                    // Who asked sees that it gets no answer.
                    && !answer(stream).unwrap_or(false)
                {
                    drop(self.connections.remove(&key));
                }
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    self.newest += 1;
                    self.sockets.add(&stream, self.newest)?;
                    drop(self.connections.insert(self.newest, stream));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Sends back what there is. Gives whether the connection goes on.
fn answer(stream: &mut TcpStream) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    let length = stream.read(&mut buffer)?;
    let request = &buffer[..length];
    stream.write_all(request)?;
    Ok(request.last().is_some_and(|last| *last != LAST))
}
