//! A steady stream of numbered datagrams, counted where they arrive.

use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use crate::{Error, netns::Netns, nginx::Web};

/// From one datagram to the next.
const PACE: Duration = Duration::from_millis(1);
/// A receiver looks this often whether it is to end.
const PATIENCE: Duration = Duration::from_millis(50);
/// So long after the last datagram, what is under way has arrived.
const FLIGHT: Duration = Duration::from_millis(500);
/// Room for what arrives while a receiver does not run, in bytes.
const BUFFER: usize = 8 << 20;

/// What became of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The datagrams that were sent.
    pub sent: u64,
    /// Those that did not arrive.
    pub lost: Vec<u64>,
    /// How often one arrived again.
    pub repeated: u64,
}

type Counts = Arc<Mutex<BTreeMap<u64, u64>>>;

/// A stream that goes on until this is dropped.
#[derive(Debug)]
pub struct Stream {
    sent: Arc<AtomicU64>,
    received: Counts,
    stop_sending: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    sender: Option<JoinHandle<()>>,
    receivers: Vec<JoinHandle<()>>,
}

impl Stream {
    /// Receivers at an address on every web server's machine, and a sender from ever other ports.
    pub fn start(client: &Netns, webs: &[Web], to: SocketAddr) -> Result<Self, Error> {
        let mut stream = Self {
            sent: Arc::default(),
            received: Arc::default(),
            stop_sending: Arc::default(),
            stop: Arc::default(),
            sender: None,
            receivers: Vec::new(),
        };
        for web in webs {
            let failed = Error::file("listen on UDP", to.to_string());
            let socket = web.netns.enter(|| listen(to))?.map_err(failed)?;
            let (counts, stop) = (Arc::clone(&stream.received), Arc::clone(&stream.stop));
            stream.receivers.push(thread::spawn(move || receive(&socket, &counts, &stop)));
        }
        let (sent, stop) = (Arc::clone(&stream.sent), Arc::clone(&stream.stop_sending));
        stream.sender = Some(client.spawn(move || {
            if let Err(error) = send(to, &sent, &stop) {
                eprintln!("the stream ends: {error}");
            }
        })?);
        Ok(stream)
    }

    /// The datagrams sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends it; what became of it.
    #[must_use]
    pub fn finish(mut self) -> Tally {
        self.join();
        let received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = (0..self.sent()).filter(|number| !received.contains_key(number)).collect();
        let repeated = received.values().sum::<u64>() - received.len() as u64;
        Tally { sent: self.sent(), lost, repeated }
    }

    fn join(&mut self) {
        self.stop_sending.store(true, Ordering::Relaxed);
        let sender = self.sender.take().map(JoinHandle::join);
        thread::sleep(FLIGHT);
        self.stop.store(true, Ordering::Relaxed);
        let receivers = self.receivers.drain(..).map(JoinHandle::join);
        if receivers.chain(sender).any(|thread| thread.is_err()) {
            eprintln!("a thread of a stream panicked");
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.join();
    }
}

fn listen(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    set_socket_recv_buffer_size_force(&socket, BUFFER)?;
    Ok(socket)
}

fn receive(socket: &UdpSocket, counts: &Counts, stop: &AtomicBool) {
    let mut number = [0; 8];
    while !stop.load(Ordering::Relaxed) {
        if let Ok(8) = socket.recv(&mut number) {
            let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            *counts.entry(u64::from_be_bytes(number)).or_default() += 1;
        }
    }
}

/// From many sockets in turn, so that the stream falls on many slots.
fn send(to: SocketAddr, sent: &AtomicU64, stop: &AtomicBool) -> io::Result<()> {
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    let sockets: Vec<_> = (0..64).map(|_| UdpSocket::bind(any)).collect::<Result<_, _>>()?;
    let mut next = Instant::now();
    for (number, socket) in (0u64..).zip(sockets.iter().cycle()) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let _length = socket.send_to(&number.to_be_bytes(), to)?;
        sent.store(number + 1, Ordering::Relaxed);
        next += PACE;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}
