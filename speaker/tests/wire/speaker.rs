//! The speaker without the API: what it reads there is handed in.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bellwether_core::announcer;
use bellwether_core::election::{Assignment, Owned, Recorded, Term};
use bellwether_core::frame::beacon::Session;
use bellwether_core::frame::beacon::keyring::Keyring;
use bellwether_core::membership::timing::Profile;
use bellwether_core::placement::{Candidate, Interfaces};
use bellwether_daemon::health::Health;
use bellwether_speaker::assignments::Assignments;
use bellwether_speaker::l2::{self, Inbox, Look, Report};
use bellwether_speaker::links::{self, KernelAnswers};
use bellwether_speaker::metrics::Metrics;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use regex::RegexSet;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::lan::eventually;
use crate::namespace::Namespace;

/// The name of the node that the speaker runs on.
pub const NODE: &str = "node";

/// How a speaker is set up.
#[derive(Clone, Copy)]
pub struct Setup {
    /// The name of its node.
    pub node: &'static str,
    /// The UDP port of channel B, if it has one.
    pub port: Option<u16>,
    /// The links that it leaves alone.
    pub excluded: &'static [&'static str],
    /// Whether it gives addresses away until all have about as many.
    pub rebalance: bool,
    /// Whether it has not been told the keys.
    pub keyless: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            node: NODE,
            port: None,
            excluded: &[],
            rebalance: false,
            keyless: false,
        }
    }
}

/// A speaker that runs on a host.
pub struct Speaker {
    node: &'static str,
    /// How others hand it what it works on.
    pub inbox: Inbox,
    registry: Registry,
    assigned: BTreeMap<IpAddr, Arc<Assignment>>,
    shutdown: CancellationToken,
    threads: Vec<JoinHandle<()>>,
    /// While it is locked, the task that follows links hangs when it publishes a change.
    pub gate: Arc<Mutex<()>>,
    /// What it reports.
    pub reports: mpsc::Receiver<Report>,
    /// What the kernel of its host answers ARP for.
    pub answers: watch::Receiver<KernelAnswers>,
    /// What it counts.
    pub metrics: Metrics,
    /// What it is at.
    pub looks: watch::Receiver<Option<Arc<Look>>>,
}

impl Speaker {
    /// Starts a speaker on `host`.
    pub fn on(host: &Namespace) -> Self {
        Self::with(host, Setup::default())
    }

    /// Starts a speaker on `host` that is set up like this.
    pub fn with(host: &Namespace, setup: Setup) -> Self {
        let (sender, reports) = mpsc::channel(1024);
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let (looks_sender, looks) = watch::channel(None);
        let config = l2::Config {
            node: setup.node.into(),
            session: Session(setup.node.bytes().map(u64::from).sum()),
            profile: Profile::DEFAULT,
            real_time: false,
            rebalance: setup.rebalance,
            port: setup.port,
            looks: looks_sender,
            announcer: announcer::Config::default(),
            metrics: metrics.clone(),
            heartbeat: Health::default().liveness("l2", Duration::from_secs(5)),
            reports: sender,
        };
        let shutdown = CancellationToken::new();
        let (answers_sender, answers) = watch::channel(KernelAnswers::default());
        let gate = Arc::new(Mutex::new(()));
        let (inbox, l2) = host.run(|| l2::spawn(config)).expect("the L2 thread");
        if !setup.keyless {
            inbox.set_keyring(keyring());
        }
        let follow = {
            let (inbox, metrics, shutdown) = (inbox.clone(), metrics.clone(), shutdown.clone());
            let (host, gate) = (host.clone(), Arc::clone(&gate));
            std::thread::spawn(move || {
                host.run(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .expect("a runtime");
                    let excluded = RegexSet::new(setup.excluded).expect("expressions");
                    let publish = |links, at| {
                        let _open = gate.lock().expect("no panic");
                        inbox.set_links(links, at);
                    };
                    runtime.block_on(links::follow(
                        excluded,
                        metrics,
                        publish,
                        answers_sender,
                        shutdown,
                    ));
                });
            })
        };
        let l2 = std::thread::spawn(move || l2.join().expect("no panic").expect("no error"));
        Self {
            node: setup.node,
            inbox,
            registry,
            assigned: BTreeMap::new(),
            shutdown,
            threads: vec![follow, l2],
            gate,
            reports,
            answers,
            metrics,
            looks,
        }
    }

    /// Starts a speaker on `host` that announces `address`.
    pub fn announcing(host: &Namespace, address: &str) -> Self {
        let mut speaker = Self::on(host);
        speaker.assign(address, &[NODE]);
        speaker
    }

    /// These nodes may announce `address`, the first of them does, on all links.
    pub fn assign(&mut self, address: &str, nodes: &[&str]) {
        self.assign_on(address, nodes, &Interfaces::All);
    }

    /// These nodes may announce `address` on `interfaces`.
    pub fn assign_on(&mut self, address: &str, nodes: &[&str], interfaces: &Interfaces) {
        let candidates = nodes.iter().map(|&node| Candidate {
            node: node.into(),
            interfaces: interfaces.clone(),
            preference: 0,
        });
        let assignment = Assignment {
            candidates: candidates.collect(),
            recorded: Some(recorded()),
            move_to: None,
        };
        self.assign_as(address, assignment);
    }

    /// That is known of who may announce `address`.
    pub fn assign_as(&mut self, address: &str, assignment: Assignment) {
        self.assigned
            .insert(address.parse().expect("an address"), Arc::new(assignment));
        self.publish();
    }

    /// `node` announces these addresses and no others.
    pub fn assign_all(&mut self, addresses: impl Iterator<Item = IpAddr>, node: &str) {
        let assignment = Arc::new(Assignment {
            candidates: vec![Candidate {
                node: node.into(),
                interfaces: Interfaces::All,
                preference: 0,
            }],
            recorded: Some(recorded()),
            move_to: None,
        });
        self.assigned = addresses
            .map(|address| (address, Arc::clone(&assignment)))
            .collect();
        self.publish();
    }

    /// Nobody uses `address` any more.
    pub fn unassign(&mut self, address: &str) {
        let address: IpAddr = address.parse().expect("an address");
        self.assigned.remove(&address);
        self.publish();
    }

    /// What it is at now.
    pub fn look(&mut self) -> Arc<Look> {
        self.looks.mark_unchanged();
        self.inbox.look();
        eventually("it says what it is at", || {
            self.looks.has_changed().is_ok_and(|changed| changed)
        });
        self.looks.borrow().clone().expect("what it is at")
    }

    /// All its metrics.
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a string takes everything");
        text
    }

    /// The value of one of its metrics, by its name and labels.
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.text();
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// Why it announces `address`, when it does.
    pub fn owns(&mut self, address: &str) -> Option<Owned> {
        let address: IpAddr = address.parse().expect("an address");
        let look = self.look();
        let contest = look.election.addresses.iter();
        let mut contest = contest.filter(|contest| contest.address == address);
        contest.next().and_then(|contest| contest.own.clone())
    }

    /// Ends it, as SIGTERM does.
    pub fn stop(&mut self) {
        self.inbox.stop();
        self.shutdown.cancel();
        for thread in self.threads.drain(..) {
            thread.join().expect("no panic");
        }
    }

    fn publish(&self) {
        let assignments = Assignments::new(&self.node.into(), self.assigned.clone());
        self.inbox.set_assignments(assignments);
    }
}

/// What the speakers of a cluster share.
pub fn keyring() -> Keyring {
    let secrets = BTreeMap::from([(1, vec![7; 32])]);
    Keyring::new("cluster", secrets, 1).expect("a key")
}

/// The address was this node's before, so that it takes it without asking who has it.
fn recorded() -> Recorded {
    Recorded {
        node: Some(NODE.into()),
        term: Term(1),
        stands: true,
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        self.inbox.stop();
        self.shutdown.cancel();
    }
}
