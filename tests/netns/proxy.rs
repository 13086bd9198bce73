//! Proxies of a node: their sessions while backends are drained and die, and the process that has them.

mod process;
mod waits;

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use lb_tests::{
    node::Node,
    sessions::{Fate, Server, Sessions},
    site::Site,
};
use lb_userspace::api::{
    proxy::{Proxy, Session},
    types::Backend,
};

/// Where the web servers' machines echo.
const BEHIND: u16 = 7000;
const TO: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)), 7100);
const SESSIONS: usize = 300;
const PATIENCE: Duration = Duration::from_secs(5);

fn config(site: &Site, more: &str) -> String {
    let backend = |(number, web): (u8, &lb_tests::nginx::Web)| {
        format!("[[proxy.backend]]\nname = '{}'\naddress = '10.0.0.{number}:{BEHIND}'\n", web.name)
    };
    let backends: String = (11..).zip(site.webs()).map(backend).collect();
    let node = site.node_table(&site.pin_dir(), "eth0");
    format!(
        "{node}proxy_drain = '30s'\n[[proxy]]\nname = 'app'\nlisten = ['{TO}']\n\
         check = {{ type = 'tcp', interval = '500ms', timeout = '400ms' }}\n{more}{backends}"
    )
}

fn servers(site: &Site) -> Vec<Server> {
    let webs = (1u8..).zip(site.webs());
    webs.map(|(number, web)| Server::start(web, number, &[BEHIND]).unwrap()).collect()
}

fn call() -> std::io::Result<u8> {
    answers(1)
}

/// Who gives the last of so many answers in one session.
fn answers(count: usize) -> std::io::Result<u8> {
    let mut stream = TcpStream::connect_timeout(&TO, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = [0; 9];
    for _ in 0..count {
        stream.write_all(b"a word, ")?;
        stream.read_exact(&mut answer)?;
    }
    Ok(answer[8])
}

fn proxy(node: &Node<'_>) -> Proxy {
    let mut proxies: Vec<Proxy> = node.ask(&["proxy", "list"]).unwrap();
    proxies.remove(0)
}

fn is_listening(node: &Node<'_>) {
    super::soon("the proxy takes sessions", || {
        let proxies: Result<Vec<Proxy>, _> = node.ask(&["proxy", "list"]);
        match proxies.as_deref() {
            Ok([proxy]) if proxy.backends.iter().all(|it| it.open) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

fn sessions(site: &Site) -> Sessions {
    let sessions = Sessions::start(&site.client, vec![TO], SESSIONS).unwrap();
    super::soon("all sessions are answered", || match sessions.fates().len() {
        SESSIONS => Ok(()),
        answered => Err(format!("{answered} are")),
    });
    sessions
}

fn assert_unbroken(sessions: &Sessions) {
    let fates = sessions.fates();
    let broken: Vec<_> = fates.values().filter(|it| matches!(it, Fate::Broken { .. })).collect();
    assert!(broken.is_empty(), "{broken:?}");
    let now = std::time::Instant::now();
    super::soon("all sessions are answered again", || match sessions.answered_since(now) {
        SESSIONS => Ok(()),
        answered => Err(format!("{answered} are")),
    });
}

/// Exactly so many sessions break.
fn breaks(sessions: &Sessions, expected: usize) {
    super::soon("sessions are reset", || {
        match sessions.fates().values().filter(|it| is_broken(it)).count() {
            broken if broken == expected => Ok(()),
            broken => Err(format!("{broken} are broken")),
        }
    });
}

#[test]
fn what_commands_do_to_backends_of_services_they_do_to_proxies() {
    let site = super::site();
    let _servers = servers(&site);
    let node = site.start_node(&config(&site, "on_down = 'close'\n")).unwrap();
    is_listening(&node);
    let sessions = sessions(&site);
    let of = |server: u8| {
        let fates = sessions.fates();
        fates.values().filter(|it| matches!(it, Fate::Live(it) if *it == server)).count()
    };
    assert_eq!([of(1), of(2), of(3)], [100, 100, 100], "in turn");

    let _: String = node.order(&["backend", "drain", "web1", "--service", "app"]).unwrap();
    super::soon("web1 takes none", || {
        let shown = proxy(&node);
        if shown.backends[0].open { Err(format!("{shown:?}")) } else { Ok(()) }
    });
    let calls: Vec<u8> = (0..20).map(|_| answerer(&site)).collect();
    assert!(!calls.contains(&1), "{calls:?}");
    let left = |backends: &[Backend]| backends[0].drain.map(|it| (it.connections, it.is_over()));
    assert_eq!(left(&node.backends().unwrap()), Some((100, false)));
    assert_unbroken(&sessions);

    let _: String = node.order(&["backend", "weight", "web2", "0", "--service", "app"]).unwrap();
    super::soon("web3 alone takes sessions", || {
        let calls: Vec<u8> = (0..5).map(|_| answerer(&site)).collect();
        if calls == [3; 5] { Ok(()) } else { Err(format!("{calls:?}")) }
    });
    assert_unbroken(&sessions);

    let listed: Vec<Session> = node.ask(&["sessions", "--backend", "web3"]).unwrap();
    assert_eq!(listed.len(), 100);
    let _: String = node.order(&["session", "kill", &listed[0].id]).unwrap();
    breaks(&sessions, 1);
    let again = node.cli(&["session", "kill", &listed[0].id]).unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("there is no session"), "{again:?}");
    let events = node.order(&["events"]).unwrap();
    assert!(events.contains(&format!("session {} was reset", listed[0].id)), "{events}");

    let _: String = node.order(&["backend", "maintenance", "web3", "--service", "app"]).unwrap();
    breaks(&sessions, 100);
}

fn is_broken(fate: &Fate) -> bool {
    matches!(fate, Fate::Broken { .. })
}

/// Who answers one that calls from the client's machine.
fn answerer(site: &Site) -> u8 {
    site.client.spawn(call).unwrap().join().unwrap().unwrap()
}

#[test]
fn a_backend_that_dies_is_found_down_and_its_sessions_are_closed_if_wanted() {
    let site = super::site();
    let _servers = servers(&site);
    let node = site.start_node(&config(&site, "on_down = 'close'\n")).unwrap();
    is_listening(&node);
    let sessions = sessions(&site);
    // Its machine answers no more, so that nothing but the checks tells.
    let dead = &site.webs()[0];
    dead.netns.ip("link set eth0 down").unwrap();
    breaks(&sessions, 100);
    let shown = proxy(&node);
    assert!(!shown.backends[0].open && shown.backends[1].open, "{shown:?}");
    let events = node.order(&["events", "--service", "app"]).unwrap();
    assert!(events.contains("app/web1"), "{events}");
}
