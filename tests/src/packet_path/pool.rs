//! One loaded packet path for many tests: the verifier's work is by far the longest part of a test,
//! above all in a virtual machine.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use aya::{
    Pod,
    maps::{Array, HashMap, Map, MapData, MapError, MapInfo, PerCpuArray, PerCpuValues},
};
use lb_common::{
    answer::Bucket,
    flow::{Flow, FlowKey, Pending},
    fragment::{FragmentFlow, FragmentKey},
    names,
    probe::{ProbeKey, ProbeNote},
};
use lb_userspace::{dataplane::kernel::Kernel, reconcile::Reconciler};

use super::{LIMITS, nothing};

static SPARE: Mutex<Option<Kernel>> = Mutex::new(None);

/// A packet path that knows nothing: a spare one, or a new one.
pub(super) fn take() -> Kernel {
    let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).take();
    spare.unwrap_or_else(|| {
        Kernel::load(LIMITS, None).unwrap_or_else(|error| panic!("load: {error}"))
    })
}

/// Gives one back: what userspace wrote goes by the reconciler, what packets wrote by hand.
pub(super) fn give_back(mut reconciler: Reconciler<Kernel>) {
    reconciler.forget();
    let synced = reconciler.sync(&nothing([0; 16]));
    let _ = synced.unwrap_or_else(|error| panic!("sync: {error}"));
    let mut kernel = reconciler.into_dataplane();
    wipe(&mut kernel).unwrap_or_else(|error| panic!("wipe: {error}"));
    *SPARE.lock().unwrap_or_else(PoisonError::into_inner) = Some(kernel);
}

/// Empties what packets write, and the clock. Counters stay: tests look at how they move.
fn wipe(kernel: &mut Kernel) -> Result<(), MapError> {
    let info = kernel.program().and_then(|program| {
        let info = program.info().and_then(|info| info.map_ids());
        info.map_err(|cause| panic!("the program's maps: {cause}"))
    });
    let ids = info.unwrap_or_else(|error| panic!("{error}")).unwrap_or_default();
    let mut wiped = BTreeSet::new();
    for id in ids {
        let info = MapInfo::from_id(id)?;
        let Some(name) = info.name_as_str().map(str::to_owned) else { continue };
        let data = || MapData::from_id(id);
        match name.as_str() {
            names::FLOWS => empty::<FlowKey, Flow>(Map::HashMap(data()?))?,
            names::PENDING => empty::<FlowKey, Pending>(Map::LruHashMap(data()?))?,
            names::PROBE_FLOWS => empty::<ProbeKey, ProbeNote>(Map::LruHashMap(data()?))?,
            names::FRAGMENTS => empty::<FragmentKey, FragmentFlow>(Map::LruHashMap(data()?))?,
            names::CLOCK | names::FLOW_COUNTS => zero(data()?, info.max_entries())?,
            names::ANSWERS => full(data()?, info.max_entries())?,
            _ => continue,
        }
        let _: bool = wiped.insert(name);
    }
    assert_eq!(wiped.len(), 7, "some maps of the program are not known: {wiped:?}");
    Ok(())
}

fn empty<K: Pod, V: Pod>(map: Map) -> Result<(), MapError> {
    let mut map: HashMap<_, K, V> = HashMap::try_from(map)?;
    let keys: Vec<K> = map.keys().collect::<Result<_, _>>()?;
    keys.iter().try_for_each(|key| map.remove(key))
}

fn zero(data: MapData, entries: u32) -> Result<(), MapError> {
    let mut map: Array<_, [u32; 2]> = Array::try_from(Map::Array(data))?;
    (0..entries).try_for_each(|index| map.set(index, [0, 0], 0))
}

/// Zero is a bucket that was never used.
fn full(data: MapData, entries: u32) -> Result<(), MapError> {
    let mut map: PerCpuArray<_, Bucket> = PerCpuArray::try_from(Map::PerCpuArray(data))?;
    for index in 0..entries {
        let cpus = map.get(&index, 0)?.len();
        let fresh = PerCpuValues::try_from(vec![Bucket::default(); cpus]);
        let fresh = fresh.unwrap_or_else(|error| panic!("a value for each CPU: {error}"));
        map.set(index, fresh, 0)?;
    }
    Ok(())
}
