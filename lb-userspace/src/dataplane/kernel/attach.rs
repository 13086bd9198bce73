//! Attaches the program: one pinned link an interface, replaced atomically by a newer program.

use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use aya::programs::{
    ProgramError, Xdp, XdpMode,
    links::{FdLink, PinnedLink},
    xdp::XdpLink,
};

use super::{Error, Kernel, pins};
use crate::{config::AttachMode, dataplane::Attach, error::with_causes, topology::probe::FAR};

/// A link whose pin is removed gives its interface back from a work queue of the kernel
/// (`bpf_link_put`): so long is waited for that.
const RELEASE: Duration = Duration::from_secs(1);

/// An interface to attach to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
}

/// Where and how the programs of a node are attached.
#[derive(Clone, Debug)]
pub(super) struct Place {
    mode: AttachMode,
    pins: PathBuf,
    /// How long another link may take to give an interface back.
    patience: Duration,
}

impl Kernel {
    /// Attaches the programs by links pinned in `pins`, the node's own to all interfaces and another to
    /// the far end of the probe link, and detaches them from interfaces that are not among them any more.
    pub fn attach(
        &mut self,
        interfaces: &[Interface],
        probe: Option<u32>,
        mode: AttachMode,
        pins: &Path,
    ) -> Result<(), Error> {
        let far = probe.map(far_end);
        let patience = release_others(interfaces.iter().chain(&far), mode, pins)?;
        each(self.program()?, interfaces, mode, pins, patience)?;
        self.attached = Some(Place { mode, pins: pins.to_owned(), patience });
        probe.map_or(Ok(()), |far| self.attach_probe(far))
    }
}

impl Attach for Kernel {
    fn attach_probe(&mut self, far: u32) -> Result<(), Error> {
        let Some(Place { mode, pins, patience }) = self.attached.clone() else { return Ok(()) };
        each(self.probe_program()?, &[far_end(far)], mode, &pins, patience)
    }
}

fn far_end(index: u32) -> Interface {
    Interface { name: FAR.into(), index }
}

/// Attaches the program to all interfaces and detaches it from others that are pinned here.
pub(crate) fn all(
    program: &mut Xdp,
    interfaces: &[Interface],
    mode: AttachMode,
    dir: &Path,
) -> Result<(), Error> {
    let patience = release_others(interfaces, mode, dir)?;
    each(program, interfaces, mode, dir, patience)
}

/// Detaches whatever is pinned here from other interfaces; gives how long to wait for one of them that
/// is to be attached to in the other mode.
pub(crate) fn release_others<'a>(
    interfaces: impl IntoIterator<Item = &'a Interface>,
    mode: AttachMode,
    dir: &Path,
) -> Result<Duration, Error> {
    let wanted: Vec<PathBuf> =
        interfaces.into_iter().map(|interface| pin(dir, mode, &interface.name)).collect();
    let links = pins::links(dir)?;
    let stale: Vec<_> = links.into_iter().filter(|link| !wanted.contains(link)).collect();
    for link in &stale {
        pins::unpin(link)?;
    }
    Ok(if stale.is_empty() { Duration::ZERO } else { RELEASE })
}

/// Attaches the program to interfaces.
///
/// An interface that has a live link keeps it: the link's program is replaced in place, so that
/// no packet passes by unseen (and no driver resets its rings).
pub(crate) fn each(
    program: &mut Xdp,
    interfaces: &[Interface],
    mode: AttachMode,
    dir: &Path,
    patience: Duration,
) -> Result<(), Error> {
    for interface in interfaces {
        let pin = pin(dir, mode, &interface.name);
        one(program, interface, mode, &pin, patience).map_err(|source| Error::Attach {
            interface: interface.name.clone(),
            reason: reason(&source, &interface.name, mode),
        })?;
    }
    Ok(())
}

/// The link's pin. The mode is part of its name: a link cannot change it.
pub(crate) fn pin(dir: &Path, mode: AttachMode, interface: &str) -> PathBuf {
    let mode = match mode {
        AttachMode::Native => "native",
        AttachMode::Generic => "generic",
    };
    dir.join(format!("{}{mode}-{}", pins::LINK, pins::name(interface)))
}

#[derive(Debug, thiserror::Error)]
enum AttachError {
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Link(#[from] aya::programs::links::LinkError),
    #[error(transparent)]
    Pin(#[from] aya::pin::PinError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

fn one(
    program: &mut Xdp,
    interface: &Interface,
    mode: AttachMode,
    pin: &Path,
    patience: Duration,
) -> Result<(), AttachError> {
    if pin.exists() {
        let link = XdpLink::try_from(FdLink::from(PinnedLink::from_pin(pin)?))?;
        match program.attach_to_link(link) {
            Ok(_) => return Ok(()),
            // The interface went away, and the link with it; one of the same name came.
            Err(error) if is(&error, rustix::io::Errno::NOLINK) => fs::remove_file(pin)?,
            Err(error) => return Err(error.into()),
        }
    }
    let mode = match mode {
        AttachMode::Native => XdpMode::Driver,
        AttachMode::Generic => XdpMode::Skb,
    };
    let start = Instant::now();
    let id = loop {
        match program.attach_to_if_index(interface.index, mode) {
            Err(error) if is(&error, rustix::io::Errno::EXIST) && start.elapsed() < patience => {
                thread::sleep(patience / 100);
            }
            attached => break attached?,
        }
    };
    let link: FdLink = program.take_link(id)?.try_into()?;
    let _: PinnedLink = link.pin(pin)?;
    Ok(())
}

fn is(error: &ProgramError, errno: rustix::io::Errno) -> bool {
    errno_of(error) == Some(errno.raw_os_error())
}

fn errno_of(error: &ProgramError) -> Option<i32> {
    std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source())
        .find_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error())
}

fn reason(error: &AttachError, interface: &str, mode: AttachMode) -> String {
    let errno = match error {
        AttachError::Program(error) => errno_of(error),
        AttachError::Io(error) => error.raw_os_error(),
        AttachError::Link(_) | AttachError::Pin(_) => None,
    };
    let errno = errno.map(rustix::io::Errno::from_raw_os_error);
    let advice = match (errno, mode) {
        (Some(rustix::io::Errno::OPNOTSUPP), AttachMode::Native) => {
            "; its driver has no native XDP: choose the mode \"generic\" (several times slower)"
                .into()
        }
        (Some(errno @ (rustix::io::Errno::BUSY | rustix::io::Errno::EXIST)), _) => {
            conflict(errno == rustix::io::Errno::EXIST, interface)
        }
        (Some(rustix::io::Errno::RANGE | rustix::io::Errno::INVAL), _) => {
            "; its MTU may be too large for XDP".into()
        }
        _ => String::new(),
    };
    format!("{}{advice}", with_causes(error))
}

/// What to do about another program. The kernel's answer differs if it runs in the other mode: an
/// interface takes one mode at a time, and none below a device that has a program.
fn conflict(other_mode: bool, interface: &str) -> String {
    let mode = if other_mode {
        " in the other mode (native or generic), or to a device that this one belongs to"
    } else {
        ""
    };
    format!(
        "; another XDP program is attached{mode}: find it with `bpftool net show dev {interface}` \
         and `bpftool -f link`; if a link holds it, end the process that has the link, or delete \
         the link's pin; if none does, `ip link set dev {interface} xdp off` removes it"
    )
}
