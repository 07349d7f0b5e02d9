//! Which of the candidates announces an address: "beacon and claim".
//!
//! Every speaker says at fixed intervals that it lives and which addresses it claims; whoever is
//! silent for too long loses them to the next candidate. An [`Election`] is one speaker's part in
//! that: it is told the time, the links, the candidates of each address, and what is received, and
//! says what to send and which addresses this node owns. It needs neither the API server nor the
//! controller. What goes out for an address that is owned is up to [`crate::announcer`]; the octets
//! of a beacon are up to [`crate::frame::beacon`]; who is alive is up to [`crate::membership`].
//!
//! The rules, and where each is kept:
//!
//! | rule | what it says | where |
//! |---|---|---|
//! | R1 | only a candidate with a usable link owns an address | `contest` |
//! | R2 | the owner keeps it; a candidate that comes back takes nothing | `take` |
//! | R3 | the first candidate that is heard takes what is free; rank r waits r x 2I longer | `take` |
//! | R4 | a claim has a higher term than all before; of equal ones the weight decides | `contest` |
//! | R5 | silence counts from when the kernel received, and lasts as long as the peer says; nothing is taken before all is read | [`crate::membership::timing`], `take` |
//! | R6, R7 | who has not said lately that it lives is silent, and listens before it goes on | `crate::membership::hearing` |
//! | R8 | nobody claims who does not hear | `take`, `crate::membership::hearing` |
//! | R9 | a silent owner is asked for on the wire before its address is taken | `care` |
//! | R10 | an owner that another peer hears is not down | `take` |
//! | R11 | a peer that was never heard is not down | `take`, `care` |
//! | R12 | an owner that hears nothing gives up, and takes nothing | `own`, `take`, `crate::membership::hearing` |
//! | R13 | a higher claim is yielded to at once; a lower one is answered | `own` |
//! | R15 | where frames never pass, datagrams decide | `contest` |
//! | C1 to C3 | an address that nobody is known to own is asked for first; one that is owned is defended | `care` |
//! | 3.7 | a planned move: the successor announces before the owner stops | `handover` |

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::frame::beacon::{Pulse, Session, Spares};
use crate::link::Links;
use crate::mac::MacAddr;
use crate::membership::book::Changes;
use crate::membership::timing::{Profile, silence_limit};
use crate::membership::{Ignored, Membership};
use crate::moment::Moment;
use crate::mutation::Rules;
use crate::name::NodeName;

mod answer;
mod balance;
mod beat;
mod book;
mod care;
mod contest;
mod damping;
mod handover;
mod input;
mod output;
mod own;
mod snapshot;
mod take;
pub mod trace;

use balance::Balance;
use beat::{Beat, Draft};
use book::Book;
use contest::Contest;
pub use input::{Assignment, Input, Recorded, Term};
pub use output::{Output, OwnReason, Owned, ReleaseReason};
pub use snapshot::{
    CONFLICT_OVER, ChannelSnapshot, ContestSnapshot, PathSnapshot, PeerSnapshot, Snapshot,
};

/// How often an address of which something has changed is looked at in a turn, at most on average.
const MOST_LOOKS: usize = 16;

/// What an operator may set, and what is drawn at random.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// This node.
    pub node: NodeName,
    /// This start, drawn at random. The jitter of the beacons follows from it too.
    pub session: Session,
    /// How fast to beat.
    pub profile: Profile,
    /// R2: whether to give addresses to their best candidates, one per second, while those have far
    /// fewer.
    pub rebalance: bool,
}

/// One speaker's part in the election. See the [module](self).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Election {
    config: Config,
    /// How long this node may be silent by its own profile.
    limit: Duration,
    started: Moment,
    now: Moment,
    /// When the kernel received what this turn is about.
    came_at: Moment,
    /// Nothing is taken before: what came while the loop was away may not all have been read.
    caught_up_at: Moment,
    /// Whether all that has come in is read in this turn. Nothing is taken before either.
    #[serde(skip)]
    all_read: bool,
    links: Links,
    speakers: BTreeMap<NodeName, BTreeSet<MacAddr>>,
    membership: Membership,
    contests: BTreeMap<IpAddr, Contest>,
    book: Book,
    beat: Beat,
    /// When to look at an address again.
    timers: BTreeSet<(Moment, IpAddr)>,
    /// Addresses to look at now.
    dirty: BTreeSet<IpAddr>,
    changes: Changes,
    outputs: VecDeque<Output>,
    /// What has been taken in this turn: handed out when the claims have been.
    taken: Vec<Output>,
    leaving: bool,
    left: bool,
    balance: Balance,
    #[serde(skip)]
    spares: Spares,
    #[serde(skip)]
    draft: Draft,
    #[serde(skip)]
    rules: Rules,
}

impl Election {
    /// The election as a speaker takes part in it that starts now.
    #[must_use]
    pub fn new(config: Config, now: Moment) -> Self {
        Self::with_rules(config, now, Rules::default())
    }

    /// An election in which one rule is broken.
    #[cfg(feature = "mutants")]
    #[must_use]
    pub fn mutant(config: Config, now: Moment, mutation: crate::mutation::Mutation) -> Self {
        Self::with_rules(config, now, Rules::without(mutation))
    }

    fn with_rules(config: Config, now: Moment, rules: Rules) -> Self {
        Self {
            membership: Membership::new(
                config.node.clone(),
                config.session,
                config.profile.interval,
                rules,
            ),
            beat: Beat::new(&config, now),
            limit: silence_limit(Pulse {
                interval: config.profile.interval,
                misses: config.profile.misses,
                lateness: Duration::ZERO,
            }),
            config,
            started: now,
            caught_up_at: now,
            all_read: false,
            came_at: now,
            now,
            links: Links::default(),
            speakers: BTreeMap::new(),
            contests: BTreeMap::new(),
            book: Book::default(),
            timers: BTreeSet::new(),
            dirty: BTreeSet::new(),
            changes: Changes::default(),
            outputs: VecDeque::new(),
            taken: Vec::new(),
            leaving: false,
            left: false,
            balance: Balance::new(now),
            spares: Spares::default(),
            draft: Draft::default(),
            rules,
        }
    }

    /// Takes in what has happened. A beacon that is not taken in is an error, and changes nothing.
    pub fn handle(&mut self, input: Input, now: Moment) -> Result<(), Ignored> {
        self.turn(now);
        match input {
            Input::Beacon {
                channel,
                beacon,
                at,
            } => {
                self.came_at = at;
                let received = self.receive(channel, &beacon, at.min(now));
                self.spares.put(beacon);
                received?;
            }
            Input::Seen { link, address, mac } => self.see(link, address, mac),
            Input::Sent { channel } => {
                let (limit, listen) = (self.beat.promised(), self.interval() * 2);
                if let Some(hearing) = self.membership.hearing_mut(channel) {
                    hearing.send(now, limit, listen);
                }
            }
            Input::Links(links) => self.replace_links(links),
            Input::Speakers(speakers) => {
                self.speakers = speakers;
                self.membership.forget_gone(&self.speakers, now);
            }
            Input::Assign {
                address,
                assignment,
            } => self.assign(address, assignment),
            Input::Unassign { address } => self.unassign(address),
            Input::Leave => self.leave(),
            Input::Stop => self.stop(),
        }
        self.finish();
        Ok(())
    }

    /// Does what is due by `now`. Everything that had been received by then is to be handed in
    /// before: silence is what remains when all has been read (R5), and so is an address that is free.
    pub fn on_deadline(&mut self, now: Moment) {
        self.turn(now);
        self.all_read = true;
        let late = self.beat.take_lateness(now);
        self.membership.record_lateness(late);
        self.notice_silence();
        while let Some(&(due, address)) = self.timers.first()
            && due <= now
        {
            self.timers.pop_first();
            // It waits for nothing any more, unless the look at it says so again.
            if let Some(contest) = self.contests.get_mut(&address)
                && contest.look_at == Some(due)
            {
                contest.look_at = None;
            }
            self.dirty.insert(address);
        }
        self.rebalance();
        self.finish();
        self.all_read = false;
    }

    /// When [`Self::on_deadline`] has something to do.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        if self.left {
            return None;
        }
        let timer = self.timers.first().map(|&(due, _)| due);
        let silence = self.next_silence();
        let beat = Some(self.beat.next());
        [timer, silence, beat].into_iter().flatten().min()
    }

    /// The next thing to do that has not been handed out.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Where beacons that are done with go, and those come from that are handed in: so neither
    /// takes new memory.
    pub fn spares(&mut self) -> &mut Spares {
        &mut self.spares
    }

    /// Whether this node owns the address.
    #[must_use]
    pub fn owns(&self, address: IpAddr) -> bool {
        self.contests
            .get(&address)
            .is_some_and(|contest| contest.own.is_some())
    }

    /// How many addresses this node owns.
    #[must_use]
    pub fn owned_count(&self) -> usize {
        self.book.len()
    }

    /// What this node owns, by address.
    pub fn owned(&self) -> impl Iterator<Item = Owned> {
        self.contests
            .iter()
            .filter_map(|(&address, contest)| contest.owned(address))
    }

    /// R7, R8: notices that the loop was away for so long that frames may have been lost. What was
    /// not lost is read one by one, and the first of it may say that an address is free that the last
    /// says is taken.
    fn turn(&mut self, now: Moment) {
        let away = now.since(self.now);
        self.now = self.now.max(now);
        let limit = self.config.profile.interval * u32::from(self.config.profile.misses);
        if away > crate::membership::timing::tenths(limit, crate::membership::timing::BLIND)
            && self.rules.keep(crate::mutation::Mutation::NoGap)
        {
            self.caught_up_at = now + self.interval() * 2;
            for (_, hearing) in self.membership.hearings_mut() {
                hearing.start_over(now);
            }
        }
    }

    /// Looks at all addresses of which something has changed, until nothing changes any more; then
    /// sends what follows from it, claims before announcements (R4).
    ///
    /// That takes a few looks. If two rules were ever at odds it would take no end; so after
    /// [`MOST_LOOKS`] what is left waits for half an interval, and the loop goes on.
    fn finish(&mut self) {
        for _ in 0..MOST_LOOKS * self.dirty.len() {
            let Some(address) = self.dirty.pop_first() else {
                break;
            };
            self.look(address);
        }
        let shortly = self.now + self.interval() / 2;
        while let Some(address) = self.dirty.pop_first() {
            self.timers.insert((shortly, address));
        }
        self.send_due();
        self.outputs.extend(self.taken.drain(..));
        if self.leaving && !self.left && self.book.is_empty() && self.beat.has_said_all() {
            self.left = true;
            self.outputs.push_back(Output::Left);
        }
    }

    fn look_at_all(&mut self) {
        self.dirty.extend(self.contests.keys());
    }

    /// Looks at the addresses to which it matters that `node` has fallen silent or is heard again: those
    /// that it claims or claimed, this node's own, and those that nobody has or that wait for something.
    /// To the others, which somebody else announces, it does not; with many nodes they are nearly all.
    fn look_around(&mut self, node: &NodeName) {
        if let Some(peer) = self.membership.peer(node) {
            self.dirty.extend(peer.book.addresses());
        }
        let concerned = self.contests.iter().filter(|(_, contest)| {
            contest.own.is_some()
                || contest.free_since.is_some()
                || contest.look_at.is_some()
                || contest.last_owner.as_ref() == Some(node)
        });
        self.dirty.extend(concerned.map(|(&address, _)| address));
    }

    /// Looks at the address again at that time, at the latest.
    fn look_again(&mut self, address: IpAddr, at: Moment) {
        let Some(contest) = self.contests.get_mut(&address) else {
            return;
        };
        if let Some(old) = contest.look_at.replace(at) {
            self.timers.remove(&(old, address));
        }
        self.timers.insert((at, address));
    }

    fn interval(&self) -> Duration {
        self.config.profile.interval
    }
}

#[cfg(test)]
mod tests;
