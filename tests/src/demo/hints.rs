//! What to try next, ready to be pasted into a second terminal.

use std::{env, path::Path};

use crate::{node::Node, run::describe, site::Site};

/// Commands, each with a comment that the shell ignores.
pub(super) fn hints(site: &Site, node: &Node<'_>) -> Vec<String> {
    let lb = shortest(node.binary());
    let web = site.web(3);
    let client = site.client.path();
    [
        (format!("nsenter --net={} curl http://10.0.0.10/", client.display()), "through the VIP"),
        (format!("{lb} backend drain web2"), "no new connections to web2"),
        (format!("{lb} backend ready web2"), "and again"),
        (format!("kill $(cat {})", web.pid_file().display()), "web3 dies"),
        (format!("{} &", describe(&web.command())), "web3 is back"),
        (format!("{lb} stats"), "all counters"),
        (format!("curl --unix-socket {} http://lb/v1/status", node.socket().display()), "as JSON"),
        (format!("kill -9 {}", node.id()), "lb dies, the packets flow on"),
        (format!("{} run &", describe(&site.lb.command(&lb))), "it takes over what is pinned"),
    ]
    .map(|(command, comment)| format!("{command}  # {comment}"))
    .into()
}

/// The path as people would type it; a bare name would be looked for in `PATH`.
fn shortest(path: &Path) -> String {
    let here = env::current_dir().unwrap_or_default();
    let short = path.strip_prefix(here).unwrap_or(path).display().to_string();
    if short.contains('/') { short } else { format!("./{short}") }
}
