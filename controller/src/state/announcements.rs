//! Announcements: for whom an address is, and who may announce it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use bellwether_core::few::take_out;
use bellwether_core::name::{LinkName, NodeName, PoolName, ServiceName};
use bellwether_core::placement::{
    AdvertisedNode, Candidate, Interfaces, NodeLink, candidates, on_its_network,
};
use bellwether_core::sharing::Backend;
use bellwether_crds::announcement::{AnnouncementSpec, ServiceReference};
use bellwether_crds::l2advertisement::AdvertisementNode;

use super::State;
use crate::change::Change;
use crate::facts::advertisement::Rules;
use crate::facts::{AdvertisementFacts, AnnouncementFacts, SliceFacts, Target};
use crate::reason::AnnouncedReason;

impl State {
    /// An address, and the Services that show it, have to be looked at.
    pub(super) fn mark_announcement(&mut self, address: IpAddr) {
        self.schedule.mark(Target::Announcement(address));
        let users: Vec<ServiceName> = self.allocator.users(address).cloned().collect();
        for service in users {
            self.schedule.mark(Target::Service(service));
        }
    }

    /// The Announcement of an address has changed, and was `old` before.
    pub(super) fn note_reservation(&mut self, address: IpAddr, old: Option<&AnnouncementFacts>) {
        for service in old.into_iter().flat_map(AnnouncementFacts::services) {
            take_out(&mut self.reserved, &service, &address);
        }
        let new = self.announcements.get(&address).map(Box::as_ref);
        for service in new.into_iter().flat_map(AnnouncementFacts::services) {
            self.reserved.entry(service).or_default().insert(address);
        }
    }

    pub(super) fn mark_announcements(&mut self) {
        let addresses: Vec<IpAddr> = self.announcements.keys().copied().collect();
        for address in addresses {
            self.schedule.mark(Target::Announcement(address));
        }
    }

    pub(super) fn mark_services(&mut self) {
        let names: Vec<ServiceName> = self.decisions.keys().cloned().collect();
        for name in names {
            self.schedule.mark(Target::Service(name));
        }
    }

    pub(super) fn mark_addresses_of(&mut self, service: &ServiceName) {
        let addresses: Vec<IpAddr> = self
            .allocator
            .allocations(service)
            .iter()
            .map(|entry| entry.address)
            .collect();
        for address in addresses {
            self.mark_announcement(address);
        }
    }

    pub(super) fn mark_everything(&mut self) {
        self.mark_announcements();
        self.mark_services();
        self.mark_advertisements();
        let pools: Vec<_> = self.pools.keys().cloned().collect();
        for pool in pools {
            self.schedule.mark(Target::Pool(pool));
        }
        let nodes: BTreeSet<NodeName> = self
            .nodes
            .keys()
            .chain(self.speakers.keys())
            .cloned()
            .collect();
        for node in nodes {
            self.schedule.mark(Target::Speaker(node));
        }
    }

    /// What is to be written of an address.
    pub(super) fn announcement_change(&mut self, address: IpAddr) -> Option<Change> {
        let known = self.announcements.get(&address);
        let users: BTreeSet<ServiceName> = self.allocator.users(address).cloned().collect();
        if users.is_empty() {
            let known = known?;
            // Whoever shows it must have stopped before another may get it.
            return (!self.shown_by.contains_key(&address)).then(|| Change::DeleteAnnouncement {
                address,
                version: known.version.clone(),
            });
        }
        let shown_by_others = self
            .shown_by
            .get(&address)
            .is_some_and(|services| services.iter().any(|service| !users.contains(service)));
        if shown_by_others {
            return None;
        }
        let spec = self.announcement_spec(address, &users);
        match known {
            None => Some(Change::CreateAnnouncement(spec)),
            Some(known) if known.spec == spec => None,
            Some(known) => Some(Change::UpdateAnnouncement {
                version: known.version.clone(),
                spec,
            }),
        }
    }

    fn announcement_spec(
        &self,
        address: IpAddr,
        users: &BTreeSet<ServiceName>,
    ) -> AnnouncementSpec {
        let allocations = users
            .iter()
            .flat_map(|service| self.allocator.allocations(service));
        let pool = allocations
            .filter(|entry| entry.address == address)
            .find_map(|entry| entry.pool.clone());
        let advertisements = self
            .covering(pool.as_ref(), users)
            .filter(|(_, rules)| !rules.withdraw_without_endpoints || self.has_endpoint(users));
        AnnouncementSpec {
            address,
            advertisements: advertisements
                .map(|(facts, _)| facts.name.to_string())
                .collect(),
            pool: pool.map(|pool| pool.to_string()).unwrap_or_default(),
            services: users
                .iter()
                .map(|service| ServiceReference {
                    namespace: service.namespace.to_string(),
                    name: service.name.to_string(),
                })
                .collect(),
            only_nodes: self
                .only_nodes(users)
                .map(|nodes| nodes.iter().map(ToString::to_string).collect()),
        }
    }

    /// The advertisements that cover an address of `pool` that `users` have.
    fn covering<'a>(
        &'a self,
        pool: Option<&'a PoolName>,
        users: &'a BTreeSet<ServiceName>,
    ) -> impl Iterator<Item = (&'a AdvertisementFacts, &'a Rules)> {
        let all = self.advertisements.values().map(Box::as_ref);
        let usable = all.filter_map(|facts| Some((facts, facts.rules.as_ref().ok()?)));
        usable.filter(move |(_, rules)| {
            let is_pool_matched = pool.is_some_and(|name| {
                let labels = self.pools.get(name).map(|pool| pool.labels.clone());
                rules.match_pool(name, &labels.unwrap_or_default())
            });
            let mut services = users.iter().filter_map(|name| self.services.get(name));
            is_pool_matched && services.any(|service| rules.match_service(&service.labels))
        })
    }

    fn slices_of<'a>(
        &'a self,
        service: &ServiceName,
    ) -> impl Iterator<Item = &'a SliceFacts> + use<'a> {
        let names = self.slices_of.get(service).into_iter().flatten();
        names.filter_map(|name| self.slices.get(name).map(Box::as_ref))
    }

    /// Whether any of the Services has an endpoint to send to.
    fn has_endpoint(&self, users: &BTreeSet<ServiceName>) -> bool {
        users
            .iter()
            .any(|name| self.slices_of(name).any(|slice| slice.serves))
    }

    /// The nodes that externalTrafficPolicy Local leaves: those with a ready endpoint, or, if there
    /// is none, with one that still serves, as kube-proxy sees it (KEP-1669). `None` is every node.
    fn only_nodes(&self, users: &BTreeSet<ServiceName>) -> Option<BTreeSet<NodeName>> {
        let mut only: Option<BTreeSet<NodeName>> = None;
        for name in users {
            let service = self.services.get(name);
            if !service.is_some_and(|service| matches!(service.backend, Backend::Local { .. })) {
                continue;
            }
            let slices: Vec<_> = self.slices_of(name).collect();
            let mut nodes: BTreeSet<NodeName> = slices
                .iter()
                .flat_map(|slice| slice.ready.iter().cloned())
                .collect();
            if nodes.is_empty() {
                nodes = slices
                    .iter()
                    .flat_map(|slice| slice.serving.iter().cloned())
                    .collect();
            }
            only = Some(match only {
                Some(other) => other.intersection(&nodes).cloned().collect(),
                None => nodes,
            });
        }
        only
    }

    /// Why an address is not announced; `None` if it is.
    pub(super) fn not_announced(&self, address: IpAddr) -> Option<(AnnouncedReason, String)> {
        let facts = self.announcements.get(&address)?;
        let spec = &facts.spec;
        if spec.advertisements.is_empty() {
            let pool = (!spec.pool.is_empty()).then(|| PoolName::from(&spec.pool));
            let users = facts.services().collect();
            if let Some((withdraws, _)) = self.covering(pool.as_ref(), &users).next() {
                let message = format!(
                    "no endpoint is ready for {address}, and L2Advertisement {} withdraws it \
                     meanwhile (withdrawWithoutEndpoints)",
                    withdraws.name
                );
                return Some((AnnouncedReason::NoReadyEndpoint, message));
            }
            let message = format!(
                "no L2Advertisement covers {address} of pool {}; create one, or look at the \
                 selectors of those there are",
                spec.pool
            );
            return Some((AnnouncedReason::NoAdvertisement, message));
        }
        if spec.only_nodes.as_ref().is_some_and(Vec::is_empty) {
            let message = format!(
                "externalTrafficPolicy is Local and no node has a ready endpoint for {address}"
            );
            return Some((AnnouncedReason::NoReadyEndpoint, message));
        }
        let candidates = self.candidates(spec);
        if candidates.is_empty() {
            let message = format!(
                "no node may announce {address}: see the nodes of L2Advertisement {} and kubectl \
                 get speakers",
                spec.advertisements.join(", ")
            );
            return Some((AnnouncedReason::NoEligibleNode, message));
        }
        // A node that may not announce it any more may be dead, and its word too old to count.
        let is_announced = facts
            .node
            .as_ref()
            .is_some_and(|node| candidates.iter().any(|one| one.node == *node));
        (!is_announced).then(|| {
            let message = format!("no node that may announce {address} has said yet that it does");
            (AnnouncedReason::WaitingForSpeaker, message)
        })
    }

    /// The nodes that may announce, by the same rule as the speakers'.
    pub(super) fn candidates(&self, spec: &AnnouncementSpec) -> Vec<Candidate> {
        let permitted = self.permitted(spec);
        on_its_network(spec.address, permitted, |node| self.links_of(node))
    }

    /// The links of a node, as far as its speaker has said.
    pub(super) fn links_of(&self, node: &NodeName) -> &[NodeLink] {
        let speaker = self.speakers.get(node);
        speaker.map_or(&[], |facts| facts.links.as_slice())
    }

    /// The nodes that might announce if they had the links for it.
    pub(super) fn permitted(&self, spec: &AnnouncementSpec) -> Vec<Candidate> {
        let advertised: Vec<Vec<AdvertisedNode>> = spec
            .advertisements
            .iter()
            .filter_map(|name| self.advertisements.get(name.as_str()))
            .map(|facts| facts.status.nodes.iter().map(advertised_node).collect())
            .collect();
        let only_nodes: Option<BTreeSet<NodeName>> = spec
            .only_nodes
            .as_ref()
            .map(|nodes| nodes.iter().map(NodeName::from).collect());
        let is_eligible = |node: &NodeName| {
            self.speakers
                .get(node)
                .is_some_and(|facts| facts.spec.eligible)
        };
        let lists = advertised.iter().map(Vec::as_slice);
        candidates(spec.address, lists, only_nodes.as_ref(), is_eligible)
    }
}

fn advertised_node(node: &AdvertisementNode) -> AdvertisedNode {
    AdvertisedNode {
        node: NodeName::from(&node.name),
        interfaces: match &node.interfaces[..] {
            [] => Interfaces::All,
            names => Interfaces::Named(names.iter().map(LinkName::from).collect()),
        },
        preference: node.preference,
    }
}
