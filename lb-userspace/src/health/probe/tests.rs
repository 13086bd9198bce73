mod exec;
mod proxy;
mod tls;
mod udp;

use std::net::SocketAddr;

use hyper::{Method, header::HeaderValue};
use lb_common::{
    addr::{Addr, Port, Protocol},
    service::ServiceKey,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use super::*;
use crate::config::{Flap, Http, Mysql, Pattern, Through, Tls, Udp};

fn key(vip: &str, port: u16, backend: SocketAddr) -> TargetKey {
    let vip = Addr::from(vip.parse::<IpAddr>().unwrap());
    TargetKey::Service { service: ServiceKey::new(vip, Port::new(port), Protocol::TCP), backend }
}

fn check(kind: CheckKind, timeout_ms: u64) -> Check {
    let interval = Duration::from_secs(60);
    Check {
        kind,
        through: Through::Direct,
        port: None,
        interval,
        fast_interval: interval,
        timeout: Duration::from_millis(timeout_ms),
        rise: 1,
        fall: 1,
        slow_start: Duration::ZERO,
        flap: Flap::default(),
    }
}

fn http(path: &str) -> Http {
    Http {
        method: Method::GET,
        path: path.into(),
        host: None,
        headers: Vec::new(),
        statuses: vec![200..=399],
        body: None,
        tls: None,
    }
}

fn get(path: &str) -> CheckKind {
    CheckKind::Http(Box::new(http(path)))
}

async fn probe(key: TargetKey, check: &Check) -> Outcome {
    let names = ("web".into(), "web1".into());
    let check = Arc::new(check.clone());
    let target = Target { names, check, alias: None, header: None, initially_up: true };
    Network::default().probe(key, Arc::new(target)).await.unwrap()
}

/// A check of this kind, of an address of its own.
async fn outcome_at(address: SocketAddr, kind: CheckKind) -> Outcome {
    probe(key("192.0.2.1", 80, address), &check(kind, 5000)).await
}

/// Takes one connection, reads a request's head, answers, and returns what it read.
async fn server(answer: &'static [u8]) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = head(&mut stream).await;
        stream.write_all(answer).await.unwrap();
        head
    });
    (address, task)
}

/// A request's head, or what came of it.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n")
        && let Ok(byte) = stream.read_u8().await
    {
        head.push(byte);
    }
    String::from_utf8(head).unwrap()
}

async fn outcome_of(answer: &'static [u8]) -> Outcome {
    outcome_by(http("/"), answer).await.0
}

/// What a check says, and what it asked.
async fn outcome_by(check: Http, answer: &'static [u8]) -> (Outcome, String) {
    let (address, task) = server(answer).await;
    let outcome = outcome_at(address, CheckKind::Http(Box::new(check))).await;
    (outcome, task.await.unwrap())
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
    // The server's program is spared it.
    let accepted = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(accepted.is_err(), "{accepted:?}");
}

#[tokio::test]
async fn a_refused_connection_is_down_for_both_kinds() {
    let address = closed().await;
    for kind in [CheckKind::Tcp, get("/")] {
        let outcome = probe(key("192.0.2.1", 80, address), &check(kind, 5000)).await;
        assert_eq!(outcome, Outcome { ok: false, reason: "connection refused".into() });
    }
}

/// An address whose queue of connections is full: the kernel says nothing to further ones.
async fn silent() -> (TcpListener, Vec<TcpStream>) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(connected) =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        waiting.push(connected.unwrap());
    }
    (listener, waiting)
}

#[tokio::test]
async fn tcp_checks_use_their_sockets_again_whatever_became_of_them() {
    let network = Network::default();
    let good = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mute, _waiting) = silent().await;
    let (good, mute) = (good.local_addr().unwrap(), mute.local_addr().unwrap());
    let closed = closed().await;
    let names = ("web".into(), "web1".into());
    let check = Arc::new(check(CheckKind::Tcp, 200));
    let target = Arc::new(Target { names, check, alias: None, header: None, initially_up: true });
    for (address, reason) in [
        (good, "connected in "),
        (mute, "no answer within 200ms"),
        (good, "connected in "),
        (closed, "connection refused"),
        (mute, "no answer within 200ms"),
        (closed, "connection refused"),
        (good, "connected in "),
    ] {
        let outcome =
            network.clone().probe(key("192.0.2.1", 80, address), target.clone()).await.unwrap();
        assert!(outcome.reason.starts_with(reason), "{address}: {outcome:?}");
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
async fn connections_end_by_a_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // An answer that comes before its request is none.
        assert!(!head(&mut stream).await.is_empty());
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap_err().kind()
    });
    assert!(outcome_at(address, get("/")).await.ok);
    assert_eq!(task.await.unwrap(), io::ErrorKind::ConnectionReset);
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
    let (vip, any) = (Addr::from_v4([192, 0, 2, 1]), lb_common::service::Ports::ANY);
    let service = ServiceKey::with_ports(vip, any, Protocol::TCP);
    let key = TargetKey::Service { service, backend: SocketAddr::new(address.ip(), 0) };
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

#[tokio::test]
async fn method_host_and_headers_are_those_of_the_check() {
    let header = |name: &'static str| (name.parse().unwrap(), HeaderValue::from_static("probe"));
    let asked = Http {
        method: Method::HEAD,
        host: Some(HeaderValue::from_static("www.example.com")),
        headers: vec![header("x-check"), header("user-agent")],
        ..http("/up")
    };
    let (outcome, head) = outcome_by(asked, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n").await;
    assert!(outcome.ok, "{outcome:?}");
    assert!(head.starts_with("HEAD /up HTTP/1.1\r\n"), "{head}");
    for line in ["host: www.example.com", "x-check: probe", "user-agent: probe"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
    }
    assert_eq!(head.matches("user-agent").count(), 1, "{head}");
}

#[tokio::test]
async fn only_the_named_statuses_are_good() {
    let teapot = || Http { statuses: vec![418..=418, 500..=502], ..http("/") };
    for (answer, ok) in [
        (&b"HTTP/1.1 418 I'm a teapot\r\n\r\n"[..], true),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", true),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", false),
        (b"HTTP/1.1 200 OK\r\n\r\n", false),
    ] {
        let (outcome, _) = outcome_by(teapot(), answer).await;
        assert_eq!(outcome.ok, ok, "{outcome:?}");
    }
}

#[tokio::test]
async fn the_body_decides_if_it_is_looked_at() {
    let text = |text: &str| Some(Pattern::Text(text.into()));
    let regex = |text: &str| Some(Pattern::Regex(regex::bytes::Regex::new(text).unwrap()));
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\nstate\r\n6\r\n: good\r\n0\r\n\r\n";
    for (body, ok) in [
        (text("state: good"), true),
        (text(""), true),
        (text("state: bad"), false),
        (regex("^state: (good|fair)$"), true),
        (regex("^good"), false),
    ] {
        let (outcome, _) = outcome_by(Http { body, ..http("/") }, answer).await;
        assert_eq!(outcome.ok, ok, "{outcome:?}");
        let bad = "status 200, but the body is not the expected one";
        assert!(ok || outcome.reason == bad, "{outcome:?}");
    }
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nstate";
    let (outcome, _) = outcome_by(Http { body: text("state"), ..http("/") }, cut).await;
    assert!(outcome.reason.starts_with("no valid HTTP answer: "), "{outcome:?}");
}

#[tokio::test]
async fn a_login_is_down_where_no_database_answers() {
    let kind = || {
        CheckKind::Mysql(Mysql {
            user: "lb".into(),
            password_file: None,
            database: None,
            query: None,
        })
    };
    let outcome = outcome_at(closed().await, kind()).await;
    assert!(!outcome.ok && outcome.reason.contains("Connection refused"), "{outcome:?}");
    let (address, _) = server(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert!(!probe(key("192.0.2.1", 80, address), &check(kind(), 500)).await.ok);
}
