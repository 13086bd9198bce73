//! The traffic follows the command line.

use lb_tests::plan::VIPS;

/// Enough that a backend with a third of the slots is missed once in 10^17 runs.
const ENOUGH: usize = 100;

#[test]
fn a_drained_backend_gets_no_new_connections_until_it_is_undrained() {
    let site = super::site();
    let node = super::node(&site);
    let all = ["web1", "web2", "web3"];
    for vip in VIPS {
        assert_eq!(super::who_answers(&site, vip, ENOUGH), all);
    }

    let _: String = node.order(&["backend", "drain", "web2"]).unwrap();
    for vip in VIPS {
        assert_eq!(super::who_answers(&site, vip, ENOUGH), ["web1", "web3"], "{vip:?}");
    }
    for backend in node.backends().unwrap().iter().filter(|backend| backend.name == "web2") {
        assert!(backend.share.abs() < f64::EPSILON, "{backend:?}");
    }

    let _: String = node.order(&["backend", "undrain", "web2"]).unwrap();
    for vip in VIPS {
        assert_eq!(super::who_answers(&site, vip, ENOUGH), all, "{vip:?}");
    }
}

#[test]
fn a_weight_is_honoured_and_an_unknown_backend_refused() {
    let site = super::site();
    let node = super::node(&site);
    let [web, ..] = VIPS;
    let _: String = node.order(&["backend", "weight", "web1", "8"]).unwrap();
    let answers = super::connections(&site, &web.url("/"), 1000);
    // 8 of 10 slots; 13 connections are one standard deviation.
    assert!((720..=880).contains(&answers["web1"]), "{answers:?}");

    let refused = node.cli(&["backend", "drain", "web9"]).unwrap();
    assert!(!refused.status.success());
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(message.contains("web9"), "{message}");
}
