//! A speaker, and what it is told in tests.

use super::*;

/// A speaker on node `a`, and what it hears from one peer, `b`.
pub(super) struct World {
    pub(super) election: Election,
    pub(super) now: u64,
    pub(super) sequence: u64,
    pub(super) outputs: Vec<Output>,
}

impl World {
    /// It has just started; `b` is a better candidate, or a worse one.
    pub(super) fn new(candidates: &[&str]) -> Self {
        let config = Config {
            node: "a".into(),
            session: ME,
            profile: Profile::DEFAULT,
            rebalance: false,
        };
        let mut world = Self {
            election: Election::new(config, Moment::ORIGIN),
            now: 0,
            sequence: 0,
            outputs: Vec::new(),
        };
        world.link(BTreeSet::new());
        world.assign(candidates);
        world
    }

    /// `b` owns the address, and the gateway has answered, if there is one.
    pub(super) fn beside_owner(has_gateway: bool) -> Self {
        let mut world = Self::new(&["a", "b"]);
        if has_gateway {
            world.link(BTreeSet::from([GATEWAY]));
            world.pass_alone(100, true);
        }
        world.pass(2_000, Some(&[own(3)]));
        assert_eq!(world.decisions(), Vec::<String>::new());
        world
    }

    pub(super) fn link(&mut self, gateways: BTreeSet<IpAddr>) {
        let link = Link {
            gateways,
            ..link("eth0", "192.0.2.0/24")
        };
        self.tell(Input::Links([(LINK, link)].into_iter().collect()));
    }

    /// Its only link loses its carrier.
    pub(super) fn unplug(&mut self) {
        let link = Link {
            carrier: false,
            gateways: BTreeSet::from([GATEWAY]),
            ..link("eth0", "192.0.2.0/24")
        };
        self.tell(Input::Links([(LINK, link)].into_iter().collect()));
    }

    pub(super) fn assign(&mut self, candidates: &[&str]) {
        let candidates = candidates.iter().map(|&node| Candidate {
            node: node.into(),
            interfaces: Interfaces::All,
            preference: 0,
        });
        self.tell(Input::Assign {
            address: ADDRESS,
            assignment: Assignment {
                candidates: candidates.collect(),
                recorded: None,
                move_to: None,
            },
        });
    }

    pub(super) fn tell(&mut self, input: Input) {
        let now = Moment::from_millis(self.now);
        self.election.handle(input, now).expect("taken in");
        self.collect();
    }

    pub(super) fn collect(&mut self) {
        let now = Moment::from_millis(self.now);
        while let Some(output) = self.election.poll_output() {
            if let Output::Beacon { channel, .. } = output {
                let sent = Input::Sent { channel };
                self.election.handle(sent, now).expect("no beacon");
            }
            self.outputs.push(output);
        }
    }

    /// Time passes, in steps of a millisecond, in which `b` says `entries` each interval, if it is
    /// there.
    pub(super) fn pass(&mut self, milliseconds: u64, peer: Option<&[Entry]>) {
        for _ in 0..milliseconds {
            self.now += 1;
            if let Some(entries) = peer
                && self.now.is_multiple_of(INTERVAL)
            {
                self.read(entries);
            }
            self.pass_no_time();
        }
    }

    /// Time passes without another speaker, on a link with a gateway that `answers` or does not.
    pub(super) fn pass_alone(&mut self, milliseconds: u64, answers: bool) {
        for _ in 0..milliseconds {
            let before = self.outputs.len();
            self.pass(1, None);
            let is_asked = self.outputs[before..].iter().any(
                |output| matches!(output, Output::Probe { address, .. } if *address == GATEWAY),
            );
            if answers && is_asked {
                self.see_gateway();
            }
        }
    }

    pub(super) fn see_gateway(&mut self) {
        self.tell(Input::Seen {
            link: LINK,
            address: GATEWAY,
            mac: MacAddr([2, 0, 0, 0, 0, 9]),
        });
    }

    /// A beacon of `b` with all that it claims.
    pub(super) fn hear(&mut self, entries: &[Entry]) {
        self.read(entries);
        self.pass_no_time();
    }

    /// All that has come in is read.
    pub(super) fn pass_no_time(&mut self) {
        self.election.on_deadline(Moment::from_millis(self.now));
        self.collect();
    }

    /// `b` is heard, and there may be more to read.
    pub(super) fn read(&mut self, entries: &[Entry]) {
        let beacon = self.beacon(entries);
        self.read_beacon(A, beacon);
    }

    /// What becomes of a beacon that comes on the link.
    pub(super) fn receive(&mut self, beacon: Beacon) -> Result<(), Ignored> {
        let at = Moment::from_millis(self.now);
        let input = Input::Beacon {
            channel: A,
            beacon,
            at,
        };
        let received = self.election.handle(input, at);
        self.pass_no_time();
        received
    }

    pub(super) fn read_beacon(&mut self, channel: Channel, beacon: Beacon) {
        let at = Moment::from_millis(self.now);
        self.tell(Input::Beacon {
            channel,
            beacon,
            at,
        });
    }

    /// A beacon of a third speaker, `c`.
    pub(super) fn beacon_of_c(&mut self, entries: &[Entry]) -> Beacon {
        Beacon {
            sender: "c".into(),
            session: Session(3),
            mac: Some(MacAddr([2, 0, 0, 0, 0, 3])),
            ..self.beacon(entries)
        }
    }

    pub(super) fn beacon(&mut self, entries: &[Entry]) -> Beacon {
        self.sequence += 1;
        let mut digest = Digest::default();
        for entry in entries.iter().filter(|entry| entry.is_claim()) {
            digest.add(entry);
        }
        Beacon {
            sender: "b".into(),
            session: Session(2),
            sequence: self.sequence,
            mac: Some(MacAddr([2, 0, 0, 0, 0, 2])),
            pulse: Pulse {
                interval: Duration::from_millis(INTERVAL),
                misses: 5,
                lateness: Duration::ZERO,
            },
            flags: Flags::default(),
            heard: vec![Heard {
                session: ME,
                age: Duration::ZERO,
                synced: true,
            }],
            part: Part {
                digest,
                range: Some(Part::EVERYTHING),
                entries: entries.to_vec(),
            },
        }
    }

    pub(super) fn owns(&self) -> bool {
        self.election.owns(ADDRESS)
    }

    /// What it has said of addresses since it was asked last what it decided.
    pub(super) fn said(&self) -> impl Iterator<Item = Entry> {
        let beacons = self.outputs.iter().filter_map(|output| match output {
            Output::Beacon { beacon, .. } => Some(&beacon.part.entries),
            _ => None,
        });
        beacons.flatten().copied()
    }

    /// What it has decided since it was asked last, without what it sent.
    pub(super) fn decisions(&mut self) -> Vec<String> {
        std::mem::take(&mut self.outputs)
            .into_iter()
            .filter_map(|output| match output {
                Output::Own(owned) => Some(format!("own {} {}", owned.term.0, owned.reason)),
                Output::Relink(owned) => Some(format!("relink {}", owned.term.0)),
                Output::Release { reason, .. } => Some(format!("release {reason}")),
                Output::Announce { .. } => Some("announce".to_owned()),
                Output::Defend { .. } => Some("defend".to_owned()),
                Output::Conflict { mac, .. } => Some(format!("conflict {mac}")),
                Output::Left => Some("left".to_owned()),
                Output::Beacon { .. } | Output::Probe { .. } => None,
            })
            .collect()
    }
}

pub(super) fn link(name: &str, network: &str) -> Link {
    Link {
        name: name.into(),
        mac: MacAddr([2, 0, 0, 0, 0, 1]),
        carrier: true,
        addresses: BTreeSet::new(),
        networks: network.parse().into_iter().collect(),
        link_local: None,
        router: false,
        gateways: BTreeSet::new(),
        ports: BTreeSet::new(),
    }
}

/// Whoever says this says too that it hears `b`, as well as it hears this node.
pub(super) fn vouch_for_b(beacon: &mut Beacon) {
    let me = beacon.heard[0];
    beacon.heard.push(Heard {
        session: Session(2),
        ..me
    });
}

pub(super) fn own(term: u64) -> Entry {
    entry(term, Standing::Own)
}

pub(super) fn entry(term: u64, standing: Standing) -> Entry {
    Entry {
        address: ADDRESS,
        term: Term(term),
        standing,
    }
}
