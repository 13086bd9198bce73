//! Loads the object over the pinned maps, or makes and pins them.

use std::{fs, path::Path};

use aya::{Ebpf, EbpfLoader, maps::MapInfo, programs::Xdp};
use lb_common::{names, settings::Settings};

use super::{Error, drop_log};
use crate::config::Limits;

/// The entries of each map that the configuration decides, with its key.
fn sizes(limits: &Limits) -> [(&'static str, u32, &'static str); 7] {
    let Limits { services, backends, slots, routes, denied } = *limits;
    // Place 0 is never used, so that index 0 can mean "none".
    let places = backends.saturating_add(1);
    [
        (names::SERVICES, services, "services"),
        (names::BACKENDS, places, "backends"),
        (names::REPLIES, backends, "backends"),
        (names::TRAFFIC, places, "backends"),
        (names::RINGS, slots.div_ceil(2), "slots"),
        (names::ROUTES, routes, "routes"),
        (names::DENIED, denied, "denied"),
    ]
}

/// Loads the object's maps; with a directory, pinned ones are taken over and new ones are pinned.
pub(super) fn object(limits: &Limits, pins: Option<&Path>) -> Result<Ebpf, Error> {
    let mut loader = EbpfLoader::new();
    for (map, size, _) in sizes(limits) {
        let _: &mut EbpfLoader<'_> = loader.map_max_entries(map, size);
    }
    if let Some(dir) = pins {
        fs::create_dir_all(dir)
            .map_err(|cause| Error::Io { what: format!("create {}", dir.display()), cause })?;
        check_sizes(limits, dir)?;
        for map in names::PINNED {
            let _: &mut EbpfLoader<'_> = loader.map_pin_path(map, dir.join(map));
        }
    }
    let level = drop_log::level();
    let _: &mut EbpfLoader<'_> = loader.override_global(drop_log::LEVEL, &level, true);
    loader.load(super::super::OBJECT).map_err(|error| Error::Load(Box::new(error)))
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
            pinned,
            dir: dir.unwrap_or(Path::new("")).display().to_string(),
        }),
    }
}

/// Has the kernel verify and load one of the object's programs.
pub(super) fn program<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Xdp, Error> {
    let refused = |cause| Error::Program { name, cause: Box::new(cause) };
    let program: &mut Xdp =
        ebpf.program_mut(name).ok_or(Error::Missing(name))?.try_into().map_err(refused)?;
    program.load().map_err(refused)?;
    Ok(program)
}
