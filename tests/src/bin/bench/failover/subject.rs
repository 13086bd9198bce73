//! What is compared: two nodes of lb, or two machines with keepalived and HAProxy.

use std::fs::File;

use anyhow::{Context as _, Result};
use lb_tests::{
    keepalived::Keepalived,
    netns::Netns,
    nginx::Web,
    node::Node,
    process::Process,
    run::{eventually, output, run},
    second::{HOST, Second},
    site::Site,
};
use lb_userspace::{speaker::message::View, vrrp::State};

use super::{PORT, SETTLE, VIP};

/// The last number of the first machine's addresses.
const FIRST: u8 = 2;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Lb,
    Keepalived,
}

/// A pair of machines at work; the first is master.
pub(super) enum Pair<'a> {
    Lb(Box<[Node<'a>; 2]>),
    Keepalived([Keepalived<'a>; 2], #[expect(dead_code, reason = "ends on drop")] [Process; 2]),
}

impl Subject {
    pub(super) const ALL: [Self; 2] = [Self::Lb, Self::Keepalived];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Lb => "lb",
            Self::Keepalived => "keepalived-haproxy",
        }
    }

    /// Starts both machines, and waits until the first one holds the VIP.
    pub(super) fn start<'a>(
        self,
        site: &'a Site,
        second: &'a Second,
        advert_ms: u32,
    ) -> Result<Pair<'a>> {
        let pair = match self {
            Self::Lb => {
                let services = services(site);
                let first = site.start_node(&(services.clone() + &router(150, advert_ms)))?;
                let other = second.config(site, &services) + &router(100, advert_ms);
                let other = site.start_second_node(second, &other)?;
                first.wait_until_ready()?;
                other.wait_until_ready()?;
                let master = || match first.ask::<View>(&["vrrp"]) {
                    Ok(view) if view.routers.iter().any(|it| it.state == State::Master) => Ok(()),
                    other => Err(format!("{other:?}")),
                };
                eventually(SETTLE, "the first node is master", master)?;
                Pair::Lb(Box::new([first, other]))
            }
            Self::Keepalived => {
                let machines = [(&site.lb, FIRST, 150), (&second.netns, HOST, 100)];
                let haproxy = machines.map(|(netns, ..)| haproxy(site, netns));
                let [a, b] = machines.map(|(netns, host, priority)| {
                    Keepalived::start(site, netns, &instance(host, priority, advert_ms))
                });
                let [one, two] = haproxy;
                Pair::Keepalived([a?, b?], [one?, two?])
            }
        };
        eventually(SETTLE, "the first machine alone has the VIP", || {
            let has_it = |machine: &Netns| {
                let mut ip = machine.command("ip");
                let shown = output(ip.args(["-o", "addr", "show", "to", &VIP.to_string()]));
                shown.map(|it| !it.stdout.is_empty()).map_err(|error| error.to_string())
            };
            match (has_it(&site.lb)?, has_it(&second.netns)?) {
                (true, false) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })?;
        // The second may have been master for a moment.
        site.router.ip(&format!("neigh flush to {VIP} dev br0"))?;
        Ok(pair)
    }
}

impl Pair<'_> {
    /// Lets the first machine give the VIP up.
    pub(super) fn hand_over(&mut self) -> Result<()> {
        match self {
            Self::Lb(nodes) => drop(nodes[0].order(&["failover"])?),
            Self::Keepalived([first, _], _) => first.stop(),
        }
        Ok(())
    }
}

fn services(site: &Site) -> String {
    let backend = |(number, web): (u8, &Web)| {
        format!("{{ name = '{}', address = '10.0.0.{number}' }},\n", web.name)
    };
    let backends: String = (11..).zip(site.webs()).map(backend).collect();
    let node = site.node_table(&site.pin_dir(), "eth0");
    format!(
        "{node}[[service]]\nname = 'web'\nvip = '{VIP}'\nport = {PORT}\nforward = 'l2'\n\
         check = {{ type = 'tcp', interval = '500ms', timeout = '400ms' }}\n\
         backend = [\n{backends}]\n"
    )
}

fn router(priority: u8, advert_ms: u32) -> String {
    format!(
        "[[vrrp]]\nname = 'web'\ninterface = 'eth0'\nid = 51\naddresses = ['{VIP}']\n\
         priority = {priority}\ninterval = '{advert_ms}ms'\n"
    )
}

fn instance(host: u8, priority: u8, advert_ms: u32) -> String {
    let seconds = f64::from(advert_ms) / 1000.0;
    format!(
        "global_defs {{\nrouter_id n{host}\n}}\nvrrp_instance web {{\nstate BACKUP\ninterface eth0\n\
         version 3\nvirtual_router_id 51\npriority {priority}\nadvert_int {seconds}\n\
         virtual_ipaddress {{\n{VIP}/32\n}}\n}}\n"
    )
}

fn haproxy(site: &Site, netns: &Netns) -> Result<Process> {
    netns.sysctl("net/ipv4/ip_nonlocal_bind", "1")?;
    let server = |(number, web): (u8, &Web)| {
        format!("  server {} 10.0.0.{number}:{PORT} check inter 500ms\n", web.name)
    };
    let servers: String = (11..).zip(site.webs()).map(server).collect();
    let config = format!(
        "global\n  maxconn 5000\ndefaults\n  mode tcp\n  timeout connect 3s\n  timeout client 1h\n  \
         timeout server 1h\nlisten web\n  bind {VIP}:{PORT}\n{servers}"
    );
    let file = site.folder().path().join(format!("{}-haproxy.cfg", netns.name()));
    std::fs::write(&file, config).with_context(|| format!("cannot write {}", file.display()))?;
    let log = File::create(file.with_extension("log"))?;
    let mut haproxy = netns.command("haproxy");
    let _ = haproxy.arg("-db").arg("-f").arg(&file).stderr(log.try_clone()?).stdout(log);
    let mut process = Process::start(&mut haproxy)?;
    eventually(SETTLE, "haproxy listens", || {
        let shown = run(netns.command("ss").args(["-Htln", &format!("sport = :{PORT}")]));
        match (process.ended(), shown) {
            (None, Ok(shown)) if !shown.is_empty() => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })?;
    Ok(process)
}
