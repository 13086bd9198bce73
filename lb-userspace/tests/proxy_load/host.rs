//! An engine in a process of its own, with one proxy.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{BufRead, BufReader, Lines, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use lb_userspace::{
    config::{Config, file, proxy::Proxy},
    proxy::{Engine, Order},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;

use crate::{DESCRIPTORS, until};

const FILE: &str = "LB_LOAD_FILE";
const LIMIT: &str = "LB_LOAD_DESCRIPTORS";
/// What a report's line begins with, behind what the harness says.
const REPORT: &str = "report: ";

/// The process, which ends with this.
pub(crate) struct Host {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    folder: TempDir,
    /// Keeps the port.
    _guard: Socket,
    /// Where clients connect to.
    pub(crate) at: SocketAddr,
}

impl Host {
    /// Starts it before a backend, with more keys of the proxy.
    pub(crate) fn start(backend: SocketAddr, keys: &str) -> Self {
        Self::limited(backend, keys, DESCRIPTORS)
    }

    /// The same, with so many descriptors.
    pub(crate) fn limited(backend: SocketAddr, keys: &str, descriptors: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let guard = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        guard.set_reuse_port(true).unwrap();
        guard.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let at = guard.local_addr().unwrap().as_socket().unwrap();
        let config = format!(
            "[node]\ninterfaces = ['lo']\n[[proxy]]\nname = 'site'\nlisten = ['{at}']\n{keys}\n\
             [[proxy.backend]]\naddress = '{backend}'\n"
        );
        let path = folder.path().join("lb.toml");
        fs::write(&path, config).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "host::in_a_process_of_its_own", "--ignored", "--nocapture"])
            .env(FILE, &path)
            .env(LIMIT, descriptors.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut host = Self { child, input, output, folder, _guard: guard, at };
        let _serves = host.report();
        host
    }

    /// What it says of its proxy: `load`, `waiting`, `totals`, `ends`, and the totals of its `backend`.
    pub(crate) fn report(&mut self) -> Report {
        self.input.as_mut().unwrap().write_all(b"\n").unwrap();
        loop {
            let line = self.output.next();
            let Some(line) = line else { panic!("the engine has ended: {}", self.log()) };
            if let Some((_, report)) = line.unwrap().split_once(REPORT) {
                return Report(serde_json::from_str(report).unwrap());
            }
        }
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// A field of its memory, in kB (proc(5), `status`): `VmRSS`, and the most so far, `VmHWM`.
    pub(crate) fn memory(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim_matches(|it: char| !it.is_ascii_digit()).parse().unwrap()
    }

    /// Its open files.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Waits until no session is left, and gives the last report.
    pub(crate) fn settle(&mut self) -> Report {
        until("no session is left", || self.report().number("/load") == 0);
        let report = self.report();
        assert_eq!(report.number("/totals/sessions"), 0);
        assert_eq!(report.number("/waiting"), 0);
        report
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        drop(self.input.take());
        let status = self.child.wait();
        if !std::thread::panicking() {
            assert!(status.unwrap().success(), "{}", self.log());
        }
    }
}

/// What an engine says.
#[derive(Debug)]
pub(crate) struct Report(Value);

impl Report {
    /// A number, by its JSON pointer.
    pub(crate) fn number(&self, pointer: &str) -> u64 {
        self.0.pointer(pointer).and_then(Value::as_u64).expect(pointer)
    }

    /// Sessions that ended for one of these reasons.
    pub(crate) fn ended(&self, labels: &[&str]) -> u64 {
        labels.iter().map(|label| self.number(&format!("/ends/{label}"))).sum()
    }

    /// Sessions that ended.
    pub(crate) fn all_ended(&self) -> u64 {
        self.0["ends"].as_object().unwrap().values().filter_map(Value::as_u64).sum()
    }
}

#[test]
#[ignore = "an engine for the other tests, which start it"]
fn in_a_process_of_its_own() {
    let file = std::env::var_os(FILE).expect("other tests start it");
    let limit = std::env::var(LIMIT).unwrap().parse().unwrap();
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(limit), ..before }).unwrap();
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    let Config { node, proxies, .. } = file::load(Path::new(&file)).unwrap().config;
    let order = |settings: Proxy| Order { settings, states: BTreeMap::new(), hold: None };
    let orders: Vec<Order> = proxies.into_iter().map(order).collect();
    let mut engine = Engine::start(2, node.seed).unwrap();
    engine.set_busy_poll(node.proxy_busy_poll);
    engine.configure(&orders, Vec::new()).unwrap();
    for line in std::io::stdin().lines() {
        let _asks = line.unwrap();
        let report = engine.report().remove(0);
        let ends = report.ends.iter().map(|(end, count)| (end.label().to_owned(), json!(count)));
        let ends = Value::Object(ends.collect());
        let (load, waiting) = (engine.load(), report.waiting);
        let backend = report.backends.first().map(|it| &it.totals);
        let said = json!({
            "load": load,
            "waiting": waiting,
            "totals": report.totals,
            "backend": backend,
            "ends": ends,
        });
        println!("{REPORT}{said}");
    }
}
