//! What the programs cost to load: a change that makes them much larger says so in `budget.toml`.

use std::{collections::BTreeMap, fs, path::Path, time::Instant};

use aya::{
    EbpfLoader, VerifierLogLevel,
    programs::{ProgramError, Xdp},
};
use lb_userspace::dataplane::OBJECT;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/budget.toml");
/// Another place of that file: a virtual machine does not have the sources.
const PLACE: &str = "LB_BUDGET_FILE";
/// Set to `write`, it makes the file say what is true now.
const OVERRIDE: &str = "LB_BUDGET";
const HEADER: &str = "\
# What the kernel's verifier says of the programs, by kernel series: the instructions that it walks,
# the bytes of stack of a program and of the deepest function that it calls, the states that it keeps,
# and the time that it took on some machine. The packet test `budget` fails where one of the first two
# grows by more than a tenth. To accept what is true now, run that test with LB_BUDGET=write, and
# `cargo xtask vm test --write-budget` for other kernels.
";

/// What one program takes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
struct Figures {
    instructions: u32,
    stack: u32,
    /// The states that the verifier kept at once, at the most.
    #[serde(default)]
    states: u32,
    /// Milliseconds that it took: of another machine or load, other ones.
    #[serde(default)]
    load_ms: u32,
}

impl Figures {
    /// A line for people, and for who runs this in a virtual machine.
    fn tell(self, series: &str, program: &str) {
        let Self { instructions, stack, states, load_ms } = self;
        println!(
            "budget: {series} {program} instructions = {instructions} stack = {stack} \
             states = {states} load_ms = {load_ms}"
        );
    }
}

/// By kernel series and program.
type Budget = BTreeMap<String, BTreeMap<String, Figures>>;

#[test]
fn no_program_outgrows_its_budget() {
    let (series, actual) = (series(), measure());
    let file = std::env::var(PLACE).unwrap_or_else(|_| FILE.to_owned());
    let mut budget: Budget =
        toml::from_str(&fs::read_to_string(&file).unwrap_or_default()).unwrap();
    for (program, figures) in &actual {
        figures.tell(&series, program);
    }
    if std::env::var_os(OVERRIDE).is_some_and(|value| value == "write") {
        let _ = budget.insert(series, actual);
        let text = format!("{HEADER}\n{}", toml::to_string(&budget).unwrap());
        return fs::write(file, text).unwrap();
    }
    let (nearest, allowed) = nearest(&budget, &series).expect("budget.toml names no kernel");
    let complaints: Vec<String> = actual
        .iter()
        .filter_map(|(program, figures)| complaint(program, *figures, allowed.get(program)))
        .collect();
    assert!(
        complaints.is_empty(),
        "on kernel {series}, by the budget for {nearest}: {}; if that is meant, run this test with \
         {OVERRIDE}=write and commit {}",
        complaints.join("; "),
        Path::new(&file).file_name().unwrap().display(),
    );
}

/// What is wrong with a program.
fn complaint(program: &str, actual: Figures, allowed: Option<&Figures>) -> Option<String> {
    let Some(allowed) = allowed else { return Some(format!("{program} has no budget")) };
    let over = |actual: u32, allowed: u32| actual * 10 > allowed * 11;
    (over(actual.instructions, allowed.instructions) || over(actual.stack, allowed.stack))
        .then(|| format!("{program} takes {actual:?}, allowed are {allowed:?} and a tenth"))
}

/// The budget of the running kernel, or of the newest before it: the verifiers of two releases
/// walk nearly the same.
fn nearest<'a>(
    budget: &'a Budget,
    series: &str,
) -> Option<(&'a String, &'a BTreeMap<String, Figures>)> {
    let older = budget.iter().filter(|(other, _)| version(other) <= version(series));
    older.max_by_key(|(other, _)| version(other)).or_else(|| budget.first_key_value())
}

fn version(series: &str) -> (u32, u32) {
    let mut numbers = series.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Major and minor version of the running kernel.
fn series() -> String {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    format!("{}.{}", numbers.next().unwrap(), numbers.next().unwrap())
}

/// All programs of the object.
fn measure() -> BTreeMap<String, Figures> {
    let names: Vec<String> = load(0).programs().map(|(name, _)| name.to_owned()).collect();
    names
        .into_iter()
        .map(|name| {
            let start = Instant::now();
            let log = verifier_log(&name);
            let took = start.elapsed();
            let figures = parse(&log).unwrap_or_else(|| panic!("{name}: not understood: {log}"));
            let load_ms = took.as_millis().try_into().unwrap_or(u32::MAX);
            let figures = Figures { load_ms, ..figures };
            (name, figures)
        })
        .collect()
}

/// The object as the daemon loads it.
fn load(frags: u8) -> aya::Ebpf {
    EbpfLoader::new()
        .verifier_log_level(VerifierLogLevel::STATS)
        .override_global("AYA_LOG_LEVEL", &0u8, true)
        .override_global("FRAGS", &frags, true)
        .load(OBJECT)
        .unwrap()
}

/// What the verifier says of a program. Of a program that loads, it is not kept; so the load fails
/// after it was verified, since there is no descriptor left to give.
fn verifier_log(name: &str) -> String {
    let mut ebpf = load(u8::from(name.ends_with("_frags")));
    let program: &mut Xdp = ebpf.program_mut(name).unwrap().try_into().unwrap();
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..before }).unwrap();
    let outcome = program.load();
    setrlimit(Resource::Nofile, before).unwrap();
    match outcome {
        Err(ProgramError::LoadError { verifier_log, .. }) => verifier_log.to_string(),
        other => panic!("{name}: {other:?}"),
    }
}

/// `stack depth A+B+C`: of the program and of its functions; `processed N insns …`.
fn parse(log: &str) -> Option<Figures> {
    let after = |start: &str| log.lines().find_map(|line| line.strip_prefix(start));
    let depths = after("stack depth ")?.split(" max").next()?.split('+');
    let mut depths = depths.map(|depth| depth.trim().parse::<u32>());
    let program = depths.next()?.ok()?;
    let deepest = depths.collect::<Result<Vec<u32>, _>>().ok()?.into_iter().max().unwrap_or(0);
    let mut processed = after("processed ")?.split(' ');
    let instructions = processed.next()?.parse().ok()?;
    let states = processed.skip_while(|word| *word != "peak_states").nth(1)?.parse().ok()?;
    Some(Figures { instructions, stack: program + deepest, states, load_ms: 0 })
}

#[test]
fn figures_are_read_and_growth_is_told() {
    let log = "func#0 @0\nverification time 900 usec\nstack depth 200+56+0\nprocessed 5573 insns \
               (limit 1000000) max_states_per_insn 4 total_states 300 peak_states 300 mark_read 9\n";
    let figures = parse(log).unwrap();
    assert_eq!(figures, Figures { instructions: 5573, stack: 256, states: 300, load_ms: 0 });
    let tenth = Figures { instructions: 6130, stack: 281, ..figures };
    assert_eq!(complaint("lb", tenth, Some(&figures)), None);
    assert!(complaint("lb", Figures { stack: 282, ..tenth }, Some(&figures)).is_some());
    assert!(complaint("lb", Figures { instructions: 6131, ..tenth }, Some(&figures)).is_some());
    assert!(complaint("lb", figures, None).is_some());
    let budget: Budget = ["5.15", "6.1", "6.18"].map(|kernel| (kernel.into(), [].into())).into();
    let of = |series| nearest(&budget, series).unwrap().0.as_str();
    assert_eq!([of("6.18"), of("6.12"), of("7.2"), of("5.4")], ["6.18", "6.1", "6.18", "5.15"]);
}
