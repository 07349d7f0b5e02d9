//! Which replica of the controller leads: the rules of client-go's leader election.
//!
//! A Lease object names its holder and for how long. The holder renews it; whoever has seen no
//! change of it for that long takes it over. Nobody compares clocks: each contender counts from the
//! moment at which *it* saw the record change, so a machine that believes it is 1970 competes like
//! any other. Each write carries the resourceVersion that it was decided on, so of two contenders
//! that both see an expired Lease one is refused and reads again.
//!
//! A leader that cannot renew stops leading *before* others may take over: [`Timing`] keeps the one
//! shorter than the other, and the time is counted from before the last successful renewal was
//! sent.
//!
//! [`Contender`] decides; who calls it does what [`Output`] says, one after the other, and answers
//! each [`Output::Read`] and [`Output::Write`] with one [`Input`].

#[cfg(test)]
mod tests;
mod timing;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use timing::{Timing, TimingError};

use crate::moment::Moment;

/// What a Lease says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Who holds it; nobody after it was released.
    pub holder: Option<String>,
    /// How long it is held after each renewal.
    pub duration: Duration,
    /// How often the holder has changed.
    pub transitions: u32,
    /// `acquireTime` and `renewTime` as text. Somebody else's clock wrote them, so they are only
    /// compared with what they were before.
    pub times: String,
}

/// A Lease as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// What it says.
    pub record: Record,
    /// Its resourceVersion.
    pub version: String,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// The Lease was read (not from a cache); `None` if there is none.
    Read(Option<Observed>),
    /// Reading failed or took too long.
    ReadFailed,
    /// The Lease was written, and is now so.
    Written(Observed),
    /// It was not written, because it is not what the write was decided on: 409, or 404.
    Refused,
    /// Writing failed or took too long. Perhaps it was written nevertheless.
    WriteFailed,
    /// Somebody changed the Lease, a watch says; perhaps a while ago.
    Changed,
    /// The process ends: give the Lease back and do not compete again.
    Stop,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// Read the Lease.
    Read,
    /// Write the Lease.
    Write(Write),
    /// Lead.
    Gained,
    /// Stop leading, and do not ask for the next output before that is done.
    Lost(Loss),
}

/// A write of the Lease. Both times are those of the writer's clock at the write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// The resourceVersion that it must still have; `None`: it must not exist.
    pub version: Option<String>,
    /// `holderIdentity`; `None` to give it back.
    pub holder: Option<Arc<str>>,
    /// `leaseDurationSeconds`.
    pub duration: Duration,
    /// `leaseTransitions`.
    pub transitions: u32,
    /// Whether `acquireTime` is set too, and not only `renewTime`.
    pub acquires: bool,
}

/// Why a contender leads no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Loss {
    /// It could not renew the Lease in time.
    #[error("the Lease could not be renewed within {0:?}")]
    NotRenewed(Duration),
    /// Another holds the Lease.
    #[error("the Lease is held by {0}")]
    TakenBy(String),
    /// Nobody holds it, although it was not given back: somebody has edited or deleted it.
    #[error("the Lease was deleted or cleared by somebody else")]
    Cleared,
    /// The process ends.
    #[error("the Lease is given back")]
    Stopped,
}

/// One of those who compete for a Lease.
#[derive(Clone, Debug)]
pub struct Contender {
    identity: Arc<str>,
    timing: Timing,
    role: Role,
    /// What was last read or written; `None` if there is no Lease, or nothing was read yet.
    observed: Option<Observed>,
    /// When `observed` was last seen to say something new.
    changed: Moment,
    pending: Pending,
    /// When to read or to renew next, if nothing is pending.
    next_try: Moment,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Following,
    /// `renewed`: before the last successful renewal was sent.
    Leading {
        renewed: Moment,
    },
    /// The process ends; `holds` while the Lease is still to be given back.
    Stopping {
        holds: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    Nothing,
    Read,
    Write { sent: Moment, gives_back: bool },
}

/// What a contender knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its own name.
    pub identity: Arc<str>,
    /// Whether it leads.
    pub leads: bool,
    /// Who holds the Lease, as far as it knows.
    pub holder: Option<String>,
}

impl Contender {
    /// One that competes under the name `identity`, which no other has, from `now` on.
    #[must_use]
    pub fn new(identity: &str, timing: Timing, now: Moment) -> Self {
        let mut contender = Self {
            identity: Arc::from(identity),
            timing,
            role: Role::Following,
            observed: None,
            changed: now,
            pending: Pending::Nothing,
            next_try: now,
            outputs: VecDeque::new(),
        };
        contender.on_deadline(now);
        contender
    }

    /// Takes note of what happened.
    pub fn handle(&mut self, input: Input, now: Moment) {
        match input {
            Input::Read(lease) => {
                self.pending = Pending::Nothing;
                self.observe(lease, now);
                self.consider(now);
            }
            Input::Written(lease) => self.written(lease, now),
            Input::Refused => {
                self.pending = Pending::Nothing;
                self.read_unless_stopping();
            }
            Input::ReadFailed | Input::WriteFailed => {
                self.pending = Pending::Nothing;
                self.next_try = now + self.timing.retry_period();
                if let Role::Stopping { holds } = &mut self.role {
                    // The others wait until it expires.
                    *holds = false;
                }
            }
            Input::Changed => {
                if self.role == Role::Following && self.pending == Pending::Nothing {
                    self.read_unless_stopping();
                }
            }
            Input::Stop => self.stop(),
        }
        self.on_deadline(now);
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Contender::on_deadline`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        let next_try = (self.pending == Pending::Nothing).then_some(self.next_try);
        match self.role {
            Role::Following => next_try,
            Role::Leading { renewed } => {
                let must_stop = renewed + self.timing.renew_deadline();
                Some(next_try.map_or(must_stop, |next_try| next_try.min(must_stop)))
            }
            Role::Stopping { .. } => None,
        }
    }

    /// Does what is due.
    pub fn on_deadline(&mut self, now: Moment) {
        if let Role::Leading { renewed } = self.role
            && now >= renewed + self.timing.renew_deadline()
        {
            self.lose(Loss::NotRenewed(self.timing.renew_deadline()), now);
        }
        if self.pending != Pending::Nothing {
            return;
        }
        match self.role {
            Role::Following if now >= self.next_try => self.read_unless_stopping(),
            Role::Leading { .. } if now >= self.next_try => self.write(now),
            Role::Stopping { holds: true } => self.give_back(now),
            Role::Following | Role::Leading { .. } | Role::Stopping { .. } => {}
        }
    }

    /// What it knows.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            identity: Arc::clone(&self.identity),
            leads: matches!(self.role, Role::Leading { .. }),
            holder: self.holder().map(ToOwned::to_owned),
        }
    }

    /// Whether it was told to stop and has nothing more to do.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.role == (Role::Stopping { holds: false })
            && self.pending == Pending::Nothing
            && self.outputs.is_empty()
    }

    fn holder(&self) -> Option<&str> {
        self.observed.as_ref()?.record.holder.as_deref()
    }

    fn is_holder(&self) -> bool {
        self.holder() == Some(&*self.identity)
    }

    /// Takes note of what the Lease says, and of when it began to.
    fn observe(&mut self, lease: Option<Observed>, now: Moment) {
        let record = |lease: &Option<Observed>| lease.as_ref().map(|it| it.record.clone());
        // The version may change without the record: somebody has put a label on the Lease.
        if record(&lease) != record(&self.observed) {
            self.changed = now;
        }
        self.observed = lease;
    }

    /// Decides upon what was just read.
    fn consider(&mut self, now: Moment) {
        match self.role {
            Role::Leading { .. } if self.is_holder() => self.write(now),
            Role::Leading { .. } => {
                let loss = match self.holder() {
                    Some(holder) => Loss::TakenBy(holder.to_owned()),
                    None => Loss::Cleared,
                };
                self.lose(loss, now);
            }
            Role::Following => match self.held_until() {
                Some(expires) if now < expires => {
                    self.next_try = expires.min(now + self.timing.retry_period());
                }
                _ => self.write(now),
            },
            Role::Stopping { .. } => {}
        }
    }

    /// Until when another holds the Lease, by its own word.
    fn held_until(&self) -> Option<Moment> {
        let record = &self.observed.as_ref()?.record;
        let is_others = record.holder.is_some() && !self.is_holder();
        is_others.then_some(self.changed + record.duration)
    }

    /// Acquires or renews the Lease.
    fn write(&mut self, now: Moment) {
        let renews = self.is_holder();
        let transitions = match &self.observed {
            None => 0,
            Some(lease) => lease.record.transitions.saturating_add(u32::from(!renews)),
        };
        let holder = Some(Arc::clone(&self.identity));
        self.send(holder, self.timing.duration(), transitions, now);
    }

    /// Lets others take the Lease at once.
    fn give_back(&mut self, now: Moment) {
        let transitions = self
            .observed
            .as_ref()
            .map_or(0, |lease| lease.record.transitions);
        // As client-go does: the API wants a duration even if nobody holds it.
        self.send(None, Duration::from_secs(1), transitions, now);
    }

    fn send(
        &mut self,
        holder: Option<Arc<str>>,
        duration: Duration,
        transitions: u32,
        now: Moment,
    ) {
        self.pending = Pending::Write {
            sent: now,
            gives_back: holder.is_none(),
        };
        self.outputs.push_back(Output::Write(Write {
            version: self.observed.as_ref().map(|lease| lease.version.clone()),
            acquires: holder.is_some() && !self.is_holder(),
            holder,
            duration,
            transitions,
        }));
    }

    fn written(&mut self, lease: Observed, now: Moment) {
        let Pending::Write { sent, gives_back } = self.pending else {
            return;
        };
        self.pending = Pending::Nothing;
        self.observe(Some(lease), now);
        self.next_try = now + self.timing.retry_period();
        match &mut self.role {
            Role::Stopping { holds } => *holds = !gives_back,
            // An answer that took longer than the Lease may be relied upon gives nothing.
            Role::Following if now >= sent + self.timing.renew_deadline() => {}
            Role::Following => {
                self.role = Role::Leading { renewed: sent };
                self.outputs.push_back(Output::Gained);
            }
            Role::Leading { renewed } => *renewed = sent,
        }
    }

    fn read_unless_stopping(&mut self) {
        if let Role::Stopping { holds } = &mut self.role {
            // It is not what it was when it was written, so it is no longer to be given back.
            *holds = false;
            return;
        }
        self.pending = Pending::Read;
        self.outputs.push_back(Output::Read);
    }

    fn lose(&mut self, loss: Loss, now: Moment) {
        self.role = Role::Following;
        self.next_try = now + self.timing.retry_period();
        self.outputs.push_back(Output::Lost(loss));
    }

    fn stop(&mut self) {
        let leads = matches!(self.role, Role::Leading { .. });
        if leads {
            self.outputs.push_back(Output::Lost(Loss::Stopped));
        }
        if !matches!(self.role, Role::Stopping { .. }) {
            self.role = Role::Stopping { holds: leads };
        }
    }
}
