//! What the reporter writes to the API, and when.

use std::time::Duration;

use bellwether_core::election::{OwnReason, Owned, ReleaseReason, Term};
use bellwether_core::link::{Link, LinkIndex, Links};
use bellwether_core::mac::MacAddr;
use bellwether_core::placement::Interfaces;
use bellwether_core::responder::ForeignClaim;
use bellwether_crds::announcement::name_of;
use bellwether_daemon::watch::Key;

use super::*;
use crate::l2::Paths;
use crate::links::KernelAnswers;

mod claims;
mod conflicts;
mod speaker;
mod writes;

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10));
const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 11));
const ADDRESS6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10));
const SESSION: Session = Session(0xabc);
const STRANGER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xee]);

fn link(name: &str) -> Link {
    Link {
        name: name.into(),
        mac: MacAddr([2, 0, 0, 0, 0, 0x0a]),
        carrier: true,
        addresses: ["192.0.2.5".parse().expect("an address")].into(),
        networks: ["192.0.2.0/24".parse().expect("a network")].into(),
        link_local: Some("fe80::a".parse().expect("an address")),
        router: false,
        gateways: BTreeSet::new(),
        ports: BTreeSet::new(),
    }
}

fn links(links: impl IntoIterator<Item = Link>) -> Input {
    Input::Links((1..).map(LinkIndex).zip(links).collect::<Links>())
}

fn owned(address: IpAddr, term: u64) -> Owned {
    Owned {
        address,
        interfaces: Interfaces::All,
        term: Term(term),
        previous: Some("b".into()),
        reason: OwnReason::Unclaimed,
        takeover: Some(Duration::from_millis(212)),
    }
}

fn own(address: IpAddr, term: u64) -> Input {
    Input::Report(Report::Own(owned(address, term)))
}

fn release(address: IpAddr, reason: ReleaseReason) -> Input {
    Input::Report(Report::Release { address, reason })
}

fn foreign(mac: MacAddr) -> Input {
    Input::Report(Report::Foreign(ForeignClaim {
        address: ADDRESS,
        mac,
    }))
}

fn by(node: &str, term: i64) -> AnnouncementStatus {
    AnnouncementStatus {
        node: Some(node.into()),
        term: Some(term),
        ..AnnouncementStatus::default()
    }
}

fn speaker(node: &str, eligible: bool, own_status: Option<SpeakerStatus>) -> SpeakerFacts {
    SpeakerFacts {
        name: node.into(),
        eligible,
        links: Vec::new(),
        macs: BTreeSet::new(),
        addresses: Vec::new(),
        own_status,
    }
}

fn key(address: IpAddr) -> Key {
    Key {
        namespace: String::new(),
        name: name_of(address),
    }
}

/// The reporter of node `a`, and an API server that takes what it writes.
struct World {
    reporter: Reporter,
    now: u64,
    version: u64,
    announcements: BTreeMap<IpAddr, AnnouncementStatus>,
    speaker: Option<SpeakerStatus>,
    /// What each write fails with, while there is something here.
    error: Option<CallError>,
}

impl World {
    /// With one link, Announcements of all addresses, and a Speaker.
    fn new() -> Self {
        let mut world = Self {
            reporter: Reporter::new("a".into(), SESSION, Vec::new()),
            now: 1_000_000,
            version: 0,
            announcements: BTreeMap::new(),
            speaker: None,
            error: None,
        };
        world.tell(links([link("eth0")]));
        for address in [ADDRESS, OTHER, ADDRESS6] {
            world.set(address, AnnouncementStatus::default());
        }
        world.set_speaker(SpeakerStatus::default());
        for node in ["b", "c"] {
            world.set_eligible(node, true);
        }
        world.tell(Input::Assigned);
        world
    }

    /// One in which all that there is to say has been said.
    fn at_rest() -> Self {
        let mut world = Self::new();
        assert_eq!(world.settle(), 1, "the Speaker");
        world
    }

    fn now(&self) -> Now {
        let milliseconds = i64::try_from(self.now).expect("small");
        Now {
            moment: Moment::from_millis(self.now),
            time: Timestamp::from_millisecond(milliseconds).expect("a time"),
        }
    }

    fn tell(&mut self, input: Input) {
        let now = self.now();
        self.reporter.handle(input, now);
    }

    fn facts(&self, address: IpAddr) -> Option<AnnouncementFacts> {
        Some(AnnouncementFacts {
            address,
            advertisements: Vec::new(),
            only_nodes: None,
            move_to: None,
            status: self.announcements.get(&address)?.clone(),
            resource_version: self.version.to_string(),
        })
    }

    /// Somebody writes the status of an Announcement.
    fn set(&mut self, address: IpAddr, status: AnnouncementStatus) {
        self.version += 1;
        self.announcements.insert(address, status);
        let facts = self.facts(address);
        self.tell(Input::Announcement(Event::Applied(facts)));
    }

    fn set_speaker(&mut self, status: SpeakerStatus) {
        self.speaker = Some(status.clone());
        let facts = speaker("a", true, Some(status));
        self.tell(Input::Speaker(Event::Applied(facts)));
    }

    /// Another node may announce, or may not.
    fn set_eligible(&mut self, node: &str, eligible: bool) {
        let facts = speaker(node, eligible, None);
        self.tell(Input::Speaker(Event::Applied(facts)));
    }

    /// The next write, which is then under way.
    fn next(&mut self) -> Option<Write> {
        let now = self.now();
        self.reporter.poll_output(now)
    }

    /// The API server answers a write.
    fn answer(&mut self, write: &Write) {
        let result = match (&self.error, write) {
            (Some(error), _) => Err(error.clone()),
            (None, Write::Speaker(status)) => {
                self.speaker = Some(status.clone());
                Ok(Written::Speaker(speaker("a", true, self.speaker.clone())))
            }
            (
                None,
                Write::Announcement {
                    address, status, ..
                },
            ) => {
                self.version += 1;
                self.announcements.insert(*address, status.clone());
                Ok(Written::Announcement(self.facts(*address)))
            }
        };
        self.tell(Input::Written {
            target: write.target(),
            result,
        });
    }

    /// Has everything written that is to be written now. Returns how many writes that were.
    fn settle(&mut self) -> usize {
        let mut count = 0;
        while let Some(write) = self.next() {
            self.answer(&write);
            count += 1;
        }
        count
    }

    /// Lets time pass, waking up when asked to. Returns how many writes there were.
    fn pass(&mut self, duration: Duration) -> usize {
        let end = self.now + u64::try_from(duration.as_millis()).expect("small");
        let mut count = self.settle();
        while let Some(deadline) = self.reporter.next_deadline() {
            let wake = deadline.as_nanos().div_ceil(1_000_000);
            if wake > end {
                break;
            }
            assert!(wake >= self.now, "a deadline stays behind");
            self.now = wake;
            let now = self.now();
            self.reporter.on_deadline(now.moment);
            count += self.settle();
        }
        self.now = end;
        count
    }

    fn status(&self, address: IpAddr) -> &AnnouncementStatus {
        &self.announcements[&address]
    }

    /// Status, reason and message of a condition.
    fn condition(&self, address: IpAddr, kind: &str) -> Option<(&str, &str, &str)> {
        let conditions = &self.status(address).conditions;
        let found = conditions
            .iter()
            .find(|condition| condition.type_ == kind)?;
        Some((&found.status, &found.reason, &found.message))
    }
}
