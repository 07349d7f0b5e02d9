//! Runs in which one broken rule matters.

use std::fmt;

use bellwether_core::mutation::Mutation;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::{Fault, Plan, QUIET, START, Timed};

/// What goes wrong in the runs that shall notice a broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// What the rule is there for.
    Usual,
    /// A port of the switch is blocked: nothing comes in or goes out, and there is a carrier.
    BlockedPort,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Usual => "usual trouble",
            Self::BlockedPort => "blocked port",
        })
    }
}

/// What there are runs with: the broken rule has to be noticed in each.
#[must_use]
pub const fn troubles(mutation: Mutation) -> &'static [Trouble] {
    match mutation {
        Mutation::DeafOwner | Mutation::NoReannouncement => &[Trouble::Usual, Trouble::BlockedPort],
        _ => &[Trouble::Usual],
    }
}

/// What goes wrong in the run of that seed.
#[must_use]
pub fn trouble(seed: u64, mutation: Mutation) -> Trouble {
    let troubles = troubles(mutation);
    let all = u64::try_from(troubles.len()).unwrap_or(1);
    let index = usize::try_from(seed % all).unwrap_or(0);
    troubles[index]
}

impl Plan {
    /// A run in which the rule that `mutation` breaks matters: one kind of fault comes again and
    /// again, alone.
    #[must_use]
    pub fn for_mutant(seed: u64, mutation: Mutation) -> Self {
        let mut plan = Self::of(seed);
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed ^ 0x5eed);
        plan.loss = 0;
        plan.rebalance = false;
        // A part of the network without a station takes over only if there is none anywhere.
        plan.gateway = !matches!(
            mutation,
            Mutation::NeverYield | Mutation::NoReannouncement | Mutation::SelfishTieBreak
        );
        plan.nodes = plan.nodes.max(3);
        plan.faults.clear();
        if matches!(mutation, Mutation::ClaimAgain | Mutation::Restless) {
            // What moves while nothing is wrong. There is a balance only of several addresses.
            plan.addresses = plan.addresses.max(8);
            return plan;
        }
        if plan.lasts_throughout(mutation) {
            return plan;
        }
        let mut at = START + 2_000;
        while at < plan.length - QUIET {
            let lasts = match mutation {
                // Until it is asked no more.
                Mutation::UnaskedSilence => rng.random_range(11_000..15_000),
                _ => rng.random_range(5_000..8_000),
            };
            let node = rng.random_range(0..plan.nodes);
            let other = (node + rng.random_range(1..plan.nodes)) % plan.nodes;
            let address = rng.random_range(0..plan.addresses);
            let fault = match mutation {
                _ if trouble(seed, mutation) == Trouble::BlockedPort => Fault::Blocked(node),
                Mutation::NoCorroboration => Fault::OneWay(node, other),
                Mutation::NoProbe => Fault::Stranger(address),
                Mutation::NoQuestion | Mutation::NeverUpIsDown => Fault::Filter(1 << node),
                Mutation::DeafOwner | Mutation::ClaimBlind | Mutation::DeafTaker => {
                    Fault::Deaf(node)
                }
                Mutation::NoHandover | Mutation::TwoAnswers => Fault::Leave(node),
                Mutation::AnyNode => Fault::Exclude(node),
                Mutation::NoFence => Fault::SendFails(node),
                Mutation::NoGap | Mutation::SameTerm => Fault::Pause(node),
                Mutation::NeverYield | Mutation::NoReannouncement | Mutation::SelfishTieBreak => {
                    Fault::Split(1 << node)
                }
                Mutation::Hasty => Fault::KillAll,
                Mutation::UnaskedSilence => Fault::Crash(plan.all_but(node)),
                _ => Fault::Crash(1 << node),
            };
            plan.faults.push(Timed { at, lasts, fault });
            let (at_too, lasts_too, too) = match mutation {
                // It is asked for only when nobody has owned it before.
                Mutation::NoProbe => (at - 2_000, 3_000, Some(Fault::Unassign(address))),
                // It comes back, and has never heard those who own the others.
                Mutation::NeverUpIsDown => (at + 1_500, 20, Some(Fault::Kill(node))),
                // It is deaf when it is offered what the others own.
                Mutation::DeafTaker => (at - 100, lasts, Some(Fault::MoveTo(address, node))),
                // Both parts start from the same term.
                Mutation::SelfishTieBreak => (at + 500, 20, Some(Fault::KillAll)),
                _ => (0, 0, None),
            };
            plan.faults.extend(too.map(|fault| Timed {
                at: at_too,
                lasts: lasts_too,
                fault,
            }));
            at += lasts + 6_500;
        }
        plan
    }

    /// Adds what is wrong all the time. Says whether nothing else is to be.
    fn lasts_throughout(&mut self, mutation: Mutation) -> bool {
        let at = START + 2_000;
        let (nodes, lasts) = (self.nodes, self.length - QUIET - at);
        let late_everywhere = |late| {
            (0..nodes).map(move |node| Timed {
                at,
                lasts,
                fault: Fault::Late(node, late),
            })
        };
        match mutation {
            // Who loses an address finds no better owner.
            Mutation::IgnoreLateness => self.faults.extend(late_everywhere(390)),
            // Who is late at times is not silent yet when who heard it last falls deaf.
            Mutation::DeafTaker => self.faults.extend(late_everywhere(200)),
            // Several claims wait to be read when the loop runs.
            Mutation::Hasty => self.faults.extend(late_everywhere(30)),
            // Questions come in while an offer waits to be read.
            Mutation::TwoAnswers => {
                self.faults.extend(late_everywhere(30));
                let fault = Fault::Questions;
                self.faults.push(Timed { at, lasts, fault });
            }
            // Nothing tells who is there but the wire.
            Mutation::NeverUpIsDown => {
                let fault = Fault::NoDatagrams;
                self.faults.push(Timed { at, lasts, fault });
            }
            // No beacon ever passes between two nodes.
            Mutation::NoUnicast => self.faults.extend((0..nodes).map(|node| Timed {
                at: 0,
                lasts: self.length,
                fault: Fault::Filter(1 << node),
            })),
            _ => {}
        }
        mutation == Mutation::IgnoreLateness
    }
}
