//! A node, from its configuration to its end: the only place where the parts meet.

use std::{sync::Arc, time::Instant};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::{
    api::{self, sessions::Forwarders},
    cluster, companion,
    config::{AttachMode, Node, file::Loaded, validate::Problem},
    control::{
        Handle,
        state::{State, Store},
        task::{Facts, News, Orders, Task},
    },
    dataplane::kernel::{Interface, Kernel, pins},
    events::{Event, Events, Kind, Who},
    forwarder, health, preflight,
    speaker::client::Wishes,
    topology::{self, Topology},
};

/// Runs the node until a signal ends the daemon. Packets go on then: the program, its maps and its
/// links stay pinned for the next daemon.
///
/// # Errors
///
/// Nothing has been touched if the environment, the interfaces, the lock or the pinned state are
/// at fault; an error of the configuration is a [`crate::config::file::Error`].
pub async fn run(loaded: Loaded) -> anyhow::Result<()> {
    let node = loaded.config.node.clone();
    preflight::environment(&node)?;
    let topology = topology::netlink::snapshot().await?;
    let interfaces = interfaces(&loaded, &topology)?;
    let _lock = preflight::lock(&node)?;
    let listener = api::server::bind(&node.socket())?;

    let nothing_pinned = pins::is_empty(&node.pin_dir)?;
    let blocks: Vec<_> = loaded.config.probe_blocks().collect();
    let probe = topology::probe::provide(&blocks).await?;
    let topology = topology::netlink::snapshot().await?;
    let started = start(loaded, topology, &interfaces, probe);
    if started.is_err() && nothing_pinned {
        // A first start that fails leaves nothing for a second to stumble over.
        clean_up(&node).await.unwrap_or_else(|error| tracing::warn!("{error}"));
    }
    let (state, facts) = started?;
    announce(&facts, &state);

    let events = state.events().clone();
    let (handle, requests) = Handle::new();
    let (targets, to_check) = watch::channel(Arc::new(state.targets()));
    let (wanted, to_resolve) = watch::channel(state.wanted());
    let (topology, _watcher) = topology::netlink::spawn(to_resolve)?;
    let (rings, to_tell) = watch::channel(state.shared_rings());
    let (health, _checker) = health::supervisor::spawn(to_check);
    let (agents_to_ask, to_ask) = watch::channel(Arc::new(state.agents()));
    let (agents, _asker) = health::agent::supervisor::spawn(to_ask, state.said().clone());
    let (duties, to_do) = watch::channel(state.duties());
    let (report, to_report) = watch::channel(None);
    let (forwarding, to_forward) = watch::channel(state.forwarder_duties());
    let cluster = cluster::spawn(
        cluster::Wishes { duties: to_do.clone(), rings: to_tell, topology: topology.clone() },
        events.clone(),
    );
    let wishes = Wishes { duties: to_do, report: to_report };
    let speaker = companion::client::spawn(node.speaker_socket(), wishes, events.clone());
    let socket = node.forwarder_socket();
    let wishes = forwarder::client::Wishes(to_forward);
    let forwarder = companion::client::spawn(socket.clone(), wishes, events.clone());
    let orders =
        Orders { targets, agents: agents_to_ask, wanted, duties, forwarding, rings, report };
    let task = Task { state, facts, orders, speaker, forwarder, cluster };
    let control = tokio::spawn(task.run(requests, News { health, agents, topology }));

    let forwarders = Forwarders { socket, events: events.clone() };
    let stop = stop_signal(events, afterwards(&node))?;
    let reloads = reload_at(signal(SignalKind::hangup())?, handle.clone());
    tokio::select! {
        served = api::server::serve(listener, handle, forwarders, stop) => served?,
        () = reloads => {}
    }
    // The last handle went with the server, so that the task ends after its last answer.
    control.await?;
    Ok(())
}

async fn clean_up(node: &Node) -> anyhow::Result<()> {
    let _: usize = pins::clear(&node.pin_dir)?;
    let _: bool = topology::probe::remove().await?;
    Ok(())
}

/// Loads the program, fills its maps, and attaches it, in this order: no packet meets empty maps.
fn start(
    loaded: Loaded,
    topology: Topology,
    interfaces: &[Interface],
    probe: Option<u32>,
) -> anyhow::Result<(State<Kernel>, Facts)> {
    let node = loaded.config.node.clone();
    let mut kernel = Kernel::load(loaded.config.limits, Some(&node.pin_dir))?;
    // It ends with the runtime.
    drop(tokio::spawn(kernel.drop_log()?.run()));
    let facts = Facts { config: loaded.path.clone(), ..facts(&kernel, &node, interfaces) };
    let store = Store::new(node.changes_file());
    let mut state = State::new(loaded, store, Arc::new(topology), kernel)?;
    // Before the settings that make the packet path listen for it.
    state.beat()?;
    let _ = state.sync()?;
    state.dataplane_mut().attach(interfaces, probe, node.mode, &node.pin_dir)?;
    Ok((state, facts))
}

fn interfaces(loaded: &Loaded, topology: &Topology) -> anyhow::Result<Vec<Interface>> {
    let found = preflight::interfaces(&loaded.config.node.interfaces, topology);
    let found = found.map_err(|(position, error)| {
        loaded.reject(vec![Problem {
            key: format!("node.interfaces[{position}]"),
            message: error.to_string(),
            remedy: "name interfaces of this machine, as `ip link` shows them".into(),
        }])
    })?;
    Ok(found.into_iter().map(|(name, index)| Interface { name, index }).collect())
}

fn facts(kernel: &Kernel, node: &Node, interfaces: &[Interface]) -> Facts {
    let mode = match node.mode {
        AttachMode::Native => "native",
        AttachMode::Generic => "generic",
    };
    let describe = |interface: &Interface| api::types::Interface {
        name: interface.name.clone(),
        index: interface.index,
        mode: mode.into(),
    };
    Facts {
        started: Instant::now(),
        took_over: kernel.took_over(),
        interfaces: interfaces.iter().map(describe).collect(),
        config: None,
    }
}

fn announce(facts: &Facts, state: &State<Kernel>) {
    for interface in &facts.interfaces {
        tracing::info!("attached to {} ({})", interface.name, interface.mode);
        if interface.mode == "generic" {
            tracing::warn!(
                "{}: generic mode runs after the packet was copied: expect a fraction of native \
                 speed",
                interface.name
            );
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    let checked = state.targets().len();
    let (kind, how) = if facts.took_over {
        (Kind::TookOver, "took over the running data plane")
    } else {
        (Kind::Started, "started afresh")
    };
    state
        .events()
        .note(Event::new(kind, format!("lb {version} {how}; checking {checked} backends")));
}

/// Reads the daemon's file anew at each signal; what comes of it is an event. It has no end.
async fn reload_at(mut hangup: Signal, handle: Handle) {
    while let Some(()) = hangup.recv().await {
        let _told = handle.apply(None, Who::signal("SIGHUP")).await;
    }
    std::future::pending::<()>().await;
}

/// What becomes of packets without the daemon.
fn afterwards(Node { pin_dir, watchdog, .. }: &Node) -> String {
    let pin_dir = pin_dir.display();
    let limit = watchdog.map_or_else(String::new, |limit| {
        format!(" for {} (node.watchdog)", humantime::format_duration(limit))
    });
    format!(
        "packets go on{limit} through the program pinned in {pin_dir}: `lb detach` takes it away"
    )
}

/// Ready when the daemon is to stop.
fn stop_signal(
    events: Events,
    afterwards: String,
) -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        events.note(Event::new(Kind::Stopping, afterwards).by(&Who::signal(name)));
    })
}
