//! Command lines, exit codes, files, man pages: what needs no data.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixListener,
};

use crate::{lb, no_daemon, outcome, run};

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
         runtime_dir, pin_dir, seed, tunnel_source, probe_aliases, watchdog, \
         proxy_threads, proxy_busy_poll, proxy_drain"
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
        "lb-backend-maintenance",
        "lb-backend-ready",
        "lb-plan",
        "lb-apply",
        "lb-reload",
        "lb-diff",
        "lb-save",
        "lb-revert",
        "lb-detach",
        "lb-explain",
        "lb-stats",
        "lb-decap",
        "lb-backend-setup",
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
        for (heading, pages) in [
            (".SH ENVIRONMENT\n", &["lb", "lb-run"] as &[_]),
            (".SH FILES\n", &["lb", "lb-run", "lb-decap"]),
        ] {
            assert_eq!(text.contains(heading), pages.contains(&page), "{page}: {text}");
        }
    }
    let stats = fs::read_to_string(pages.join("lb-stats.8")).unwrap();
    let synopsis = r"\fBlb stats\fR [\fB\-\-watch\fR [\fISECONDS\fR]]";
    assert!(stats.contains(synopsis), "{stats}");
    let status = ".SH \"EXIT STATUS\"\n.TP\n\\fB0\\fR\nstopped by a signal\n";
    assert!(fs::read_to_string(pages.join("lb-run.8")).unwrap().contains(status));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, stdout, _) = run(no_daemon(), &["completions", shell]);
        assert!(code == 0 && stdout.contains("maintenance"), "{shell}");
    }
}
