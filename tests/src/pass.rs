//! The pass-all program at the far end of the node's cable.
//!
//! A veth takes frames from `XDP_TX` of its peer only if it runs an XDP program itself; a real
//! network card does not ask for that.

use aya::{
    Ebpf, EbpfLoader,
    programs::{Xdp, xdp::XdpMode},
};
use lb_common::names::{self, PASS_PROGRAM};

use crate::{Error, netns::Netns};

/// Attaches the object's pass-all program to an interface; it is detached when what is returned
/// is dropped.
pub fn attach(object: &[u8], netns: &Netns, interface: &str) -> Result<Ebpf, Error> {
    let mut loader = EbpfLoader::new();
    // All maps of the object are made, and this copy of them serves nobody.
    let _: &mut EbpfLoader<'_> =
        loader.map_max_entries(names::RINGS, 1).map_max_entries(names::BACKENDS, 1);
    let mut ebpf = loader.load(object)?;
    let program: &mut Xdp = ebpf
        .program_mut(PASS_PROGRAM)
        .and_then(|program| program.try_into().ok())
        .ok_or(Error::NoProgram(PASS_PROGRAM))?;
    let attached = netns.enter(|| {
        program.load()?;
        program.attach(interface, XdpMode::Driver)
    })?;
    let _link_held_by_the_program = attached.map_err(|source| Error::Attach {
        program: PASS_PROGRAM,
        interface: interface.into(),
        source,
    })?;
    Ok(ebpf)
}
