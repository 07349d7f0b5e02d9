//! What the status of an Announcement and of a Speaker should say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bellwether_core::election::Owned;
use bellwether_core::link::{Link, Links};
use bellwether_core::mac::MacAddr;
use bellwether_core::name::{AdvertisementName, LinkName, NodeName};
use bellwether_core::placement::Interfaces;
use bellwether_crds::announcement::{AnnouncedInterface, AnnouncementStatus};
use bellwether_crds::condition::{
    ANNOUNCED, BEACON_PATH_DEGRADED, CONFLICT, INTERFACES_MISSING, KERNEL_ANSWERS, LINK_UNPROVEN,
    READY,
};
use bellwether_crds::speaker::{SpeakerLink, SpeakerStatus};
use bellwether_daemon::VERSION;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime, Time};
use k8s_openapi::jiff::Timestamp;

use super::claims::Claim;
use super::reason::{AnnouncementReason, PathReason, SpeakerReason};
use crate::l2::Paths;
use crate::links::KernelAnswers;

/// What the node is like.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    /// This start of its speaker, as the status of the Speaker names it.
    pub session: Option<String>,
    /// The links that can carry announcements.
    pub links: Links,
    /// Those on which the speaker cannot listen, and why.
    pub closed: BTreeMap<LinkName, String>,
    /// What is wrong with the ways of beacons, once that is known.
    pub paths: Option<Paths>,
    /// The links that advertisements name, with their names.
    pub named: BTreeMap<LinkName, BTreeSet<AdvertisementName>>,
    /// What the kernel answers ARP for.
    pub answers: KernelAnswers,
    /// The node's addresses as its operator gives them; if there are none, those of the links count.
    pub given: Vec<IpAddr>,
}

/// Why something cannot be announced: a reason and a sentence.
type Problem = (AnnouncementReason, String);

impl Surroundings {
    /// The links on which `owned` is announced, or why it is on none.
    fn places(&self, node: &NodeName, owned: &Owned) -> Result<Vec<AnnouncedInterface>, Problem> {
        let mut places = Vec::new();
        let mut problem = None;
        for index in self.links.announcing(owned.address, &owned.interfaces) {
            let Some(link) = self.links.get(index) else {
                continue;
            };
            match self.obstacle(node, owned.address, link) {
                Some(obstacle) => problem = problem.or(Some(obstacle)),
                None => places.push(AnnouncedInterface {
                    name: link.name.to_string(),
                    mac: link.mac.to_string(),
                }),
            }
        }
        if places.is_empty() {
            return Err(problem.unwrap_or_else(|| no_link(node, &owned.interfaces)));
        }
        places.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(places)
    }

    /// The addresses at which other nodes reach this one.
    fn addresses(&self) -> Vec<String> {
        let text = |address: &IpAddr| address.to_string();
        if !self.given.is_empty() {
            return self.given.iter().map(text).collect();
        }
        let links = self.links.iter().map(|(_, link)| link);
        let all: BTreeSet<&IpAddr> = links.flat_map(|link| &link.addresses).collect();
        all.into_iter().map(text).collect()
    }

    /// The condition that says which links are named and are not there, if any are.
    fn missing(&self, node: &NodeName) -> Option<Condition> {
        let has = |name: &LinkName| self.links.iter().any(|(_, link)| link.name == *name);
        let missing: Vec<String> = self
            .named
            .iter()
            .filter(|(name, _)| !has(name))
            .map(|(name, by)| {
                let by: Vec<&str> = by.iter().map(AdvertisementName::as_str).collect();
                format!("{name} (L2Advertisement {})", by.join(", "))
            })
            .collect();
        let text = format!(
            "{node} has no such links that can carry announcements: {}; correct interfaces, or see \
             --exclude-interfaces of the speaker",
            missing.join("; ")
        );
        let reason = SpeakerReason::InterfaceNotFound.as_str();
        (!missing.is_empty()).then(|| condition(INTERFACES_MISSING, true, reason, text))
    }

    /// The condition that says for which of the `announced` addresses the kernel answers ARP, if for
    /// any. One stands for all: when kube-proxy holds them, it holds every one.
    pub fn answered(
        &self,
        node: &NodeName,
        announced: impl Iterator<Item = IpAddr>,
    ) -> Option<Condition> {
        let mut answered =
            announced.filter_map(|address| Some((address, self.answers.holder(address)?)));
        let (address, holder) = answered.next()?;
        let more = match answered.count() {
            0 => String::new(),
            count => format!(" (and for {count} more)"),
        };
        let on: Vec<&str> = self.answers.on.iter().map(LinkName::as_str).collect();
        let text = format!(
            "{node} has {address} on its link {holder}, and its kernel answers ARP for \
             it{more} on {}, whoever announces it, because the sysctl arp_ignore is 0: set \
             strictARP: true in the configuration of kube-proxy, or \
             net.ipv4.conf.all.arp_ignore=1 on the node",
            on.join(", ")
        );
        let reason = SpeakerReason::AddressOnOtherLink.as_str();
        Some(condition(KERNEL_ANSWERS, true, reason, text))
    }

    /// Why `address` cannot be announced on `link`, if it cannot.
    fn obstacle(&self, node: &NodeName, address: IpAddr, link: &Link) -> Option<Problem> {
        let name = &link.name;
        if let Some(error) = self.closed.get(name) {
            let text = format!("{node} cannot listen on its link {name}: {error}");
            return Some((AnnouncementReason::CannotListen, text));
        }
        if !link.carrier {
            let text = format!(
                "the link {name} of {node} has no carrier: check its cable and switch port"
            );
            return Some((AnnouncementReason::NoCarrier, text));
        }
        if address.is_ipv6() && link.link_local.is_none() {
            let text = format!(
                "the link {name} of {node} has no usable IPv6 link-local address to announce \
                 from: enable IPv6 on it"
            );
            return Some((AnnouncementReason::NoLinkLocalAddress, text));
        }
        None
    }
}

fn no_link(node: &NodeName, interfaces: &Interfaces) -> Problem {
    let text = match interfaces {
        Interfaces::All => format!(
            "{node} has no link that can carry announcements: see --exclude-interfaces of its \
             speaker"
        ),
        Interfaces::Named(names) => {
            let names: Vec<&str> = names.iter().map(LinkName::as_str).collect();
            let names = names.join(", ");
            format!(
                "{node} has none of the links {names}: name one that kubectl get speaker {node} \
                 shows in the interfaces of the L2Advertisement"
            )
        }
    };
    (AnnouncementReason::NoLink, text)
}

/// The status of an address that `node` owns; `old` is what it says now.
pub(super) fn owned(
    node: &NodeName,
    claim: &Claim,
    surroundings: &Surroundings,
    old: &AnnouncementStatus,
    now: Timestamp,
) -> AnnouncementStatus {
    let owned = &claim.owned;
    let term = i64::try_from(owned.term.0).unwrap_or(i64::MAX);
    // After a restart the claim goes on, and with it what was known of its beginning.
    let goes_on = old.node.as_deref() == Some(node.as_str()) && old.term == Some(term);
    let previous_node = if goes_on {
        old.previous_node.clone()
    } else {
        owned.previous.as_ref().map(ToString::to_string)
    };
    let takeover_milliseconds = if goes_on {
        old.takeover_milliseconds
    } else {
        let milliseconds = owned.takeover.map(|takeover| takeover.as_millis());
        milliseconds.and_then(|milliseconds| i64::try_from(milliseconds).ok())
    };
    let places = surroundings.places(node, owned);
    let reason = AnnouncementReason::from(owned.reason).as_str();
    let announced = match &places {
        Ok(places) => {
            let names: Vec<&str> = places.iter().map(|place| place.name.as_str()).collect();
            let text = format!("{node} announces it on {}", names.join(", "));
            condition(ANNOUNCED, true, reason, text)
        }
        Err((reason, text)) => condition(ANNOUNCED, false, reason.as_str(), text.clone()),
    };
    let foreign = claim.conflict.map(conflict);
    let mut status = AnnouncementStatus {
        term: Some(term),
        previous_node,
        takeover_milliseconds,
        conditions: [Some(announced), foreign].into_iter().flatten().collect(),
        ..AnnouncementStatus::default()
    };
    if let Ok(places) = places {
        status.node = Some(node.to_string());
        status.interfaces = places;
        status.since = old
            .since
            .clone()
            .filter(|_| goes_on)
            .or(Some(MicroTime(claim.since)));
        status.reason = Some(reason.to_owned());
    }
    keep_times(&mut status.conditions, &old.conditions, now);
    status
}

/// The status of an address that `node` announces no more, and nobody else yet.
pub(super) fn released(
    node: &NodeName,
    reason: AnnouncementReason,
    old: &AnnouncementStatus,
    now: Timestamp,
) -> AnnouncementStatus {
    let why = match reason {
        AnnouncementReason::Stopping => format!("the speaker of {node} has stopped"),
        AnnouncementReason::LinkDown => format!("no link of {node} that it is for is usable"),
        AnnouncementReason::Deaf => format!("{node} hears nothing on its links"),
        AnnouncementReason::NoCandidate => format!("{node} may not announce it any more"),
        _ => format!("{node} does not announce it any more"),
    };
    let text = format!("{why}, and no other node announces it yet");
    let reason = reason.as_str();
    let mut status = AnnouncementStatus {
        term: old.term,
        previous_node: Some(node.to_string()),
        conditions: vec![condition(ANNOUNCED, false, reason, text)],
        ..AnnouncementStatus::default()
    };
    keep_times(&mut status.conditions, &old.conditions, now);
    status
}

fn conflict(mac: MacAddr) -> Condition {
    let text = format!(
        "the station {mac} uses this address too: take it off that station, or exclude it from \
         the pool"
    );
    let reason = AnnouncementReason::ForeignStation.as_str();
    condition(CONFLICT, true, reason, text)
}

/// The status of an address that nobody announces, because the station `mac` uses it (C1).
pub(super) fn used_by_stranger(
    mac: MacAddr,
    old: &AnnouncementStatus,
    now: Timestamp,
) -> AnnouncementStatus {
    let text = format!("nobody announces it, because the station {mac} uses it");
    let reason = AnnouncementReason::ForeignStation.as_str();
    let mut status = AnnouncementStatus {
        conditions: vec![condition(ANNOUNCED, false, reason, text), conflict(mac)],
        ..old.clone()
    };
    keep_times(&mut status.conditions, &old.conditions, now);
    status
}

/// Whether a status says that another station uses the address.
pub(super) fn names_some_stranger(status: &AnnouncementStatus) -> bool {
    let mut conditions = status.conditions.iter();
    conditions.any(|condition| condition.type_ == CONFLICT)
}

/// Whether a status says that the station `mac` uses the address.
pub(super) fn names_stranger(status: &AnnouncementStatus, mac: MacAddr) -> bool {
    let said = conflict(mac);
    status
        .conditions
        .iter()
        .any(|condition| condition.type_ == CONFLICT && condition.message == said.message)
}

/// The status of the node's Speaker, with what [`Surroundings::answered`] says.
pub(super) fn speaker(
    node: &NodeName,
    surroundings: &Surroundings,
    answered: Option<Condition>,
    stopping: bool,
    old: &SpeakerStatus,
    now: Timestamp,
) -> SpeakerStatus {
    let links: Vec<SpeakerLink> = surroundings
        .links
        .iter()
        .map(|(_, link)| SpeakerLink {
            name: link.name.to_string(),
            mac: link.mac.to_string(),
            carrier: link.carrier,
            subnets: link.networks.iter().map(ToString::to_string).collect(),
        })
        .collect();
    let ready = if stopping {
        let text = format!("the speaker of {node} has stopped");
        condition(READY, false, SpeakerReason::Stopping.as_str(), text)
    } else if let Some((name, error)) = surroundings.closed.first_key_value() {
        let text = format!("{node} cannot listen on its link {name}: {error}");
        condition(READY, false, SpeakerReason::CannotListen.as_str(), text)
    } else if links.is_empty() {
        let (_, text) = no_link(node, &Interfaces::All);
        condition(READY, false, SpeakerReason::NoLink.as_str(), text)
    } else {
        let names: Vec<&str> = links.iter().map(|link| link.name.as_str()).collect();
        let text = format!("listening on {}", names.join(", "));
        condition(READY, true, SpeakerReason::Listening.as_str(), text)
    };
    let mut status = SpeakerStatus {
        links,
        addresses: surroundings.addresses(),
        session: surroundings.session.clone(),
        version: Some(VERSION.to_owned()),
        conditions: std::iter::once(ready)
            .chain(surroundings.paths.iter().flat_map(path_conditions))
            .chain(surroundings.missing(node))
            .chain(answered)
            .collect(),
    };
    keep_times(&mut status.conditions, &old.conditions, now);
    status
}

/// What is said of the ways of beacons.
fn path_conditions(paths: &Paths) -> [Condition; 2] {
    let unproven: Vec<&str> = paths.unproven.iter().map(NodeName::as_str).collect();
    let unproven = if unproven.is_empty() {
        let text = "beacons come on a link from every speaker that is heard".to_owned();
        condition(
            LINK_UNPROVEN,
            false,
            PathReason::BeaconsHeard.as_str(),
            text,
        )
    } else {
        let text = format!(
            "beacons of {} have never come on a link, only datagrams, by which it is noticed that \
             they fail: if they are in the same network, let EtherType 0x88b5 pass",
            unproven.join(", ")
        );
        condition(LINK_UNPROVEN, true, PathReason::NeverHeard.as_str(), text)
    };
    let degraded: Vec<String> = paths
        .degraded
        .iter()
        .map(|(node, link)| format!("{node} on {link}"))
        .collect();
    let kind = BEACON_PATH_DEGRADED;
    let degraded = if degraded.is_empty() {
        let text = "no speaker that lives is unheard on a link".to_owned();
        condition(kind, false, PathReason::BeaconsHeard.as_str(), text)
    } else {
        let text = format!(
            "beacons do not come any more from {}, though they live: look at what filters \
             EtherType 0x88b5 between them and this node",
            degraded.join(", ")
        );
        condition(kind, true, PathReason::BeaconsLost.as_str(), text)
    };
    [unproven, degraded]
}

fn condition(kind: &str, holds: bool, reason: &str, message: String) -> Condition {
    Condition {
        type_: kind.to_owned(),
        status: if holds { "True" } else { "False" }.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
        observed_generation: None,
    }
}

/// A condition whose status is as it was has had it since then; another has it since `now`.
fn keep_times(conditions: &mut [Condition], old: &[Condition], now: Timestamp) {
    for condition in conditions {
        let same = old
            .iter()
            .find(|old| old.type_ == condition.type_ && old.status == condition.status);
        condition.last_transition_time = match same {
            Some(old) => old.last_transition_time.clone(),
            // Kubernetes keeps it to the second.
            None => Time(Timestamp::from_second(now.as_second()).unwrap_or(now)),
        };
    }
}
