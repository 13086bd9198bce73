//! A steady stream of HTTP requests from the client, and what became of them.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{Error, netns::Netns, plan::Vip, site::Site};

/// How long a connection, or an answer, may take.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What became of the requests to one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Answers by web server.
    pub answers: BTreeMap<String, u64>,
    /// Requests that got no answer, or another than expected.
    pub errors: u64,
    /// What was wrong with the last of them.
    pub last_error: Option<String>,
}

impl Tally {
    /// All answers.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answers.values().sum()
    }

    fn count(&mut self, result: io::Result<String>) {
        match result {
            Ok(web) => *self.answers.entry(web).or_default() += 1,
            Err(error) => {
                self.errors += 1;
                self.last_error = Some(error.to_string());
            }
        }
    }
}

/// What became of the requests, by service.
pub type Tallies = BTreeMap<&'static str, Tally>;

/// Requests that go on until this is dropped: a thread a service, a connection a request.
#[derive(Debug)]
pub struct Traffic {
    tallies: Arc<Mutex<Tallies>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Traffic {
    /// Starts to send a request to each service every `interval`.
    pub fn start(site: &Site, vips: &[Vip], interval: Duration) -> Result<Self, Error> {
        let mut traffic =
            Self { tallies: Arc::default(), stop: Arc::default(), threads: Vec::new() };
        for vip in vips {
            traffic.tallies().extend([(vip.service, Tally::default())]);
            traffic.threads.push(traffic.requests(&site.client, *vip, interval)?);
        }
        Ok(traffic)
    }

    /// What became of the requests so far.
    #[must_use]
    pub fn tally(&self) -> Tallies {
        self.tallies().clone()
    }

    /// Ends it when the requests under way are answered.
    #[must_use]
    pub fn finish(mut self) -> Tallies {
        self.join();
        self.tally()
    }

    fn tallies(&self) -> std::sync::MutexGuard<'_, Tallies> {
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn requests(
        &self,
        client: &Netns,
        vip: Vip,
        interval: Duration,
    ) -> Result<JoinHandle<()>, Error> {
        let address = vip.socket_address();
        let (tallies, stop) = (Arc::clone(&self.tallies), Arc::clone(&self.stop));
        let work = move || {
            let mut next = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                let result = request(address);
                let mut tallies = tallies.lock().unwrap_or_else(PoisonError::into_inner);
                tallies.entry(vip.service).or_default().count(result);
                drop(tallies);
                // A late request is not made up for by a burst.
                next = (next + interval).max(Instant::now());
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        };
        client.spawn(work)
    }

    fn join(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                eprintln!("a thread of the client panicked");
            }
        }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.join();
    }
}

/// One request over one connection; the name of the web server that answered.
fn request(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    let _: usize = stream.read_to_string(&mut answer)?;
    backend(&answer)
        .map(str::to_owned)
        .ok_or_else(|| io::Error::other(format!("an answer that no web server gives: {answer:?}")))
}

/// The web server that gave a whole answer.
fn backend(answer: &str) -> Option<&str> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let named = head.lines().find_map(|line| line.strip_prefix("X-Backend: "))?;
    (head.starts_with("HTTP/1.1 200 ") && body.trim_end() == named).then_some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_answer_names_its_server() {
        let answer = "HTTP/1.1 200 OK\r\nServer: nginx\r\nX-Backend: web2\r\n\r\nweb2\n";
        assert_eq!(backend(answer), Some("web2"));
        assert_eq!(backend(&answer.replace("200", "502")), None);
        assert_eq!(backend(answer.trim_end_matches("web2\n")), None);
        assert_eq!(backend(&answer.replace("X-Backend: web2", "X-Backend: web1")), None);
        assert_eq!(backend(""), None);
    }

    #[test]
    fn errors_and_answers_are_told_apart() {
        let mut tally = Tally::default();
        tally.count(Ok("web1".into()));
        tally.count(Ok("web1".into()));
        tally.count(Err(io::Error::other("refused")));
        let expected = Tally {
            answers: BTreeMap::from([("web1".into(), 2)]),
            errors: 1,
            last_error: Some("refused".into()),
        };
        assert_eq!(tally, expected);
        assert_eq!(tally.answered(), 2);
    }
}
