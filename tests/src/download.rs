//! A download that lasts as long as is needed, and is compared with what was sent.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{Error, plan::Vip, site::Site};

/// How long the connection may say nothing.
const SILENCE: Duration = Duration::from_secs(10);
/// Until it is told to hurry, so much is read at a time …
const SIP: usize = 16 * 1024;
/// … with this pause, so that 100 MB take a minute.
const PAUSE: Duration = Duration::from_millis(10);

/// A slow download of `/big` by the client.
#[derive(Debug)]
pub struct Download {
    hurry: Arc<AtomicBool>,
    received: Arc<AtomicU64>,
    thread: JoinHandle<io::Result<()>>,
}

impl Download {
    /// Starts it through a VIP.
    pub fn start(site: &Site, vip: Vip) -> Result<Self, Error> {
        let (hurry, received) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (address, sent) = (vip.socket_address(), site.big());
        let (pace, count) = (Arc::clone(&hurry), Arc::clone(&received));
        let thread = site.client.spawn(move || fetch(address, &sent, &pace, &count))?;
        Ok(Self { hurry, received, thread })
    }

    /// The bytes received so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Whether it goes on.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Takes the rest at full speed: an error unless all that was sent arrived, unchanged.
    pub fn finish(self) -> io::Result<()> {
        self.hurry.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| io::Error::other("the download panicked"))?
    }
}

fn fetch(
    address: SocketAddr,
    sent: &Path,
    hurry: &AtomicBool,
    received: &AtomicU64,
) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, SILENCE)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.write_all(b"GET /big HTTP/1.0\r\n\r\n")?;
    let mut body = BufReader::with_capacity(SIP, stream);
    skip_head(&mut body)?;
    let mut sent = BufReader::new(File::open(sent)?);
    let (mut got, mut expected) = (vec![0; SIP], vec![0; SIP]);
    loop {
        let length = body.read(&mut got)?;
        if length == 0 {
            break;
        }
        sent.read_exact(&mut expected[..length])?;
        if got[..length] != expected[..length] {
            return Err(io::Error::other("the body is not what was sent"));
        }
        let _: u64 = received.fetch_add(length as u64, Ordering::Relaxed);
        if !hurry.load(Ordering::Relaxed) {
            thread::sleep(PAUSE);
        }
    }
    match sent.read(&mut expected)? {
        0 => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Reads up to the empty line.
fn skip_head(stream: &mut impl Read) -> io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    if head.starts_with(b"HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&head).into_owned()))
}
