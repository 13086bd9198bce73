//! Every type of check against the server that it is for.

use std::{fs, net::SocketAddr, path::Path, process::Command};

use lb_tests::{
    echo::Echo,
    mariadb::{self, MariaDb},
    process::Process,
    site::Site,
};
use lb_userspace::api::types::{Backend, Health};

use super::certificates;

/// The site's web1, and an address of its network that nobody has.
const WEB1: &str = "10.0.0.11";
const NOBODY: &str = "10.0.0.77";
const TLS_PORT: u16 = 8443;
const ECHO_PORT: u16 = 7007;

/// What is checked how, and what is to be found out.
struct Case {
    name: &'static str,
    backend: &'static str,
    check: String,
    found: (Health, &'static str),
}

#[test]
fn every_type_tells_a_good_server_from_a_bad_one() {
    let site = super::site_of(1);
    let web = site.web(1);
    let ca = certificates::issue(site.folder().path(), "server", "www.example.com");
    let nginx = tls_server(&site);
    let _echo = Echo::start(web, SocketAddr::new(WEB1.parse().unwrap(), ECHO_PORT)).unwrap();
    let database = MariaDb::start(&site, web).unwrap();

    let cases = cases(site.folder().path(), &ca);
    let config = configuration(&site, &cases);
    let node = site.start_node(&config).unwrap();
    super::soon("all backends are as they should be", || {
        let backends = node.backends().map_err(|error| error.to_string())?;
        cases.iter().zip(&backends).try_for_each(|(case, it)| judge(case, it, case.found))
    });

    let log = node.log();
    assert!(!log.contains(mariadb::PASSWORD), "{log}");
    drop((nginx, database));
    super::soon("what has ended is down", || {
        let backends = node.backends().map_err(|error| error.to_string())?;
        let ended = |(case, _): &(&Case, _)| {
            case.check.contains("\"tls\"") || case.check.contains("\"mysql\"")
        };
        let mut ended = cases.iter().zip(&backends).filter(ended);
        ended.try_for_each(|(case, it)| match case.found {
            (Health::Up, _) => judge(case, it, (Health::Down, "onnection refused")),
            found => judge(case, it, (found.0, "")),
        })
    });
}

fn judge(case: &Case, backend: &Backend, (health, reason): (Health, &str)) -> Result<(), String> {
    let is_so = backend.health == health && backend.health_reason.contains(reason);
    is_so.then_some(()).ok_or_else(|| format!("{}: {backend:?}", case.name))
}

fn cases(folder: &Path, ca: &Path) -> Vec<Case> {
    use Health::{Down, Up};
    let tls = |kind, name| tls(kind, name, ca);
    let mysql = |password, query| mysql(folder, password, query);
    let (http, any) = ("type = \"http\", port = 80", format!("type = \"tls\", port = {TLS_PORT}"));
    let good = mariadb::PASSWORD;
    let rows = [
        ("tcp", "type = \"tcp\", port = 80".to_owned(), Up, "connected in "),
        ("http", format!("{http}, body = \"web1\""), Up, "status 200 in "),
        ("http-body", format!("{http}, body = \"web2\""), Down, "not the expected one"),
        ("https", tls("https", "www") + ", body_regex = \"^over TLS$\"", Up, "status 200 in "),
        ("tls", tls("tls", "www"), Up, "handshake in "),
        ("tls-name", tls("tls", "db"), Down, "not valid for name \"db.example.com\""),
        ("tls-any", any, Up, "handshake in "),
        ("mysql", mysql(good, "SELECT 1"), Up, "query in "),
        ("mysql-password", mysql("guessed", "SELECT 1"), Down, "Access denied for user 'lb'"),
        ("mysql-query", mysql(good, "SELECT 1 FROM mysql.user"), Down, "SELECT command denied"),
        ("udp", udp(ECHO_PORT, ", expect = \"hello\""), Up, "answered in "),
        ("udp-answer", udp(ECHO_PORT, ", expect = \"goodbye\""), Down, "not the expected one"),
        ("udp-refused", udp(9, ""), Down, "connection refused"),
        ("icmp", "type = \"icmp\"".to_owned(), Up, "echo in "),
        ("icmp-nobody", "type = \"icmp\"".to_owned(), Down, ""),
        ("exec", script("ping -c 1 -n $LB_ADDRESS"), Up, "PING 10.0.0.11"),
        ("exec-status", script("echo $LB_SERVICE lags; false"), Down, "exec-status lags"),
    ];
    let case = |(name, check, health, reason)| {
        let backend = if name == "icmp-nobody" { NOBODY } else { WEB1 };
        Case { name, backend, check, found: (health, reason) }
    };
    rows.map(case).into()
}

fn tls(kind: &str, name: &str, ca: &Path) -> String {
    let ca = ca.display();
    format!(
        "type = \"{kind}\", port = {TLS_PORT}, ca = \"{ca}\", server_name = \"{name}.example.com\""
    )
}

fn mysql(folder: &Path, password: &str, query: &str) -> String {
    let file = folder.join(format!("password {password}"));
    fs::write(&file, format!("{password}\n")).unwrap();
    let (port, user, file) = (mariadb::PORT, mariadb::USER, file.display());
    format!(
        "type = \"mysql\", port = {port}, user = \"{user}\", password_file = \"{file}\", \
         query = \"{query}\""
    )
}

fn udp(port: u16, expect: &str) -> String {
    format!("type = \"udp\", port = {port}, send = \"hello\"{expect}")
}

fn script(script: &str) -> String {
    format!("type = \"exec\", command = [\"/bin/sh\", \"-c\", \"{script}\"]")
}

/// A service for each case, whose first result decides.
fn configuration(site: &Site, cases: &[Case]) -> String {
    let service = |(port, case): (u16, &Case)| {
        let Case { name, backend, check, found: _ } = case;
        format!(
            "[[service]]\nname = \"{name}\"\nvip = \"10.0.0.10\"\nport = {port}\nforward = \"nat\"\n\
             ring_size = 1021\nbackend = [{{ address = \"{backend}\" }}]\n\
             check = {{ {check}, interval = \"1s\", timeout = \"900ms\", rise = 1, fall = 1 }}\n"
        )
    };
    let services: Vec<_> = (80..).zip(cases).map(service).collect();
    site.node_table(&site.pin_dir(), "eth0") + &services.concat()
}

/// Another nginx on web1, with TLS.
fn tls_server(site: &Site) -> Process {
    let folder = site.folder().path();
    let config = format!(
        "daemon off;\nuser root;\nworker_processes 1;\npid tls.pid;\nerror_log tls.log;\n\
         events {{}}\nhttp {{\n  access_log off;\n  client_body_temp_path tls-body;\n  \
         proxy_temp_path tls-proxy;\n  fastcgi_temp_path tls-fastcgi;\n  uwsgi_temp_path tls-uwsgi;\n  \
         scgi_temp_path tls-scgi;\n  server {{\n    listen {TLS_PORT} ssl;\n    \
         ssl_certificate server.pem;\n    ssl_certificate_key server.key;\n    \
         location = / {{ return 200 \"over TLS\"; }}\n  }}\n}}\n"
    );
    fs::write(folder.join("tls.conf"), config).unwrap();
    let mut nginx = site.web(1).netns.command("nginx");
    let _: &mut Command = nginx.arg("-p").arg(folder).args(["-c", "tls.conf", "-e", "tls.log"]);
    Process::start(&mut nginx).unwrap()
}
