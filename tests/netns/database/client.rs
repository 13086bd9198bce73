//! Clients that write increasing numbers and read the greatest, without a pause, and count.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use lb_tests::site::Site;

use super::app::WEB;

/// After a failure.
const PAUSE: Duration = Duration::from_millis(10);

/// A number that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) number: u64,
    pub(super) server: u64,
    pub(super) at: Instant,
}

/// A read that did not have what was acknowledged long before it began.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "it is for people")]
pub(super) struct Stale {
    read: u64,
    server: u64,
    acknowledged: u64,
    before: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) written: Vec<Written>,
    pub(super) failed_writes: Vec<String>,
    /// Good reads, by the servers that answered.
    pub(super) reads: BTreeMap<u64, usize>,
    pub(super) failed_reads: Vec<String>,
    pub(super) stale: Vec<Stale>,
}

/// The writer and the reader, until they are stopped.
pub(super) struct Clients {
    ledger: Arc<Mutex<Ledger>>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Clients {
    /// A read may miss what was acknowledged less than `limit` before it.
    pub(super) fn start(site: &Site, limit: Duration) -> Self {
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let over = Arc::new(AtomicBool::new(false));
        let run = |act: fn(&Mutex<Ledger>, Duration)| {
            let (ledger, over) = (Arc::clone(&ledger), Arc::clone(&over));
            let act = move || {
                while !over.load(Relaxed) {
                    act(&ledger, limit);
                }
            };
            site.client.spawn(act).unwrap()
        };
        let threads = vec![run(write), run(read)];
        Self { ledger, over, threads }
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    /// Lets the requests under way end, and gives what was counted.
    pub(super) fn stop(self) -> Ledger {
        self.over.store(true, Relaxed);
        for thread in self.threads {
            thread.join().unwrap();
        }
        Arc::try_unwrap(self.ledger).unwrap().into_inner().unwrap()
    }
}

/// Writes the next number; one that was not acknowledged is tried again.
fn write(ledger: &Mutex<Ledger>, _: Duration) {
    let next = ledger.lock().unwrap().written.last().map_or(1, |it| it.number + 1);
    let answer = request(&format!("/write/{next}"));
    let mut ledger = ledger.lock().unwrap();
    match answer {
        Ok((number, server)) => {
            assert_eq!(number, next);
            ledger.written.push(Written { number, server, at: Instant::now() });
        }
        Err(error) => {
            ledger.failed_writes.push(error);
            drop(ledger);
            thread::sleep(PAUSE);
        }
    }
}

fn read(ledger: &Mutex<Ledger>, limit: Duration) {
    let begin = Instant::now();
    let answer = request("/read");
    let mut ledger = ledger.lock().unwrap();
    match answer {
        Ok((read, server)) => {
            *ledger.reads.entry(server).or_default() += 1;
            let old = |it: &&Written| it.number > read && it.at + limit < begin;
            let missed = ledger.written.iter().rev().find(old).copied();
            ledger.stale.extend(missed.map(|it| Stale {
                read,
                server,
                acknowledged: it.number,
                before: begin - it.at,
            }));
        }
        Err(error) => {
            ledger.failed_reads.push(error);
            drop(ledger);
            thread::sleep(PAUSE);
        }
    }
}

/// A number, and the server that it is from.
fn request(path: &str) -> Result<(u64, u64), String> {
    let exchange = || {
        let mut stream = TcpStream::connect(WEB)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        let _: usize = stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = exchange().map_err(|error: std::io::Error| error.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("half an answer")?;
    if head.split(' ').nth(1).is_none_or(|it| it != "200") {
        return Err(format!("{} {body}", head.lines().next().unwrap_or_default()));
    }
    let numbers = body.trim().split_once(' ');
    let numbers = numbers.and_then(|(one, other)| Some((one.parse().ok()?, other.parse().ok()?)));
    numbers.ok_or_else(|| format!("not two numbers: {body}"))
}
