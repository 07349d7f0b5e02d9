//! Which links the speaker uses, and how it keeps up with the kernel.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use bellwether_core::mac::MacAddr;
use bellwether_core::placement::Interfaces;
use bellwether_speaker::l2::Report;

use crate::lan::*;
use crate::namespace::{Namespace, with_privileges};
use crate::speaker::{NODE, Speaker};
use crate::tap::Tap;

#[test]
fn links_come_and_go() {
    with_privileges(|| {
        let (node, other) = (Namespace::new(), Namespace::new());
        let speaker = Speaker::on(&node);
        let links = || {
            (
                speaker.metrics.links.get(),
                speaker.metrics.open_links.get(),
            )
        };
        for round in 0..20 {
            node.connect("eth0", &other, &format!("end{round}"));
            eventually("it is there", || links() == (1, 1));
            node.ip("link del eth0");
            eventually("it is gone", || links() == (0, 0));
        }
    });
}

#[test]
fn a_link_that_joins_a_bridge_announces_through_it() {
    with_privileges(|| {
        let lan = Lan::new();
        let _speaker = Speaker::announcing(&lan.node, "192.0.2.10");
        lan.tap.next(announcement);
        lan.node
            .ip("link add br0 type bridge forward_delay 0 mcast_snooping 0");
        lan.node.ip("link set br0 address 02:00:00:00:00:b0 up");
        lan.node.ip("link set eth0 master br0");
        lan.node.ip("addr flush dev eth0");
        lan.node.ip("addr add 192.0.2.5/24 dev br0");
        lan.tap.next(|frame| {
            announcement(frame).filter(|arp| arp.sender_mac.to_string() == "02:00:00:00:00:b0")
        });
    });
}

/// When thousands of things happen at once, as with kube-proxy in IPVS mode, and the speaker does not
/// get to run meanwhile, the kernel drops most of the events.
#[test]
fn lost_events_are_made_up_for() {
    with_privileges(|| {
        let lan = Lan::new();
        let speaker = Speaker::announcing(&lan.node, "192.0.2.10");
        lan.tap.next(announcement);
        lan.node.connect("extra0", &lan.client, "extra0");
        eventually("both links are known", || speaker.metrics.links.get() == 2);
        let hang = speaker.gate.lock().expect("no panic");
        lan.node.ip("link set extra0 down");
        let batch = "link set extra0 mtu 1400\nlink set extra0 mtu 1500\n".repeat(5_000);
        let path = std::env::temp_dir().join(format!("changes-{}", std::process::id()));
        std::fs::write(&path, batch).expect("to write");
        lan.node
            .ip(&format!("-batch {}", path.to_str().expect("a path")));
        std::fs::remove_file(&path).expect("to remove");
        lan.node.ip("link set eth0 address 02:00:00:00:00:77");
        drop(hang);
        lan.tap.next(|frame| {
            announcement(frame).filter(|arp| arp.sender_mac.to_string() == "02:00:00:00:00:77")
        });
        assert_eq!(speaker.metrics.link_overruns.get(), 1);
    });
}

/// A link with an MTU below 1280 has no IPv6 at all (RFC 8200 section 5), and no groups to join.
#[test]
fn a_link_without_ipv6_announces_ipv4_and_makes_up_for_it() {
    with_privileges(|| {
        let (node, client) = (Namespace::new(), Namespace::new());
        node.connect("eth0", &client, "eth0");
        node.ip("link set eth0 mtu 1000");
        node.ip("addr add 192.0.2.5/24 dev eth0");
        let tap = Tap::on(&client, "eth0");
        let mut speaker = Speaker::announcing(&node, "2001:db8::10");
        speaker.assign("192.0.2.10", &["node"]);
        tap.next(announcement);
        assert_eq!(speaker.metrics.groups.get(), 0);
        node.ip("link set eth0 mtu 1500");
        node.ip("addr replace fe80::a/64 dev eth0 nodad");
        tap.next(unsolicited);
        eventually("the group is joined at last", || {
            speaker.metrics.groups.get() == 1
        });
    });
}

/// kube-proxy in IPVS mode puts addresses on `kube-ipvs0`, which is down. The kernel answers for them
/// all the same, unless it is told not to.
#[test]
fn what_the_kernel_answers_for_is_noticed() {
    with_privileges(|| {
        let lan = Lan::new();
        let mut speaker = Speaker::announcing(&lan.node, "192.0.2.10");
        lan.tap.next(announcement);
        lan.node
            .ip("link add kube-ipvs0 type veth peer name ipvs-end");
        lan.node.ip("addr add 192.0.2.77/32 dev kube-ipvs0");
        let held = Ipv4Addr::new(192, 0, 2, 77);
        let mut holder = |address| {
            let answers = speaker.answers.borrow_and_update().clone();
            answers.held.get(&address).map(ToString::to_string)
        };
        eventually("it is noticed", || {
            holder(held).as_deref() == Some("kube-ipvs0")
        });
        let own = Ipv4Addr::new(192, 0, 2, 5);
        assert_eq!(holder(own), None, "an address of eth0 itself");
        let answered = || {
            lan.tap.clear();
            lan.tap.say(&request(CLIENT_MAC, CLIENT_IP, held));
            lan.tap.say(&request(CLIENT_MAC, CLIENT_IP, own));
            let (_, (_, arp)) = lan.tap.next(reply);
            arp.sender_ip == held
        };
        assert!(answered(), "by the kernel");

        lan.node.set("net/ipv4/conf/all/arp_ignore", "1");
        assert!(!answered(), "what kube-proxy sets with strictARP: true");
        lan.node.ip("addr add 192.0.2.78/32 dev kube-ipvs0");
        eventually("it is noticed too", || holder(held).is_none());
    });
}

/// A link that goes by another name is the same link: nothing is released, and an advertisement that
/// names it means it from then on.
#[test]
fn a_link_that_is_renamed_goes_on_under_its_new_name() {
    with_privileges(|| {
        let lan = Lan::new();
        let mut speaker = Speaker::announcing(&lan.node, "192.0.2.10");
        let named = Interfaces::Named(["lan0".into()].into());
        speaker.assign_on("192.0.2.12", &[NODE], &named);
        lan.tap.next(announcement);
        lan.node.ip("link set eth0 name lan0");
        lan.tap
            .next(|frame| announcement(frame).filter(|arp| arp.sender_ip == WITNESS));
        let look = speaker.look();
        let seen: Vec<_> = look
            .links
            .iter()
            .map(|(_, link)| link.name.as_str())
            .collect();
        assert_eq!(seen, ["lan0"]);
        let released = "releases_total{reason=\"LinkDown\"}";
        assert_eq!(
            (speaker.metrics.owned.get(), speaker.metric(released)),
            (2, 0)
        );
    });
}

/// An address that is to be announced on other links of its owner than before was claimed once.
#[test]
fn a_change_of_links_alone_is_no_claim() {
    with_privileges(|| {
        let lan = Lan::new();
        let mut speaker = Speaker::announcing(&lan.node, "192.0.2.10");
        lan.tap.next(announcement);
        let eth0 = Interfaces::Named(["eth0".into()].into());
        speaker.assign_on("192.0.2.10", &[NODE], &eth0);
        eventually("it is told", || {
            let owned = speaker.owns("192.0.2.10");
            owned.is_some_and(|owned| owned.interfaces == eth0)
        });
        let reported = std::iter::from_fn(|| speaker.reports.try_recv().ok());
        let owns = reported.filter(|report| matches!(report, Report::Own(_)));
        assert_eq!(owns.count(), 2, "the status names the links");
        let text = speaker.text();
        let claims = text.lines().filter(|line| line.starts_with("claims_total"));
        let claims: Vec<_> = claims.collect();
        assert!(
            matches!(claims[..], [one] if one.ends_with(" 1")),
            "{claims:?}"
        );
    });
}

/// MAC address and carrier.
type LinksByName = BTreeMap<String, (MacAddr, bool)>;

/// How many changes of each kind are made.
const ROUNDS: u8 = 8;

/// The bounds by which the speaker counts how long changes took, in seconds.
const BOUNDS: [&str; 10] = [
    "0.001", "0.002", "0.005", "0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "+Inf",
];

/// How many changes took no longer than each of [`BOUNDS`].
#[derive(Clone, Copy, Default)]
struct Took([u64; BOUNDS.len()]);

impl Took {
    fn of(speaker: &Speaker) -> Self {
        Self(BOUNDS.map(|bound| {
            let bucket = format!("link_change_seconds_bucket{{le=\"{bound}\"}}");
            speaker.metric(&bucket)
        }))
    }

    fn add(&mut self, before: Self, after: Self) {
        for ((sum, before), after) in self.0.iter_mut().zip(before.0).zip(after.0) {
            *sum += after - before;
        }
    }

    fn all(self) -> u64 {
        self.0[BOUNDS.len() - 1]
    }

    /// The least of the bounds that so many did not exceed.
    fn bound(self, count: u64) -> &'static str {
        let mut bounds = BOUNDS.into_iter().zip(self.0);
        bounds
            .find(|&(_, within)| within >= count)
            .map_or("none", |(bound, _)| bound)
    }

    fn within(self, bound: &str) -> u64 {
        let mut bounds = BOUNDS.into_iter().zip(self.0);
        bounds
            .find(|&(other, _)| other == bound)
            .map_or(0, |(_, within)| within)
    }
}

/// Changes of links of each kind are dealt with within 50 ms of the kernel's word of them, as the speaker
/// itself measures it: most of each kind, because a busy machine can delay any. Prints how long they took.
#[test]
fn changes_of_links_of_each_kind_are_dealt_with_in_fifty_milliseconds() {
    with_privileges(|| {
        let lan = Lan::new();
        let other = Namespace::new();
        lan.node
            .ip("link add br0 type bridge forward_delay 0 mcast_snooping 0");
        let mut speaker = Speaker::announcing(&lan.node, "192.0.2.10");
        lan.tap.next(announcement);
        let mut kinds: BTreeMap<&str, Took> = BTreeMap::new();
        let mut change = |kind, make: &dyn Fn(), is_so: &dyn Fn(&LinksByName) -> bool| {
            let before = Took::of(&speaker);
            make();
            eventually(kind, || {
                let look = speaker.look();
                let links = look.links.iter().map(|(_, link)| {
                    let name = link.name.to_string();
                    (name, (link.mac, link.carrier))
                });
                is_so(&links.collect())
            });
            let took = kinds.entry(kind).or_default();
            took.add(before, Took::of(&speaker));
        };
        for round in 1..=ROUNDS {
            let (node, end) = (&lan.node, format!("end{round}"));
            let mac = MacAddr([2, 0, 0, 0, 7, round]);
            let ip = |arguments: &str| drop(node.ip(arguments));
            change("comes", &|| node.connect("eth1", &other, &end), &|links| {
                links.get("eth1").is_some_and(|&(_, carrier)| carrier)
            });
            change("is renamed", &|| ip("link set eth1 name new1"), &|links| {
                links.contains_key("new1")
            });
            let set_mac = format!("link set new1 address {mac}");
            change("has another MAC address", &|| ip(&set_mac), &|links| {
                links["new1"].0 == mac
            });
            let down = format!("link set {end} down");
            change("loses its carrier", &|| drop(other.ip(&down)), &|links| {
                !links["new1"].1
            });
            change(
                "joins a bridge",
                &|| ip("link set new1 master br0"),
                &|links| !links.contains_key("new1"),
            );
            change(
                "leaves a bridge",
                &|| ip("link set new1 nomaster"),
                &|links| links.contains_key("new1"),
            );
            change("goes", &|| ip("link del new1"), &|links| {
                !links.contains_key("new1")
            });
            let several = ["eth2", "eth3", "eth4", "eth5"];
            for link in several {
                let add = || {
                    node.connect(link, &other, &format!("{link}-{round}"));
                    ip(&format!("link set {link} group 7"));
                };
                change("comes", &add, &|links| {
                    links.get(link).is_some_and(|&(_, carrier)| carrier)
                });
            }
            change(
                "goes with three others",
                &|| ip("link del group 7"),
                &|links| !several.iter().any(|&link| links.contains_key(link)),
            );
        }
        for (kind, took) in kinds {
            let all = took.all();
            let (half, longest) = (took.bound(all.div_ceil(2)), took.bound(all));
            eprintln!("a link {kind}: n = {all}, p50 <= {half} s, max <= {longest} s");
            assert!(all >= u64::from(ROUNDS), "a link {kind}: {all}");
            let within = took.within("0.05");
            assert!(within * 2 > all, "a link {kind}: {within} of {all}");
        }
    });
}
