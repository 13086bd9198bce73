//! Valid input to begin with, where the fuzzer is told to put it.

use std::{env, fs, path::PathBuf};

const FOLDER: &str = "LB_FUZZ_SEEDS";

/// Writes the seeds as files, if the environment says where.
///
/// # Panics
///
/// If they cannot be written: the run would say little.
pub(crate) fn write(seeds: &[Vec<u8>]) {
    let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) else { return };
    for (number, seed) in seeds.iter().enumerate() {
        let file = folder.join(format!("seed-{number:02}"));
        fs::write(&file, seed).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}
