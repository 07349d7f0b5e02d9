//! What an input affects.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use bellwether_core::moment::Moment;
use bellwether_core::name::{AdvertisementName, NodeName, PoolName, ServiceName};
use bellwether_crds::announcement::address_of;
use bellwether_daemon::call::CallError;
use bellwether_daemon::watch::{Event, Key};

use super::{PACE, State};
use crate::change::Written;
use crate::facts::{
    AdvertisementFacts, AnnouncementFacts, NamespaceFacts, NodeFacts, PoolFacts, ServiceFacts,
    SliceFacts, SpeakerFacts, Target,
};

/// Applies an event to a map of facts. Returns the keys that it touched, each with what was known of
/// it before. What a list does not name is gone, except for what could not be decoded: of that the
/// last good state stays. An object older than the known one changes nothing.
///
/// The map holds boxes: a B-tree that is filled in order leaves half of its room empty.
fn absorb<K: Ord + Clone, T>(
    map: &mut BTreeMap<K, Box<T>>,
    event: Event<T>,
    key_of: impl Fn(&T) -> K,
    key_from: impl Fn(&Key) -> K,
    is_stale: impl Fn(&T, &T) -> bool,
) -> Vec<(K, Option<T>)> {
    match event {
        Event::Applied(new) => {
            let key = key_of(&new);
            if map.get(&key).is_some_and(|known| is_stale(&new, known)) {
                return Vec::new();
            }
            let old = map.insert(key.clone(), Box::new(new));
            vec![(key, old.map(|old| *old))]
        }
        Event::Deleted(key) => {
            let key = key_from(&key);
            let old = map.remove(&key);
            vec![(key, old.map(|old| *old))]
        }
        Event::Listed {
            objects,
            undecodable,
        } => {
            let mut old = std::mem::take(map);
            let mut touched = Vec::new();
            for key in undecodable.iter().map(key_from) {
                if let Some(known) = old.remove(&key) {
                    map.insert(key, known);
                }
            }
            for object in objects {
                let key = key_of(&object);
                match old.remove(&key) {
                    Some(known) if is_stale(&object, &known) => {
                        map.insert(key, known);
                    }
                    known => {
                        touched.push((key.clone(), known.map(|known| *known)));
                        map.insert(key, Box::new(object));
                    }
                }
            }
            touched.extend(old.into_iter().map(|(key, known)| (key, Some(*known))));
            touched
        }
    }
}

fn service_name(key: &Key) -> ServiceName {
    ServiceName::new(&key.namespace, &key.name)
}

impl State {
    fn listed<T>(&mut self, event: &Event<T>, kind: &'static str) {
        if let Event::Listed { .. } = event {
            self.not_listed.remove(kind);
        }
    }

    pub(super) fn on_services(&mut self, event: Event<ServiceFacts>, now: Moment) {
        self.listed(&event, "services");
        let mut touched = absorb(
            &mut self.services,
            event,
            |service| service.name.clone(),
            service_name,
            |new, known| new.version.is_before(&known.version),
        );
        // The oldest first, so that a list decides as the creations did.
        touched.sort_by_cached_key(|(name, _)| {
            let created = self.services.get(name).map(|service| service.created);
            (created, name.clone())
        });
        for (name, old) in touched {
            for address in old.iter().flat_map(|old| &old.ingress) {
                self.forget_shown(*address, &name);
            }
            self.take_in(&name, now);
        }
    }

    pub(super) fn on_namespaces(&mut self, event: Event<NamespaceFacts>, now: Moment) {
        self.listed(&event, "namespaces");
        let touched = absorb(
            &mut self.namespaces,
            event,
            |namespace| namespace.name.clone(),
            |key| key.name.clone(),
            |_, _| false,
        );
        let changed: BTreeSet<String> = touched
            .into_iter()
            .filter(|(name, old)| self.namespaces.get(name).map(Box::as_ref) != old.as_ref())
            .map(|(name, _)| name)
            .collect();
        if changed.is_empty() || !self.is_complete() {
            return;
        }
        let services = self.decisions.keys();
        let names: Vec<ServiceName> = services
            .filter(|service| changed.contains(&*service.namespace))
            .cloned()
            .collect();
        for name in names {
            self.decide(&name, now);
        }
        self.reconsider(now);
    }

    pub(super) fn on_nodes(&mut self, event: Event<NodeFacts>, now: Moment) {
        self.listed(&event, "nodes");
        let had_lost_sight = self.has_lost_sight();
        let touched = absorb(
            &mut self.nodes,
            event,
            |node| node.name.clone(),
            |key| NodeName::from(&key.name),
            |_, _| false,
        );
        // A heartbeat changes nothing that is kept.
        let mut changed = touched
            .iter()
            .filter(|(name, old)| self.nodes.get(name).map(Box::as_ref) != old.as_ref())
            .peekable();
        if changed.peek().is_none() {
            return;
        }
        for (name, old) in changed {
            match self.nodes.get(name) {
                Some(node) if !node.is_ready => {
                    if old.as_ref().is_some_and(|old| old.is_ready) {
                        self.grace.begin(name.clone(), now);
                    }
                }
                _ => self.grace.end(name),
            }
            self.schedule.mark(Target::Speaker(name.clone()));
        }
        if had_lost_sight {
            self.grace.prolong(now);
        }
        self.mark_advertisements();
    }

    pub(super) fn on_slices(&mut self, event: Event<SliceFacts>) {
        self.listed(&event, "endpointslices");
        let touched = absorb(
            &mut self.slices,
            event,
            |slice| slice.name.clone(),
            service_name,
            |_, _| false,
        );
        for (name, old) in touched {
            let old = old.and_then(|slice| slice.service);
            let new = self
                .slices
                .get(&name)
                .and_then(|slice| slice.service.clone());
            if let Some(old) = &old
                && let Some(slices) = self.slices_of.get_mut(old)
            {
                slices.remove(&name);
                if slices.is_empty() {
                    self.slices_of.remove(old);
                }
            }
            if let Some(new) = &new {
                self.slices_of.entry(new.clone()).or_default().insert(name);
            }
            for service in BTreeSet::from([old, new]).into_iter().flatten() {
                self.mark_addresses_of(&service);
            }
        }
    }

    pub(super) fn on_pools(&mut self, event: Event<PoolFacts>, now: Moment) {
        self.listed(&event, "ipaddresspools");
        let touched = absorb(
            &mut self.pools,
            event,
            |pool| pool.name.clone(),
            |key| PoolName::from(&key.name),
            |new, known| new.version.is_before(&known.version),
        );
        let mut is_changed = false;
        for (name, old) in touched {
            let new = self.pools.get(&name).map(Box::as_ref);
            let kept = |facts: &PoolFacts| (facts.pool.clone(), facts.labels.clone());
            is_changed |= new.map(kept) != old.as_ref().map(kept);
            match new.map(|facts| &facts.pool) {
                Some(Ok(pool)) => {
                    self.usable_pools.insert(name.clone(), pool.clone());
                }
                // The last good state stays.
                Some(Err(_)) => {}
                None => {
                    self.usable_pools.remove(&name);
                }
            }
            self.schedule.mark(Target::Pool(name));
        }
        if is_changed && self.is_complete() {
            self.use_pools(now);
        }
    }

    pub(super) fn on_advertisements(&mut self, event: Event<AdvertisementFacts>) {
        self.listed(&event, "l2advertisements");
        let touched = absorb(
            &mut self.advertisements,
            event,
            |advertisement| advertisement.name.clone(),
            |key| AdvertisementName::from(&key.name),
            |new, known| new.version.is_before(&known.version),
        );
        let mut is_changed = false;
        for (name, old) in touched {
            let kept =
                |facts: &AdvertisementFacts| (facts.rules.clone(), facts.status.nodes.clone());
            is_changed |=
                self.advertisements.get(&name).map(Box::as_ref).map(kept) != old.as_ref().map(kept);
            self.schedule.mark(Target::Advertisement(name));
        }
        if is_changed {
            self.mark_announcements();
            self.mark_services();
        }
    }

    pub(super) fn on_announcements(&mut self, event: Event<AnnouncementFacts>, now: Moment) {
        self.listed(&event, "announcements");
        // One that somebody made under a name that is not its address is none of ours.
        let event = match event {
            Event::Applied(facts) if facts.address().is_none() => return,
            Event::Deleted(key) if address_of(&key.name).is_none() => return,
            Event::Listed {
                mut objects,
                mut undecodable,
            } => {
                objects.retain(|facts| facts.address().is_some());
                undecodable.retain(|key| address_of(&key.name).is_some());
                Event::Listed {
                    objects,
                    undecodable,
                }
            }
            event => event,
        };
        let unspecified = IpAddr::from([0, 0, 0, 0]);
        let touched = absorb(
            &mut self.announcements,
            event,
            |facts| facts.spec.address,
            |key| address_of(&key.name).unwrap_or(unspecified),
            |new, known| new.version.is_before(&known.version),
        );
        for (address, old) in touched {
            self.note_reservation(address, old.as_ref());
            self.mark_served(old.as_ref(), address);
            if self.contested.remove(&address) {
                self.yield_to_creator(address, now);
            }
            self.mark_announcement(address);
            self.note_news(address, old.as_ref());
            let services = old.iter().flat_map(AnnouncementFacts::services);
            for service in services {
                self.schedule.mark(Target::Service(service));
            }
        }
    }

    pub(super) fn on_speakers(&mut self, event: Event<SpeakerFacts>) {
        self.listed(&event, "speakers");
        let touched = absorb(
            &mut self.speakers,
            event,
            |speaker| speaker.name.clone(),
            |key| NodeName::from(&key.name),
            |new, known| new.version.is_before(&known.version),
        );
        let mut is_changed = false;
        for (name, old) in touched {
            let decides = |facts: &SpeakerFacts| (facts.spec.eligible, facts.links.clone());
            is_changed |=
                self.speakers.get(&name).map(Box::as_ref).map(decides) != old.as_ref().map(decides);
            self.schedule.mark(Target::Speaker(name));
        }
        if is_changed {
            self.mark_services();
        }
    }

    pub(super) fn on_written(
        &mut self,
        target: Target,
        result: Result<Written, CallError>,
        now: Moment,
    ) {
        let written = match result {
            Ok(written) => written,
            Err(error) => {
                if let Target::Announcement(address) = &target
                    && matches!(error, CallError::AlreadyExists(_))
                {
                    self.contested.insert(*address);
                }
                let wait = match error {
                    CallError::TooManyRequests { retry_after } => retry_after,
                    _ => None,
                };
                self.schedule.fail(target, now, wait);
                return;
            }
        };
        let pace = match target {
            Target::Pool(_) | Target::Advertisement(_) => PACE,
            _ => Duration::ZERO,
        };
        self.schedule.succeed(target.clone(), now, pace);
        match (written, target) {
            (Written::Service(facts), _) => self.on_services(Event::Applied(*facts), now),
            (Written::Announcement(facts), _) => self.on_announcements(Event::Applied(facts), now),
            (Written::Pool(facts), _) => self.on_pools(Event::Applied(*facts), now),
            (Written::Advertisement(facts), _) => self.on_advertisements(Event::Applied(*facts)),
            (Written::Speaker(facts), _) => self.on_speakers(Event::Applied(facts)),
            (Written::Deleted, Target::Announcement(address)) => {
                let old = self.announcements.remove(&address);
                self.note_reservation(address, old.as_deref());
                self.mark_served(old.as_deref(), address);
                self.mark_announcement(address);
            }
            (Written::Deleted, Target::Speaker(node)) => {
                self.speakers.remove(&node);
                self.schedule.mark(Target::Speaker(node));
            }
            (Written::Deleted | Written::Told, _) => {}
        }
    }
}
