//! A packet's way through the packet path that leaves no trace.
//!
//! The node's own program runs once more, over the node's own maps but for those that it writes: of
//! these it has others, which hold what the packet would find in the node's.

use std::path::Path;

use aya::{
    EbpfLoader,
    maps::{HashMap, MapData, PerCpuArray},
    programs::{ProgramError, TestRun as _, TestRunOptions, Xdp},
};
use lb_common::{
    flow::{Flow, FlowKey, Pending},
    names,
    stats::Traffic,
    verdict::Verdict,
};

use super::{Error, load, map, take};
use crate::{
    config::Limits,
    dataplane::{Known, Trial, Tried},
};

/// The maps that the program writes.
pub(super) const WRITTEN: [&str; 7] = [
    names::VERDICTS,
    names::TRAFFIC,
    names::FLOW_COUNTS,
    names::FLOWS,
    names::PENDING,
    names::FRAGMENTS,
    names::ANSWERS,
];
/// Of these the ones that only a single packet's entry is for. Tables that drop what was not used
/// for long keep some entries for each CPU.
const SMALL: [(&str, u32); 3] =
    [(names::FLOWS, 1), (names::PENDING, 1024), (names::FRAGMENTS, 1024)];

/// `XDP_PASS` of `include/uapi/linux/bpf.h`.
const XDP_PASS: u32 = 2;
/// More than any headers that the program puts in front of a packet.
const GROWTH: usize = 256;

/// Tries a packet over the maps pinned in `pins`.
pub(super) fn run(limits: &Limits, pins: &Path, trial: &Trial<'_>) -> Result<Tried, Error> {
    let load::Loaded { mut ebpf, program: name } =
        load::over(limits, Some(pins), &WRITTEN, &|it| {
            for (map, size) in SMALL {
                let _: &mut EbpfLoader<'_> = it.map_max_entries(map, size);
            }
        })?;
    let mut flows: HashMap<MapData, FlowKey, Flow> = take(&mut ebpf, names::FLOWS)?;
    let mut pending: HashMap<MapData, FlowKey, Pending> = take(&mut ebpf, names::PENDING)?;
    let verdicts: PerCpuArray<MapData, u64> = take(&mut ebpf, names::VERDICTS)?;
    let traffic: PerCpuArray<MapData, Traffic> = take(&mut ebpf, names::TRAFFIC)?;
    if let Some((key, Known { flow, noted })) = &trial.known {
        if let Some(flow) = flow {
            flows.insert(key, flow, 0).map_err(map(names::FLOWS))?;
        }
        if let Some(noted) = noted {
            pending.insert(key, noted, 0).map_err(map(names::PENDING))?;
        }
    }
    let program: &mut Xdp = ebpf
        .program_mut(name)
        .ok_or(Error::Missing(name))?
        .try_into()
        .map_err(|cause| Error::Program { name, cause: Box::new(cause) })?;
    let frame =
        execute(program, trial).map_err(|cause| Error::Program { name, cause: Box::new(cause) })?;
    let counter = |&&counter: &&u32| {
        traffic.get(&counter, 0).is_ok_and(|cpus| cpus.iter().any(|cpu| cpu.packets > 0))
    };
    Ok(Tried {
        verdict: verdict(&verdicts)?,
        frame,
        counter: trial.counters.iter().find(counter).copied(),
    })
}

/// Whether a program passes a frame on that is none of its business: of the EtherType that IEEE 802 sets
/// aside for local experiments, from and to addresses that are zero.
pub(super) fn passes(program: &Xdp) -> Result<bool, ProgramError> {
    let mut frame = [0; 64];
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);
    let result =
        program.test_run(TestRunOptions { data_in: Some(&frame), ..TestRunOptions::new() })?;
    Ok(result.return_value == XDP_PASS)
}

/// The frame afterwards.
fn execute(program: &Xdp, trial: &Trial<'_>) -> Result<Vec<u8>, ProgramError> {
    let mut frame = vec![0; trial.frame.len() + GROWTH];
    let context = context(trial.frame.len() as u32, trial.interface);
    let result = program.test_run(TestRunOptions {
        data_in: Some(trial.frame),
        data_out: Some(&mut frame),
        ctx_in: Some(&context),
        ..TestRunOptions::new()
    })?;
    frame.truncate(result.data_size_out as usize);
    Ok(frame)
}

/// `struct xdp_md` of Linux's `include/uapi/linux/bpf.h`: data, its end, metadata, the interface,
/// its queue, and the interface that the packet goes out by.
fn context(len: u32, interface: u32) -> [u8; 24] {
    let mut bytes = [0; 24];
    let words = [0, len, 0, interface, 0, 0];
    for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&u32::to_ne_bytes(word));
    }
    bytes
}

/// The only verdict that was counted.
fn verdict(verdicts: &PerCpuArray<MapData, u64>) -> Result<Verdict, Error> {
    for verdict in Verdict::ALL {
        let cpus = verdicts.get(&verdict.index(), 0).map_err(map(names::VERDICTS))?;
        if cpus.iter().any(|count| *count > 0) {
            return Ok(*verdict);
        }
    }
    Err(Error::Missing("verdict on the packet"))
}
