//! Checks of proxies' backends.

use tokio::net::UnixListener;

use super::*;
use crate::config::proxy::{HeaderVersion, Place};

/// Version 2, `LOCAL`, of no family, and nothing behind.
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
const UNKNOWN: &[u8] = b"PROXY UNKNOWN\r\n";

async fn ask(backend: Place, kind: CheckKind, header: Option<HeaderVersion>) -> Outcome {
    let names = ("shop".into(), "shop1".into());
    let check = Arc::new(check(kind, 5000));
    let target = Target { names, check, alias: None, header, initially_up: true };
    let key = TargetKey::Proxy { proxy: "shop".into(), backend };
    Network::default().probe(key, Arc::new(target)).await.unwrap()
}

/// Reads as much as a header has, and then a request, and answers; gives both.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    length: usize,
) -> (Vec<u8>, String) {
    let mut header = vec![0; length];
    let _read = stream.read_exact(&mut header).await.unwrap();
    let head = head(&mut stream).await;
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    (header, head)
}

struct Socket {
    listener: UnixListener,
    place: Place,
    folder: tempfile::TempDir,
}

fn socket() -> Socket {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    Socket { listener, place: Place::Unix(path), folder }
}

#[tokio::test]
async fn a_unix_socket_is_up_while_it_accepts_connections() {
    let Socket { listener, place, folder } = socket();
    let outcome = ask(place.clone(), CheckKind::Tcp, None).await;
    assert!(outcome.ok && outcome.reason.starts_with("connected in "), "{outcome:?}");
    drop(listener);
    let outcome = ask(place.clone(), CheckKind::Tcp, None).await;
    assert_eq!(outcome, Outcome { ok: false, reason: "connection refused".into() });
    drop(folder);
    let outcome = ask(place, CheckKind::Tcp, None).await;
    assert_eq!(outcome.reason, "No such file or directory (os error 2)");
}

#[tokio::test]
async fn a_unix_socket_is_asked_by_http() {
    let Socket { listener, place, folder: _folder } = socket();
    let server = tokio::spawn(async move { serve(listener.accept().await.unwrap().0, 0).await });
    let outcome = ask(place, get("/up"), None).await;
    assert!(outcome.ok && outcome.reason.starts_with("status 200 in "), "{outcome:?}");
    let (_, head) = server.await.unwrap();
    assert!(head.starts_with("GET /up HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nhost: localhost\r\n"), "{head}");
}

#[tokio::test]
async fn what_needs_an_address_fails_at_a_unix_socket() {
    let Socket { place, .. } = socket();
    let outcome = ask(place, CheckKind::Icmp, None).await;
    assert_eq!(outcome, Outcome { ok: false, reason: "a Unix socket cannot be tried so".into() });
}

#[tokio::test]
async fn a_backend_is_named_by_its_own_address() {
    let (address, server) = server(b"HTTP/1.1 200 OK\r\n\r\n").await;
    assert!(ask(Place::Tcp(address), get("/"), None).await.ok);
    let head = server.await.unwrap();
    assert!(head.contains(&format!("\r\nhost: {address}\r\n")), "{head}");
}

#[tokio::test]
async fn a_check_says_first_that_it_is_nobodys_connection() {
    for (version, header) in [(HeaderVersion::V1, UNKNOWN), (HeaderVersion::V2, LOCAL)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = Place::Tcp(listener.local_addr().unwrap());
        let length = header.len();
        let server =
            tokio::spawn(async move { serve(listener.accept().await.unwrap().0, length).await });
        assert!(ask(place, get("/"), Some(version)).await.ok);
        let (said, head) = server.await.unwrap();
        assert_eq!(said, header);
        assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");

        let Socket { listener, place, folder: _folder } = socket();
        let server =
            tokio::spawn(async move { serve(listener.accept().await.unwrap().0, length).await });
        assert!(ask(place, get("/"), Some(version)).await.ok);
        assert_eq!(server.await.unwrap().0, header);
    }
}

#[tokio::test]
async fn the_header_comes_before_a_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = Place::Tcp(listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut begin = vec![0; LOCAL.len() + 1];
        let _read = stream.read_exact(&mut begin).await.unwrap();
        begin
    });
    let tls = Tls { server_name: None, verify: false, ca: None };
    let outcome = ask(place, CheckKind::Tls(tls), Some(HeaderVersion::V2)).await;
    assert!(!outcome.ok, "nobody shakes hands: {outcome:?}");
    // The type of a handshake's record (RFC 8446 §5.1).
    assert_eq!(server.await.unwrap(), [LOCAL, &[22]].concat());
}

#[tokio::test]
async fn a_program_learns_whom_to_check() {
    let command =
        |text: &str| CheckKind::Exec { command: ["/bin/sh", "-c", text].map(str::to_owned).into() };
    let text = "echo $LB_SERVICE $LB_BACKEND ${LB_VIP-none} $LB_ADDRESS ${LB_PORT-none}";
    let outcome = ask("10.0.0.21:8080".parse().unwrap(), command(text), None).await;
    assert!(outcome.reason.starts_with("shop shop1 none 10.0.0.21 8080 in "), "{outcome:?}");
    let outcome = ask("unix:/run/a".parse().unwrap(), command(text), None).await;
    assert!(outcome.reason.starts_with("shop shop1 none /run/a none in "), "{outcome:?}");
}
