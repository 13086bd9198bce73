//! `lb_decap` on an interface: the program stays pinned with its maps, and nothing else runs.
//!
//! Whatever changes, changes at once: new maps are filled before the pinned link takes the new
//! program, so that no packet meets half of a change.

mod load;
mod pins;

use std::path::{Path, PathBuf};

use aya::{
    maps::{Array, LpmTrie, Map, MapData, PerCpuArray},
    programs::links::PinnedLink,
};
use lb_common::{
    addr::Addr,
    decap::{DecapSettings, DecapVerdict},
    names,
    route::Prefix,
};

pub use self::load::Decap;
use self::pins::Pins;
use super::Error;
use crate::{
    config::AttachMode,
    dataplane::{
        self,
        kernel::{self, Interface, attach},
    },
    preflight,
};

/// Where programs are pinned, a directory an interface.
pub const PIN_DIR: &str = "/sys/fs/bpf/lb-decap";

/// What is undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The nodes' prefixes: tunnels of other sources stay as they are. At least one.
    pub sources: Vec<Prefix>,
    /// The UDP port at which GUE arrives.
    pub gue_port: u16,
    /// How the program is attached.
    pub mode: AttachMode,
}

/// An attached program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What it undoes.
    pub options: Options,
    /// The program's number in the kernel.
    pub program: u32,
    /// The packets by verdict, over all CPUs, since it was attached.
    pub verdicts: Vec<(DecapVerdict, u64)>,
}

/// Attaches the program to an interface, or puts it in the place of the one that is attached there;
/// its counters start anew. Gives whether there was one.
///
/// # Errors
///
/// What was attached before is untouched, unless its mode was another: an interface takes one mode
/// at a time, so that the old program goes first.
pub fn attach(interface: &Interface, options: &Options, pin_dir: &Path) -> Result<bool, Error> {
    preflight::process()?;
    let mut decap = Decap::load(options)?;
    let pins = Pins::open(pin_dir, &interface.name)?;
    let replaced = link(&pins, &interface.name).is_some();
    let attached = pins.stage(&decap).and_then(|()| {
        let interfaces = std::slice::from_ref(interface);
        Ok(attach::all(decap.program()?, interfaces, options.mode, pins.dir())?)
    });
    match attached {
        Ok(()) => pins.commit()?,
        Err(error) if replaced => return Err(error),
        Err(error) => {
            // The first error is the one to be told.
            let _cleaned = pins.remove();
            return Err(error);
        }
    }
    Ok(replaced)
}

/// Detaches the program from an interface, and forgets it.
///
/// # Errors
///
/// [`Error::NotAttached`] if there is none.
pub fn detach(interface: &str, pin_dir: &Path) -> Result<(), Error> {
    match Pins::existing(pin_dir, interface)? {
        Some(pins) => pins.remove(),
        None => Err(Error::NotAttached { interface: interface.into() }),
    }
}

/// The program that is attached to an interface.
///
/// # Errors
///
/// If the pins cannot be read.
pub fn status(interface: &str, pin_dir: &Path) -> Result<Option<Status>, Error> {
    let Some(pins) = Pins::existing(pin_dir, interface)? else { return Ok(None) };
    let Some((mode, link)) = link(&pins, interface) else { return Ok(None) };
    let other_version = || Error::OtherVersion { interface: interface.into() };
    let settings: Array<_, DecapSettings> = open(&pins, names::DECAP_SETTINGS)?;
    let settings = settings.get(&0, 0).map_err(|_| other_version())?;
    if settings.abi != DecapSettings::ABI {
        return Err(other_version());
    }
    let sources: LpmTrie<_, Addr, u32> = open(&pins, names::DECAP_SOURCES)?;
    let sources = sources.keys().map(|key| key.map(|key| kernel::prefix(&key)));
    let mut sources: Vec<_> =
        sources.collect::<Result<_, _>>().map_err(kernel::map(names::DECAP_SOURCES))?;
    sources.sort_unstable();
    let counters: PerCpuArray<_, u64> = open(&pins, names::DECAP_VERDICTS)?;
    let verdicts = load::sum(&counters)?;
    let options = Options { sources, gue_port: settings.gue_port.get(), mode };
    Ok(Some(Status { options, program: program_of(&link)?, verdicts }))
}

/// The pinned link, and how it is attached.
fn link(pins: &Pins, interface: &str) -> Option<(AttachMode, PathBuf)> {
    [AttachMode::Native, AttachMode::Generic]
        .map(|mode| (mode, attach::pin(pins.dir(), mode, interface)))
        .into_iter()
        .find(|(_, pin)| pin.exists())
}

fn program_of(link: &Path) -> Result<u32, Error> {
    let failed = |cause: &dyn std::error::Error| Error::Pins {
        what: format!("read the link {}", link.display()),
        cause: std::io::Error::other(crate::error::with_causes(cause)),
    };
    let link = PinnedLink::from_pin(link).map_err(|error| failed(&error))?;
    let link = aya::programs::links::FdLink::from(link);
    Ok(link.info().map_err(|error| failed(&error))?.program_id())
}

fn open<M: TryFrom<Map, Error = aya::maps::MapError>>(
    pins: &Pins,
    name: &'static str,
) -> Result<M, dataplane::Error> {
    let data = MapData::from_pin(pins.dir().join(name)).map_err(kernel::map(name))?;
    Map::from_map_data(data).and_then(M::try_from).map_err(kernel::map(name))
}
