//! Changes of the pools, by the command and by curl.

use std::process::Command;

use lb_userspace::api::types::{Admin, Backend, Changed};

use crate::{daemon::Daemon, good, json, outcome, run};

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
            "ready web2 --service web",
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
    assert_eq!(found("app", "10.0.1.14").at.to_string(), "10.0.1.14:8080");
    assert_eq!(found("app6", "web1").weight, 3);
    assert_eq!(found("web", "web2").admin, Admin::Ready);
    assert_eq!(found("app", "web2").admin, Admin::Drain);

    let text = good(&daemon, &["backend", "remove", "web4"]);
    assert_eq!(text, "web4 is removed in web: 21.8k slots moved\n");
    let changed: Changed = json(&daemon, &["backend", "ready", "web2"]);
    let services = ["web6", "app", "app6"].map(String::from).into();
    assert_eq!(changed, Changed { backend: "web2".into(), services, slots_moved: 65_535 });
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
             IPv4 address, make a service with an IPv6 VIP, or set `forward = \"ipip\"` or \"gue\"",
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
        "{\"backend\":\"web2\",\"services\":[\"web\"],\"slots_moved\":21845}\n 200"
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
