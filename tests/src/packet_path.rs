//! The packet path under test: the shipped object in the kernel, its maps filled by the writer
//! that the daemon uses, its packets run by `BPF_PROG_TEST_RUN`.

#![expect(clippy::expect_used, clippy::panic, reason = "a test kit: a panic is a test that fails")]

mod pool;

use std::{collections::BTreeMap, net::SocketAddr};

use aya::programs::{TestRun, TestRunOptions, Xdp};
use lb_common::{
    addr::{Port, Protocol},
    backend::Backend as Line,
    hash::HashKey,
    layout,
    probe::ProbeSettings,
    service::{self, DownPolicy, ForwardMode, ServiceKey},
    settings::{AnswerRates, Settings, Stages, TunnelSource},
    slot::{Slot, State},
};
use lb_userspace::{
    config::Limits,
    dataplane::{Counters, Dataplane, Op, kernel::Kernel},
    desired::{Backend, Desired, Service},
    reconcile::Reconciler,
    ring::Endpoint,
};

/// Small maps.
pub const LIMITS: Limits = Limits {
    services: 64,
    backends: 256,
    slots: 8 * 65537,
    routes: 64,
    denied: 64,
    flows: 262_144,
    pending: 4096,
};

/// A desired state with all stages on and nothing in it.
#[must_use]
pub fn nothing(seed: [u8; 16]) -> Desired {
    Desired {
        settings: Settings {
            hash_key: HashKey::from_seed(seed),
            abi: layout::ABI,
            stages: Stages::FIREWALL.with(Stages::REPLY),
            service_mask: LIMITS.service_lines() - 1,
            answers: AnswerRates { echo: 1000, error: 1000, reset: 1000, padding: 0 },
            tunnel4: TunnelSource::NONE,
            tunnel6: TunnelSource::NONE,
            probes: ProbeSettings::NONE,
        },
        services: BTreeMap::new(),
        routes: BTreeMap::new(),
        denied: [].into(),
        devices: [].into(),
    }
}

/// A service with the usual settings beside these.
#[must_use]
pub fn service(
    mode: ForwardMode,
    ring_size: u32,
    backends: BTreeMap<Endpoint, Backend>,
) -> Service {
    Service {
        mode,
        ring_size,
        on_down: DownPolicy::RST,
        window: 3600,
        flow_limit: 65536,
        gue_port: Port::new(6080),
        backends,
        leaving: BTreeMap::new(),
        probes: BTreeMap::new(),
    }
}

/// The key of a service.
///
/// # Panics
///
/// If `vip` is not an address and a port.
#[must_use]
pub fn key(protocol: Protocol, vip: &str) -> ServiceKey {
    let vip: SocketAddr = vip.parse().unwrap_or_else(|_| panic!("`{vip}` is no endpoint"));
    ServiceKey::new(vip.ip().into(), Port::new(vip.port()), protocol)
}

/// A loaded packet path.
pub struct PacketPath {
    /// There until it is dropped.
    reconciler: Option<Reconciler<Kernel>>,
    desired: Desired,
}

impl Drop for PacketPath {
    fn drop(&mut self) {
        if let Some(reconciler) = self.reconciler.take().filter(|_| !std::thread::panicking()) {
            pool::give_back(reconciler);
        }
    }
}

/// What became of one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The XDP action.
    pub action: u32,
    /// The frame afterwards.
    pub frame: Vec<u8>,
    /// Every counter that moved, by name: a verdict's, or `BACKEND packets` and the like.
    pub moved: BTreeMap<String, u64>,
}

impl PacketPath {
    /// Brings a loaded object with its own maps, in which there is nothing, to a state.
    ///
    /// # Panics
    ///
    /// If the kernel refuses either.
    #[must_use]
    pub fn load(desired: Desired) -> Self {
        let mut reconciler = Reconciler::new(pool::take());
        let outcome = reconciler.sync(&desired).unwrap_or_else(|error| panic!("sync: {error}"));
        assert!(outcome.writes > 0, "nothing was written");
        Self { reconciler: Some(reconciler), desired }
    }

    /// The state of the maps.
    #[must_use]
    pub fn desired(&self) -> &Desired {
        &self.desired
    }

    /// The writer of the maps.
    ///
    /// # Panics
    ///
    /// Never: only `drop` takes it.
    #[must_use]
    pub fn reconciler(&self) -> &Reconciler<Kernel> {
        self.reconciler.as_ref().expect("only `drop` takes it")
    }

    fn writer(&mut self) -> &mut Reconciler<Kernel> {
        self.reconciler.as_mut().expect("only `drop` takes it")
    }

    /// Brings the maps to another state.
    ///
    /// # Panics
    ///
    /// If the kernel refuses to.
    pub fn reach(&mut self, desired: Desired) {
        let _ = self.writer().sync(&desired).unwrap_or_else(|error| panic!("sync: {error}"));
        self.desired = desired;
    }

    /// Lets seconds pass, as the node sees them.
    ///
    /// # Panics
    ///
    /// If the kernel refuses to.
    pub fn tick(&mut self, seconds: u32) {
        for _ in 0..seconds {
            let reconciler = self.reconciler.as_mut().expect("only `drop` takes it");
            let tick = reconciler.tick(&self.desired);
            tick.unwrap_or_else(|error| panic!("tick: {error}"));
        }
    }

    /// Writes to the maps what no desired state says.
    ///
    /// # Panics
    ///
    /// If the kernel refuses to.
    pub fn apply(&mut self, op: &Op) {
        let written = self.writer().dataplane_mut().apply(op);
        written.unwrap_or_else(|error| panic!("{op:?}: {error}"));
    }

    /// Changes a service and its backends in place.
    ///
    /// # Panics
    ///
    /// If there is no such service, or the kernel refuses to.
    pub fn change(
        &mut self,
        key: &ServiceKey,
        service: impl Fn(&mut service::Service),
        backend: impl Fn(&mut Line),
    ) {
        let actual = self.reconciler().dataplane().read().expect("the maps");
        for (place, line) in actual.pool(key).into_values() {
            let mut line = *line;
            backend(&mut line);
            self.apply(&Op::PutBackend(place, line));
        }
        let mut entry = actual.services[key];
        service(&mut entry);
        self.apply(&Op::PutService(*key, entry));
    }

    /// Stores one word into all slots of a service.
    ///
    /// # Panics
    ///
    /// If there is no such service, or the kernel refuses to.
    pub fn fill_ring(&mut self, key: &ServiceKey, state: State) {
        let actual = self.reconciler().dataplane().read().expect("the maps");
        let entry = actual.services[key];
        let places = entry.ring_base..entry.ring_base + entry.ring_size;
        let slots = places.map(|place| (place, Slot::new(state))).collect();
        self.apply(&Op::WriteSlots(slots));
    }

    /// Runs the program on one frame.
    ///
    /// # Panics
    ///
    /// If the kernel refuses to.
    pub fn run(&mut self, frame: &[u8]) -> Outcome {
        self.observe(|path| path.run_only(frame))
    }

    /// Runs the program of the probe link on one frame.
    ///
    /// # Panics
    ///
    /// If the kernel refuses to.
    pub fn run_probe(&mut self, frame: &[u8]) -> Outcome {
        self.observe(|path| {
            let program = path.writer().dataplane_mut().probe_program();
            test_run(program.unwrap_or_else(|error| panic!("{error}")), frame)
        })
    }

    /// Which counters move meanwhile.
    fn observe(&mut self, run: impl FnOnce(&mut Self) -> (u32, Vec<u8>)) -> Outcome {
        let before = self.counters();
        let (action, frame) = run(self);
        let moved = self
            .counters()
            .into_iter()
            .map(|(name, count)| (name.clone(), count - before.get(&name).copied().unwrap_or(0)))
            .filter(|(_, change)| *change != 0)
            .collect();
        Outcome { action, frame, moved }
    }

    /// Runs the program on one frame; gives the action and the frame afterwards.
    ///
    /// # Panics
    ///
    /// If the kernel refuses to.
    pub fn run_only(&mut self, frame: &[u8]) -> (u32, Vec<u8>) {
        test_run(self.writer().dataplane_mut().program().expect("the program"), frame)
    }

    /// Every counter of the packet path.
    fn counters(&self) -> BTreeMap<String, u64> {
        let kernel = self.reconciler().dataplane();
        let verdicts = kernel.verdicts().expect("the verdicts");
        let mut counters: BTreeMap<String, u64> = verdicts
            .into_iter()
            .map(|(verdict, count)| (verdict.as_str().to_owned(), count))
            .collect();
        let owners = self.owners();
        for counter in 0..=LIMITS.backends {
            let traffic = kernel.traffic(counter).expect("the traffic");
            let name = owners.get(&counter).cloned().unwrap_or(format!("counter {counter}"));
            for (what, count) in [
                ("packets", traffic.packets),
                ("bytes", traffic.bytes),
                ("reply packets", traffic.reply_packets),
                ("reply bytes", traffic.reply_bytes),
            ] {
                let _ = counters.insert(format!("{name} {what}"), count);
            }
        }
        counters
    }

    /// Whose counter each is, as `ADDRESS:PORT`.
    fn owners(&self) -> BTreeMap<u32, String> {
        let actual = self.reconciler().actual().expect("the maps");
        let owner = |line: &Line| SocketAddr::new(line.address.to_ip(), line.port.get());
        actual.backends.values().map(|line| (line.counter, owner(line).to_string())).collect()
    }
}

/// The action, and the frame afterwards.
fn test_run(program: &Xdp, frame: &[u8]) -> (u32, Vec<u8>) {
    let mut out = vec![0; frame.len() + 256];
    let result = program
        .test_run(TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut out),
            ..TestRunOptions::new()
        })
        .unwrap_or_else(|error| panic!("test run: {error:?}"));
    out.truncate(result.data_size_out as usize);
    (result.return_value, out)
}
