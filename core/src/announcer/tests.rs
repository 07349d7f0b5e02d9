//! What goes out for an address, when, and on which links.

use std::net::Ipv4Addr;

use super::*;
use crate::frame::Packet;
use crate::frame::ndp::solicited_node;
use crate::mac::MacAddr;

mod groups;
mod properties;

const ETH0: LinkIndex = LinkIndex(1);
const ETH1: LinkIndex = LinkIndex(2);
const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10));
const VIP6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10));

fn link(index: LinkIndex) -> (LinkIndex, Link) {
    let [.., last] = index.0.to_be_bytes();
    let link = Link {
        name: format!("eth{}", index.0 - 1).into(),
        mac: MacAddr([2, 0, 0, 0, 0, last]),
        carrier: true,
        addresses: BTreeSet::new(),
        networks: BTreeSet::new(),
        link_local: Some(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last.into())),
        router: false,
        gateways: BTreeSet::new(),
        ports: BTreeSet::new(),
    };
    (index, link)
}

fn links(indices: &[LinkIndex]) -> Input {
    Input::Links(indices.iter().copied().map(link).collect())
}

/// `ETH0` with a change.
fn eth0(change: impl FnOnce(&mut Link)) -> Input {
    let (index, mut link) = link(ETH0);
    change(&mut link);
    Input::Links(Links::from_iter([(index, link)]))
}

fn own(address: IpAddr) -> Input {
    Input::Own {
        address,
        interfaces: Interfaces::All,
    }
}

fn prepare(address: IpAddr) -> Input {
    Input::Prepare {
        address,
        interfaces: Interfaces::All,
    }
}

fn at(milliseconds: u64) -> Moment {
    Moment::from_millis(milliseconds)
}

/// An announcer and the time that has passed for it.
struct World {
    announcer: Announcer,
    log: Vec<(u64, Output)>,
    now: u64,
}

impl World {
    fn new(config: Config) -> Self {
        Self {
            announcer: Announcer::new(config),
            log: Vec::new(),
            now: 0,
        }
    }

    /// With one link.
    fn with_a_link() -> Self {
        let mut world = Self::new(Config::default());
        world.tell(links(&[ETH0]));
        world
    }

    fn tell(&mut self, input: Input) {
        self.announcer.handle(input, at(self.now));
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.announcer.poll_output() {
            self.log.push((self.now, output));
        }
    }

    /// Lets time pass until `end` (milliseconds), waking up only when asked to.
    fn run_until(&mut self, end: u64) {
        while let Some(deadline) = self.announcer.next_deadline() {
            let wake = deadline.as_nanos().div_ceil(1_000_000);
            if wake > end {
                break;
            }
            self.now = self.now.max(wake);
            self.announcer.on_deadline(at(self.now));
            self.drain();
        }
        self.now = end;
    }

    /// When frames went out since the last call, each moment once.
    fn moments(&mut self) -> Vec<u64> {
        let mut moments: Vec<_> = std::mem::take(&mut self.log)
            .into_iter()
            .filter(|(_, output)| matches!(output, Output::Send { .. }))
            .map(|(moment, _)| moment)
            .collect();
        moments.dedup();
        moments
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.log)
            .into_iter()
            .map(|(_, output)| output)
            .collect()
    }
}

/// The address that a frame announces.
fn announced(frame: &Frame) -> IpAddr {
    match frame.packet {
        Packet::Arp(arp) => arp.sender_ip.into(),
        Packet::Advertisement(told) => told.target.into(),
        Packet::Solicitation(asked) => asked.source.into(),
    }
}

#[test]
fn c3_an_address_is_announced_once_out_of_turn_and_then_as_planned() {
    let mut world = World::with_a_link();
    world.tell(own(VIP));
    world.run_until(700);
    world.tell(Input::Once { address: VIP });
    world.run_until(20_000);
    world.tell(Input::Once { address: VIP });
    world.run_until(47_000);
    let planned_and_once = [0, 100, 500, 700, 1100, 3000, 10_000, 20_000];
    assert_eq!(world.moments(), planned_and_once);
    world.tell(Input::Release { address: VIP });
    world.tell(Input::Once { address: VIP });
    assert_eq!(world.moments(), [0; 0], "it is not owned");
}

#[test]
fn g2_an_address_is_announced_on_schedule_and_then_refreshed() {
    let mut world = World::with_a_link();
    world.tell(own(VIP));
    world.run_until(47_000);
    assert_eq!(world.moments(), [0, 100, 500, 1100, 3000, 10_000]);
    world.run_until(3_600_000);
    let refreshes = world.moments();
    let pauses: Vec<_> = refreshes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!((50..75).contains(&refreshes.len()), "{}", refreshes.len());
    assert!(
        pauses.iter().all(|pause| (48_000..=72_001).contains(pause)),
        "{pauses:?}"
    );
}

#[test]
fn g2_refreshes_can_be_turned_off() {
    let mut world = World::new(Config {
        refresh: Duration::ZERO,
        ..Config::default()
    });
    world.tell(links(&[ETH0]));
    world.tell(own(VIP));
    world.run_until(3_600_000);
    assert_eq!(world.moments().len(), 6);
    assert_eq!(world.announcer.next_deadline(), None);
}

#[test]
fn g2_nothing_goes_out_after_a_release() {
    for released_at in [0, 50, 600, 5_000, 30_000, 120_000] {
        let mut world = World::with_a_link();
        world.tell(own(VIP));
        world.run_until(released_at);
        world.tell(Input::Release { address: VIP });
        assert!(!world.announcer.announces(VIP, ETH0));
        world.moments();
        world.run_until(released_at + 600_000);
        assert_eq!(world.moments(), [] as [u64; 0], "{released_at}");
    }
}

#[test]
fn g2_a_release_reaches_announcements_that_wait_for_their_turn() {
    let mut world = World::new(Config {
        frames_per_second: 10,
        burst: 1,
        ..Config::default()
    });
    world.tell(links(&[ETH0]));
    world.tell(own([192, 0, 2, 1].into()));
    world.tell(own(VIP));
    assert!(!world.outputs().is_empty());
    world.tell(Input::Release { address: VIP });
    world.run_until(10_000);
    let all_of_the_other = world.outputs().iter().all(|output| match output {
        Output::Send { frame, .. } => announced(frame) != VIP,
        _ => true,
    });
    assert!(all_of_the_other);
}

#[test]
fn what_is_owned_already_is_not_announced_again() {
    let mut world = World::with_a_link();
    world.tell(own(VIP));
    world.run_until(20_000);
    world.moments();
    world.tell(own(VIP));
    world.tell(prepare(VIP));
    world.tell(links(&[ETH0]));
    assert_eq!(world.moments(), [] as [u64; 0]);
}

#[test]
fn g4_a_change_of_the_way_out_is_announced_at_once() {
    let rows: [(&str, Input, Input); 5] = [
        (
            "another MAC address",
            links(&[ETH0]),
            eth0(|link| link.mac = MacAddr([2, 0, 0, 0, 0, 0x77])),
        ),
        (
            "a carrier",
            eth0(|link| link.carrier = false),
            links(&[ETH0]),
        ),
        (
            "another port of the bond",
            eth0(|link| link.ports = [LinkIndex(7)].into()),
            eth0(|link| link.ports = [LinkIndex(8)].into()),
        ),
        (
            "one port of the bridge less",
            eth0(|link| link.ports = [LinkIndex(7), LinkIndex(8)].into()),
            eth0(|link| link.ports = [LinkIndex(7)].into()),
        ),
        ("a link that was not there", links(&[]), links(&[ETH0])),
    ];
    for (what, before, after) in rows {
        let mut world = World::new(Config::default());
        world.tell(before);
        world.tell(own(VIP));
        world.run_until(20_000);
        world.moments();
        world.tell(after);
        world.run_until(30_500);
        assert_eq!(
            world.moments(),
            [20_000, 20_100, 20_500, 21_100, 23_000, 30_000],
            "{what}"
        );
    }
}

#[test]
fn g4_other_changes_of_a_link_are_not_announced() {
    let changes: [(&str, Input); 4] = [
        (
            "a gateway",
            eth0(|link| link.gateways = [[192, 0, 2, 1].into()].into()),
        ),
        (
            "a network",
            eth0(|link| link.networks = ["192.0.2.0/24".parse().expect("a network")].into()),
        ),
        (
            "another link-local address",
            eth0(|link| link.link_local = Some(Ipv6Addr::LOCALHOST)),
        ),
        ("a loss of carrier", eth0(|link| link.carrier = false)),
    ];
    for (what, change) in changes {
        let mut world = World::with_a_link();
        world.tell(own(VIP));
        world.run_until(20_000);
        world.moments();
        world.tell(change);
        assert_eq!(world.moments(), [] as [u64; 0], "{what}");
    }
}

#[test]
fn nothing_goes_out_of_a_link_without_a_carrier() {
    let mut world = World::new(Config::default());
    world.tell(eth0(|link| link.carrier = false));
    world.tell(own(VIP));
    world.run_until(600_000);
    assert_eq!(world.moments(), [] as [u64; 0]);
    assert_eq!(
        world.announcer.snapshot().owned,
        BTreeMap::from([(VIP, BTreeMap::from([(ETH0, Next::Never)]))])
    );
}

#[test]
fn each_link_has_its_own_series() {
    let mut world = World::with_a_link();
    world.tell(own(VIP));
    world.run_until(20_000);
    world.outputs();
    world.tell(links(&[ETH0, ETH1]));
    let on: BTreeSet<_> = world
        .outputs()
        .iter()
        .filter_map(|output| match output {
            Output::Send { link, frame } => Some((*link, frame.source)),
            _ => None,
        })
        .collect();
    assert_eq!(on, BTreeSet::from([(ETH1, MacAddr([2, 0, 0, 0, 0, 2]))]));
    assert!(world.announcer.announces(VIP, ETH0) && world.announcer.announces(VIP, ETH1));
}

#[test]
fn a_link_that_is_no_longer_allowed_falls_silent() {
    let mut world = World::new(Config::default());
    world.tell(links(&[ETH0, ETH1]));
    world.tell(own(VIP));
    world.run_until(20_000);
    world.outputs();
    world.tell(Input::Own {
        address: VIP,
        interfaces: Interfaces::Named(["eth1".into()].into()),
    });
    assert!(!world.announcer.announces(VIP, ETH0) && world.announcer.announces(VIP, ETH1));
    world.run_until(600_000);
    let elsewhere = |output: &Output| !matches!(output, Output::Send { link, .. } if *link == ETH0);
    assert!(world.outputs().iter().all(elsewhere));
}

#[test]
fn n4_ipv6_is_announced_three_times() {
    let mut world = World::with_a_link();
    world.tell(own(VIP6));
    world.run_until(49_000);
    assert_eq!(world.moments(), [0, 1000, 2000]);
}

#[test]
fn n10_ipv6_begins_when_the_link_local_address_does() {
    let mut world = World::new(Config::default());
    world.tell(eth0(|link| link.link_local = None));
    world.tell(own(VIP));
    world.tell(own(VIP6));
    world.run_until(20_000);
    let only_ipv4 = |output: &Output| match output {
        Output::Send { frame, .. } => announced(frame) == VIP,
        _ => true,
    };
    assert!(world.outputs().iter().all(only_ipv4));
    world.tell(links(&[ETH0]));
    let outputs = world.outputs();
    assert!(!outputs.is_empty());
    assert!(!outputs.iter().any(only_ipv4));
}

#[test]
fn many_addresses_are_paced_and_each_goes_once_before_any_goes_twice() {
    let mut world = World::with_a_link();
    for host in 0..10_000_u16 {
        let [high, low] = host.to_be_bytes();
        world
            .announcer
            .handle(own([10, 0, high, low].into()), at(world.now));
    }
    world.drain();
    assert_eq!(world.log.len(), 2_000);
    world.run_until(899);
    let mut times: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for output in world.outputs() {
        if let Output::Send { frame, .. } = output {
            *times.entry(announced(&frame)).or_default() += 1;
        }
    }
    // Two frames each, 2,000 at once and 20 more in each millisecond since.
    assert!((9_900..=10_000).contains(&times.len()), "{}", times.len());
    assert!(times.values().all(|&frames| frames == 2));
}
