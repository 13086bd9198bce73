//! An upload that is compared with what was sent: in this direction packets pass the node.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{Error, nginx::Web};

/// How long a connection may say nothing.
const SILENCE: Duration = Duration::from_secs(20);
/// The server looks this often whether it is to end.
const PATIENCE: Duration = Duration::from_millis(20);
const PORTION: usize = 64 * 1024;

/// A server that answers an upload with its hash. It ends on drop.
#[derive(Debug)]
pub struct Sink {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    /// Starts one on a web server's machine, at all its addresses.
    pub fn start(web: &Web, port: u16) -> Result<Self, Error> {
        let address = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
        let listen = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let listener =
            web.netns.enter(listen)?.map_err(Error::file("listen on TCP", address.to_string()))?;
        let stop = Arc::<AtomicBool>::default();
        let flag = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => swallow(stream).unwrap_or_else(|e| eprintln!("upload: {e}")),
                    Err(_) => thread::sleep(PATIENCE),
                }
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("a sink panicked");
        }
    }
}

fn swallow(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(SILENCE))?;
    let hash = hash(&mut stream)?;
    stream.write_all(&hash.to_be_bytes())
}

/// FNV-1a, 64 bits: enough to tell a faithful copy from another.
fn hash(from: &mut impl Read) -> io::Result<u64> {
    let (mut hash, mut portion) = (0xcbf2_9ce4_8422_2325_u64, vec![0; PORTION]);
    loop {
        let length = from.read(&mut portion)?;
        if length == 0 {
            return Ok(hash);
        }
        for &byte in &portion[..length] {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// Uploads a file from this thread's namespace: an error unless all of it arrived, unchanged.
pub fn upload(to: SocketAddr, file: &Path) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&to, SILENCE)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    let _: u64 = io::copy(&mut File::open(file)?, &mut stream)?;
    stream.shutdown(Shutdown::Write)?;
    let mut arrived = [0; 8];
    stream.read_exact(&mut arrived)?;
    if u64::from_be_bytes(arrived) == hash(&mut File::open(file)?)? {
        return Ok(());
    }
    Err(io::Error::other("what arrived is not what was sent"))
}
