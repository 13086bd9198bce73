//! The `lb` command as its users see it: output, errors and exit codes, against a daemon without a
//! data plane.
#![expect(clippy::unwrap_used, reason = "a test")]

mod daemon;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixListener,
    path::Path,
    process::{Command, Output, Stdio},
};

use daemon::Daemon;
use lb_userspace::api::types::{Admin, Backend, Changed, Service, Stats, Status};
use serde::de::DeserializeOwned;

fn lb(socket: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lb"));
    let _command = command.env_remove("LB_LOG").env("LB_SOCKET", socket).stdin(Stdio::null());
    command
}

/// Exit code, stdout and stderr.
fn outcome(output: Output) -> (i32, String, String) {
    let Output { status, stdout, stderr } = output;
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn run(socket: &Path, arguments: &[&str]) -> (i32, String, String) {
    outcome(lb(socket).args(arguments).output().unwrap())
}

fn good(daemon: &Daemon, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = run(&daemon.socket(), arguments);
    assert_eq!((code, stderr.as_str()), (0, ""), "{arguments:?}: {stdout}");
    stdout
}

fn json<T: DeserializeOwned>(daemon: &Daemon, arguments: &[&str]) -> T {
    let text = good(daemon, &[&["--json"], arguments].concat());
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn no_daemon() -> &'static Path {
    Path::new("/nonexistent/lb.sock")
}

#[test]
fn status() {
    let daemon = Daemon::start();
    assert_eq!(
        good(&daemon, &["status"]),
        "\
Daemon      lb 0.1.0, process 4711, up for 1h 2m 3s, took over the running data plane
Interfaces  eth0 (native)
Services    4
Backends    12, 8 up
Rings       1.05 MB
Problems    web3 of web is down
            eth0 has no carrier
"
    );
    let status: Status = json(&daemon, &["status"]);
    assert_eq!((status.pid, status.ring_bytes), (4711, 1_048_592));
}

#[test]
fn services() {
    let daemon = Daemon::start();
    assert_eq!(
        good(&daemon, &["service", "list"]),
        "\
SERVICE  VIP                  PROTOCOL  FORWARD   UP   RING  PACKETS   BYTES
web      10.0.0.10:80         tcp       l2       2/3  65537    1.00M  100 MB
web6     [fd00:0:0:1::10]:80  tcp       l2       2/3  65537    1.00M  100 MB
app      10.0.0.20:80         tcp       nat      2/3  65537    1.00M  100 MB
app6     [fd00:0:0:1::20]:80  tcp       nat      2/3  65537    1.00M  100 MB
"
    );
    let services: Vec<Service> = json(&daemon, &["service", "list"]);
    assert_eq!(services[2].traffic.packets, 1_000_000);
}

#[test]
fn backends() {
    let daemon = Daemon::start();
    assert_eq!(
        good(&daemon, &["backend", "list", "--service", "app"]),
        "\
SERVICE  BACKEND  ADDRESS         WEIGHT  SHARE  ADMIN  HEALTH  NEXT HOP                REASON
app      web1     10.0.1.11:8080       1  50.0%  ready  up      eth0 02:00:00:00:00:10  200 OK
app      web2     10.0.1.12:8080       1  50.0%  ready  up      eth0 02:00:00:00:00:11  200 OK
app      web3     10.0.1.13:8080       1   0.0%  ready  down    unresolved              connection refused
"
    );
    let backends: Vec<Backend> = json(&daemon, &["backend", "list"]);
    assert_eq!(backends.len(), 12);
    let (code, _, stderr) = run(&daemon.socket(), &["backend", "list", "--service", "wbe"]);
    let expected = "lb: there is no service `wbe`; the services are: web, web6, app, app6\n";
    assert_eq!((code, stderr.as_str()), (1, expected));
}

#[test]
fn changes_are_made_once() {
    let daemon = Daemon::start();
    for (arguments, first, second) in [
        (
            "add web 10.0.0.14 --name web4 --weight 2",
            "web4 is added in web: 21.8k slots moved\n",
            "web4 is added already: nothing changed\n",
        ),
        (
            "add app 10.0.1.14 --port 8080",
            "10.0.1.14 is added in app: 21.8k slots moved\n",
            "10.0.1.14 is added already: nothing changed\n",
        ),
        (
            "weight web1 3",
            "web1 is at weight 3 in web, web6, app, app6: 87.4k slots moved\n",
            "web1 is at weight 3 already: nothing changed\n",
        ),
        (
            "drain web2 --service app",
            "web2 is draining in app: 21.8k slots moved\n",
            "web2 is draining already: nothing changed\n",
        ),
        (
            "drain web2",
            "web2 is draining in web, web6, app6: 65.5k slots moved\n",
            "web2 is draining already: nothing changed\n",
        ),
        (
            "undrain web2 --service web",
            "web2 is ready in web: 21.8k slots moved\n",
            "web2 is ready already: nothing changed\n",
        ),
    ] {
        let arguments: Vec<_> = ["backend"].into_iter().chain(arguments.split(' ')).collect();
        assert_eq!(good(&daemon, &arguments), first);
        assert_eq!(good(&daemon, &arguments), second);
    }
    let backends: Vec<Backend> = json(&daemon, &["backend", "list"]);
    let found = |service: &str, name: &str| {
        backends.iter().find(|it| it.service == service && it.name == name).unwrap()
    };
    assert_eq!(found("web", "web4").weight, 2);
    assert_eq!(found("app", "10.0.1.14").port, 8080);
    assert_eq!(found("app6", "web1").weight, 3);
    assert_eq!(found("web", "web2").admin, Admin::Ready);
    assert_eq!(found("app", "web2").admin, Admin::Drain);

    let text = good(&daemon, &["backend", "remove", "web4"]);
    assert_eq!(text, "web4 is removed in web: 21.8k slots moved\n");
    let changed: Changed = json(&daemon, &["backend", "undrain", "web2"]);
    let services = ["web6", "app", "app6"].map(String::from).into();
    assert_eq!(changed, Changed { services, slots_moved: 65_535 });
}

#[test]
fn refused_changes_exit_with_1() {
    let daemon = Daemon::start();
    for (arguments, error) in [
        (
            &["backend", "remove", "web9"] as &[_],
            "there is no backend `web9`; the backends are: web1, web2, web3",
        ),
        (
            &["backend", "add", "web", "fd00::1"],
            "fd00::1 in web: fd00::1 of backend `fd00::1` is IPv6, but the VIP 10.0.0.10 is IPv4; use the backend's \
             IPv4 address, or make a service with an IPv6 VIP",
        ),
        (
            &["backend", "add", "web", "10.0.0.11", "--name", "web1b"],
            "10.0.0.11 port 80 is in `web` twice, as `web1` and as `web1b`; remove one, and use \
             `weight` for a larger share",
        ),
    ] {
        let expected = (1, String::new(), format!("lb: {error}\n"));
        assert_eq!(run(&daemon.socket(), arguments), expected);
    }
}

#[test]
fn stats() {
    let daemon = Daemon::start();
    let text = good(&daemon, &["stats"]);
    let expected = "\
VERDICT      PACKETS  MEANING
transmitted    1.00M  Sent out by the interface that it came in by.

SERVICE  BACKEND  HEALTH  SHARE  PACKETS   BYTES
web      web1     up      50.0%    1.00M  100 MB
";
    assert!(text.starts_with(expected), "{text}");
    assert_eq!(text.lines().count(), 4 + 12);
    let stats: Stats = json(&daemon, &["stats"]);
    assert_eq!(stats.verdicts["transmitted"], 1_001_000);
    assert_eq!(stats.verdicts["denied"], 0);
}

/// 500 packets in half a second of the daemon's clock, whatever the wall clock says.
#[test]
fn watched_stats_have_rates_until_the_reader_leaves() {
    let daemon = Daemon::start();
    let mut command = lb(&daemon.socket());
    let _command = command.args(["stats", "--watch", "0.1"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let lines: Vec<_> = stdout.lines().take(4 + 12 + 6).map(Result::unwrap).collect();
    assert_eq!(lines[0], "VERDICT      PACKETS  PACKETS/S  MEANING");
    assert!(lines[1].starts_with("transmitted    1.00M          -  Sent"), "{}", lines[1]);
    assert!(lines[18].starts_with("transmitted    1.00M       1000  Sent"), "{}", lines[18]);
    assert_eq!(lines[20], "SERVICE  BACKEND  HEALTH  SHARE  PACKETS   BYTES  PACKETS/S   BYTES/S");
    assert_eq!(lines[21], "web      web1     up      50.0%    1.00M  100 MB       1000  100 kB/s");

    // `lines` has closed the pipe.
    let mut stderr = String::new();
    let _length = child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn watched_stats_are_one_json_object_a_line() {
    let daemon = Daemon::start();
    let mut command = lb(&daemon.socket());
    let _command = command.args(["stats", "--json", "--watch", "0.1"]).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let read = |line: std::io::Result<String>| serde_json::from_str(&line.unwrap()).unwrap();
    let samples: Vec<Stats> = stdout.lines().take(2).map(read).collect();
    assert_eq!(samples[1].at_ms - samples[0].at_ms, 500);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let daemon = Daemon::start();
    for arguments in [&["backend", "list"] as &[_], &["--help"], &["completions", "zsh"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = lb(&daemon.socket());
        let output = command.args(arguments).stdout(writer).output().unwrap();
        assert_eq!(outcome(output), (0, String::new(), String::new()), "{arguments:?}");
    }
}

#[test]
fn without_a_daemon_the_code_is_3() {
    let expected = "lb: no daemon answers at /nonexistent/lb.sock: start it with `lb run`, or name \
                    its socket with --socket\n";
    for arguments in [&["status"] as &[_], &["stats", "--watch"], &["backend", "drain", "web1"]] {
        assert_eq!(run(no_daemon(), arguments), (3, String::new(), expected.to_owned()));
    }
    // A socket that nobody listens on, named on the command line.
    let directory = tempfile::tempdir().unwrap();
    let stale = directory.path().join("lb.sock");
    drop(UnixListener::bind(&stale).unwrap());
    let (code, _, stderr) = run(no_daemon(), &["status", "--socket", stale.to_str().unwrap()]);
    assert_eq!(code, 3, "{stderr}");
}

#[test]
fn answers_of_something_else_exit_with_1() {
    let directory = tempfile::tempdir().unwrap();
    for (number, answer, reason) in [
        (1, "SSH-2.0-OpenSSH\r\n\r\n", "invalid HTTP version parsed"),
        (2, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "missing field `version`"),
        (3, "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n", "status 502 Bad Gateway"),
    ] {
        let socket = directory.path().join(number.to_string());
        let listener = UnixListener::bind(&socket).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _length = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let (code, _, stderr) = run(&socket, &["status"]);
        server.join().unwrap();
        let expected = format!("lb: {} gives a bad answer: {reason}", socket.display());
        assert!(code == 1 && stderr.starts_with(&expected), "{code}: {stderr}");
    }
}

#[test]
fn bad_command_lines_exit_with_2() {
    for arguments in [
        &[] as &[_],
        &["stauts"],
        &["backend", "weight", "web1", "1001"],
        &["backend", "add", "web", "10.0.0"],
        &["backend", "add", "web", "10.0.0.14", "--port", "0"],
        &["stats", "--watch", "0"],
        &["completions", "tcsh"],
    ] {
        let (code, stdout, stderr) = run(no_daemon(), arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(stderr.contains("Usage: lb") || stderr.contains("--help"), "{stderr}");
    }
}

#[test]
fn options_without_an_effect_are_refused_and_not_offered() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man8");
    let pages = pages.to_str().unwrap();
    for (arguments, option) in [
        (&["run", "--json"] as &[_], "--json"),
        (&["--json", "run"], "--json"),
        (&["man", "--json", pages], "--json"),
        (&["completions", "--json", "bash"], "--json"),
        (&["run", "--socket", "/tmp/lb.sock"], "--socket"),
        (&["--socket", "/tmp/lb.sock", "check", "lb.toml"], "--socket"),
    ] {
        let (code, stdout, stderr) = run(no_daemon(), arguments);
        assert_eq!((code, stdout.as_str()), (2, ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(&format!("has no use for {option}")), "{stderr}");
    }
    for (command, offered) in [("run", false), ("man", false), ("check", true), ("status", true)] {
        let (code, help, _) = run(no_daemon(), &[command, "--help"]);
        assert_eq!((code, help.contains("--json")), (0, offered), "{help}");
        assert_eq!(help.contains("--socket"), command == "status", "{help}");
    }
}

#[test]
fn files_are_checked() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (ok, wrong) = (
        write("ok.toml", "[node]\ninterfaces = ['eth0']\n"),
        write("wrong.toml", "[node]\ninterfaces = ['eth0']\nsede = ''\n"),
    );
    let (code, stdout, stderr) = run(no_daemon(), &["check", &ok]);
    assert_eq!((code, stdout), (0, format!("{ok}: ok: 0 services, 0 backends\n")));
    assert!(stderr.starts_with(&format!("{ok}:1: node.seed: missing: ")), "{stderr}");

    let expected = format!(
        "{wrong}:3: node.sede: unknown key; did you mean `seed`? Known here: interfaces, mode, \
         runtime_dir, pin_dir, seed"
    );
    for arguments in [&["check", &wrong] as &[_], &["run", "--config", &wrong]] {
        assert_eq!(run(no_daemon(), arguments), (2, String::new(), format!("{expected}\n")));
    }
    let (code, stdout, stderr) = run(no_daemon(), &["check", "--json", &wrong]);
    assert_eq!((code, stderr.as_str()), (2, ""));
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!(report["errors"], serde_json::json!([expected]));

    let missing = directory.path().join("missing.toml");
    let (code, _, stderr) = run(no_daemon(), &["check", missing.to_str().unwrap()]);
    assert!(code == 2 && stderr.contains("missing.toml: cannot be read: No such file"), "{stderr}");
}

#[test]
fn a_bad_log_filter_is_bad_input() {
    let output = lb(no_daemon()).arg("run").env("LB_LOG", "lb=loud").output().unwrap();
    let (code, _, stderr) = outcome(output);
    assert!(code == 2 && stderr.starts_with("lb: LB_LOG: "), "{code}: {stderr}");
}

#[test]
fn every_command_has_a_man_page_and_is_completed() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man8");
    let (code, ..) = run(no_daemon(), &["man", pages.to_str().unwrap()]);
    assert_eq!(code, 0);
    let version = env!("CARGO_PKG_VERSION");
    for page in [
        "lb",
        "lb-run",
        "lb-check",
        "lb-status",
        "lb-service",
        "lb-service-list",
        "lb-backend",
        "lb-backend-list",
        "lb-backend-add",
        "lb-backend-remove",
        "lb-backend-weight",
        "lb-backend-drain",
        "lb-backend-undrain",
        "lb-stats",
        "lb-completions",
        "lb-man",
    ] {
        let text = fs::read_to_string(pages.join(format!("{page}.8"))).unwrap();
        let title = format!(".TH {} 8 \"\" \"lb {version}\" ", page.to_uppercase());
        assert!(text.contains(&title), "{page}: {text}");
        assert!(text.contains(".SH SYNOPSIS\n\\fB"), "{page}: {text}");
        assert!(!text.contains('`') && !text.contains(".SH EXTRA"), "{page}: {text}");
        let has_examples = !["lb", "lb-service", "lb-backend"].contains(&page);
        assert_eq!(text.contains(".SH EXAMPLES\n.nf\n"), has_examples, "{page}: {text}");
        let has_all = ["lb", "lb-run"].contains(&page);
        for heading in [".SH ENVIRONMENT\n", ".SH FILES\n"] {
            assert_eq!(text.contains(heading), has_all, "{page}: {text}");
        }
    }
    let stats = fs::read_to_string(pages.join("lb-stats.8")).unwrap();
    let synopsis = r"\fBlb stats\fR [\fB\-\-watch\fR [\fISECONDS\fR]]";
    assert!(stats.contains(synopsis), "{stats}");
    let status = ".SH \"EXIT STATUS\"\n.TP\n\\fB0\\fR\nstopped by a signal\n";
    assert!(fs::read_to_string(pages.join("lb-run.8")).unwrap().contains(status));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, stdout, _) = run(no_daemon(), &["completions", shell]);
        assert!(code == 0 && stdout.contains("undrain"), "{shell}");
    }
}

#[test]
fn curl_can_do_what_the_command_can() {
    let daemon = Daemon::start();
    let curl = |arguments: &[&str], path: &str| {
        let mut command = Command::new("curl");
        let _command = command.args(["--silent", "--show-error", "--unix-socket"]);
        let _command = command.arg(daemon.socket()).args(["--write-out", " %{http_code}"]);
        let output = command.args(arguments).arg(format!("http://lb{path}")).output().unwrap();
        outcome(output).1
    };
    let drain = r#"{"change": "drain", "backend": "web2", "service": "web"}"#;
    assert_eq!(
        curl(&["--data", drain], "/v1/changes"),
        "{\"services\":[\"web\"],\"slots_moved\":21845}\n 200"
    );
    for (arguments, path, expected) in [
        (&[] as &[_], "/v2", r#"{"error":"there is no /v2; use GET /v1/status, "#),
        (&["-XPUT"], "/v1/stats", r#"{"error":"/v1/stats has no PUT; use GET /v1/status, "#),
        (&["-d{"], "/v1/changes", r#"{"error":"the body is not JSON: "#),
    ] {
        let answer = curl(arguments, path);
        assert!(answer.starts_with(expected), "{answer}");
    }
    for (arguments, path, status) in [
        (&[] as &[_], "/v1/status", "200"),
        (&[], "/v2", "404"),
        (&["-XPUT"], "/v1/stats", "405"),
        (&["-d{"], "/v1/changes", "400"),
        (&[r#"-d{"change":"drain","backend":"web9"}"#], "/v1/changes", "404"),
        (&[r#"-d{"change":"weight","backend":"web1","weight":9999}"#], "/v1/changes", "422"),
    ] {
        let answer = curl(arguments, path);
        assert!(answer.ends_with(&format!("}}\n {status}")), "{path}: {answer}");
    }
}
