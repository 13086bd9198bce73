//! A virtual machine from its start to its end.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::workspace;

/// What executes a guest's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// The processor.
    Kvm,
    /// An emulator: tens of times slower, and it needs nothing of the host.
    Tcg,
}

impl Engine {
    fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            // Guests crash at random where QEMU 7.2 emulates CMPXCHG16B.
            Self::Tcg => ["-accel", "tcg", "-cpu", "max,-cx16"],
        }
    }
}

/// What a guest is made of.
pub(crate) struct Guest<'a> {
    pub(crate) engine: Engine,
    pub(crate) image: &'a Path,
    pub(crate) initramfs: &'a Path,
    /// What `init` is told.
    pub(crate) word: &'a str,
    /// The file that everything it says is kept in.
    pub(crate) log: PathBuf,
    /// How long it may take.
    pub(crate) limit: Duration,
}

/// How a guest ended.
pub(crate) enum End {
    /// It switched itself off.
    Off,
    /// It took too long and was ended.
    Late,
}

impl Guest<'_> {
    /// Runs it to its end; every line that it says is heard.
    pub(crate) fn run(&self, mut hear: impl FnMut(&str)) -> Result<End> {
        let mut log = File::create(&self.log)
            .with_context(|| format!("cannot write {}", self.log.display()))?;
        let mut machine = Machine(self.start()?);
        let (to, lines) = mpsc::channel();
        let output = machine.0.stdout.take().context("QEMU's output")?;
        // It ends with the machine, whose output it reads.
        drop(thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                if to.send(text).is_err() {
                    return;
                }
            }
        }));
        let end = Instant::now() + self.limit;
        loop {
            match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    writeln!(log, "{line}")?;
                    hear(&line);
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(End::Off),
                Err(RecvTimeoutError::Timeout) => return Ok(End::Late),
            }
        }
    }

    fn start(&self) -> Result<Child> {
        qemu(self.engine, self.image, self.initramfs, self.word)?
            .args(["-serial", "stdio"])
            .args(cable())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .context("cannot run QEMU by setpriv")
    }
}

/// QEMU with what all machines have in common; serial ports and network cards are to be added.
pub(crate) fn qemu(engine: Engine, image: &Path, initramfs: &Path, word: &str) -> Result<Command> {
    let name = "qemu-system-x86_64";
    let qemu = workspace::find_program(name).with_context(|| format!("there is no {name}"))?;
    // Whatever ends xtask ends the machine too.
    let mut command = Command::new("setpriv");
    let _ = command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(qemu)
        .args(engine.arguments())
        .args(["-m", "1024", "-smp", "1", "-nodefaults", "-no-reboot", "-display", "none"])
        .args(["-monitor", "none", "-name", "guest,debug-threads=on"])
        .arg("-kernel")
        .arg(image)
        .arg("-initrd")
        .arg(initramfs)
        .arg("-append")
        .arg(format!("console=ttyS0 quiet panic=-1 mitigations=off nokaslr lb={word} "));
    Ok(command)
}

/// Two network cards and a cable between them, all within QEMU.
fn cable() -> Vec<String> {
    let card = |number: usize| {
        [
            "-netdev".to_owned(),
            format!("hubport,id=n{number},hubid=0"),
            "-device".to_owned(),
            format!("virtio-net-pci,netdev=n{number},mac=02:00:00:00:00:0{number},romfile="),
        ]
    };
    [card(1), card(2)].concat()
}

/// The machine ends with whoever runs it.
pub(super) struct Machine(pub(super) Child);

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// The fastest engine that boots a kernel here.
pub(crate) fn engine(image: &Path, initramfs: &Path, folder: &Path) -> Result<Engine> {
    if fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_err() {
        return Ok(Engine::Tcg);
    }
    let log = folder.join("probe.log");
    let limit = Duration::from_secs(20);
    let guest = Guest { engine: Engine::Kvm, image, initramfs, word: "probe", log, limit };
    let mut up = false;
    let _: End = guest.run(|line| up |= line.contains("vm: up"))?;
    Ok(if up { Engine::Kvm } else { Engine::Tcg })
}
