//! An agent on a web server's machine, which says what it is told to.

use std::{
    io::{self, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use crate::{Error, nginx::Web};

/// It looks this often whether somebody asks, and whether it is to end.
const PAUSE: Duration = Duration::from_millis(10);

/// A thread that writes one line to whoever connects. It ends on drop.
#[derive(Debug)]
pub struct Agent {
    line: Arc<Mutex<String>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Agent {
    /// Starts one on a web server's machine.
    pub fn start(web: &Web, address: SocketAddr, line: &str) -> Result<Self, Error> {
        let bind = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let failed = Error::file("listen on TCP", address.to_string());
        let listener: TcpListener = web.netns.enter(bind)?.map_err(failed)?;
        let (line, stop) = (Arc::new(Mutex::new(line.to_owned())), Arc::<AtomicBool>::default());
        let (said, flag) = (Arc::clone(&line), Arc::clone(&stop));
        // A socket stays in the namespace that it was made in.
        let thread = std::thread::spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((mut stream, _)) => {
                        let line = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
                        // Who has gone away in the meantime asks again.
                        let _written = stream.write_all(format!("{line}\n").as_bytes());
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        std::thread::sleep(PAUSE);
                    }
                    Err(error) => eprintln!("agent: {error}"),
                }
            }
        });
        Ok(Self { line, stop, thread: Some(thread) })
    }

    /// What it says from now on.
    pub fn say(&self, line: &str) {
        line.clone_into(&mut self.line.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("an agent panicked");
        }
    }
}
