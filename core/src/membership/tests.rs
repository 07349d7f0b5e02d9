//! That nobody's silence is noticed late, though not everybody is looked at in each turn.

use super::*;
use crate::frame::beacon::{Digest, Flags, Heard, Part};
use crate::mac::MacAddr;

const ME: Session = Session(1);
const INTERVAL: Duration = Duration::from_millis(50);
const CHANNELS: [Channel; 3] = [
    Channel::Link(LinkIndex(1)),
    Channel::Link(LinkIndex(2)),
    Channel::Unicast,
];

/// Numbers that look drawn, and are the same each time.
struct Lots(u64);

impl Lots {
    fn draw(&mut self, lots: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % lots
    }
}

fn node(number: u64) -> NodeName {
    NodeName::from(&format!("node-{number}"))
}

/// A beacon of one of four peers, of any of its starts, which says that it is fast or slow, and hears
/// this node or does not.
fn beacon(peer: u64, start: u64, sequence: u64, lots: &mut Lots) -> Beacon {
    let hears = lots.draw(4) > 0;
    Beacon {
        sender: node(peer),
        session: Session(10 * (peer + 1) + start),
        sequence,
        mac: Some(MacAddr([2, 0, 0, 0, 0, 2])),
        pulse: Pulse {
            interval: Duration::from_millis(20 + 60 * lots.draw(3)),
            misses: 5,
            lateness: Duration::from_millis(100 * lots.draw(3)),
        },
        flags: Flags::default(),
        heard: hears
            .then_some(Heard {
                session: ME,
                age: Duration::ZERO,
                synced: true,
            })
            .into_iter()
            .collect(),
        part: Part {
            digest: Digest::default(),
            range: None,
            entries: Vec::new(),
        },
    }
}

#[test]
fn nobody_is_to_be_looked_at_before_the_moment_that_is_kept() {
    let mut lots = Lots(1);
    let mut membership = Membership::new(node(9), ME, INTERVAL, Rules::default());
    let mut now = Moment::from_millis(1000);
    membership.set_channels(&CHANNELS, now);
    let (mut starts, mut passes) = ([0; 4], 0);
    for step in 1..50_000 {
        now += Duration::from_micros(100 * lots.draw(100));
        let peer = lots.draw(4);
        let channel = CHANNELS[usize::try_from(lots.draw(3)).expect("small")];
        match lots.draw(200) {
            0 => starts[usize::try_from(peer).expect("small")] += 1,
            1 => {
                let some = usize::try_from(1 + lots.draw(3)).expect("small");
                membership.set_channels(&CHANNELS[3 - some..], now);
            }
            2..20 => {
                let _was_down = membership.hear_answer(&node(peer), channel, now);
            }
            // Peers fall silent at times.
            20..100 if !(step / 500 + peer).is_multiple_of(3) => {
                let start = starts[usize::try_from(peer).expect("small")];
                let beacon = beacon(peer, start, step, &mut lots);
                let _ignored = membership.receive(channel, &beacon, now, &mut Changes::default());
            }
            _ => {}
        }
        if membership.silence_at().is_some_and(|at| at <= now) {
            passes += 1;
            let links = membership.links();
            // What an election does then, in short.
            for peer in membership.peers.values_mut() {
                for path in &mut peer.paths {
                    path.down |= !is_heard(path, now);
                    let is_link = path.channel != Channel::Unicast;
                    let is_due = is_link && now.since(path.last_beacon) >= path.suspect;
                    if is_due && path.asked.is_none_or(|asked| now >= asked + INTERVAL) {
                        path.asked = Some(now);
                    }
                }
                if peer.witness_at(INTERVAL, links).is_some_and(|at| at <= now)
                    && let Some(path) = peer.path_mut(Channel::Unicast)
                {
                    path.asked = Some(now);
                }
            }
            membership.forget_newcomers(now);
            membership.plan_silence();
            assert!(
                membership.silence_at().is_none_or(|at| at > now),
                "a loop that has no end, at step {step}"
            );
        }
        let kept = membership.silence_at();
        let mut all = membership.clone();
        all.plan_silence();
        let planned = all.silence_at();
        assert!(
            planned.is_none() || (kept.is_some() && kept <= planned),
            "{kept:?}, and all were looked at {planned:?}, at step {step}"
        );
    }
    assert!(passes > 1000, "{passes}");
}
