//! Where the binary under test is.

use std::{env, path::PathBuf};

use crate::Error;

/// The `lb` binary: `LB_BIN`, or the one that was built beside the running program.
pub fn lb_binary() -> Result<PathBuf, Error> {
    if let Some(path) = env::var_os("LB_BIN").map(PathBuf::from) {
        return if path.is_file() { Ok(path) } else { Err(Error::NoBinary(path)) };
    }
    let program = env::current_exe().map_err(Error::file("find", "the running program"))?;
    // Tests run from the folder below.
    let beside = program.ancestors().skip(1).take(2).map(|dir| dir.join("lb"));
    let mut expected = program.clone();
    for candidate in beside {
        if candidate.is_file() {
            return Ok(candidate);
        }
        expected = candidate;
    }
    Err(Error::NoBinary(expected))
}
