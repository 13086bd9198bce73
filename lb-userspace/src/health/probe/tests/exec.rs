use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::*;

/// A check by a shell script; `$1` is the folder.
fn script(folder: &TempDir, text: &str) -> CheckKind {
    let file = folder.path().join("check.sh");
    fs::write(&file, text).unwrap();
    let words = [Path::new("/bin/sh"), &file, folder.path()];
    CheckKind::Exec { command: words.map(|word| word.to_str().unwrap().to_owned()).into() }
}

async fn run(text: &str, timeout_ms: u64) -> (Outcome, TempDir) {
    let folder = TempDir::new().unwrap();
    let check = check(script(&folder, text), timeout_ms);
    let key = key("192.0.2.1", 80, "10.0.0.11:8080".parse().unwrap());
    (probe(key, &check).await, folder)
}

#[tokio::test]
async fn the_status_decides_and_the_first_line_is_the_reason() {
    for (text, ok, reason) in [
        ("echo lag 3s; echo more", true, "lag 3s in "),
        ("true", true, "ended well in "),
        ("echo no space left >&2; exit 3", false, "no space left"),
        ("exit 3", false, "exit status: 3"),
        ("kill -9 $$", false, "signal: 9 (SIGKILL)"),
        ("printf '\\033[31mred\\n'; exit 1", false, "[31mred"),
    ] {
        let (outcome, _) = run(text, 5000).await;
        assert_eq!(outcome.ok, ok, "{text}: {outcome:?}");
        assert!(outcome.reason.starts_with(reason), "{text}: {outcome:?}");
    }
}

#[tokio::test]
async fn it_learns_whom_to_check() {
    let text = "echo $LB_SERVICE $LB_BACKEND $LB_VIP $LB_ADDRESS $LB_PORT";
    let (outcome, _) = run(text, 5000).await;
    assert!(outcome.reason.starts_with("web web1 192.0.2.1 10.0.0.11 8080 in "), "{outcome:?}");
}

#[tokio::test]
async fn much_output_neither_stops_it_nor_is_kept() {
    let (outcome, _) = run("head -c 1000000 /dev/zero | tr '\\0' x; exit 1", 5000).await;
    assert_eq!(outcome, Outcome { ok: false, reason: "x".repeat(256) });
}

#[tokio::test]
async fn at_the_timeout_it_ends_with_its_children() {
    let (outcome, folder) = run("sleep 600 & echo $$ $! >$1/pids; wait", 1000).await;
    assert_eq!(outcome, Outcome { ok: false, reason: "no answer within 1s".into() });
    let pids = fs::read_to_string(folder.path().join("pids")).unwrap();
    for pid in pids.split_whitespace() {
        assert!(is_gone(pid).await, "{pid} lives");
    }
}

async fn is_gone(pid: &str) -> bool {
    for _ in 0..100 {
        let stat = fs::read_to_string(PathBuf::from("/proc").join(pid).join("stat"));
        // An orphan that nobody has waited for yet is dead as well.
        if stat.map_or(true, |stat| stat.contains(") Z ")) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

#[tokio::test]
async fn what_cannot_be_run_is_down() {
    let command = vec!["/nonexistent/check".to_owned()];
    let outcome = outcome_at("10.0.0.11:80".parse().unwrap(), CheckKind::Exec { command }).await;
    let reason = "cannot run /nonexistent/check: No such file or directory (os error 2)";
    assert_eq!(outcome, Outcome { ok: false, reason: reason.into() });
}
