//! One row's driver program, loaded beside its target.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf,
    maps::{Array, MapData, ProgramArray},
    programs::{ProgramFd, TestRun as _, TestRunOptions, Xdp},
};
use lb_common::drive::Drive;

use super::{frame::Orders, row::Row};

/// The timed segments of a batch.
const SEGMENTS: u32 = 16;
/// `XDP_ABORTED` of `include/uapi/linux/bpf.h`: the driver's own complaint.
const ABORTED: u32 = 0;

/// A loaded driver.
pub(super) struct Driver {
    ebpf: Ebpf,
    order: Array<MapData, Drive>,
    _target: ProgramArray<MapData>,
    orders: Orders,
    passes: u64,
}

impl Driver {
    /// For one of the floors, which stand in the driver's own object.
    pub(super) fn floor(object: &[u8], program: &'static str) -> Result<Self> {
        let mut ebpf = Ebpf::load(object)?;
        let target = load(&mut ebpf, program)?.fd()?.try_clone()?;
        Self::new(ebpf, &target, Orders::of_floor())
    }

    /// For a row of the packet path.
    pub(super) fn of(object: &[u8], target: &ProgramFd, row: &Row) -> Result<Self> {
        Self::new(Ebpf::load(object)?, target, Orders::of(row))
    }

    fn new(mut ebpf: Ebpf, target: &ProgramFd, orders: Orders) -> Result<Self> {
        let _: &mut Xdp = load(&mut ebpf, "drive")?;
        let mut targets = ProgramArray::try_from(ebpf.take_map("TARGET").context("no TARGET")?)?;
        targets.set(0, target, 0).context("the driver cannot call the program")?;
        let order = Array::try_from(ebpf.take_map("DRIVE").context("no DRIVE")?)?;
        Ok(Self { ebpf, order, _target: targets, orders, passes: 0 })
    }

    /// Runs through all flows.
    pub(super) fn warm_up(&mut self, flows: u32) -> Result<u32> {
        let passes = Drive::SEGMENT.max(flows);
        self.prime()?;
        let order = self.orders.order;
        self.give(&order)?;
        self.run(passes)?;
        Ok(passes)
    }

    /// What the target needs to have seen shortly before.
    fn prime(&mut self) -> Result<()> {
        if let Some(prime) = self.orders.prime {
            self.give(&Drive { passes: 0, ..prime })?;
            self.run(prime.flow_mask + 1)?;
        }
        Ok(())
    }

    /// Runs some thousands of passes; gives the time of each segment, in ns a pass.
    pub(super) fn batch(&mut self) -> Result<Vec<f64>> {
        self.prime()?;
        self.give(&Drive { passes: self.passes, ..self.orders.order })?;
        let passes = SEGMENTS * Drive::SEGMENT;
        // One more: it makes the last mark.
        self.run(passes + 1)?;
        let marks = self.order.get(&0, 0)?.marks;
        let first = self.passes / u64::from(Drive::SEGMENT);
        self.passes += u64::from(passes);
        let mark = |segment: u32| marks[(first + u64::from(segment)) as usize % Drive::MARKS];
        let took = |segment| Duration::from_nanos(mark(segment + 1) - mark(segment));
        let per_pass = |took: Duration| took.as_secs_f64() * 1e9 / f64::from(Drive::SEGMENT);
        Ok((0..SEGMENTS).map(|segment| per_pass(took(segment))).collect())
    }

    fn give(&mut self, order: &Drive) -> Result<()> {
        Ok(self.order.set(0, *order, 0)?)
    }

    fn run(&mut self, passes: u32) -> Result<()> {
        let program: &mut Xdp = self.ebpf.program_mut("drive").context("no drive")?.try_into()?;
        let frame = [0; Drive::FRAME];
        let result = program.test_run(TestRunOptions {
            data_in: Some(&frame),
            repeat: passes,
            ..TestRunOptions::new()
        })?;
        ensure!(result.return_value != ABORTED, "the driver could not restore the frame");
        Ok(())
    }
}

fn load<'a>(ebpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Xdp> {
    let program: &mut Xdp = ebpf.program_mut(name).context(name)?.try_into()?;
    program.load().with_context(|| format!("the kernel refuses {name}"))?;
    Ok(program)
}
