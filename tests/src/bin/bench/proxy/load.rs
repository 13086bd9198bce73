//! Requests of 100 bytes, one after another on each connection, with a thread for each CPU.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};

use super::{
    echo::{Echo, LAST, MESSAGE, MORE, cpus},
    machines::{Machines, entrance},
    readable::Readable,
    scenario::{Figures, Metric},
    subject::Subject,
    usage,
};

/// How connections are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Each for all of its requests.
    Kept,
    /// Each for one request; it is over when the server's end has been seen.
    Fresh,
}

/// One turn with so many connections at once.
pub(super) fn measure(
    machines: &Machines,
    subject: Subject,
    connections: usize,
    manner: Manner,
    length: Duration,
) -> Result<Figures> {
    let _server = Echo::start(&machines.server)?;
    let _proxy = subject.start(machines)?;
    let before = usage::cpu(&machines.proxy)?;
    let begun = Instant::now();
    let times = answered(machines, connections, manner, begun + length)?;
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = usage::cpu(&machines.proxy)? - before;
    let count = f64::from(u32::try_from(times.len())?);
    let at = |percent| percentile(&times, percent).context("nothing was answered");
    let (half, most) = (at(50)?, at(99)?);
    let (rate, cpu) = ((Metric::Rate, count / seconds), (Metric::CpuPer1000, cpu * 1000.0 / count));
    Ok(match manner {
        Manner::Kept => vec![rate, (Metric::P50, half), (Metric::P99, most), cpu],
        Manner::Fresh => vec![rate, cpu],
    })
}

/// The times of all answers, in µs, the shortest first.
fn answered(
    machines: &Machines,
    connections: usize,
    manner: Manner,
    end: Instant,
) -> Result<Vec<f64>> {
    let threads = cpus().min(connections);
    let share = |thread: usize| connections / threads + usize::from(thread < connections % threads);
    let start = |thread: usize| {
        let share = share(thread);
        machines.client.spawn(move || Client::new(manner, share)?.run(end))
    };
    let threads = (0..threads).map(start).collect::<Result<Vec<_>, _>>()?;
    let mut times = Vec::new();
    for thread in threads {
        let outcome = thread.join().map_err(|_| anyhow!("a thread of the client panicked"))?;
        times.extend(outcome.context("a client")?);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// The least of them that so many of a hundred do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let place = (sorted.len() * percent).div_ceil(100);
    sorted.get(place.saturating_sub(1)).copied()
}

/// One thread's connections.
struct Client {
    manner: Manner,
    to: SocketAddr,
    sockets: Readable,
    connections: Vec<Connection>,
    /// Of the answers so far, in µs.
    times: Vec<f64>,
}

/// A request on its way.
struct Connection {
    stream: TcpStream,
    begun: Instant,
    /// The bytes of its answer that are still to come.
    missing: usize,
}

impl Client {
    fn new(manner: Manner, connections: usize) -> io::Result<Self> {
        let (sockets, to) = (Readable::new()?, entrance());
        let mut client = Self { manner, to, sockets, connections: Vec::new(), times: Vec::new() };
        for place in 0..connections {
            let connection = client.open(place)?;
            client.connections.push(connection);
        }
        Ok(client)
    }

    fn run(mut self, end: Instant) -> io::Result<Vec<f64>> {
        let mut keys = Vec::new();
        while Instant::now() < end {
            self.sockets.wait(&mut keys)?;
            keys.drain(..).try_for_each(|place| self.hear(place))?;
        }
        Ok(self.times)
    }

    /// Connects, and asks.
    fn open(&self, place: usize) -> io::Result<Connection> {
        let begun = Instant::now();
        let stream = TcpStream::connect(self.to)?;
        self.sockets.add(&stream, place)?;
        let mut connection = Connection { stream, begun, missing: 0 };
        connection.ask(self.manner)?;
        Ok(connection)
    }

    /// Takes what has come, and goes on with the next request when that was all.
    fn hear(&mut self, place: usize) -> io::Result<()> {
        let connection = &mut self.connections[place];
        let is_over = match (connection.read()?, self.manner) {
            (0, _) if connection.missing > 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            (0, _) => true,
            (_, Manner::Kept) => connection.missing == 0,
            (_, Manner::Fresh) => false,
        };
        if !is_over {
            return Ok(());
        }
        self.times.push(connection.begun.elapsed().as_secs_f64() * 1e6);
        match self.manner {
            Manner::Kept => {
                connection.begun = Instant::now();
                connection.ask(self.manner)
            }
            Manner::Fresh => {
                let next = self.open(place)?;
                self.connections[place] = next;
                Ok(())
            }
        }
    }
}

impl Connection {
    fn ask(&mut self, manner: Manner) -> io::Result<()> {
        let mut request = [MORE; MESSAGE];
        if manner == Manner::Fresh {
            request[MESSAGE - 1] = LAST;
        }
        self.missing = MESSAGE;
        self.stream.write_all(&request)
    }

    /// How much has come; 0: the server has ended.
    fn read(&mut self) -> io::Result<usize> {
        let mut buffer = [0; MESSAGE + 1];
        let length = self.stream.read(&mut buffer)?;
        let too_much = || io::Error::other("an answer is longer than its request");
        self.missing = self.missing.checked_sub(length).ok_or_else(too_much)?;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_times() {
        let times: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(percentile(&times, 50), Some(100.0));
        assert_eq!(percentile(&times, 99), Some(198.0));
        assert_eq!(percentile(&times[..1], 99), Some(1.0));
        assert_eq!(percentile(&[], 50), None);
    }
}
