//! Whole nodes with real servers in network namespaces. Needs root and the `lb` binary.
#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

mod site;

use std::sync::atomic::{AtomicUsize, Ordering};

use lb_tests::{
    cleanup,
    site::{Options, Site, mount_bpffs},
};

/// A site of its own for a test, with what crashed runs left removed first.
fn site() -> Site {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    drop(cleanup::clean_dead_tests().unwrap());
    let _: bool = mount_bpffs().unwrap();
    let prefix = cleanup::test_prefix(NUMBER.fetch_add(1, Ordering::Relaxed));
    Site::build(&Options::new(prefix)).unwrap()
}
