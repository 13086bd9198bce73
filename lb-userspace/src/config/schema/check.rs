//! The keys of `[service.check]`.

use std::time::Duration;

use hyper::Method;
use lb_common::service::ForwardMode;

use crate::config::{
    Check, CheckKind, Flap, Http, Mysql, Pattern, Through, Tls, Udp,
    document::{Reported, Table},
    value::{self, Fault},
};

/// The keys that any type of check has.
const COMMON: &[&str] = &[
    "type",
    "through",
    "port",
    "interval",
    "fast_interval",
    "timeout",
    "rise",
    "fall",
    "slow_start",
    "flap",
];

/// All keys.
pub(in crate::config) const CHECK: &[&str] = &[
    "type",
    "through",
    "port",
    "interval",
    "fast_interval",
    "timeout",
    "rise",
    "fall",
    "slow_start",
    "flap",
    "method",
    "path",
    "host",
    "headers",
    "status",
    "body",
    "body_regex",
    "server_name",
    "verify",
    "ca",
    "send",
    "send_hex",
    "expect",
    "expect_hex",
    "user",
    "password_file",
    "database",
    "query",
    "command",
];
pub(in crate::config) const FLAP: &[&str] = &["falls", "calm", "hold", "max_hold"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Tcp,
    Http,
    Https,
    Tls,
    Udp,
    Icmp,
    Mysql,
    Exec,
}

impl Type {
    const ALL: [Self; 8] = [
        Self::Tcp,
        Self::Http,
        Self::Https,
        Self::Tls,
        Self::Udp,
        Self::Icmp,
        Self::Mysql,
        Self::Exec,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Http => "http",
            Self::Https => "https",
            Self::Tls => "tls",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Mysql => "mysql",
            Self::Exec => "exec",
        }
    }

    /// Whether checks of this type have a key.
    fn has(self, key: &str) -> bool {
        const HTTP: &[&str] =
            &["method", "path", "host", "headers", "status", "body", "body_regex"];
        const TLS: &[&str] = &["server_name", "verify", "ca"];
        let own = match self {
            Self::Icmp => return key != "port" && COMMON.contains(&key),
            Self::Tcp => &[][..],
            Self::Http => HTTP,
            Self::Https => {
                return COMMON.contains(&key) || HTTP.contains(&key) || TLS.contains(&key);
            }
            Self::Tls => TLS,
            Self::Udp => &["send", "send_hex", "expect", "expect_hex"],
            Self::Mysql => &["user", "password_file", "database", "query"],
            Self::Exec => &["command"],
        };
        COMMON.contains(&key) || own.contains(&key)
    }
}

/// Reads the table of a service with this mode.
pub(super) fn check(table: &Table<'_>, mode: ForwardMode) -> Result<Check, Reported> {
    let kind = kind(table);
    let is_deaf = kind.as_ref().is_ok_and(CheckKind::takes_silence);
    // Behind nat, the backend's own address is what clients' packets go to.
    let is_direct = mode == ForwardMode::NAT || is_deaf;
    let usual = if is_direct { Through::Direct } else { Through::Datapath };
    let through = table.or("through", usual, value::check::through);
    let port = table.optional("port", value::port);
    let interval = table.or("interval", Duration::from_secs(1), value::duration);
    let fast_interval = table.optional("fast_interval", value::duration);
    let timeout = table.or("timeout", Duration::from_millis(500), value::duration);
    let rise = table.or("rise", 2, value::count);
    let fall = table.or("fall", 3, value::count);
    let slow_start = table.or("slow_start", Duration::ZERO, value::duration);
    let flap = table.table("flap", FLAP).and_then(|table| flap(&table));
    Ok(Check {
        kind: kind?,
        through: through?,
        port: port?,
        interval: interval?,
        fast_interval: fast_interval?.unwrap_or(interval?),
        timeout: timeout?,
        rise: rise?,
        fall: fall?,
        slow_start: slow_start?,
        flap: flap?,
    })
}

fn flap(table: &Table<'_>) -> Result<Flap, Reported> {
    let defaults = Flap::default();
    let falls = table.or("falls", defaults.falls, value::number);
    let calm = table.or("calm", defaults.calm, value::duration);
    let hold = table.or("hold", defaults.hold, value::duration);
    let max_hold = table.or("max_hold", defaults.max_hold, value::duration);
    Ok(Flap { falls: falls?, calm: calm?, hold: hold?, max_hold: max_hold? })
}

fn kind(table: &Table<'_>) -> Result<CheckKind, Reported> {
    let kinds = Type::ALL.map(|kind| (kind.as_str(), kind));
    let kind = table.required("type", "\"http\"", |value| value::choice(value, &kinds))?;
    let misplaced = misplaced(table, kind);
    let read = match kind {
        Type::Tcp => Ok(CheckKind::Tcp),
        Type::Http => http(table).map(|http| CheckKind::Http(Box::new(http))),
        Type::Https => https(table),
        Type::Tls => tls(table).map(CheckKind::Tls),
        Type::Udp => udp(table),
        Type::Icmp => Ok(CheckKind::Icmp),
        Type::Mysql => mysql(table),
        Type::Exec => exec(table),
    };
    misplaced.and(read)
}

/// Notes the keys that belong to other types.
fn misplaced(table: &Table<'_>, kind: Type) -> Result<(), Reported> {
    let mut result = Ok(());
    for key in CHECK.iter().filter(|key| table.has(key) && !kind.has(key)) {
        let with: Vec<_> = Type::ALL
            .iter()
            .filter(|kind| kind.has(key))
            .map(|kind| format!("\"{}\"", kind.as_str()))
            .collect();
        let article = if matches!(kind, Type::Icmp | Type::Exec) { "an" } else { "a" };
        let kind = kind.as_str();
        let remedy = format!("remove it, or set `type = {}`", with.join(" or "));
        let fault = Fault::new(format!("{article} {kind} check has no {key}"), remedy);
        result = Err(table.fault(key, fault));
    }
    result
}

fn https(table: &Table<'_>) -> Result<CheckKind, Reported> {
    let (http, tls) = (http(table), tls(table));
    Ok(CheckKind::Http(Box::new(Http { tls: Some(tls?), ..http? })))
}

fn http(table: &Table<'_>) -> Result<Http, Reported> {
    let method = table.or("method", Method::GET, value::check::method);
    let path = table.optional("path", value::text);
    let host = table.optional("host", value::check::header_value);
    let headers = table.list("headers", value::check::header);
    let statuses = table.list("status", value::check::statuses);
    let body = either(
        table.optional("body", |value| value::text(value).map(Pattern::Text)),
        table.optional("body_regex", |value| value::check::regex(value).map(Pattern::Regex)),
        || table.fault("body_regex", both("body")),
    );
    let statuses = statuses?;
    Ok(Http {
        method: method?,
        path: path?.unwrap_or_else(|| "/".to_owned()),
        host: host?,
        headers: headers?,
        statuses: if statuses.is_empty() { vec![200..=399] } else { statuses },
        body: body?,
        tls: None,
    })
}

fn tls(table: &Table<'_>) -> Result<Tls, Reported> {
    let server_name = table.optional("server_name", value::check::server_name);
    let verify = table.optional("verify", value::boolean);
    let ca = table.optional("ca", value::path);
    let (server_name, verify, ca) = (server_name?, verify?, ca?);
    if verify == Some(false) && ca.is_some() {
        let fault =
            Fault::new("`verify = false` does not use it", "remove it, or set `verify = true`");
        return Err(table.fault("ca", fault));
    }
    let verify = verify.unwrap_or(server_name.is_some() || ca.is_some());
    Ok(Tls { server_name, verify, ca })
}

fn udp(table: &Table<'_>) -> Result<CheckKind, Reported> {
    let bytes = |key: &str, hex: &str| {
        either(
            table.optional(key, |value| value::text(value).map(String::into_bytes)),
            table.optional(hex, value::check::hex),
            || table.fault(hex, both(key)),
        )
    };
    let send = bytes("send", "send_hex");
    let expect = bytes("expect", "expect_hex");
    Ok(CheckKind::Udp(Udp { send: send?.unwrap_or_default(), expect: expect? }))
}

fn mysql(table: &Table<'_>) -> Result<CheckKind, Reported> {
    let user = table.required("user", "\"lb\"", value::text);
    let password_file = table.optional("password_file", value::path);
    let database = table.optional("database", value::text);
    let query = table.optional("query", value::text);
    Ok(CheckKind::Mysql(Mysql {
        user: user?,
        password_file: password_file?,
        database: database?,
        query: query?,
    }))
}

fn exec(table: &Table<'_>) -> Result<CheckKind, Reported> {
    let command = table.list("command", value::text)?;
    Ok(CheckKind::Exec { command })
}

/// The one that is there.
fn either<T>(
    this: Result<Option<T>, Reported>,
    that: Result<Option<T>, Reported>,
    both: impl FnOnce() -> Reported,
) -> Result<Option<T>, Reported> {
    match (this?, that?) {
        (Some(_), Some(_)) => Err(both()),
        (this, that) => Ok(this.or(that)),
    }
}

fn both(other: &str) -> Fault {
    Fault::new(format!("`{other}` is there as well"), "keep one of them")
}
