//! A trace: what an election was told and what it decided, so that it can be told the same again.
//!
//! A trace is a sequence of [`Line`]s, as a file one JSON object on each. It begins with the whole
//! state of an election. [`Replay`] takes the lines in order, does the same with that election, and
//! notices where it decides otherwise. Where lines were lost the trace says how many, and begins anew
//! with the whole state.

use std::collections::VecDeque;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Election, Input, Output, OwnReason, ReleaseReason, Term};
use crate::moment::Moment;
use crate::name::NodeName;

/// The version of the format. Another one is refused: the state is that of this program. To be raised
/// when what an election holds or is told changes.
pub const FORMAT: u32 = 7;

/// The version of this program, which a trace names, so that who cannot read it knows who can.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A line of a trace.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Line {
    /// The trace begins, or goes on after a gap, with an election in this state.
    Start {
        /// [`FORMAT`].
        format: u32,
        /// [`VERSION`].
        #[serde(default = "unknown")]
        version: String,
        /// When.
        at: Moment,
        /// How many lines were lost before.
        lost: u64,
        /// The state.
        election: Box<Election>,
    },
    /// The election was told something.
    Input {
        /// When.
        at: Moment,
        /// What.
        input: Input,
    },
    /// The election did what was due.
    Deadline {
        /// When.
        at: Moment,
    },
    /// The election decided about an address. Other outputs are not traced.
    Decision {
        /// When.
        at: Moment,
        /// What.
        decision: Decision,
    },
}

/// What is said of the version that recorded a trace of format 1, which did not name it.
fn unknown() -> String {
    "unknown".to_owned()
}

impl Line {
    /// A trace begins with this state, or goes on after so many lost lines.
    #[must_use]
    pub fn start(election: Election, lost: u64, at: Moment) -> Self {
        Self::Start {
            format: FORMAT,
            version: VERSION.to_owned(),
            at,
            lost,
            election: Box::new(election),
        }
    }
}

/// Who announces an address, as one node decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Decision {
    /// This node.
    Own {
        /// The address.
        address: IpAddr,
        /// The term of its claim.
        term: Term,
        /// Why.
        reason: OwnReason,
    },
    /// This node no more.
    Release {
        /// The address.
        address: IpAddr,
        /// Why.
        reason: ReleaseReason,
    },
}

impl Decision {
    /// The decision in an output, if it is one.
    #[must_use]
    pub const fn of(output: &Output) -> Option<Self> {
        match output {
            Output::Own(owned) => Some(Self::Own {
                address: owned.address,
                term: owned.term,
                reason: owned.reason,
            }),
            Output::Release { address, reason } => Some(Self::Release {
                address: *address,
                reason: *reason,
            }),
            _ => None,
        }
    }
}

/// Why a trace cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// It is of another version.
    #[error(
        "the trace is of format {format}, recorded by version {version}, and this program, version \
         {VERSION}, reads format {FORMAT}: replay it with the version that recorded it, or record again"
    )]
    Format {
        /// Its format.
        format: u32,
        /// The version of the program that recorded it.
        version: String,
    },
    /// It does not begin with a state.
    #[error("the trace does not begin with the state of an election")]
    Headless,
    /// The election decides otherwise now.
    #[error("the speaker decided {traced:?}, and the replay {replayed:?}")]
    Differs {
        /// What the trace says; nothing, if a turn has ended without this decision.
        traced: Option<Decision>,
        /// What came of the replay; nothing, if there was no decision.
        replayed: Option<Decision>,
    },
}

/// An election that is told again what it was told. See the [module](self).
#[derive(Debug, Default)]
pub struct Replay {
    election: Option<Election>,
    /// What was decided and is not in the trace yet.
    pending: VecDeque<Decision>,
    /// How many of these were decided by the end of the last turn: the trace names them before the next
    /// one ends.
    owed: usize,
    decisions: u64,
    lost: u64,
}

impl Replay {
    /// The next line. Returns what it says was decided, if it does.
    pub fn take(&mut self, line: Line) -> Result<Option<(Moment, Decision)>, TraceError> {
        match line {
            Line::Start {
                format, version, ..
            } if format != FORMAT => Err(TraceError::Format { format, version }),
            Line::Start { election, lost, .. } => {
                self.pending.clear();
                self.owed = 0;
                self.lost += lost;
                self.election = Some(*election);
                self.collect();
                Ok(None)
            }
            Line::Input { at, input } => {
                let election = self.election.as_mut().ok_or(TraceError::Headless)?;
                // What is not taken in now was not then.
                let _ignored = election.handle(input, at);
                self.collect();
                Ok(None)
            }
            Line::Deadline { at } => {
                let election = self.election.as_mut().ok_or(TraceError::Headless)?;
                if self.owed > 0 {
                    return Err(TraceError::Differs {
                        traced: None,
                        replayed: self.pending.front().copied(),
                    });
                }
                election.on_deadline(at);
                self.collect();
                self.owed = self.pending.len();
                Ok(None)
            }
            Line::Decision { at, decision } => {
                if self.election.is_none() {
                    return Err(TraceError::Headless);
                }
                let replayed = self.pending.pop_front();
                if replayed != Some(decision) {
                    return Err(TraceError::Differs {
                        traced: Some(decision),
                        replayed,
                    });
                }
                self.owed = self.owed.saturating_sub(1);
                self.decisions += 1;
                Ok(Some((at, decision)))
            }
        }
    }

    /// The trace has ended. Returns how many decisions were the same, and how many lines were lost.
    /// The last turn may not have been traced to its end.
    #[must_use]
    pub const fn end(&self) -> (u64, u64) {
        (self.decisions, self.lost)
    }

    /// The node whose election it is.
    #[must_use]
    pub fn node(&self) -> Option<&NodeName> {
        self.election.as_ref().map(|election| &election.config.node)
    }

    fn collect(&mut self) {
        if let Some(election) = &mut self.election {
            while let Some(output) = election.poll_output() {
                self.pending.extend(Decision::of(&output));
            }
        }
    }
}

/// A map as a list of pairs: in JSON a key is a text.
pub(crate) mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(crate) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        let pairs = Vec::<(K, V)>::deserialize(deserializer)?;
        Ok(pairs.into_iter().collect())
    }
}
