//! What the node knows of the API, and the assignments that follow from it.
//!
//! [`View`] does no IO: the watches feed it, and what it makes goes to the L2 thread. Before each
//! kind has been listed once it makes nothing, because half of the objects could mean anything.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use bellwether_core::election::{Assignment, Recorded};
use bellwether_core::name::{AdvertisementName, LinkName, NodeName};
use bellwether_core::placement::{
    AdvertisedNode, Interfaces, NodeLink, candidates, on_its_network,
};
use bellwether_crds::announcement::address_of;
use bellwether_daemon::watch::Event;

use crate::assignments::Assignments;
use crate::contacts::{Contact, Contacts};
use crate::facts::{AdvertisementFacts, AnnouncementFacts, SpeakerFacts};

/// What is known of an Announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    advertisements: Vec<AdvertisementName>,
    only_nodes: Option<BTreeSet<NodeName>>,
    recorded: Option<Recorded>,
    move_to: Option<NodeName>,
}

impl From<&AnnouncementFacts> for Known {
    fn from(facts: &AnnouncementFacts) -> Self {
        Self {
            advertisements: facts.advertisements.clone(),
            only_nodes: facts.only_nodes.clone(),
            recorded: facts.recorded(),
            move_to: facts.move_to.clone(),
        }
    }
}

/// What is known of a node's Speaker.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Peer {
    eligible: bool,
    links: Vec<NodeLink>,
    contact: Contact,
}

/// Which kinds have been listed.
#[derive(Clone, Copy, Debug, Default)]
struct Listed {
    announcements: bool,
    advertisements: bool,
    speakers: bool,
}

/// All that is known, and what has been made of it.
#[derive(Debug)]
pub struct View {
    node: NodeName,
    announcements: BTreeMap<IpAddr, Known>,
    advertisements: BTreeMap<AdvertisementName, Vec<AdvertisedNode>>,
    speakers: BTreeMap<NodeName, Peer>,
    listed: Listed,
    assigned: BTreeMap<IpAddr, Arc<Assignment>>,
    /// The addresses to look at again.
    stale: BTreeSet<IpAddr>,
    /// Something has changed since the last assignments were taken.
    changed: bool,
    /// Assignments have been made at least once.
    made: bool,
}

impl View {
    /// What the speaker of `node` knows at first: nothing.
    #[must_use]
    pub fn new(node: NodeName) -> Self {
        Self {
            node,
            announcements: BTreeMap::new(),
            advertisements: BTreeMap::new(),
            speakers: BTreeMap::new(),
            listed: Listed::default(),
            assigned: BTreeMap::new(),
            stale: BTreeSet::new(),
            changed: false,
            made: false,
        }
    }

    /// The kinds that have not been listed yet.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        let Listed {
            announcements,
            advertisements,
            speakers,
        } = self.listed;
        [
            ("announcements", announcements),
            ("l2advertisements", advertisements),
            ("speakers", speakers),
        ]
        .into_iter()
        .filter_map(|(kind, listed)| (!listed).then_some(kind))
    }

    /// Takes in what happened to Announcements.
    pub fn announcement(&mut self, event: &Event<Option<AnnouncementFacts>>) {
        match event {
            Event::Listed {
                objects,
                undecodable,
            } => {
                let kept: BTreeSet<IpAddr> = objects
                    .iter()
                    .flatten()
                    .map(|facts| facts.address)
                    .chain(undecodable.iter().filter_map(|key| address_of(&key.name)))
                    .collect();
                let gone = self
                    .announcements
                    .keys()
                    .filter(|known| !kept.contains(known));
                self.stale.extend(gone.copied());
                self.announcements.retain(|known, _| kept.contains(known));
                for facts in objects.iter().flatten() {
                    self.know(facts);
                }
                self.listed.announcements = true;
            }
            Event::Applied(Some(facts)) => self.know(facts),
            Event::Applied(None) => {}
            Event::Deleted(key) => {
                if let Some(address) = address_of(&key.name)
                    && self.announcements.remove(&address).is_some()
                {
                    self.stale.insert(address);
                }
            }
        }
    }

    fn know(&mut self, facts: &AnnouncementFacts) {
        let known = Known::from(facts);
        if self.announcements.get(&facts.address) != Some(&known) {
            self.announcements.insert(facts.address, known);
            self.stale.insert(facts.address);
        }
    }

    /// Takes in what happened to advertisements.
    pub fn advertisement(&mut self, event: Event<AdvertisementFacts>) {
        match event {
            Event::Listed {
                objects,
                undecodable,
            } => {
                let mut new: BTreeMap<_, _> = objects
                    .into_iter()
                    .map(|facts| (facts.name, facts.nodes))
                    .collect();
                for key in undecodable {
                    if let Some((name, nodes)) = self
                        .advertisements
                        .remove_entry(&AdvertisementName::from(key.name))
                    {
                        new.insert(name, nodes);
                    }
                }
                self.advertisements = new;
                self.listed.advertisements = true;
                self.look_at_all();
            }
            Event::Applied(facts) => {
                if self.advertisements.get(&facts.name) != Some(&facts.nodes) {
                    self.look_at(&facts.name);
                    self.advertisements.insert(facts.name, facts.nodes);
                }
            }
            Event::Deleted(key) => {
                let name = key.name.into();
                if self.advertisements.remove(&name).is_some() {
                    self.look_at(&name);
                }
            }
        }
    }

    /// Takes in what happened to Speakers.
    pub fn speaker(&mut self, event: &Event<SpeakerFacts>) {
        let peer = |facts: &SpeakerFacts| Peer {
            eligible: facts.eligible,
            links: facts.links.clone(),
            contact: Contact {
                macs: facts.macs.clone(),
                addresses: facts.addresses.clone(),
            },
        };
        match event {
            Event::Listed {
                objects,
                undecodable,
            } => {
                let mut new: BTreeMap<NodeName, Peer> = objects
                    .iter()
                    .map(|facts| (facts.name.clone(), peer(facts)))
                    .collect();
                for key in undecodable {
                    let name = NodeName::from(&key.name);
                    if let Some(known) = self.speakers.remove(&name) {
                        new.insert(name, known);
                    }
                }
                self.speakers = new;
                self.listed.speakers = true;
                self.look_at_all();
            }
            Event::Applied(facts) => {
                let old = self.speakers.insert(facts.name.clone(), peer(facts));
                if old.is_none_or(|old| old.eligible != facts.eligible || old.links != facts.links)
                {
                    self.look_at_all();
                }
            }
            Event::Deleted(key) => {
                if self.speakers.remove(&NodeName::from(&key.name)).is_some() {
                    self.look_at_all();
                }
            }
        }
    }

    /// The links of this node that advertisements name one by one, with the advertisements.
    #[must_use]
    pub fn named_links(&self) -> BTreeMap<LinkName, BTreeSet<AdvertisementName>> {
        let mut named: BTreeMap<LinkName, BTreeSet<AdvertisementName>> = BTreeMap::new();
        for (advertisement, nodes) in &self.advertisements {
            for node in nodes.iter().filter(|one| one.node == self.node) {
                let Interfaces::Named(links) = &node.interfaces else {
                    continue;
                };
                for link in links {
                    let by = named.entry(link.clone()).or_default();
                    by.insert(advertisement.clone());
                }
            }
        }
        named
    }

    /// The other speakers, as far as the API knows them.
    #[must_use]
    pub fn contacts(&self) -> Contacts {
        let others = self.speakers.iter().filter(|(node, _)| **node != self.node);
        others
            .map(|(node, peer)| (node.clone(), peer.contact.clone()))
            .collect()
    }

    /// Whether something has changed that may make other assignments.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.changed || !self.stale.is_empty()
    }

    /// The assignments, if they have changed since they were asked for last.
    pub fn assignments(&mut self) -> Option<Assignments> {
        if self.missing().next().is_some() {
            return None;
        }
        // The first ones are news also when there is nothing to announce.
        self.changed |= !std::mem::replace(&mut self.made, true);
        for address in std::mem::take(&mut self.stale) {
            let new = self.assignment(address);
            if self.assigned.get(&address).map(Arc::as_ref) == new.as_ref() {
                continue;
            }
            self.changed = true;
            match new {
                Some(assignment) => self.assigned.insert(address, Arc::new(assignment)),
                None => self.assigned.remove(&address),
            };
        }
        std::mem::take(&mut self.changed)
            .then(|| Assignments::new(&self.node, self.assigned.clone()))
    }

    fn assignment(&self, address: IpAddr) -> Option<Assignment> {
        let known = self.announcements.get(&address)?;
        let advertised = known
            .advertisements
            .iter()
            .filter_map(|name| self.advertisements.get(name))
            .map(Vec::as_slice);
        let is_eligible =
            |node: &NodeName| self.speakers.get(node).is_some_and(|peer| peer.eligible);
        let only_nodes = known.only_nodes.as_ref();
        let all = candidates(address, advertised, only_nodes, is_eligible);
        Some(Assignment {
            candidates: on_its_network(address, all, |node| {
                self.speakers
                    .get(node)
                    .map_or(&[], |peer| peer.links.as_slice())
            }),
            recorded: known.recorded.clone(),
            move_to: known.move_to.clone(),
        })
    }

    fn look_at(&mut self, advertisement: &AdvertisementName) {
        let served = self
            .announcements
            .iter()
            .filter(|(_, known)| known.advertisements.contains(advertisement));
        self.stale.extend(served.map(|(&address, _)| address));
    }

    fn look_at_all(&mut self) {
        self.stale.extend(self.announcements.keys());
    }
}

#[cfg(test)]
mod tests;
