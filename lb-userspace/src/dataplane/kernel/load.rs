//! Loads the object over the pinned maps, or makes and pins them.

use std::{fs, path::Path};

use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, Map, MapData, MapInfo},
    programs::Xdp,
};
use lb_common::{names, settings::Settings};

use super::{Error, drop_log};
use crate::config::Limits;

/// The entries of each map that the configuration decides, with its key.
fn sizes(limits: &Limits) -> [(&'static str, u32, &'static str); 11] {
    let Limits { services, backends, slots, routes, denied, flows, pending } = *limits;
    // Place 0 is never used, so that index 0 can mean "none".
    let places = backends.saturating_add(1);
    [
        (names::SERVICES, limits.service_lines(), "services"),
        (names::FLOW_COUNTS, services.saturating_add(1), "services"),
        (names::FLOWS, flows, "flows"),
        (names::PENDING, pending, "pending"),
        (names::BACKENDS, places, "backends"),
        (names::PROBES, places, "backends"),
        (names::REPLIES, backends, "backends"),
        (names::TRAFFIC, places, "backends"),
        (names::RINGS, slots.div_ceil(2), "slots"),
        (names::ROUTES, routes, "routes"),
        (names::DENIED, denied, "denied"),
    ]
}

/// The read-only switch of the object for frames in several buffers.
const FRAGS: &str = "FRAGS";

/// A loaded object.
pub(crate) struct Loaded {
    pub(crate) ebpf: Ebpf,
    /// The program that the kernel took.
    pub(crate) program: &'static str,
}

/// Loads the object's maps and the program; with a directory, pinned maps are taken over and new
/// ones are pinned.
pub(super) fn object(limits: &Limits, pins: Option<&Path>) -> Result<Loaded, Error> {
    if let Some(dir) = pins {
        fs::create_dir_all(dir)
            .map_err(|cause| Error::Io { what: format!("create {}", dir.display()), cause })?;
        check_layout(dir)?;
        check_sizes(limits, dir)?;
    }
    over(limits, pins, &[], &|_| {})
}

/// As [`object`], but for some maps that are never pinned, and with what `configure` changes.
pub(super) fn over(
    limits: &Limits,
    pins: Option<&Path>,
    unpinned: &[&str],
    configure: &dyn Fn(&mut EbpfLoader<'_>),
) -> Result<Loaded, Error> {
    either([names::FRAGS_PROGRAM, names::PROGRAM], &|loader| {
        for (map, size, _) in sizes(limits) {
            let _: &mut EbpfLoader<'_> = loader.map_max_entries(map, size);
        }
        if let Some(dir) = pins {
            for map in names::PINNED.iter().filter(|map| !unpinned.contains(map)) {
                let _: &mut EbpfLoader<'_> = loader.map_pin_path(map, dir.join(map));
            }
        }
        configure(loader);
    })
}

/// Loads the object with the first of two programs, which takes frames in several buffers; a kernel
/// that does not know them (before Linux 5.18) gets the second.
pub(crate) fn either(
    [with_frags, without]: [&'static str; 2],
    configure: &dyn Fn(&mut EbpfLoader<'_>),
) -> Result<Loaded, Error> {
    match attempt(with_frags, 1, configure) {
        Err(Error::Program { cause, .. }) => {
            tracing::debug!("no frames in several buffers: {}", crate::error::with_causes(&cause));
            attempt(without, 0, configure)
        }
        loaded => loaded,
    }
}

fn attempt(
    program: &'static str,
    frags: u8,
    configure: &dyn Fn(&mut EbpfLoader<'_>),
) -> Result<Loaded, Error> {
    let level = drop_log::level();
    let mut loader = EbpfLoader::new();
    configure(&mut loader);
    let _: &mut EbpfLoader<'_> = loader.override_global(drop_log::LEVEL, &level, true);
    let _: &mut EbpfLoader<'_> = loader.override_global(FRAGS, &frags, true);
    let mut ebpf =
        loader.load(super::super::OBJECT).map_err(|error| Error::Load(Box::new(error)))?;
    let _: &mut Xdp = self::program(&mut ebpf, program)?;
    Ok(Loaded { ebpf, program })
}

/// Refuses the pinned state of a version with another layout before anything is touched.
fn check_layout(dir: &Path) -> Result<(), Error> {
    let path = dir.join(names::SETTINGS);
    if !path.exists() {
        return Ok(());
    }
    let failed = |cause| Error::Map { name: names::SETTINGS, cause: Box::new(cause) };
    let data = MapData::from_pin(&path).map_err(failed)?;
    let size = data.info().map_err(failed)?.value_size();
    if size as usize != size_of::<Settings>() {
        return Err(Error::OtherLayout { pinned: None, dir: dir.display().to_string() });
    }
    let map = Array::<_, Settings>::try_from(Map::Array(data)).map_err(failed)?;
    took_over(&map.get(&0, 0).map_err(failed)?, Some(dir)).map(drop)
}

/// Refuses pinned maps of other sizes before anything is touched.
fn check_sizes(limits: &Limits, dir: &Path) -> Result<(), Error> {
    for (map, configured, key) in sizes(limits) {
        let path = dir.join(map);
        if !path.exists() {
            continue;
        }
        let pinned = MapInfo::from_pin(&path)
            .map_err(|cause| Error::Map { name: map, cause: Box::new(cause) })?
            .max_entries();
        if pinned != configured {
            let dir = dir.display().to_string();
            return Err(Error::OtherLimits { key, map, configured, pinned, dir });
        }
    }
    Ok(())
}

/// Refuses the pinned state of a version with another layout. Gives whether there was any state.
pub(super) fn took_over(settings: &Settings, pins: Option<&Path>) -> Result<bool, Error> {
    match (settings.abi, pins) {
        (0, _) => Ok(false),
        (lb_common::layout::ABI, _) => Ok(true),
        (pinned, dir) => Err(Error::OtherLayout {
            pinned: Some(pinned),
            dir: dir.unwrap_or(Path::new("")).display().to_string(),
        }),
    }
}

/// Has the kernel verify and load one of the object's programs, once.
pub(super) fn program<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Xdp, Error> {
    let refused = |cause| Error::Program { name, cause: Box::new(cause) };
    let program: &mut Xdp =
        ebpf.program_mut(name).ok_or(Error::Missing(name))?.try_into().map_err(refused)?;
    if program.fd().is_err() {
        program.load().map_err(refused)?;
    }
    Ok(program)
}
