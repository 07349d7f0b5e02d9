//! Events: each move of an address from one node to another, and each other host that uses one, is
//! told once on its Services.

use std::net::IpAddr;

use bellwether_core::name::ServiceName;

use super::State;
use crate::change::{Change, Note};
use crate::facts::{AnnouncementFacts, Target};
use crate::reason::EventReason;

/// The most events of one Service that wait to be told: an API server that is away meanwhile must not
/// fill the memory.
const MOST: usize = 16;

impl State {
    /// An Announcement has changed, and was `old` before; without, it was not known. What a list says
    /// then is news if it came about while nobody led.
    pub(super) fn note_news(&mut self, address: IpAddr, old: Option<&AnnouncementFacts>) {
        let Some(new) = self.announcements.get(&address) else {
            return;
        };
        let while_unled = self.unled_since.zip(new.claim.since);
        let while_unled = while_unled.is_some_and(|(unled, moved)| moved > unled);
        let has_moved = old.map_or(while_unled, |old| {
            // Of two claims in one term, as after a split, the one that stays may be told second.
            let is_another = old.node.is_some() && old.node != new.node;
            new.claim.term > old.claim.term || (new.claim.term == old.claim.term && is_another)
        });
        let moved = has_moved.then(|| moved(address, new));
        let disputed = old.is_some_and(|old| new.conflict != old.conflict);
        let conflict = disputed.then(|| conflict(address, new));
        let notes: Vec<Note> = [moved, conflict].into_iter().flatten().flatten().collect();
        if notes.is_empty() {
            return;
        }
        let services: Vec<ServiceName> = new.services().collect();
        for service in services {
            let waiting = self.notes.entry(service.clone()).or_default();
            waiting.extend(notes.iter().cloned());
            waiting.drain(..waiting.len().saturating_sub(MOST));
            self.schedule.mark(Target::Notes(service));
        }
    }

    /// What is to be told of a Service's addresses.
    pub(super) fn notes_change(&mut self, service: &ServiceName) -> Option<Change> {
        let notes = self.notes.remove(service)?;
        let facts = self.services.get(service)?;
        Some(Change::Tell {
            service: service.clone(),
            uid: facts.version.uid.clone(),
            notes,
        })
    }
}

/// The move in words; none, if the address was on no other node before.
fn moved(address: IpAddr, now: &AnnouncementFacts) -> Option<Note> {
    let node = now.node.as_ref()?;
    let claim = &now.claim;
    let before = claim.previous.as_ref().filter(|before| *before != node)?;
    let why = match claim.reason.as_deref() {
        Some("HandedOver") => format!("{before} has handed it over, without a gap"),
        Some("OwnerSilent") => match claim.takeover {
            Some(takeover) => {
                format!("the speaker of {before} had been silent for {takeover} ms")
            }
            None => format!("the speaker of {before} had fallen silent"),
        },
        Some("OwnerDeaf") => format!("{before} hears nothing on its links"),
        Some("OwnerReleased") => format!("{before} has released it"),
        _ => format!("nobody announced it after {before}"),
    };
    Some(Note {
        action: "Announce",
        is_warning: false,
        reason: EventReason::Moved.as_str().to_owned(),
        message: format!("{address} has moved from {before} to {node}: {why}"),
    })
}

/// Another host that uses the address, in words; none, if that is over.
fn conflict(address: IpAddr, now: &AnnouncementFacts) -> Option<Note> {
    let said = now.conflict.as_ref()?;
    Some(Note {
        action: "Announce",
        is_warning: true,
        reason: EventReason::Conflict.as_str().to_owned(),
        message: format!("{address}: {said}"),
    })
}
