//! The site itself, without a node: what fails here is not the load balancer's fault.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    net::{IpAddr, TcpStream},
    thread,
    time::Duration,
};

use lb_tests::{
    netns::{self, Netns},
    nginx::PORTS,
    plan::{Forward, VIPS, url_host, web_addresses},
    process::Process,
    run::{command, run},
};

fn url(address: IpAddr, port: u16) -> String {
    format!("http://{}:{port}/", url_host(address))
}

fn body(site: &lb_tests::site::Site, from: &Netns, url: &str) -> String {
    let answer = site.curl(from, url, &["-f"]).unwrap();
    assert!(answer.status.success(), "{url}: {}", String::from_utf8_lossy(&answer.stderr));
    String::from_utf8(answer.stdout).unwrap()
}

#[test]
fn every_web_server_answers_the_client_and_the_node() {
    let site = super::site();
    for (number, web) in (1..).zip(site.webs()) {
        let [first4, second4, first6, second6] = web_addresses(number);
        for port in PORTS {
            for address in [first4, first6] {
                assert_eq!(
                    body(&site, &site.client, &url(address, port)),
                    format!("{}\n", web.name)
                );
            }
            // Answers to elsewhere from the second network take the way through the node.
            for address in [first4, first6, second4, second6] {
                assert_eq!(body(&site, &site.lb, &url(address, port)), format!("{}\n", web.name));
            }
        }
    }
    let seen = body(&site, &site.client, "http://10.0.0.11/client");
    assert!(seen.starts_with("192.0.2.2:"), "{seen}");
}

#[test]
fn only_the_node_answers_for_the_vips() {
    let site = super::site();
    let node = mac(&site.lb);
    for vip in VIPS {
        // Nothing listens there yet: the refusal comes from whoever holds the address.
        let answer = site.client.enter(|| TcpStream::connect(vip.socket_address())).unwrap();
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::ConnectionRefused, "{vip:?}");
        let mut entry = site.router.command("ip");
        let entry = run(entry.args(["neigh", "show", &vip.address.to_string()])).unwrap();
        assert!(entry.contains(&node), "{vip:?} is at {entry}, the node is {node}");
    }
    for web in site.webs() {
        let held = run(web.netns.command("ip").args(["address", "show", "dev", "lo"])).unwrap();
        for vip in VIPS {
            let vip_is_held = held.contains(&format!("{}/", vip.address));
            assert_eq!(vip_is_held, vip.forward == Forward::L2, "{vip:?} in {held}");
        }
    }
}

#[test]
fn every_counted_connection_is_a_new_one() {
    let site = super::site();
    for host in ["10.0.0.11", "[fd00:0:0:1::11]"] {
        let ports = super::connections(&site, &format!("http://{host}/client"), 50);
        assert_eq!(ports.len(), 50, "{ports:?}");
        let answers = super::connections(&site, &format!("http://{host}/"), 50);
        assert_eq!(answers, [("web1".to_owned(), 50)].into());
    }
}

fn mac(netns: &Netns) -> String {
    let mut ip = netns.command("ip");
    let line = run(ip.args(["-o", "link", "show", "dev", "eth0"])).unwrap();
    line.split_whitespace().skip_while(|word| *word != "link/ether").nth(1).unwrap().to_owned()
}

#[test]
fn a_large_body_arrives_whole_and_a_stopped_server_refuses() {
    let site = super::site();
    let mut big = Vec::new();
    let _: usize = File::open(site.big()).unwrap().read_to_end(&mut big).unwrap();
    for url in ["http://10.0.0.12/big", "http://[fd00:0:0:1::12]/big"] {
        let answer = site.curl(&site.client, url, &[]).unwrap();
        assert!(answer.stdout == big, "{url}: {} of {} bytes", answer.stdout.len(), big.len());
    }
    site.web(2).stop();
    let refused = site.curl(&site.client, "http://10.0.0.12/", &[]).unwrap();
    assert_eq!(refused.status.code(), Some(7), "curl(1): failed to connect");
    site.web(2).start().unwrap();
    assert_eq!(site.fetch("http://10.0.0.12/").unwrap(), "web2\n");
}

#[test]
fn sites_coexist_and_nothing_is_left_of_them() {
    let (one, two) = (super::site(), super::site());
    let folders = [&one, &two].map(|site| site.folder().path().to_owned());
    let names = [&one, &two].map(|site| site.client.name().trim_end_matches("client").to_owned());
    two.web(1).stop();
    assert_eq!(one.fetch("http://10.0.0.11/").unwrap(), "web1\n");
    // Something that the site does not know of, as a person would start it.
    let mut shell = two.web(1).netns.command("sleep");
    let mut forgotten = shell.arg("1000").spawn().unwrap();
    drop(two);
    assert!(!forgotten.wait().unwrap().success(), "it was ended by a signal");
    assert_eq!(one.fetch("http://10.0.0.11/").unwrap(), "web1\n");
    drop(one);
    for (folder, names) in folders.iter().zip(&names) {
        assert!(!folder.exists());
        assert!(netns::named(names).unwrap().is_empty());
    }
}

#[test]
fn a_process_ends_with_the_thread_that_started_it() {
    let start = || Process::start(command("sleep").arg("1000")).unwrap();
    let mut orphan = thread::spawn(start).join().unwrap();
    lb_tests::run::eventually(Duration::from_secs(5), "the process ends", || {
        orphan.ended().map(drop).ok_or_else(|| "it runs".into())
    })
    .unwrap();
}
