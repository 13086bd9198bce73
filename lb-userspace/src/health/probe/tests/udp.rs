use tokio::net::UdpSocket;

use super::*;

/// Answers one datagram with `answer` and the datagram.
async fn echo(answer: &'static [u8]) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    drop(tokio::spawn(async move {
        let mut datagram = [0; 64];
        let (length, from) = socket.recv_from(&mut datagram).await.unwrap();
        let answer = [answer, &datagram[..length]].concat();
        let _ = socket.send_to(&answer, from).await.unwrap();
    }));
    address
}

fn udp(send: &[u8], expect: Option<&[u8]>) -> CheckKind {
    CheckKind::Udp(Udp { send: send.into(), expect: expect.map(<[u8]>::to_vec) })
}

#[tokio::test]
async fn an_answer_must_have_in_it_what_is_expected() {
    for (expect, ok) in [(None, true), (Some(&b"pong p"[..]), true), (Some(b"gong"), false)] {
        let outcome = outcome_at(echo(b"pong ").await, udp(b"ping", expect)).await;
        assert_eq!(outcome.ok, ok, "{outcome:?}");
        assert!(ok || outcome.reason == "the answer is not the expected one", "{outcome:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_down_and_silence_is_up_unless_an_answer_is_expected() {
    let gone = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let outcome = outcome_at(gone, udp(b"ping", None)).await;
    assert_eq!(outcome, Outcome { ok: false, reason: "connection refused".into() });

    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let key = key("192.0.2.1", 80, silent.local_addr().unwrap());
    let outcome = probe(key.clone(), &check(udp(b"ping", None), 200)).await;
    assert!(outcome.ok && outcome.reason.starts_with("not refused in "), "{outcome:?}");
    let outcome = probe(key, &check(udp(b"ping", Some(b"pong")), 200)).await;
    assert_eq!(outcome, Outcome { ok: false, reason: "no answer within 200ms".into() });
}
