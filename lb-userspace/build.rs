//! Puts the eBPF object where `dataplane` embeds it from.

use std::{env, fs, path::PathBuf};

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let object = env::var_os("LB_EBPF_OBJECT")
        .map_or_else(|| manifest.join("../target/bpf/lb.o"), PathBuf::from);
    println!("cargo::rerun-if-env-changed=LB_EBPF_OBJECT");
    println!("cargo::rerun-if-changed={}", object.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("lb.o");
    if let Err(error) = fs::copy(&object, &out) {
        println!("cargo::error=no eBPF object at {} ({error})", object.display());
        println!("cargo::error=run `cargo xtask build` first: it builds the eBPF object");
    }
}
