//! `bellwether-simulate`: many seeds at once, one seed to look at, mutants.

use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bellwether_core::election::trace::{Decision, Replay};
use bellwether_core::moment::Moment;
use bellwether_core::mutation::Mutation;
use bellwether_simulator::plan::{Plan, Trouble};
use bellwether_simulator::replay::{ReplayError, replay};
use bellwether_simulator::run::run;
use bellwether_simulator::{mutants, shrink::shrink, timeline};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

/// Runs the election of the speakers in an invented network with faults, and checks what it does.
///
/// A seed decides all of a run, so that a run that fails can be looked at again.
#[derive(Debug, Parser)]
#[command(name = "bellwether-simulate", version)]
struct Options {
    /// How many seeds to run
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,

    /// The first seed
    #[arg(long, default_value_t = 1)]
    first: u64,

    /// Run this seed alone, and print what happens
    #[arg(long, conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,

    /// Break this rule, to see that it is noticed
    #[arg(long)]
    mutant: Option<String>,

    /// Break each rule in turn, and fail if one is not noticed within --seeds seeds
    #[arg(long, conflicts_with_all = ["seed", "mutant"])]
    mutants: bool,

    /// Replay a file that bellwether-speaker trace has recorded, and see that the election decides the
    /// same; - for standard input
    #[arg(long, value_name = "PATH", conflicts_with_all = ["seed", "mutant", "mutants"])]
    replay: Option<PathBuf>,

    /// Print the whole run of --seed, not the smallest one that still fails
    #[arg(long, requires = "seed")]
    whole: bool,

    /// Run so many hours in which nothing fails, and fail if an address moves
    #[arg(long, value_name = "HOURS", conflicts_with_all = ["seed", "seeds", "first", "mutant", "mutants"])]
    calm: Option<u32>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(hours) = options.calm {
        return stay_calm(hours);
    }
    let mutation = match options.mutant.as_deref().map(parse_mutant).transpose() {
        Ok(mutation) => mutation,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    if let Some(path) = &options.replay {
        return replay_file(path);
    }
    if options.mutants {
        return catch_all(options.first, options.seeds);
    }
    if let Some(seed) = options.seed {
        return look_at(seed, mutation, options.whole);
    }
    let broken = options.mutant.map(|name| format!(" --mutant {name}"));
    run_many(options.first, options.seeds, mutation, broken.as_deref())
}

fn stay_calm(hours: u32) -> ExitCode {
    let started = Instant::now();
    let plan = Plan::calm(hours);
    let outcome = run(&plan, None);
    let (claims, violations) = (outcome.moves(), outcome.violations);
    // Each address is claimed once, when the speakers start.
    let moves = claims.saturating_sub(plan.addresses);
    println!(
        "{hours} simulated hours, {} nodes, {} addresses: {claims} claims, {moves} moves, in {:.1} s",
        plan.nodes,
        plan.addresses,
        started.elapsed().as_secs_f64()
    );
    for violation in &violations {
        println!("{}: {}", violation.rule, violation.message);
    }
    if claims == plan.addresses && violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints each decision of a trace, as long as the election decides the same.
fn replay_file(path: &Path) -> ExitCode {
    let show = |replay: &Replay, at: Moment, decision| {
        let node = replay.node().map(ToString::to_string).unwrap_or_default();
        let seconds = Duration::from_nanos(at.as_nanos()).as_secs_f64();
        match decision {
            Decision::Own {
                address,
                term,
                reason,
            } => println!(
                "{seconds:.3} s: {node} owns {address}, term {}: {reason}",
                term.0
            ),
            Decision::Release { address, reason } => {
                println!("{seconds:.3} s: {node} releases {address}: {reason}");
            }
        }
    };
    let replayed = if path.as_os_str() == "-" {
        replay(std::io::stdin().lock(), show)
    } else {
        File::open(path)
            .map_err(ReplayError::Read)
            .and_then(|file| replay(BufReader::new(file), show))
    };
    match replayed {
        Ok(replay) => {
            let (decisions, lost) = replay.end();
            println!("{decisions} decisions, all the same; {lost} lines of the trace were lost");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

fn parse_mutant(name: &str) -> Result<Mutation, String> {
    let quoted = serde_json::Value::String(name.to_owned());
    serde_json::from_value(quoted).map_err(|_| {
        let known = Mutation::ALL.map(|mutation| {
            serde_json::to_value(mutation)
                .ok()
                .and_then(|value| value.as_str().map(str::to_owned))
                .unwrap_or_default()
        });
        format!("there is no mutant {name}; there are {}", known.join(", "))
    })
}

fn catch_all(first: u64, seeds: u64) -> ExitCode {
    let started = Instant::now();
    let mut missed = 0;
    mutants::catch_all(first, seeds, |verdict| {
        let name = match verdict.trouble {
            Trouble::Usual => format!("{:?}", verdict.mutation),
            trouble @ Trouble::BlockedPort => format!("{:?}, {trouble}", verdict.mutation),
        };
        if let Some((seed, violation)) = &verdict.caught {
            println!("{name}: caught by seed {seed}: {}", violation.rule);
        } else {
            println!("{name}: not caught by {seeds} seeds");
        }
        for (seed, violation) in &verdict.unbroken {
            let (rule, message) = (violation.rule, &violation.message);
            println!("{name}: seed {seed} with all rules kept: {rule}: {message}");
        }
        missed += usize::from(!verdict.is_good());
    });
    println!(
        "{} of {} broken rules were noticed, in {:.1} s",
        mutants::trials() - missed,
        mutants::trials(),
        started.elapsed().as_secs_f64()
    );
    if missed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The run of `seed`; with a broken rule, one in which that rule matters.
fn plan_of(seed: u64, mutation: Option<Mutation>) -> Plan {
    mutation.map_or_else(
        || Plan::of(seed),
        |mutation| Plan::for_mutant(seed, mutation),
    )
}

fn look_at(seed: u64, mutation: Option<Mutation>, whole: bool) -> ExitCode {
    let plan = plan_of(seed, mutation);
    let outcome = run(&plan, mutation);
    let first = outcome.violations.first().filter(|_| !whole);
    let (plan, outcome) = match first {
        Some(violation) => {
            let smaller = shrink(&plan, mutation, violation);
            let outcome = run(&smaller, mutation);
            (smaller, outcome)
        }
        None => (plan, outcome),
    };
    println!(
        "seed {seed}: {} nodes, {} addresses, {} faults, loss {} in 1,000, gateway {}",
        plan.nodes,
        plan.addresses,
        plan.faults.len(),
        plan.loss,
        plan.gateway
    );
    print!(
        "{}",
        timeline::render(&plan, &outcome.history, &outcome.violations)
    );
    if outcome.violations.is_empty() {
        println!("seed {seed}: no violation");
        return ExitCode::SUCCESS;
    }
    for violation in &outcome.violations {
        println!("seed {seed}: {}: {}", violation.rule, violation.message);
    }
    ExitCode::FAILURE
}

/// Where there is no terminal for a bar, says at each tenth how far it is.
fn report(bar: &ProgressBar, started: Instant) {
    let (done, all) = (bar.position(), bar.length().unwrap_or(0));
    if bar.is_hidden() && all >= 10_000 && done.is_multiple_of(all / 10) {
        let seconds = started.elapsed().as_secs();
        eprintln!("{done} of {all} seeds in {seconds} s");
    }
}

/// Runs many seeds; `broken` is the option that breaks the rule of `mutation`.
fn run_many(first: u64, seeds: u64, mutation: Option<Mutation>, broken: Option<&str>) -> ExitCode {
    let started = Instant::now();
    let next = AtomicU64::new(first);
    let failed = AtomicBool::new(false);
    let (simulated, moves) = (AtomicU64::new(0), AtomicU64::new(0));
    let bar = ProgressBar::new(seeds);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {eta} left") {
        bar.set_style(style);
    }
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds {
                        break;
                    }
                    let plan = plan_of(seed, mutation);
                    let look = || {
                        let broken = broken.unwrap_or_default();
                        format!("bellwether-simulate --seed {seed}{broken}")
                    };
                    let outcome = catch_unwind(AssertUnwindSafe(|| run(&plan, mutation)));
                    let Ok(outcome) = outcome else {
                        failed.store(true, Ordering::Relaxed);
                        bar.suspend(|| {
                            println!("seed {seed}: the program panicked");
                            println!("  look at it: {}", look());
                        });
                        continue;
                    };
                    simulated.fetch_add(plan.length, Ordering::Relaxed);
                    moves.fetch_add(
                        u64::try_from(outcome.moves()).unwrap_or(u64::MAX),
                        Ordering::Relaxed,
                    );
                    bar.inc(1);
                    report(&bar, started);
                    for violation in &outcome.violations {
                        failed.store(true, Ordering::Relaxed);
                        bar.suspend(|| {
                            println!("seed {seed}: {}: {}", violation.rule, violation.message);
                            println!("  look at it: {}", look());
                        });
                    }
                }
            });
        }
    });
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    let rate = f64::from(u32::try_from(seeds).unwrap_or(u32::MAX)) / seconds;
    let hours = simulated.load(Ordering::Relaxed) / 3_600_000;
    println!(
        "{seeds} seeds, {hours} simulated hours, {} claims, in {seconds:.1} s: {rate:.1} seeds/s",
        moves.load(Ordering::Relaxed),
    );
    if failed.load(Ordering::Relaxed) {
        println!("There were violations.");
        return ExitCode::FAILURE;
    }
    println!("No violation.");
    ExitCode::SUCCESS
}
