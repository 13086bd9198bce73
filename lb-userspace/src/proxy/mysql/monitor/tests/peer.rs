//! A server of `MySQL`'s protocol: what it does is scripted, the bytes are by the protocol's documentation
//! (dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html).

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    sync::watch,
};
use tokio_rustls::TlsAcceptor;

use super::oaep;
use crate::config::proxy::Place;

pub(super) const PASSWORD: &str = "a secret";
const NONCE: &[u8] = b"abcdefghijklmnopqrst";
/// `XOR(SHA256(p), SHA256(SHA256(SHA256(p)), n))` of these two.
const SCRAMBLE: &str = "e8d920905778a3d150088536fd14219aeb79d94b388833134d5f6b8204ce0c3e";

const CLIENT_SSL: u32 = 1 << 11;
/// `CLIENT_LONG_PASSWORD`, `…PROTOCOL_41`, `…TRANSACTIONS`, `…SECURE_CONNECTION`, `…PLUGIN_AUTH`.
const CAPABILITIES: u32 = 1 | 1 << 9 | 1 << 13 | 1 << 15 | 1 << 19;

/// How a client logs in by `caching_sha2_password`.
#[derive(Clone)]
pub(super) enum Auth {
    /// The server has the password's hash in its cache.
    Fast,
    /// It has not, and wants the password.
    Full,
    /// The same over TLS.
    FullOverTls(TlsAcceptor),
    /// It wants the password, and sends no key to encrypt it with.
    NoKey,
}

/// What it does and says now.
pub(super) struct Script {
    pub(super) auth: Auth,
    pub(super) read_only: bool,
    pub(super) uuid: &'static str,
    /// `Replica_IO_Running` and `Seconds_Behind_Source`, if it is a replica.
    pub(super) replica: Option<(&'static str, Option<&'static str>)>,
    /// The error that is the answer to `SHOW REPLICA STATUS`.
    pub(super) denies: Option<(u16, &'static str)>,
}

/// What has been done with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) connections: usize,
    pub(super) logins: usize,
    pub(super) questions: usize,
    /// Connections that are no more.
    pub(super) ended: usize,
}

#[derive(Clone)]
pub(super) struct Peer {
    pub(super) place: Place,
    script: Arc<Mutex<Script>>,
    /// Whether it answers; it hangs otherwise.
    answers: Arc<watch::Sender<bool>>,
    /// How often it has cut all connections.
    cuts: Arc<watch::Sender<u32>>,
    seen: Arc<watch::Sender<Seen>>,
}

impl Peer {
    /// A primary.
    pub(super) async fn start(auth: Auth, uuid: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = Place::Tcp(listener.local_addr().unwrap());
        let script = Script { auth, read_only: false, uuid, replica: None, denies: None };
        let script = Arc::new(Mutex::new(script));
        let (answers, cuts) = (Arc::new(watch::Sender::new(true)), Arc::new(watch::Sender::new(0)));
        let seen = Arc::new(watch::Sender::new(Seen::default()));
        let peer = Self { place, script, answers, cuts, seen };
        let server = peer.clone();
        drop(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                server.seen.send_modify(|it| it.connections += 1);
                let server = server.clone();
                let mut cuts = server.cuts.subscribe();
                // How it ends is what the client tells.
                drop(tokio::spawn(async move {
                    tokio::select! {
                        _ = cuts.changed() => {}
                        _ = server.serve(stream) => {}
                    }
                    server.seen.send_modify(|it| it.ended += 1);
                }));
            }
        }));
        peer
    }

    pub(super) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    pub(super) fn hang(&self, hangs: bool) {
        let _before = self.answers.send_replace(!hangs);
    }

    /// Cuts the connections that there are.
    pub(super) fn cut(&self) {
        self.cuts.send_modify(|it| *it += 1);
    }

    pub(super) fn seen(&self) -> Seen {
        *self.seen.borrow()
    }

    /// Waits until this has been done with it.
    pub(super) async fn sees(&self, mut what: impl FnMut(&Seen) -> bool) {
        let mut seen = self.seen.subscribe();
        let waits = seen.wait_for(|it| what(it));
        drop(tokio::time::timeout(Duration::from_secs(30), waits).await.unwrap().unwrap());
    }

    async fn serve(&self, stream: impl Stream + 'static) -> io::Result<()> {
        let mut wire = Wire { stream: Box::new(stream), sequence: 0 };
        self.ready().await;
        let auth = self.script().auth.clone();
        wire.send(&greeting(matches!(auth, Auth::FullOverTls(_)))).await?;
        let mut response = wire.receive().await?;
        if let Auth::FullOverTls(acceptor) = &auth {
            assert_eq!(response.len(), 32, "a request for TLS and nothing more");
            wire.stream = Box::new(acceptor.accept(wire.stream).await?);
            response = wire.receive().await?;
        }
        if !authenticate(&mut wire, &auth, &response).await? {
            return wire.send(&error(1045, "Access denied for user 'monitor'@'localhost'")).await;
        }
        wire.send(OK).await?;
        self.seen.send_modify(|it| it.logins += 1);
        loop {
            wire.sequence = 0;
            let command = wire.receive().await?;
            // COM_QUIT, and all but COM_QUERY.
            let [3, question @ ..] = command.as_slice() else { return Ok(()) };
            self.ready().await;
            for packet in self.answer(&String::from_utf8_lossy(question)) {
                wire.send(&packet).await?;
            }
            self.seen.send_modify(|it| it.questions += 1);
        }
    }

    async fn ready(&self) {
        let mut answers = self.answers.subscribe();
        drop(answers.wait_for(|it| *it).await);
    }

    fn answer(&self, question: &str) -> Vec<Vec<u8>> {
        let script = self.script();
        if question == "SELECT @@version AS version" {
            return table(&[("version", Some("8.4.3"))]);
        }
        if question.starts_with("SELECT @@global.read_only") {
            let flag = Some(if script.read_only { "1" } else { "0" });
            let uuid = ("server_uuid", Some(script.uuid));
            return table(&[("read_only", flag), ("super_read_only", flag), uuid]);
        }
        assert_eq!(question, "SHOW REPLICA STATUS");
        match (script.denies, script.replica) {
            (Some((code, message)), _) => vec![error(code, message)],
            (None, None) => vec![OK.to_vec()],
            (None, Some((receiver, lag))) => table(&[
                ("Replica_IO_Running", Some(receiver)),
                ("Replica_SQL_Running", Some(receiver)),
                ("Last_IO_Errno", Some("0")),
                ("Last_SQL_Errno", Some("0")),
                ("Seconds_Behind_Source", lag),
            ]),
        }
    }
}

/// `Protocol::HandshakeV10`.
fn greeting(tls: bool) -> Vec<u8> {
    let capabilities = (CAPABILITIES | if tls { CLIENT_SSL } else { 0 }).to_le_bytes();
    let mut packet = b"\x0a8.4.3\0".to_vec();
    packet.extend([1, 0, 0, 0]);
    packet.extend(&NONCE[..8]);
    packet.push(0);
    packet.extend(&capabilities[..2]);
    packet.extend([45, 2, 0]);
    packet.extend(&capabilities[2..]);
    packet.push(21);
    packet.extend([0; 10]);
    packet.extend(&NONCE[8..]);
    packet.push(0);
    packet.extend(b"caching_sha2_password\0");
    packet
}

/// Whether the client knows the password.
async fn authenticate(wire: &mut Wire, auth: &Auth, response: &[u8]) -> io::Result<bool> {
    // After capabilities, longest packet, character set and what is reserved.
    let rest = response[32..].strip_prefix(b"monitor\0").expect("the user");
    let scramble = &rest[1..][..usize::from(rest[0])];
    let hex = scramble.iter().fold(String::new(), |hex, it| format!("{hex}{it:02x}"));
    if matches!(auth, Auth::Fast) {
        wire.send(&[1, 3]).await?;
        return Ok(hex == SCRAMBLE);
    }
    wire.send(&[1, 4]).await?;
    let mut password = wire.receive().await?;
    if !matches!(auth, Auth::FullOverTls(_)) {
        assert_eq!(password, [2], "a request for the key");
        let key = if matches!(auth, Auth::NoKey) { "none" } else { oaep::PUBLIC_KEY };
        wire.send(&[b"\x01", key.as_bytes()].concat()).await?;
        password = oaep::decrypt(&wire.receive().await?);
        password.iter_mut().zip(NONCE.iter().cycle()).for_each(|(byte, nonce)| *byte ^= nonce);
    }
    Ok(password == [PASSWORD.as_bytes(), b"\0"].concat())
}

const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];
const END: &[u8] = &[0xfe, 0, 0, 2, 0];

/// `ERR_Packet`.
fn error(code: u16, message: &str) -> Vec<u8> {
    [&[0xff], &code.to_le_bytes()[..], b"#42000", message.as_bytes()].concat()
}

/// `ProtocolText::Resultset` of one line.
fn table(line: &[(&str, Option<&str>)]) -> Vec<Vec<u8>> {
    let mut packets = vec![vec![line.len() as u8]];
    for (name, _) in line {
        let names = ["def", "", "", "", *name, *name].map(text).concat();
        let rest = [12, 45, 0, 0, 1, 0, 0, 253, 0, 0, 0, 0, 0];
        packets.push([names.as_slice(), &rest].concat());
    }
    let values = line.iter().map(|it| it.1.map_or(vec![0xfb], text));
    packets.extend([END.to_vec(), values.collect::<Vec<_>>().concat(), END.to_vec()]);
    packets
}

/// `Protocol::LengthEncodedString`, of at most 250 bytes.
fn text(text: &str) -> Vec<u8> {
    [&[text.len() as u8], text.as_bytes()].concat()
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Packets: three bytes of length, one that counts, and the content.
struct Wire {
    stream: Box<dyn Stream>,
    sequence: u8,
}

impl Wire {
    async fn send(&mut self, content: &[u8]) -> io::Result<()> {
        let length = (content.len() as u32).to_le_bytes();
        let packet = [&length[..3], &[self.sequence], content].concat();
        self.sequence = self.sequence.wrapping_add(1);
        self.stream.write_all(&packet).await?;
        self.stream.flush().await
    }

    async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut head = [0; 4];
        let _: usize = self.stream.read_exact(&mut head).await?;
        let mut content = vec![0; u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize];
        let _: usize = self.stream.read_exact(&mut content).await?;
        self.sequence = head[3].wrapping_add(1);
        Ok(content)
    }
}
