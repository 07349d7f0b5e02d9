//! What the reporter is told, and what it wants written.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use bellwether_core::link::Links;
use bellwether_core::moment::Moment;
use bellwether_core::name::{AdvertisementName, LinkName};
use bellwether_crds::announcement::AnnouncementStatus;
use bellwether_crds::speaker::SpeakerStatus;
use bellwether_daemon::call::CallError;
use bellwether_daemon::watch::Event;
use k8s_openapi::jiff::Timestamp;

use crate::facts::{AnnouncementFacts, SpeakerFacts};
use crate::l2::Report;
use crate::links::KernelAnswers;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The status of the node's Speaker.
    Speaker,
    /// The status of the Announcement of an address.
    Announcement(IpAddr),
}

/// A status to write.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Of the node's Speaker.
    Speaker(SpeakerStatus),
    /// Of an Announcement.
    Announcement {
        /// Its address.
        address: IpAddr,
        /// What it says.
        status: AnnouncementStatus,
        /// If given, only if the object still has this version.
        resource_version: Option<String>,
    },
}

impl Write {
    /// What is written.
    #[must_use]
    pub fn target(&self) -> Target {
        match self {
            Self::Speaker(_) => Target::Speaker,
            Self::Announcement { address, .. } => Target::Announcement(*address),
        }
    }
}

/// What came of a write: the object as it is now.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// A Speaker.
    Speaker(SpeakerFacts),
    /// An Announcement, unless it has turned into one that is not to be looked at.
    Announcement(Option<AnnouncementFacts>),
}

/// What the reporter is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// By the L2 thread.
    Report(Report),
    /// By the kernel: these are the links now.
    Links(Links),
    /// By the kernel: this it answers ARP for.
    KernelAnswers(KernelAnswers),
    /// By the watch of advertisements: the links of this node that they name, with their names.
    Named(BTreeMap<LinkName, BTreeSet<AdvertisementName>>),
    /// By the watch of Announcements.
    Announcement(Event<Option<AnnouncementFacts>>),
    /// By the watch of Speakers.
    Speaker(Event<SpeakerFacts>),
    /// The L2 thread has been handed what the API says, so that it owns what it is to own.
    Assigned,
    /// The L2 thread has ended.
    Ended,
    /// By the API server: what came of a write.
    Written {
        /// What was written.
        target: Target,
        /// What came of it.
        result: Result<Written, CallError>,
    },
}

/// When something happens: on the clock that decides, and on the one that people read.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// On the monotonic clock.
    pub moment: Moment,
    /// On the wall.
    pub time: Timestamp,
}
