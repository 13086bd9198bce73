use lb_common::{
    addr::{Addr, Port, Protocol},
    service::ServiceKey,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

use super::*;

fn key(vip: &str, port: u16, backend: SocketAddr) -> TargetKey {
    let vip = Addr::from(vip.parse::<IpAddr>().unwrap());
    TargetKey { service: ServiceKey::new(vip, Port::new(port), Protocol::TCP), backend }
}

fn check(kind: CheckKind, timeout_ms: u64) -> Check {
    Check {
        kind,
        port: None,
        interval: Duration::from_secs(60),
        timeout: Duration::from_millis(timeout_ms),
        rise: 1,
        fall: 1,
    }
}

fn get(path: &str) -> CheckKind {
    CheckKind::Http { path: path.into() }
}

/// Takes one connection, reads a request's head, answers, and returns what it read.
async fn server(answer: &'static [u8]) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
        stream.write_all(answer).await.unwrap();
        String::from_utf8(head).unwrap()
    });
    (address, task)
}

async fn outcome_of(answer: &'static [u8]) -> Outcome {
    let (address, task) = server(answer).await;
    let outcome = probe(key("192.0.2.1", 80, address), &check(get("/"), 5000)).await;
    let _ = task.await.unwrap();
    outcome
}

/// An address where nobody listens.
async fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn tcp_is_up_when_a_connection_is_accepted() {
    let listener = TcpListener::bind("[::1]:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let outcome = probe(key("2001:db8::1", 80, address), &check(CheckKind::Tcp, 5000)).await;
    assert!(outcome.ok);
    assert!(outcome.reason.starts_with("connected in "), "{}", outcome.reason);
    let (mut stream, _) = listener.accept().await.unwrap();
    let end = stream.read_u8().await.unwrap_err();
    assert_eq!(end.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_refused_connection_is_down_for_both_kinds() {
    let address = closed().await;
    for kind in [CheckKind::Tcp, get("/")] {
        let outcome = probe(key("192.0.2.1", 80, address), &check(kind, 5000)).await;
        assert_eq!(outcome, Outcome { ok: false, reason: "connection refused".into() });
    }
}

#[tokio::test]
async fn the_check_may_have_a_port_of_its_own() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut check = check(CheckKind::Tcp, 5000);
    check.port = Some(listener.local_addr().unwrap().port());
    assert!(probe(key("192.0.2.1", 80, closed().await), &check).await.ok);
}

#[tokio::test]
async fn silence_is_down_after_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let outcome = probe(key("192.0.2.1", 80, address), &check(get("/"), 200)).await;
    assert_eq!(outcome, Outcome { ok: false, reason: "no answer within 200ms".into() });
}

#[tokio::test]
async fn the_status_decides() {
    for (answer, ok, reason) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"[..], true, "status 200 in "),
        (b"HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n", true, "status 302 in "),
        (b"HTTP/1.0 204 No Content\r\n\r\n", true, "status 204 in "),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false, "status 404"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\nsorry", false, "status 503"),
    ] {
        let outcome = outcome_of(answer).await;
        assert_eq!(outcome.ok, ok, "{outcome:?}");
        assert!(outcome.reason.starts_with(reason), "{outcome:?}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_down() {
    for answer in [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], b"", b"HTTP/1.1 2", b"\x16\x03\x01\x00\xff"] {
        let outcome = outcome_of(answer).await;
        assert!(!outcome.ok);
        assert!(outcome.reason.starts_with("no valid HTTP answer: "), "{outcome:?}");
    }
}

#[tokio::test]
async fn the_request_names_the_service_and_the_path() {
    for (vip, port, host) in [
        ("192.0.2.1", 80, "192.0.2.1"),
        ("192.0.2.1", 8080, "192.0.2.1:8080"),
        ("2001:db8::1", 80, "[2001:db8::1]"),
        ("2001:db8::1", 81, "[2001:db8::1]:81"),
    ] {
        let (address, task) = server(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let outcome = probe(key(vip, port, address), &check(get("/health?deep=1"), 5000)).await;
        assert!(outcome.ok, "{outcome:?}");
        let head = task.await.unwrap();
        assert!(head.starts_with("GET /health?deep=1 HTTP/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("\r\nhost: {host}\r\n")), "{head}");
        assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
    }
}

#[tokio::test]
async fn a_service_of_every_port_is_named_by_the_checked_one() {
    let (address, task) = server(b"HTTP/1.1 200 OK\r\n\r\n").await;
    let mut check = check(get("/"), 5000);
    check.port = Some(address.port());
    let mut key = key("192.0.2.1", 80, SocketAddr::new(address.ip(), 0));
    key.service.ports = lb_common::service::Ports::ANY;
    assert!(probe(key, &check).await.ok);
    let head = task.await.unwrap();
    assert!(head.contains(&format!("\r\nhost: 192.0.2.1:{}\r\n", address.port())), "{head}");
}

#[tokio::test]
async fn a_path_that_is_none_is_an_outcome_and_not_a_crash() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let outcome = probe(key("192.0.2.1", 80, address), &check(get("a b"), 5000)).await;
    assert!(outcome.reason.starts_with("the check's path is not valid"), "{outcome:?}");
}
