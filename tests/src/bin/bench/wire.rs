//! The ends of the benchmark on a wire: attaching and counting. `cargo xtask bench vm` calls this on
//! the machines that it measures with. What is attached stays until its pins are removed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Map, MapData, PerCpuArray},
    programs::{Xdp, XdpMode, links::FdLink},
};
use clap::{Args, Subcommand};

/// Where links and counters are pinned.
const PINS: &str = "/sys/fs/bpf/lb-bench";
/// The map of the counter, in the object.
const COUNTED: &str = "COUNTED";

/// What to do with an interface.
#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Count and drop the benchmark's packets
    Count {
        /// The interface
        interface: String,
        #[command(flatten)]
        object: Object,
    },
    /// Send every IPv4 frame on by `XDP_TX`
    Send {
        /// The interface
        interface: String,
        /// The MAC that frames get as their source
        #[arg(long, value_parser = mac)]
        from: Mac,
        /// The MAC that frames get as their destination
        #[arg(long, value_parser = mac)]
        to: Mac,
        #[command(flatten)]
        object: Object,
    },
    /// Print how many packets were counted within some seconds, and how many ns passed
    Rate {
        /// The interface
        interface: String,
        /// How long to count
        #[arg(long, value_name = "SECONDS")]
        seconds: f64,
    },
}

#[derive(Args, Debug)]
struct Object {
    /// The driver's eBPF object, as `cargo xtask build` makes it
    #[arg(long, value_name = "FILE", default_value = "target/bpf/lb-driver.o")]
    driver: PathBuf,
}

type Mac = [u8; 6];

/// Does it.
pub(crate) fn run(Options { verb }: &Options) -> Result<ExitCode> {
    match verb {
        Verb::Count { interface, object } => attach(object, "count", interface, [0; 12])?,
        Verb::Send { interface, from, to, object } => {
            let mut macs = [0; 12];
            macs[..6].copy_from_slice(to);
            macs[6..].copy_from_slice(from);
            attach(object, "send", interface, macs)?;
        }
        Verb::Rate { interface, seconds } => {
            let (packets, took) = rate(interface, *seconds)?;
            println!("{packets} {}", took.as_nanos());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Attaches a program natively; link and counter are pinned.
fn attach(object: &Object, program: &str, interface: &str, macs: [u8; 12]) -> Result<()> {
    let mut ebpf: Ebpf = EbpfLoader::new()
        .override_global("NEXT_HOP", &macs, true)
        .load_file(&object.driver)
        .with_context(|| format!("cannot load {}", object.driver.display()))?;
    let pins = pins(interface);
    fs::create_dir_all(&pins)
        .with_context(|| format!("cannot make {}: is a bpffs mounted there?", pins.display()))?;
    ebpf.map(COUNTED).context("the object has no counter")?.pin(pins.join(COUNTED))?;
    let program: &mut Xdp = ebpf.program_mut(program).context("no such program")?.try_into()?;
    program.load()?;
    let link = program
        .attach(interface, XdpMode::Driver)
        .with_context(|| format!("{interface} takes no native XDP program"))?;
    let link = FdLink::try_from(program.take_link(link)?)?;
    let _pinned = link.pin(pins.join("link"))?;
    Ok(())
}

/// The packets within a time, and how long it was.
fn rate(interface: &str, seconds: f64) -> Result<(u64, Duration)> {
    let path = pins(interface).join(COUNTED);
    let map = MapData::from_pin(&path)
        .with_context(|| format!("nothing counts on {interface}: {}", path.display()))?;
    let counter: PerCpuArray<_, u64> = Map::PerCpuArray(map).try_into()?;
    let total = || -> Result<u64> { Ok(counter.get(&0, 0)?.iter().sum()) };
    let seconds = Duration::try_from_secs_f64(seconds).context("no such time")?;
    let (before, start) = (total()?, Instant::now());
    thread::sleep(seconds);
    let (after, took) = (total()?, start.elapsed());
    Ok((after - before, took))
}

fn pins(interface: &str) -> PathBuf {
    Path::new(PINS).join(interface)
}

fn mac(text: &str) -> Result<Mac> {
    let mut bytes = text.split(':').map(|byte| u8::from_str_radix(byte, 16));
    let mut mac = [0; 6];
    for place in &mut mac {
        *place = bytes.next().context("a MAC has six bytes")??;
    }
    if bytes.next().is_some() {
        bail!("a MAC has six bytes");
    }
    Ok(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs_have_six_bytes() {
        assert_eq!(mac("02:00:00:00:00:fe").ok(), Some([2, 0, 0, 0, 0, 0xfe]));
        for wrong in ["", "02:00:00:00:00", "02:00:00:00:00:01:02", "02:00:00:00:00:100"] {
            assert!(mac(wrong).is_err(), "{wrong}");
        }
    }
}
