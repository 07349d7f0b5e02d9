//! What goes out for an address, and when.
//!
//! The election says which addresses this node owns; the kernel says which links there are. The
//! [`Announcer`] turns both into frames to send: a series of announcements when an address or a
//! link comes, refreshes after that, and nothing any more from the moment of release. Its answers
//! to others are not its affair (see [`crate::responder`]), but it knows what may be answered:
//! [`Announcer::announces`].
//!
//! ```text
//!             Own, Links                    on_deadline
//!  (silent) ------------> (series) ----------------------> (refreshes)
//!     ^                    |  ^ new MAC, carrier, ports (G4)   |
//!     |  Release, no link  |  +--------------------------------+
//!     +--------------------+------------------------------------
//! ```
//!
//! - when: `calendar` and `timeline` (G2, N4)
//! - what: `message` (G1, G3, N4, N5, N6, N10)
//! - how fast: `pacer`
//! - multicast groups: `groups` (N7)

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::frame::Frame;
use crate::link::{Link, LinkIndex, Links};
use crate::moment::Moment;
use crate::placement::Interfaces;

mod calendar;
mod groups;
mod message;
mod pacer;
mod timeline;

use calendar::{Calendar, Place};
use groups::Groups;
use message::Occasion;
use pacer::Pacer;

/// What an operator may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// How often an address is announced again at rest, on average; zero: never. Shorter than the
    /// time after which switches forget a silent station (300 s is usual).
    pub refresh: Duration,
    /// How many frames go out per second in the long run, at least 1.
    pub frames_per_second: u32,
    /// How many frames go out at once after a pause, at least 1.
    pub burst: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            refresh: Duration::from_mins(1),
            frames_per_second: 20_000,
            burst: 2_000,
        }
    }
}

/// What the announcer is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Input {
    /// The links of the node, all of them, as they are now.
    Links(Links),
    /// This node may have to announce the address at any time: it joins the groups for it.
    Prepare {
        /// The address.
        address: IpAddr,
        /// The links that it may be announced on.
        interfaces: Interfaces,
    },
    /// This node will not have to announce the address, and does not.
    Forget {
        /// The address.
        address: IpAddr,
    },
    /// This node announces the address from now on.
    Own {
        /// The address.
        address: IpAddr,
        /// The links that it may be announced on.
        interfaces: Interfaces,
    },
    /// Somebody else has announced the address: it is announced anew, if it is owned.
    Again {
        /// The address.
        address: IpAddr,
    },
    /// A stranger uses the address: it is announced one time, if it is owned, and else as planned
    /// (C3).
    Once {
        /// The address.
        address: IpAddr,
    },
    /// This node does not announce the address any more, but stays prepared to.
    Release {
        /// The address.
        address: IpAddr,
    },
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// Join a solicited-node group, with a report by MLD.
    Join {
        /// Where.
        link: LinkIndex,
        /// The group.
        group: Ipv6Addr,
    },
    /// Leave a solicited-node group.
    Leave {
        /// Where.
        link: LinkIndex,
        /// The group.
        group: Ipv6Addr,
    },
    /// Send a frame.
    Send {
        /// Where.
        link: LinkIndex,
        /// The frame.
        frame: Frame,
    },
}

/// When an address is announced on a link the next time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Next {
    /// At this moment.
    At(Moment),
    /// As soon as other announcements have gone out.
    Waiting,
    /// Not before something changes: the link cannot send it, or refreshes are off.
    Never,
}

/// What the announcer is at, for people and tests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The links that each owned address is announced on, and when it is the next time.
    pub owned: BTreeMap<IpAddr, BTreeMap<LinkIndex, Next>>,
    /// The groups that the node is in.
    pub groups: BTreeSet<(LinkIndex, Ipv6Addr)>,
}

/// An address that this node announces or may have to.
#[derive(Debug)]
struct Address {
    interfaces: Interfaces,
    owned: bool,
    links: BTreeSet<LinkIndex>,
}

/// An announcement of which frames are going out.
#[derive(Clone, Copy, Debug)]
struct Current {
    place: Place,
    occasion: Occasion,
    frame: usize,
}

/// Announces the addresses that this node owns. See the [module](self).
#[derive(Debug)]
pub struct Announcer {
    links: Links,
    addresses: BTreeMap<IpAddr, Address>,
    calendar: Calendar,
    /// Announcements out of turn. They go before those of the calendar.
    once: VecDeque<Place>,
    current: Option<Current>,
    groups: Groups,
    /// Joins and leaves that have not been handed out. They go before frames.
    memberships: VecDeque<Output>,
    pacer: Pacer,
    now: Moment,
}

impl Announcer {
    /// An announcer that has nothing to announce and no link to do it on.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            links: Links::default(),
            addresses: BTreeMap::new(),
            calendar: Calendar::new(config.refresh),
            once: VecDeque::new(),
            current: None,
            groups: Groups::default(),
            memberships: VecDeque::new(),
            pacer: Pacer::new(config.frames_per_second, config.burst),
            now: Moment::ORIGIN,
        }
    }

    /// Whether `address` is announced on `link`, so that questions for it are to be answered there.
    #[must_use]
    pub fn announces(&self, address: IpAddr, link: LinkIndex) -> bool {
        self.calendar.contains((address, link))
    }

    /// The links as it knows them.
    #[must_use]
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// Takes in a change. What follows from it is ready at once: ask [`Self::poll_output`].
    pub fn handle(&mut self, input: Input, now: Moment) {
        self.now = now;
        match input {
            Input::Links(links) => self.replace_links(links),
            Input::Prepare {
                address,
                interfaces,
            } => {
                let known = self.addresses.get(&address);
                let owned = known.is_some_and(|known| known.owned);
                self.place(address, interfaces, owned);
            }
            Input::Own {
                address,
                interfaces,
            } => self.place(address, interfaces, true),
            Input::Again { address } => self.announce_again(address),
            Input::Once { address } => self.announce_once(address),
            Input::Release { address } => self.release(address),
            Input::Forget { address } => self.forget(address),
        }
        self.on_deadline(now);
    }

    /// Makes ready what is due by `now`.
    pub fn on_deadline(&mut self, now: Moment) {
        self.now = now;
        self.pacer.fill(now);
        self.calendar.on_deadline(now);
    }

    /// When [`Self::on_deadline`] has something to do: not before an input, if there is none.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        let due = self.calendar.next_deadline();
        if !self.calendar.has_ready() && self.once.is_empty() {
            return due;
        }
        let opens = self.pacer.opens_at();
        Some(due.map_or(opens, |due| due.min(opens)))
    }

    /// The next thing to do that has not been handed out. To be done before anything else is
    /// handed in: a frame says what is true now.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(membership) = self.memberships.pop_front() {
            return Some(membership);
        }
        loop {
            if let Some(output) = self.next_frame() {
                return Some(output);
            }
            if !self.pacer.is_open() {
                return None;
            }
            let out_of_turn = self.once.pop_front();
            let out_of_turn = out_of_turn.map(|place| (place, Occasion::Refresh));
            let (place, occasion) = out_of_turn.or_else(|| self.calendar.begin(self.now))?;
            self.current = Some(Current {
                place,
                occasion,
                frame: 0,
            });
        }
    }

    /// What it is at.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut owned: BTreeMap<IpAddr, BTreeMap<LinkIndex, Next>> = BTreeMap::new();
        for ((address, link), next) in self.calendar.iter() {
            owned.entry(address).or_default().insert(link, next);
        }
        Snapshot {
            owned,
            groups: self.groups.iter().collect(),
        }
    }

    /// The next frame of the announcement that is going out.
    fn next_frame(&mut self) -> Option<Output> {
        let current = self.current.as_mut()?;
        let (address, link) = current.place;
        let frame = self
            .links
            .get(link)
            .filter(|link| self.calendar.contains(current.place) && can_send(address, link))
            .and_then(|link| message::frame(address, link, current.occasion, current.frame));
        let Some(frame) = frame else {
            self.current = None;
            return None;
        };
        current.frame += 1;
        self.pacer.spend();
        Some(Output::Send { link, frame })
    }

    /// Sets where `address` may be announced, and whether it is.
    fn place(&mut self, address: IpAddr, interfaces: Interfaces, owned: bool) {
        let links = self.links.announcing(address, &interfaces);
        let known = self.addresses.insert(
            address,
            Address {
                interfaces,
                owned,
                links: links.clone(),
            },
        );
        let (before, was_owned) =
            known.map_or_else(Default::default, |known| (known.links, known.owned));
        self.move_links(address, &before, &links);
        if owned {
            for link in links {
                if !was_owned || !before.contains(&link) {
                    self.start(address, link);
                }
            }
        }
    }

    fn announce_again(&mut self, address: IpAddr) {
        let known = self.addresses.get(&address).filter(|known| known.owned);
        let links = known.map(|known| known.links.clone()).unwrap_or_default();
        for link in links {
            self.start(address, link);
        }
    }

    fn announce_once(&mut self, address: IpAddr) {
        let known = self.addresses.get(&address).filter(|known| known.owned);
        let links = known.into_iter().flat_map(|known| &known.links);
        self.once.extend(links.map(|&link| (address, link)));
    }

    fn release(&mut self, address: IpAddr) {
        if let Some(known) = self.addresses.get_mut(&address) {
            known.owned = false;
            for &link in &known.links {
                self.calendar.end((address, link));
            }
        }
    }

    fn forget(&mut self, address: IpAddr) {
        if let Some(known) = self.addresses.remove(&address) {
            self.move_links(address, &known.links, &BTreeSet::new());
        }
    }

    /// G4: announces again where frames now leave otherwise than before.
    fn replace_links(&mut self, links: Links) {
        let old = std::mem::replace(&mut self.links, links);
        let mut addresses = std::mem::take(&mut self.addresses);
        for (&address, known) in &mut addresses {
            let links = self.links.announcing(address, &known.interfaces);
            let before = std::mem::replace(&mut known.links, links);
            self.move_links(address, &before, &known.links);
            if !known.owned {
                continue;
            }
            for &link in &known.links {
                let old = old.get(link).filter(|_| before.contains(&link));
                let new = self.links.get(link);
                if !leave_alike(address, old, new) {
                    self.start(address, link);
                }
            }
        }
        self.addresses = addresses;
    }

    /// Joins and leaves groups for an address that was placed on the links `before` and is on
    /// `after` now, and ends its series on those that are gone.
    fn move_links(
        &mut self,
        address: IpAddr,
        before: &BTreeSet<LinkIndex>,
        after: &BTreeSet<LinkIndex>,
    ) {
        for &link in after.difference(before) {
            self.groups.need(address, link, &mut self.memberships);
        }
        for &link in before.difference(after) {
            self.calendar.end((address, link));
            self.groups.release(address, link, &mut self.memberships);
        }
    }

    fn start(&mut self, address: IpAddr, link: LinkIndex) {
        let can_send = self
            .links
            .get(link)
            .is_some_and(|link| can_send(address, link));
        self.calendar.start((address, link), can_send, self.now);
    }
}

/// Whether announcements of `address` can leave `link` (N10).
fn can_send(address: IpAddr, link: &Link) -> bool {
    link.carrier && (address.is_ipv4() || link.link_local.is_some())
}

/// Whether announcements of `address` leave a link as it is now in the same way as before, so that
/// nobody needs to be told.
fn leave_alike(address: IpAddr, old: Option<&Link>, new: Option<&Link>) -> bool {
    let (Some(old), Some(new)) = (old, new) else {
        return false;
    };
    can_send(address, old) == can_send(address, new) && old.mac == new.mac && old.ports == new.ports
}

#[cfg(test)]
mod tests;
