//! What is compared: forwarders with two threads each, which send the same ports on to the same server.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Command,
};

use anyhow::{Context as _, Error, Result};
use lb_tests::{process::Process, run::describe};

use super::machines::{BULK, ECHO, Machines, PROXY, SERVER, wait_for};

/// The threads that serve, of each subject.
const THREADS: usize = 2;
/// The sessions that HAProxy is to take: more than any scenario has, with two descriptors each.
const MAXCONN: u32 = 9_500;
/// What the tuned HAProxy reads at once.
const BUFSIZE: u32 = 262_144;
/// Where Debian's `libnginx-mod-stream` puts it.
const STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";
/// What is forwarded: names and ports.
const WAYS: [(&str, u16); 2] = [("bulk", BULK), ("echo", ECHO)];

/// Who forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Lb,
    /// With the buffers that it has by default.
    Haproxy,
    /// With large buffers.
    HaproxyTuned,
    Nginx,
}

impl Subject {
    pub(super) const ALL: [Self; 4] = [Self::Lb, Self::Haproxy, Self::HaproxyTuned, Self::Nginx];

    /// Its name in tables and JSON.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Lb => "lb",
            Self::Haproxy => "haproxy",
            Self::HaproxyTuned => "haproxy-tuned",
            Self::Nginx => "nginx",
        }
    }

    /// Starts it on its machine, and waits until it listens. It ends on drop.
    pub(super) fn start(self, machines: &Machines) -> Result<Process> {
        let mut command = match self {
            Self::Lb => lb(machines),
            Self::Haproxy => haproxy(machines, ""),
            Self::HaproxyTuned => haproxy(machines, &format!("  tune.bufsize {BUFSIZE}\n")),
            Self::Nginx => nginx(machines),
        }?;
        let path = machines.file("subject.log");
        let log =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        let mut process = Process::start(command.stderr(log.try_clone()?).stdout(log))?;
        let complain = |error: Error| {
            let said = fs::read_to_string(&path).unwrap_or_default();
            error.context(format!("`{}` said: {}", describe(&command), said.trim()))
        };
        wait_for(&mut process, &machines.proxy, &WAYS.map(|(_, port)| port)).map_err(complain)?;
        Ok(process)
    }
}

/// lb with a file that says no more than what is forwarded.
fn lb(machines: &Machines) -> Result<Command> {
    let proxy = |(name, port): (&str, u16)| {
        format!(
            "[[proxy]]\nname = '{name}'\nlisten = ['{PROXY}:{port}']\n\
             [[proxy.backend]]\naddress = '{SERVER}:{port}'\n"
        )
    };
    let proxies: String = WAYS.into_iter().map(proxy).collect();
    let config = format!("[node]\ninterfaces = ['eth0']\n{proxies}");
    let file = write(machines, "lb.toml", &config)?;
    let mut lb = machines.proxy.command(std::env::current_exe()?);
    let _ = lb.args(["proxy-host", "--threads", &THREADS.to_string()]).arg(file);
    Ok(lb)
}

/// HAProxy with more settings of its process.
fn haproxy(machines: &Machines, global: &str) -> Result<Command> {
    let listen = |(name, port): (&str, u16)| {
        format!("listen {name}\n  bind {PROXY}:{port}\n  server {name} {SERVER}:{port}\n")
    };
    let listen: String = WAYS.into_iter().map(listen).collect();
    let config = format!(
        "global\n  nbthread {THREADS}\n  maxconn {MAXCONN}\n{global}defaults\n  mode tcp\n  \
         timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n{listen}"
    );
    let file = write(machines, "haproxy.cfg", &config)?;
    let mut haproxy = machines.proxy.command("haproxy");
    let _ = haproxy.arg("-db").arg("-f").arg(file);
    Ok(haproxy)
}

/// nginx with a listening socket for each of its processes, as the others have for their threads.
fn nginx(machines: &Machines) -> Result<Command> {
    let server = |(_, port): (&str, u16)| {
        format!("  server {{ listen {PROXY}:{port} reuseport; proxy_pass {SERVER}:{port}; }}\n")
    };
    let servers: String = WAYS.into_iter().map(server).collect();
    let config = format!(
        "load_module {STREAM_MODULE};\ndaemon off;\nuser root;\nworker_processes {THREADS};\n\
         pid nginx.pid;\nerror_log stderr;\nevents {{ worker_connections {connections}; }}\n\
         stream {{\n{servers}}}\n",
        connections = 2 * MAXCONN
    );
    let file = write(machines, "nginx.conf", &config)?;
    let mut nginx = machines.proxy.command("nginx");
    let _ = nginx.arg("-p").arg(machines.folder()).arg("-c").arg(file).args(["-e", "stderr"]);
    Ok(nginx)
}

fn write(machines: &Machines, name: &str, text: &str) -> Result<PathBuf> {
    let file = machines.file(name);
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}
