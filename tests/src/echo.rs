//! A UDP server that says who it is and whom it sees.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use crate::{Error, nginx::Web};

/// The server looks this often whether it is to end.
const PATIENCE: Duration = Duration::from_millis(100);

/// A thread that answers every datagram with the server's name, the address and port that it sees,
/// and what it was sent, separated by blanks. It ends on drop.
#[derive(Debug)]
pub struct Echo {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    /// Starts one on a web server's machine. It answers from the address that it is bound to.
    pub fn start(web: &Web, address: SocketAddr) -> Result<Self, Error> {
        let bind = || {
            let socket = UdpSocket::bind(address)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            Ok(socket)
        };
        let socket =
            web.netns.enter(bind)?.map_err(Error::file("listen on UDP", address.to_string()))?;
        let stop = Arc::<AtomicBool>::default();
        let (name, flag) = (web.name.clone(), Arc::clone(&stop));
        // A socket stays in the namespace that it was made in.
        let thread = std::thread::spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                match answer(&socket, &name) {
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                        eprintln!("{name}: {error}");
                    }
                    Ok(()) | Err(_) => {}
                }
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

fn answer(socket: &UdpSocket, name: &str) -> io::Result<()> {
    let mut datagram = vec![0; 65536];
    let (length, from) = socket.recv_from(&mut datagram)?;
    let answer = [format!("{name} {from} ").as_bytes(), &datagram[..length]].concat();
    socket.send_to(&answer, from).map(drop)
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("a UDP server panicked");
        }
    }
}
