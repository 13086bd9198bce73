//! Two nodes tell each other of their rings, and a difference is seen before it does harm.

use std::time::Duration;

use lb_tests::node::Node;
use lb_userspace::{api::types::Routers, cluster::Ring};

use super::pair::{machines, serve, vrrp_pair};

/// Between two adverts, in milliseconds.
const INTERVAL: u64 = 100;
/// A node waits for 5 s until it has heard all of another, and for 10 s more until a difference is no change
/// under way.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until the services whose rings differ are these, for both nodes.
fn wait_for(nodes: [&Node<'_>; 2], services: &[&str]) {
    for node in nodes {
        super::eventually(PATIENCE, &format!("{services:?} differ"), || {
            let Routers { cluster, .. } = node.ask(&["vrrp"]).map_err(|error| error.to_string())?;
            let as_wanted = |ring: &Ring| {
                let wanted = services.contains(&&*ring.service);
                let [other] = &*ring.others else { return false };
                let same = other.digest.as_ref() == Some(&ring.digest);
                (other.differs, same) == (wanted, !wanted)
            };
            if cluster.rings.len() == 3 && cluster.rings.iter().all(as_wanted) {
                Ok(())
            } else {
                Err(format!("{cluster:#?}\n{}", node.log()))
            }
        })
        .unwrap();
        let problems = node.status().unwrap().problems;
        let told = problems.iter().filter(|it| it.contains("would break at a failover")).count();
        assert_eq!(told, services.len(), "{problems:#?}");
    }
}

#[test]
fn rings_that_differ_are_told_by_both_nodes_until_they_agree() {
    let (site, second) = machines(3);
    let _servers = serve(&site);
    let (first, other) = vrrp_pair(&site, &second, INTERVAL, "");
    wait_for([&first, &other], &[]);
    println!("{}", first.order(&["vrrp"]).unwrap());

    drop(other.order(&["backend", "weight", "web2", "5", "--service", "web"]).unwrap());
    wait_for([&first, &other], &["web"]);
    println!("{}", first.order(&["vrrp"]).unwrap());
    drop(first.order(&["backend", "weight", "web2", "5", "--service", "web"]).unwrap());
    wait_for([&first, &other], &[]);
    for node in [&first, &other] {
        let events = node.order(&["events"]).unwrap();
        let of = |kind: &str| events.lines().filter(|it| it.contains(kind)).count();
        assert_eq!((of("ring-differs"), of("ring-agrees")), (1, 1), "{events}");
    }

    // Another seed deals every slot anew.
    let config = std::fs::read_to_string(site.folder().path().join("second.toml")).unwrap();
    let (old, new) = ("seed = \"000102", "seed = \"ff0102");
    assert!(config.contains(old), "{config}");
    drop(site.write_config_as("second.toml", &config.replace(old, new)).unwrap());
    drop(other.order(&["reload"]).unwrap());
    wait_for([&first, &other], &["web", "web6", "stream"]);
}
