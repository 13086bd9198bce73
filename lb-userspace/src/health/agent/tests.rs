use std::{net::SocketAddr, time::Duration};

use lb_common::{addr::Protocol, service::ServiceKey};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::watch,
};

use super::*;

fn said(lines: &[&str]) -> Said {
    let mut said = Said::default();
    for text in lines {
        said.hear(line::parse(format!("{text}\n").as_bytes()).unwrap());
    }
    said
}

#[test]
fn what_a_line_does_not_mention_stays() {
    let after = said(&["down #disk", "50%", "drain", "maxconn:7"]);
    assert_eq!(after.to_string(), "down drain 50% #disk");
    assert!(after.is_down() && after.is_withdrawn());
    let after = said(&["down", "drain", "up", "what"]);
    assert_eq!(after.to_string(), "up drain 100%; it says `what`, which means nothing");
    assert_eq!(said(&["maint 0%", "ready 100%", "up"]), Said::default());
}

fn key(backend: SocketAddr) -> TargetKey {
    let vip = std::net::IpAddr::from([192, 0, 2, 1]).into();
    let service = ServiceKey::new(vip, lb_common::addr::Port::new(80), Protocol::TCP);
    TargetKey::Service { service, backend }
}

/// An agent that answers what it is asked, on an address of its own.
async fn echo() -> (Agent, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let agent = Agent {
        address: None,
        port: address.port(),
        interval: Duration::from_millis(20),
        timeout: Duration::from_millis(500),
        send: "drain 50%\n".into(),
    };
    let task = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 64];
            let read = stream.read(&mut asked).await.unwrap();
            // In two parts: a line is not a segment.
            let (first, second) = asked[..read].split_at(read / 2);
            stream.write_all(first).await.unwrap();
            tokio::task::yield_now().await;
            stream.write_all(second).await.unwrap();
        }
    });
    (agent, task)
}

#[tokio::test]
async fn an_agent_is_heard_and_its_silence_changes_nothing() {
    let (agent, server) = echo().await;
    let key = key("127.0.0.9:80".parse().unwrap());
    let address = SocketAddr::new([127, 0, 0, 1].into(), agent.port);
    let target = Target { address, agent: Arc::new(agent) };
    let (targets, wanted) = watch::channel(Arc::new(Targets::from([(key.clone(), target)])));
    let (mut view, _task) = supervisor::spawn(wanted, View::new());
    let heard = view.wait_for(|view| !view.is_empty()).await.unwrap().clone();
    assert_eq!(heard[&key], said(&["drain 50%"]));

    server.abort();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(view.borrow()[&key], said(&["drain 50%"]));
    let _old = targets.send_replace(Arc::new(Targets::new()));
    assert!(view.wait_for(|view| view.is_empty()).await.is_ok(), "who is not asked has no say");
}
