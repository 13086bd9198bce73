//! The kernel and what this process may do.

use rustix::thread::CapabilitySet;

use super::Error;

/// Bounded loops, BTF-defined maps, links and program tests as the packet path uses them.
const OLDEST: (u32, u32) = (5, 15);

/// Without `CAP_PERFMON` the verifier takes the program for an unprivileged one: it masks its
/// pointers and refuses some of its arithmetic.
const NEEDED: &[(CapabilitySet, &str)] = &[
    (CapabilitySet::BPF, "CAP_BPF"),
    (CapabilitySet::NET_ADMIN, "CAP_NET_ADMIN"),
    (CapabilitySet::PERFMON, "CAP_PERFMON"),
];

pub(super) fn kernel() -> Result<(), Error> {
    check_release(&rustix::system::uname().release().to_string_lossy())
}

fn check_release(release: &str) -> Result<(), Error> {
    match version(release) {
        Some(version) if version < OLDEST => Err(Error::Kernel { release: release.into() }),
        Some(_) => Ok(()),
        None => {
            tracing::warn!(release, "cannot tell the kernel's version; lb needs 5.15 or newer");
            Ok(())
        }
    }
}

/// The version and patch level of a release such as `6.1.0-18-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

pub(super) fn capabilities() -> Result<(), Error> {
    let sets = match rustix::thread::capabilities(None) {
        Ok(sets) => sets,
        Err(error) => {
            tracing::warn!(%error, "cannot tell this process's capabilities");
            return Ok(());
        }
    };
    let names = missing(sets.effective);
    if names.is_empty() {
        return Ok(());
    }
    let executable = std::env::current_exe().unwrap_or_else(|_| "lb".into());
    Err(Error::Capabilities { names, executable })
}

fn missing(effective: CapabilitySet) -> Vec<&'static str> {
    // The older and wider capability includes the two that were split off it (capabilities(7)).
    let implied = if effective.contains(CapabilitySet::SYS_ADMIN) {
        CapabilitySet::BPF | CapabilitySet::PERFMON
    } else {
        CapabilitySet::empty()
    };
    let lacks = |needed: &CapabilitySet| !(effective | implied).contains(*needed);
    NEEDED.iter().filter(|(needed, _)| lacks(needed)).map(|&(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read() {
        for (release, expected) in [
            ("6.1.0-18-amd64", Some((6, 1))),
            ("5.15", Some((5, 15))),
            ("5.4.0+", Some((5, 4))),
            ("6.18-rc1", Some((6, 18))),
            ("10.0.1", Some((10, 0))),
            ("2.6.78-18", Some((2, 6))),
            ("", None),
            ("6", None),
            ("6-1x", Some((6, 1))),
            ("mainline", None),
            ("99999999999.1", None),
        ] {
            assert_eq!(version(release), expected, "{release}");
        }
    }

    #[test]
    fn an_old_kernel_is_refused_and_an_unreadable_release_accepted() {
        for release in ["5.15.0", "6.0.0", "custom"] {
            assert!(check_release(release).is_ok(), "{release}");
        }
        for release in ["5.14.21", "4.19.0", "2.6.78"] {
            let error = check_release(release).unwrap_err().to_string();
            assert!(error.contains(release) && error.contains("5.15 or newer"), "{error}");
        }
    }

    #[test]
    fn missing_capabilities_are_named_with_ways_to_grant_them() {
        let all = CapabilitySet::BPF | CapabilitySet::NET_ADMIN | CapabilitySet::PERFMON;
        assert_eq!(missing(all), <[&str; 0]>::default());
        assert_eq!(missing(CapabilitySet::all()), <[&str; 0]>::default());
        assert_eq!(missing(CapabilitySet::SYS_ADMIN), ["CAP_NET_ADMIN"]);
        assert_eq!(missing(all - CapabilitySet::PERFMON), ["CAP_PERFMON"]);
        let names = missing(CapabilitySet::NET_RAW);
        let error = Error::Capabilities { names, executable: "/usr/sbin/lb".into() };
        assert_eq!(
            error.to_string(),
            "missing CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON: run lb as root, or grant it by `setcap \
             cap_bpf,cap_net_admin,cap_perfmon+ep /usr/sbin/lb`, or in its systemd unit by \
             `AmbientCapabilities=CAP_BPF CAP_NET_ADMIN CAP_PERFMON`"
        );
    }
}
