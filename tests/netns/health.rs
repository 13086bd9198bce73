//! A dead server gets no traffic.

use std::time::Duration;

use lb_tests::{
    node::Node,
    plan::VIPS,
    traffic::{Tallies, Tally, Traffic},
};
use lb_userspace::api::types::Health;

#[test]
fn a_dead_server_is_taken_out_and_comes_back() {
    let site = super::site();
    let node = super::node(&site);
    let traffic = Traffic::start(&site, &VIPS, Duration::from_millis(20)).unwrap();
    wait_for_answers(&traffic, "web3");

    site.web(3).stop();
    wait_for_health(&node, Health::Down);
    // Requests under way when the last check failed have ended by now: they are refused at once.
    let before = settled(&traffic);
    for vip in VIPS {
        assert_eq!(super::who_answers(&site, vip, 200), ["web1", "web2"], "{vip:?}");
    }
    let after = traffic.tally();
    assert_eq!(errors(&before), errors(&after), "{after:?}");
    assert!(answered(&after) > answered(&before));
    let reason = node.backends().unwrap().into_iter().find(|backend| backend.name == "web3");
    assert!(!reason.unwrap().health_reason.is_empty());

    site.web(3).start().unwrap();
    wait_for_health(&node, Health::Up);
    let returned = traffic.tally();
    super::soon("web3 answers through every service", || {
        let now = traffic.tally();
        let idle =
            now.iter().find(|(service, tally)| from_web3(tally) == from_web3(&returned[*service]));
        idle.map_or(Ok(()), |(service, tally)| Err(format!("{service}: {tally:?}")))
    });
    assert_eq!(errors(&returned), errors(&traffic.finish()));
}

fn wait_for_answers(traffic: &Traffic, web: &str) {
    super::soon("the server answers through every service", || {
        let tallies = traffic.tally();
        match tallies.iter().find(|(_, tally)| !tally.answers.contains_key(web)) {
            None => Ok(()),
            Some((service, tally)) => Err(format!("{service}: {tally:?}")),
        }
    });
}

fn wait_for_health(node: &Node<'_>, health: Health) {
    super::soon("web3 changes", || {
        let backends = node.backends().map_err(|error| error.to_string())?;
        let mut web3 = backends.into_iter().filter(|backend| backend.name == "web3");
        web3.find(|backend| backend.health != health).map_or(Ok(()), |b| Err(format!("{b:?}")))
    });
}

/// The tallies, once every service has answered again.
fn settled(traffic: &Traffic) -> Tallies {
    let before = traffic.tally();
    super::soon("every service answers", || {
        let now = traffic.tally();
        let is_stuck =
            |service: &str, tally: &Tally| tally.answered() < before[service].answered() + 2;
        match now.iter().find(|(service, tally)| is_stuck(service, tally)) {
            None => Ok(now),
            Some((service, tally)) => Err(format!("{service}: {tally:?}")),
        }
    })
}

fn from_web3(tally: &Tally) -> u64 {
    tally.answers.get("web3").copied().unwrap_or_default()
}

fn errors(tallies: &Tallies) -> u64 {
    tallies.values().map(|tally| tally.errors).sum()
}

fn answered(tallies: &Tallies) -> u64 {
    tallies.values().map(Tally::answered).sum()
}
