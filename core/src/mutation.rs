//! Rules that can be broken on purpose, to see that the checkers of the simulator notice.
//!
//! Only with the feature `mutants` can one be broken; without it [`Rules::keep`] is the constant
//! `true`, and the compiler removes the question.

use serde::{Deserialize, Serialize};

/// A way to break the election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mutation {
    /// R1: own an address though this node is not, or not any more, a candidate for it.
    AnyNode,
    /// R5: a peer that says it is late at times gets no more time than others.
    IgnoreLateness,
    /// R5: take an address before all that has come in is read.
    Hasty,
    /// R6: answer though no beacon has gone out.
    NoFence,
    /// R7: go on after being away as if nothing had happened.
    NoGap,
    /// R8: claim without having heard anything.
    ClaimBlind,
    /// R9: do not ask a silent owner before its address is taken.
    NoQuestion,
    /// R10: do not mind that others hear the owner.
    NoCorroboration,
    /// R11: take an address of a peer that was never heard without asking the wire.
    NeverUpIsDown,
    /// R2: give up an address, and claim it again, each time the API says whose it may be.
    ClaimAgain,
    /// R2: give addresses away for balance though nobody has asked for it.
    Restless,
    /// R12: count the silence of a station also while nobody asks it.
    UnaskedSilence,
    /// R12: go on as owner though nothing is heard.
    DeafOwner,
    /// R12: take an address though nothing is heard, and so give it up at once.
    DeafTaker,
    /// R13: do not yield to a higher claim.
    NeverYield,
    /// R4: let each of two equal claims win in its own eyes.
    SelfishTieBreak,
    /// R13: do not announce again when another claims or has given in.
    NoReannouncement,
    /// R4: claim with the term that was seen last instead of the next.
    SameTerm,
    /// 3.7: release at once instead of offering the address to a successor.
    NoHandover,
    /// 3.7: answer also what was asked before the address was handed over to this node.
    TwoAnswers,
    /// R3: take the address as soon as the owner is silent, whatever the rank.
    NoRank,
    /// R2: take the address from an owner that is behind in the order of candidates.
    NotSticky,
    /// R15: take no notice of peers that are met by datagrams alone.
    NoUnicast,
    /// C1: announce an address without asking whether somebody uses it.
    NoProbe,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::AnyNode,
        Self::IgnoreLateness,
        Self::Hasty,
        Self::NoFence,
        Self::NoGap,
        Self::ClaimBlind,
        Self::NoQuestion,
        Self::NoCorroboration,
        Self::NeverUpIsDown,
        Self::ClaimAgain,
        Self::Restless,
        Self::UnaskedSilence,
        Self::DeafOwner,
        Self::DeafTaker,
        Self::NeverYield,
        Self::SelfishTieBreak,
        Self::NoReannouncement,
        Self::SameTerm,
        Self::NoHandover,
        Self::TwoAnswers,
        Self::NoRank,
        Self::NotSticky,
        Self::NoUnicast,
        Self::NoProbe,
    ];
}

/// Which rules hold: all, but for at most one in a simulation of mutants.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    #[cfg(feature = "mutants")]
    broken: Option<Mutation>,
}

impl Rules {
    /// All rules but the one that `broken` breaks.
    #[cfg(feature = "mutants")]
    pub(crate) const fn without(broken: Mutation) -> Self {
        Self {
            broken: Some(broken),
        }
    }

    /// Whether the rule that `mutation` breaks is kept.
    #[cfg(feature = "mutants")]
    pub(crate) fn keep(self, mutation: Mutation) -> bool {
        self.broken != Some(mutation)
    }

    /// Whether the rule that `mutation` breaks is kept: it is.
    #[cfg(not(feature = "mutants"))]
    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    pub(crate) const fn keep(self, _mutation: Mutation) -> bool {
        true
    }
}
