//! The keys of `[[proxy]]`.

use std::{sync::Arc, time::Duration};

use lb_common::service::ForwardMode;

use super::check::{CHECK, check};
use crate::config::{
    Admin,
    document::{Reported, Table, all},
    proxy::{
        AcceptProxy, Backend, Balance, Eject, Monitor, MonitorTls, Mysql, OnDown, Proxy, Queue,
        Role, Sockets, Timeouts,
    },
    value::{self, Fault},
};

pub(in crate::config) const PROXY: &[&str] = &[
    "name",
    "listen",
    "balance",
    "max_connections",
    "queue",
    "timeout",
    "retries",
    "nodelay",
    "keepalive",
    "source",
    "accept_proxy",
    "send_proxy",
    "on_down",
    "eject",
    "check",
    "protocol",
    "role",
    "fallback",
    "promotion_wait",
    "max_lag",
    "lag_return",
    "close_lag",
    "monitor",
    "backend",
];
pub(in crate::config) const QUEUE: &[&str] = &["length", "timeout"];
pub(in crate::config) const TIMEOUT: &[&str] =
    &["connect", "client", "backend", "half_closed", "session"];
pub(in crate::config) const ACCEPT_PROXY: &[&str] = &["from", "timeout"];
pub(in crate::config) const EJECT: &[&str] = &["failures", "hold", "max_hold"];
pub(in crate::config) const MONITOR: &[&str] =
    &["user", "password_file", "tls", "interval", "timeout", "fall"];
pub(in crate::config) const TLS: &[&str] = &["verify", "ca"];
pub(in crate::config) const BACKEND: &[&str] =
    &["name", "address", "weight", "backup", "max_connections", "admin"];

/// Those keys that only database servers with roles have.
const OF_ROLES: &[&str] =
    &["role", "fallback", "promotion_wait", "max_lag", "lag_return", "close_lag", "monitor"];

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Reads the table.
pub(super) fn proxy(table: &Table<'_>) -> Result<Proxy, Reported> {
    let name = table.required("name", "\"app\"", value::text);
    let listen = listen(table);
    let balance = table.or("balance", Balance::default(), value::proxy::balance);
    let max_connections = table.or("max_connections", 10_000, value::count);
    let queue = table.table("queue", QUEUE).and_then(|table| queue(&table));
    let timeouts = table.table("timeout", TIMEOUT).and_then(|table| timeouts(&table));
    let retries = table.or("retries", 3, value::number);
    let sockets = sockets(table);
    let accept_proxy = table.optional_table("accept_proxy", ACCEPT_PROXY);
    let accept_proxy = accept_proxy.and_then(|it| it.map(|it| accept_proxy_of(&it)).transpose());
    let send_proxy = table.optional("send_proxy", value::proxy::header);
    let on_down = table.or("on_down", OnDown::default(), value::proxy::on_down);
    let eject = table.table("eject", EJECT).and_then(|table| eject(&table));
    let check = table.optional_table("check", CHECK);
    // It goes to the backend's own address, as sessions do.
    let check = check.and_then(|it| it.map(|it| self::check(&it, ForwardMode::NAT)).transpose());
    let mysql = roles(table);
    let backends = table
        .tables("backend", BACKEND)
        .and_then(|backends| all(backends.into_iter().map(|table| backend(&table?))));
    Ok(Proxy {
        name: name?,
        listen: listen?,
        balance: balance?,
        max_connections: max_connections?,
        queue: queue?,
        timeouts: timeouts?,
        retries: retries?,
        sockets: sockets?,
        accept_proxy: accept_proxy?,
        send_proxy: send_proxy?,
        on_down: on_down?,
        eject: eject?,
        check: check?.map(Arc::new),
        mysql: mysql?,
        backends: backends?,
    })
}

fn listen(table: &Table<'_>) -> Result<Vec<crate::config::proxy::Place>, Reported> {
    if table.has("listen") {
        return table.list("listen", value::proxy::place);
    }
    let fault = Fault::new("missing", "add `listen = [\"10.0.0.2:8080\"]`");
    Err(table.fault("listen", fault))
}

fn queue(table: &Table<'_>) -> Result<Queue, Reported> {
    let length = table.or("length", 1000, value::number);
    let timeout = table.or("timeout", seconds(5), value::duration);
    Ok(Queue { length: length?, timeout: timeout? })
}

fn timeouts(table: &Table<'_>) -> Result<Timeouts, Reported> {
    let connect = table.or("connect", seconds(5), value::duration);
    let client_idle = table.or("client", seconds(3600), value::duration);
    let backend_idle = table.or("backend", seconds(3600), value::duration);
    let half_closed = table.or("half_closed", seconds(30), value::duration);
    let session = table.optional("session", value::duration);
    Ok(Timeouts {
        connect: connect?,
        client_idle: client_idle?,
        backend_idle: backend_idle?,
        half_closed: half_closed?,
        session: session?,
    })
}

fn sockets(table: &Table<'_>) -> Result<Sockets, Reported> {
    let nodelay = table.or("nodelay", true, value::boolean);
    let keepalive = table.optional("keepalive", value::duration);
    let source = table.list("source", value::address);
    Ok(Sockets { nodelay: nodelay?, keepalive: keepalive?, source: source? })
}

fn accept_proxy_of(table: &Table<'_>) -> Result<AcceptProxy, Reported> {
    let from = if table.has("from") {
        table.list("from", value::prefix)
    } else {
        let fault = Fault::new("missing", "name who sends headers: `from = [\"10.0.0.0/24\"]`");
        Err(table.fault("from", fault))
    };
    let timeout = table.or("timeout", seconds(3), value::duration);
    Ok(AcceptProxy { from: from?, timeout: timeout? })
}

fn eject(table: &Table<'_>) -> Result<Eject, Reported> {
    let failures = table.or("failures", 3, value::number);
    let hold = table.or("hold", seconds(10), value::duration);
    let max_hold = table.or("max_hold", seconds(300), value::duration);
    Ok(Eject { failures: failures?, hold: hold?, max_hold: max_hold? })
}

/// What is said of roles; without `protocol = "mysql"` there is nothing to say.
fn roles(table: &Table<'_>) -> Result<Option<Mysql>, Reported> {
    if table.or("protocol", false, value::proxy::has_roles)? {
        return mysql(table).map(Some);
    }
    let misplaced = OF_ROLES.iter().filter(|key| table.has(key)).map(|key| {
        let message = "only database servers with roles have it";
        table.fault(key, Fault::new(message, "remove it, or set `protocol = \"mysql\"`"))
    });
    misplaced.reduce(|_, last| last).map_or(Ok(None), Err)
}

fn mysql(table: &Table<'_>) -> Result<Mysql, Reported> {
    let role = table.required("role", "\"primary\"", value::proxy::role);
    let fallback = table.or("fallback", false, value::boolean);
    let promotion_wait = table.or("promotion_wait", seconds(10), value::duration);
    let max_lag = table.optional("max_lag", value::duration);
    let lag_return = table.optional("lag_return", value::duration);
    let close_lag = table.optional("close_lag", value::duration);
    let monitor = table.table("monitor", MONITOR).and_then(|table| monitor(&table));
    if let (Ok(Role::Primary), Some(key)) = (
        role,
        ["fallback", "max_lag", "lag_return", "close_lag"].into_iter().find(|it| table.has(it)),
    ) {
        let message = "a primary has no lag, and nobody stands in for it";
        return Err(table.fault(key, Fault::new(message, "remove it, or set `role = \"replica\"`")));
    }
    let max_lag = max_lag?;
    Ok(Mysql {
        role: role?,
        fallback: fallback?,
        monitor: monitor?,
        promotion_wait: promotion_wait?,
        max_lag,
        lag_return: lag_return?.or(max_lag.map(|it| it / 2)).unwrap_or_default(),
        close_lag: close_lag?,
    })
}

fn monitor(table: &Table<'_>) -> Result<Monitor, Reported> {
    let user = table.required("user", "\"monitor\"", value::text);
    let password_file = table.optional("password_file", value::path);
    let tls = table.optional_table("tls", TLS);
    let tls = tls.and_then(|it| it.map(|it| monitor_tls(&it)).transpose());
    let interval = table.or("interval", seconds(1), value::duration);
    let timeout = table.or("timeout", Duration::from_millis(500), value::duration);
    let fall = table.or("fall", 3, value::count);
    Ok(Monitor {
        user: user?,
        password_file: password_file?,
        tls: tls?,
        interval: interval?,
        timeout: timeout?,
        fall: fall?,
    })
}

fn monitor_tls(table: &Table<'_>) -> Result<MonitorTls, Reported> {
    let verify = table.or("verify", true, value::boolean);
    let ca = table.optional("ca", value::path);
    Ok(MonitorTls { verify: verify?, ca: ca? })
}

fn backend(table: &Table<'_>) -> Result<Backend, Reported> {
    let address = table.required("address", "\"10.0.0.21:8080\"", value::proxy::place);
    let name = table.optional("name", value::text);
    let weight = table.or("weight", 1, value::weight);
    let backup = table.or("backup", false, value::boolean);
    let max_connections = table.optional("max_connections", value::count);
    let admin = table.or("admin", Admin::Ready, value::admin);
    let address = address?;
    Ok(Backend {
        name: name?.unwrap_or_else(|| address.to_string()),
        address,
        weight: weight?,
        backup: backup?,
        max_connections: max_connections?,
        admin: admin?,
    })
}
