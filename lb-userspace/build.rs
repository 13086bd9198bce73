//! Takes the eBPF object into the daemon, which carries it wherever it is installed.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

const OVERRIDE: &str = "LB_EBPF_OBJECT";

fn main() -> ExitCode {
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(complaint) => {
            println!("cargo::error={complaint}");
            ExitCode::FAILURE
        }
    }
}

fn embed() -> Result<(), String> {
    let folder = |name| env::var_os(name).map(PathBuf::from).ok_or(format!("no {name}"));
    let object = env::var_os(OVERRIDE).map_or_else(
        || Ok(folder("CARGO_MANIFEST_DIR")?.with_file_name("target/bpf/lb.o")),
        |path| Ok::<_, String>(path.into()),
    )?;
    println!("cargo::rerun-if-changed={}", object.display());
    if !object.is_file() {
        return Err(missing(&object));
    }
    let copy = folder("OUT_DIR")?.join("lb.o");
    fs::copy(&object, &copy)
        .map(drop)
        .map_err(|error| format!("cannot copy {} to {}: {error}", object.display(), copy.display()))
}

fn missing(object: &Path) -> String {
    format!(
        "{} does not exist: run `cargo xtask build` first: it builds the eBPF object",
        object.display()
    )
}
