//! The speaker without the API: what it reads there is handed in.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bellwether_core::announcer;
use bellwether_core::election::{Assignment, Recorded, Term};
use bellwether_core::frame::beacon::Session;
use bellwether_core::frame::beacon::keyring::Keyring;
use bellwether_core::membership::timing::Profile;
use bellwether_core::placement::{Candidate, Interfaces};
use bellwether_daemon::health::Health;
use bellwether_speaker::assignments::Assignments;
use bellwether_speaker::l2::{self, Inbox, Look, Report};
use bellwether_speaker::links::{self, KernelAnswers};
use bellwether_speaker::metrics::Metrics;
use regex::RegexSet;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::namespace::Namespace;

/// The name of the node that the speaker runs on.
pub const NODE: &str = "node";

/// A speaker that runs on a host.
pub struct Speaker {
    inbox: Inbox,
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
        let (sender, reports) = mpsc::channel(1024);
        let metrics = Metrics::default();
        let (looks_sender, looks) = watch::channel(None);
        let config = l2::Config {
            node: NODE.into(),
            session: Session(1),
            profile: Profile::DEFAULT,
            real_time: false,
            rebalance: false,
            port: None,
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
        inbox.set_keyring(keyring());
        let follow = {
            let (inbox, metrics, shutdown) = (inbox.clone(), metrics.clone(), shutdown.clone());
            let (host, gate) = (host.clone(), Arc::clone(&gate));
            std::thread::spawn(move || {
                host.run(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .expect("a runtime");
                    let none = RegexSet::empty();
                    let publish = |links, at| {
                        let _open = gate.lock().expect("no panic");
                        inbox.set_links(links, at);
                    };
                    runtime.block_on(links::follow(
                        none,
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
            inbox,
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

    /// Ends it, as SIGTERM does.
    pub fn stop(&mut self) {
        self.inbox.stop();
        self.shutdown.cancel();
        for thread in self.threads.drain(..) {
            thread.join().expect("no panic");
        }
    }

    fn publish(&self) {
        let assignments = Assignments::new(&NODE.into(), self.assigned.clone());
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
