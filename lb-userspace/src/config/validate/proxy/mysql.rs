//! The rules of pools by roles.

use std::time::Duration;

use super::{Broken, absolute, say, some_time, spell};
use crate::config::proxy::{Monitor, Mysql, Proxy};

const INTERVAL_MIN: Duration = Duration::from_millis(200);

pub(super) fn check(proxy: &Proxy) -> Vec<Broken> {
    let Some(Mysql { monitor, promotion_wait, max_lag, lag_return, close_lag, .. }) = &proxy.mysql
    else {
        return Vec::new();
    };
    let mut broken = self::monitor(monitor);
    let spans = [
        ("promotion_wait", Some(*promotion_wait)),
        ("max_lag", *max_lag),
        ("close_lag", *close_lag),
    ];
    broken.extend(spans.into_iter().filter_map(|(key, span)| some_time(key, span?)));
    if max_lag.is_none() && !lag_return.is_zero() {
        let message = "there is no `max_lag` to come back from";
        broken.push(say("lag_return", message, "add a `max_lag`, or remove it"));
    }
    if let Some(most) = max_lag.filter(|most| lag_return > most) {
        let (back, most) = (spell(*lag_return), spell(most));
        let message = format!("{back} is more than the `max_lag` of {most}");
        broken.push(say("lag_return", message, "shorten it, or remove it: that is a half"));
    }
    if let (Some(close), most) = (close_lag, max_lag)
        && most.is_none_or(|most| *close < most)
    {
        let message = match most {
            Some(most) => {
                format!("{} is less than the `max_lag` of {}", spell(*close), spell(*most))
            }
            None => "a replica whose sessions are closed must not take new ones".into(),
        };
        broken.push(say("close_lag", message, "set a `max_lag` that is at most as long"));
    }
    broken
}

fn monitor(Monitor { user, password_file, tls, interval, timeout, fall }: &Monitor) -> Vec<Broken> {
    let mut broken = Vec::new();
    if user.is_empty() {
        broken.push(say("monitor.user", "nobody", "name a user"));
    }
    broken.extend(absolute("monitor.password_file", password_file.as_deref()));
    broken.extend(absolute("monitor.tls.ca", tls.as_ref().and_then(|it| it.ca.as_deref())));
    if *interval < INTERVAL_MIN {
        let message = format!("{} is too short", spell(*interval));
        broken.push(say("monitor.interval", message, "use at least \"200ms\""));
    }
    broken.extend(some_time("monitor.interval", *interval).filter(|_| *interval > INTERVAL_MIN));
    if timeout.is_zero() || timeout >= interval {
        let (timeout, interval) = (spell(*timeout), spell(*interval));
        let message = format!("{timeout} is not between nothing and the interval of {interval}");
        broken.push(say("monitor.timeout", message, "shorten it, or lengthen `interval`"));
    }
    if *fall == 0 {
        broken.push(say("monitor.fall", "0 results cannot change anything", "use 1 or more"));
    }
    broken
}
