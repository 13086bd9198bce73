//! What takes the connections when few servers are up.

use lb_tests::{config::HTTP, node::Node, plan::VIPS, site::Site};

use super::{connections, soon};

#[test]
fn when_few_are_up_all_are_used_or_the_sorry_server() {
    let site = super::site();
    let node = site.start_node(&configuration(&site)).unwrap();
    node.wait_until_ready().unwrap();
    assert_eq!(usages(&node), ["normal", "normal"]);

    site.web(1).stop();
    wait_for(&node, ["normal", "normal"], 1);
    // One of three is less than 50 %; with one of two it is not.
    site.web(2).stop();
    wait_for(&node, ["panic", "sorry"], 2);
    let problems = node.status().unwrap().problems;
    for expected in [
        "service web: panic: 1 of 3 backends are up, the least is 50%: all of them are used",
        "service app: sorry: none of 2 backends is up: only app/sorry is used",
    ] {
        assert!(problems.iter().any(|problem| problem == expected), "{problems:#?}");
    }
    let backends = node.backends().unwrap();
    let shares = |service: &str| -> Vec<bool> {
        let pool = backends.iter().filter(|backend| backend.service == service);
        pool.map(|backend| backend.share > 0.3).collect()
    };
    assert_eq!(shares("web"), [true; 3], "{backends:#?}");
    assert_eq!(shares("app"), [false, false, true], "{backends:#?}");
    let answers = connections(&site, &VIPS[2].url("/"), 20);
    assert_eq!(answers.into_keys().collect::<Vec<_>>(), ["web3"]);
    let table = node.order(&["service", "list"]).unwrap();
    assert!(table.contains(" 1/3  panic ") && table.contains(" 0/2  sorry "), "{table}");

    site.web(1).start().unwrap();
    site.web(2).start().unwrap();
    wait_for(&node, ["normal", "normal"], 0);
    let answers = connections(&site, &VIPS[2].url("/"), 40);
    assert_eq!(answers.into_keys().collect::<Vec<_>>(), ["web1", "web2"]);
}

/// `web` over the three servers, with a panic threshold; `app` over two, and the third for sorry.
fn configuration(site: &Site) -> String {
    let web =
        site.service_table(VIPS[0], &lb_tests::config::Carried { keys: "panic = \"50%\"", ..HTTP });
    let check = HTTP.check;
    let pool = "{ name = \"web1\", address = \"10.0.1.11\", port = 8080 }, \
                { name = \"web2\", address = \"10.0.1.12\", port = 8080 }";
    let app = format!(
        "\n[[service]]\nname = \"app\"\nvip = \"{}\"\nport = 80\nforward = \"nat\"\ncheck = {check}\n\
         sorry = {{ address = \"10.0.1.13\", port = 8080 }}\nbackend = [{pool}]\n",
        VIPS[2].address
    );
    site.node_table(&site.pin_dir(), "eth0") + &web + &app
}

fn usages(node: &Node<'_>) -> Vec<String> {
    node.services().unwrap().into_iter().map(|service| service.usage).collect()
}

/// Until the services use what they should, with so many of `web`'s servers down.
fn wait_for(node: &Node<'_>, expected: [&str; 2], down: usize) {
    soon("the services use what they should", || {
        let services = node.services().map_err(|error| error.to_string())?;
        let is_so = services[0].backends_up + down == 3
            && services.iter().map(|service| service.usage.as_str()).eq(expected);
        is_so.then_some(()).ok_or_else(|| format!("{services:?}"))
    });
}
