//! Rules broken on purpose: a checker that does not notice is as bad as a rule that does not hold.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use bellwether_core::mutation::Mutation;

use crate::checker::Violation;
use crate::plan::{Plan, Trouble, trouble, troubles};
use crate::run::run;

/// What became of a broken rule.
#[derive(Debug)]
pub struct Verdict {
    /// The rule.
    pub mutation: Mutation,
    /// What went wrong in the runs that were to notice.
    pub trouble: Trouble,
    /// The seed that noticed, and what it noticed.
    pub caught: Option<(u64, Violation)>,
    /// The runs in which something was wrong though no rule was broken.
    pub unbroken: Vec<(u64, Violation)>,
}

impl Verdict {
    /// Whether it was noticed, and nothing else.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.caught.is_some() && self.unbroken.is_empty()
    }
}

/// How many broken rules are to be noticed; one counts for each kind of trouble that there is for it.
#[must_use]
pub fn trials() -> usize {
    Mutation::ALL
        .into_iter()
        .map(|mutation| troubles(mutation).len())
        .sum()
}

/// Breaks each rule in turn, in up to `seeds` runs each from `first` on, and hands what came of it
/// to `report`, in the order in which it is known.
///
/// Each run that notices is run again with all rules kept: what is wrong then too is no proof.
pub fn catch_all(first: u64, seeds: u64, mut report: impl FnMut(Verdict)) {
    let all: Vec<_> = Mutation::ALL
        .into_iter()
        .flat_map(|mutation| {
            troubles(mutation)
                .iter()
                .map(move |&trouble| (mutation, trouble))
        })
        .collect();
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // Unbounded in name only: there are as many verdicts as rules.
    let (sender, verdicts) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next, all) = (sender.clone(), &next, &all);
            scope.spawn(move || {
                while let Some(&trial) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let _gone = sender.send(catch(trial, first, seeds));
                }
            });
        }
        drop(sender);
        for verdict in verdicts {
            report(verdict);
        }
    });
}

fn catch((mutation, with): (Mutation, Trouble), first: u64, seeds: u64) -> Verdict {
    let mut unbroken = Vec::new();
    let mut seeds = (first..first + seeds).filter(|&seed| trouble(seed, mutation) == with);
    let caught = seeds.find_map(|seed| {
        let plan = Plan::for_mutant(seed, mutation);
        let violation = run(&plan, Some(mutation)).violations.into_iter().next()?;
        match run(&plan, None).violations.into_iter().next() {
            None => Some((seed, violation)),
            Some(violation) => {
                unbroken.push((seed, violation));
                None
            }
        }
    });
    Verdict {
        mutation,
        trouble: with,
        caught,
        unbroken,
    }
}
