//! Reading versions out of what tools print.

/// A release's first two numbers.
pub(crate) type Release = (u32, u32);

/// What `rustc -vV` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rustc {
    pub(crate) release: Release,
    /// The major version of its LLVM: the bitcode that it emits needs at least this one.
    pub(crate) llvm: u32,
}

/// Reads `rustc -vV`.
pub(crate) fn rustc(text: &str) -> Option<Rustc> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    Some(Rustc { release: release(field("release: ")?)?, llvm: major(field("LLVM version: ")?)? })
}

/// Reads `Debian LLVM version 22.1.8`, as LLVM's tools announce themselves.
pub(crate) fn llvm(text: &str) -> Option<u32> {
    major(text.split_once("LLVM version ")?.1)
}

/// Reads `bpf-linker 0.13.0`.
pub(crate) fn linker(text: &str) -> Option<Release> {
    release(text.trim().strip_prefix("bpf-linker ")?)
}

/// Reads the version that apt would install out of `apt-cache policy PACKAGE`.
pub(crate) fn candidate(text: &str) -> Option<Release> {
    let version = text.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    // An epoch comes first: `1:22.1.8-1`.
    release(version.split_once(':').map_or(version, |(_, rest)| rest))
}

/// The newest `libllvmNN` in what `apt-cache depends` lists.
pub(crate) fn llvm_dependency(text: &str) -> Option<u32> {
    text.split_whitespace().filter_map(|word| word.strip_prefix("libllvm")?.parse().ok()).max()
}

/// Reads the first two numbers of `1.96.0+dfsg1-1`.
pub(crate) fn release(text: &str) -> Option<Release> {
    let mut numbers = text.split('.').map(major);
    Some((numbers.next()??, numbers.next()??))
}

fn major(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUSTUP: &str = "rustc 1.95.0 (59807616e 2026-04-14)
binary: rustc
commit-hash: 59807616e1fa2540724bfbac14d7976d7e4a3860
commit-date: 2026-04-14
host: x86_64-unknown-linux-gnu
release: 1.95.0
LLVM version: 22.1.2
";

    #[test]
    fn rustc_names_its_llvm() {
        assert_eq!(rustc(RUSTUP), Some(Rustc { release: (1, 95), llvm: 22 }));
        let nightly = RUSTUP.replace("release: 1.95.0", "release: 1.97.0-nightly");
        assert_eq!(rustc(&nightly).map(|rustc| rustc.release), Some((1, 97)));
        // Built with another code generator, it has no such line.
        assert_eq!(rustc(&RUSTUP.replace("LLVM version", "GCC version")), None);
        assert_eq!(rustc(""), None);
    }

    #[test]
    fn tools_announce_themselves() {
        assert_eq!(llvm("Debian LLVM version 22.1.8\n  Optimized build.\n"), Some(22));
        assert_eq!(llvm("LLVM (http://llvm.org/):\n  LLVM version 21.1.0-rust\n"), Some(21));
        assert_eq!(llvm("unknown option"), None);
        assert_eq!(linker("bpf-linker 0.13.0\n"), Some((0, 13)));
        assert_eq!(linker("bpf-linker"), None);
    }

    #[test]
    fn apt_names_its_candidate() {
        let policy = "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n";
        assert_eq!(candidate(policy), Some((1, 96)));
        assert_eq!(candidate("x:\n  Candidate: 1:22.1.8-1~deb12u1\n"), Some((22, 1)));
        assert_eq!(candidate("x:\n  Installed: (none)\n  Candidate: (none)\n"), None);
        assert_eq!(candidate(""), None);
    }

    #[test]
    fn a_package_forecasts_its_llvm() {
        let depends = "rustc-web\n  Depends: libllvm22\nlibllvm22\n  Depends: libc6\n";
        assert_eq!(llvm_dependency(depends), Some(22));
        assert_eq!(llvm_dependency("Depends: libllvm-something"), None);
    }
}
