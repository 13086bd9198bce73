//! An engine with one proxy, and the clients and backends around it.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use lb_userspace::{
    config::{
        Admin,
        proxy::{Backend, Balance, Eject, OnDown, Place, Proxy, Queue, Sockets, Timeouts},
    },
    proxy::{End, Engine, Listener, Order, Report, State},
};

/// Nothing that is awaited takes so long, however busy the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// A time that a test waits out.
pub(crate) const SHORT: Duration = Duration::from_millis(100);

pub(crate) struct Site {
    pub(crate) engine: Engine,
    pub(crate) order: Order,
    pub(crate) at: SocketAddr,
}

impl Site {
    /// A proxy before backends, whose settings are changed first.
    pub(crate) fn new(backends: &[Place], change: impl FnOnce(&mut Proxy)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let mut settings = settings(Place::Tcp(at), backends);
        change(&mut settings);
        let order = Order { settings, states: BTreeMap::new(), hold: None };
        let mut engine = Engine::start(2, [7; 16]).unwrap();
        let taken = Listener { place: Place::Tcp(at), socket: listener.into() };
        engine.configure(std::slice::from_ref(&order), vec![taken]).unwrap();
        Self { engine, order, at }
    }

    /// Changes what is ordered.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Order)) {
        change(&mut self.order);
        self.engine.configure(std::slice::from_ref(&self.order), Vec::new()).unwrap();
    }

    /// Changes what is known of a backend.
    pub(crate) fn set(&mut self, backend: &str, state: State) {
        self.change(|order| {
            let _known = order.states.insert(backend.into(), state);
        });
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.at)
    }

    /// Connects, and reads the name that a backend greets with.
    pub(crate) fn greeted(&self) -> (TcpStream, String) {
        let mut client = self.connect();
        let name = read(&mut client, 1);
        (client, name)
    }

    pub(crate) fn report(&self) -> Report {
        self.engine.report().remove(0)
    }

    pub(crate) fn ended(&self, end: End) -> u64 {
        self.report().ends.iter().find(|(it, _)| *it == end).unwrap().1
    }

    /// Waits until sessions have ended, and asserts that all did so for one reason.
    pub(crate) fn expect_ends(&self, end: End, count: u64) {
        until("the sessions end", || {
            self.report().ends.iter().map(|it| it.1).sum::<u64>() >= count
        });
        let ends: Vec<_> = self.report().ends.into_iter().filter(|it| it.1 > 0).collect();
        assert_eq!(ends, [(end, count)]);
        assert_eq!(self.report().totals.sessions, 0);
    }
}

pub(crate) fn settings(listen: Place, backends: &[Place]) -> Proxy {
    let backend = |(name, address): (char, &Place)| Backend {
        name: name.into(),
        address: address.clone(),
        weight: 1,
        backup: false,
        max_connections: None,
        admin: Admin::Ready,
    };
    Proxy {
        name: "site".into(),
        listen: vec![listen],
        balance: Balance::RoundRobin,
        max_connections: 10_000,
        queue: Queue { length: 100, timeout: PATIENCE },
        timeouts: Timeouts {
            connect: PATIENCE,
            client_idle: PATIENCE,
            backend_idle: PATIENCE,
            half_closed: PATIENCE,
            session: None,
        },
        retries: 3,
        sockets: Sockets { nodelay: true, keepalive: Some(PATIENCE), source: Vec::new() },
        accept_proxy: None,
        send_proxy: None,
        on_down: OnDown::Keep,
        eject: Eject { failures: 0, hold: PATIENCE, max_hold: PATIENCE },
        check: None,
        mysql: None,
        backends: ('a'..).zip(backends).map(backend).collect(),
    }
}

/// A backend that greets with its name and then says what it hears.
pub(crate) fn greeter(name: &'static str) -> Place {
    serve(move |mut client| {
        let mut buffer = [0; 4096];
        client.write_all(name.as_bytes())?;
        loop {
            match client.read(&mut buffer)? {
                0 => return Ok(()),
                read => client.write_all(&buffer[..read])?,
            }
        }
    })
}

/// A backend that does this with each connection, in a thread of its own.
pub(crate) fn serve(act: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) -> Place {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    drop(thread::spawn(move || {
        for client in listener.incoming() {
            let act = act.clone();
            // How it ends is what the other side of the proxy tells.
            drop(thread::spawn(move || client.and_then(act)));
        }
    }));
    Place::Tcp(at)
}

/// A place where nobody listens. The socket keeps others from it.
pub(crate) fn nobody() -> (Place, TcpListener) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let socket = TcpListener::from(socket);
    (Place::Tcp(socket.local_addr().unwrap()), socket)
}

/// A place that does not answer, as long as the sockets are there: the queue of a listener that nobody
/// accepts from is full, and the kernel drops what comes.
pub(crate) fn silent() -> (Place, Vec<socket2::Socket>) {
    let socket =
        || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let listener = socket();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let at = listener.local_addr().unwrap();
    let fill = |_| {
        let client = socket();
        // Whether it was the last one that had room does not matter.
        let _full = client.connect_timeout(&at, SHORT / 2);
        client
    };
    let place = Place::Tcp(at.as_socket().unwrap());
    (place, (0..4).map(fill).chain([listener]).collect())
}

pub(crate) fn connect(at: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(at).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.set_write_timeout(Some(PATIENCE)).unwrap();
    client
}

pub(crate) fn read(from: &mut impl Read, length: usize) -> String {
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Asserts that a connection goes on.
pub(crate) fn assert_talks(client: &mut (impl Read + Write)) {
    client.write_all(b"hello").unwrap();
    assert_eq!(read(client, 5), "hello");
}

/// Asserts that a connection was reset.
pub(crate) fn assert_reset(client: &mut impl Read) {
    let error = client.read(&mut [0; 64]).expect_err("a reset, not an end or bytes");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

/// Makes closing a socket a reset.
pub(crate) fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

/// Waits for a condition.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
