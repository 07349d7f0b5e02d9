//! What the observer saw, and what follows from it: who announced when, and whether two did at once.
//!
//! Nothing here knows how an election works. The observer ([`super::observer`]) asks the LAN again
//! and again who has an address; each frame that says so is a [`Sighting`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bellwether_core::mac::MacAddr;
use bellwether_core::moment::Moment;
use serde::{Deserialize, Serialize};

/// A frame that told who has the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// When it came.
    pub at: Moment,
    /// The MAC address that it told.
    pub mac: MacAddr,
    /// Whether it answered the observer, or told everybody unasked.
    pub kind: Kind,
    /// The number of the question that it answers; of the last one, if it answers none.
    pub question: u64,
    /// When that was asked.
    pub asked_at: Moment,
}

/// What moved a station to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// The observer's question.
    Answer,
    /// Nobody's: gratuitous ARP, or an unsolicited Neighbor Advertisement.
    Announcement,
}

/// A station that is silent for longer than this has stopped. Much longer than the observer's
/// interval, so that one which is held up for a moment does not count as two that take turns.
const PRESENT: Duration = Duration::from_millis(50);

/// Whoever is the only one to answer for this long is the announcer.
const STEADY: Duration = Duration::from_millis(100);

/// The one station that answered since `since`; none if there were several, or none.
#[must_use]
pub fn sole_answerer(sightings: &[Sighting], since: Moment) -> Option<MacAddr> {
    let recent = sightings.iter().filter(|sighting| sighting.at >= since);
    let macs: BTreeSet<MacAddr> = recent.map(|sighting| sighting.mac).collect();
    let mut macs = macs.into_iter();
    macs.next().filter(|_| macs.next().is_none())
}

/// The longest time in which two stations told at once that they have the address.
#[must_use]
pub fn overlap(sightings: &[Sighting]) -> Duration {
    let presences = presences(sightings);
    let mut longest = Duration::ZERO;
    for (index, one) in presences.iter().enumerate() {
        for other in presences.iter().skip(index + 1) {
            if one.mac != other.mac {
                let (begin, end) = (one.from.max(other.from), one.until.min(other.until));
                longest = longest.max(end.since(begin));
            }
        }
    }
    longest
}

/// From when until when a station went on telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Presence {
    mac: MacAddr,
    from: Moment,
    until: Moment,
}

fn presences(sightings: &[Sighting]) -> Vec<Presence> {
    let mut current: BTreeMap<MacAddr, Presence> = BTreeMap::new();
    let mut all = Vec::new();
    for &Sighting { at, mac, .. } in sightings {
        let fresh = Presence {
            mac,
            from: at,
            until: at,
        };
        let presence = current.entry(mac).or_insert(fresh);
        if at.since(presence.until) > PRESENT {
            all.push(std::mem::replace(presence, fresh));
        }
        presence.until = at;
    }
    all.extend(current.into_values());
    all
}

/// How many questions two stations answered.
#[must_use]
pub fn answered_twice(sightings: &[Sighting]) -> usize {
    let mut by_question: BTreeMap<u64, BTreeSet<MacAddr>> = BTreeMap::new();
    for sighting in answers(sightings) {
        let macs = by_question.entry(sighting.question).or_default();
        macs.insert(sighting.mac);
    }
    by_question.values().filter(|macs| macs.len() > 1).count()
}

/// How many questions nobody answered, of those between the first and the last that were.
#[must_use]
pub fn unanswered(sightings: &[Sighting]) -> u64 {
    let answered = answered(sightings);
    let asked = match (answered.first_key_value(), answered.last_key_value()) {
        (Some((first, _)), Some((last, _))) => last - first + 1,
        _ => 0,
    };
    asked - answered.len() as u64
}

/// The longest time in which nobody answered what was asked, less the observer's `interval`. Zero if
/// every question was answered, however late.
#[must_use]
pub fn silence(sightings: &[Sighting], interval: Duration) -> Duration {
    let answered: Vec<(u64, Moment)> = answered(sightings).into_iter().collect();
    let pairs = answered.windows(2);
    let gaps = pairs.filter(|pair| pair[1].0 > pair[0].0 + 1);
    gaps.map(|pair| pair[1].1.since(pair[0].1).saturating_sub(interval))
        .max()
        .unwrap_or_default()
}

/// The questions that were answered, and when they were asked.
fn answered(sightings: &[Sighting]) -> BTreeMap<u64, Moment> {
    let pairs = answers(sightings).map(|answer| (answer.question, answer.asked_at));
    pairs.collect()
}

/// How many times the announcer changed. A station that answers for a moment only is none.
#[must_use]
pub fn moves(sightings: &[Sighting]) -> usize {
    let mut windows: BTreeMap<u64, BTreeSet<MacAddr>> = BTreeMap::new();
    let length = u64::try_from(STEADY.as_nanos()).unwrap_or(u64::MAX);
    for sighting in answers(sightings) {
        let window = sighting.at.as_nanos() / length;
        windows.entry(window).or_default().insert(sighting.mac);
    }
    let sole = windows.values().filter(|macs| macs.len() == 1);
    let mut owners: Vec<&MacAddr> = sole.flatten().collect();
    owners.dedup();
    owners.len().saturating_sub(1)
}

fn answers(sightings: &[Sighting]) -> impl Iterator<Item = &Sighting> {
    sightings
        .iter()
        .filter(|sighting| sighting.kind == Kind::Answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xa]);
    const B: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xb]);
    const INTERVAL: u64 = 2;

    /// A station that answers every question from one millisecond to another.
    fn answering(mac: MacAddr, from: u64, until: u64) -> Vec<Sighting> {
        let questions = from.div_ceil(INTERVAL)..=until / INTERVAL;
        let answer = |question| Sighting {
            at: Moment::from_millis(question * INTERVAL),
            mac,
            kind: Kind::Answer,
            question,
            asked_at: Moment::from_millis(question * INTERVAL),
        };
        questions.map(answer).collect()
    }

    fn seen(parts: &[Vec<Sighting>]) -> Vec<Sighting> {
        let mut all = parts.concat();
        all.sort_by_key(|sighting| sighting.at);
        all
    }

    /// What happened; overlap, silence, moves, questions answered twice.
    type Row = (&'static str, Vec<Sighting>, u64, u64, usize, usize);

    #[test]
    fn a_run_is_told_by_who_answered_when() {
        let rows: [Row; 7] = [
            ("nothing", answering(A, 0, 1000), 0, 0, 0, 0),
            ("nobody", Vec::new(), 0, 0, 0, 0),
            (
                "a takeover after a crash",
                seen(&[answering(A, 0, 400), answering(B, 650, 2000)]),
                0,
                248,
                1,
                0,
            ),
            (
                "a planned move: the new one begins before the old one ends",
                seen(&[answering(A, 0, 500), answering(B, 498, 2000)]),
                2,
                0,
                1,
                2,
            ),
            (
                "a healed split",
                seen(&[answering(A, 0, 2000), answering(B, 1000, 1040)]),
                40,
                0,
                0,
                21,
            ),
            (
                "a resumed node that answers once",
                seen(&[
                    answering(A, 0, 400),
                    answering(B, 650, 2000),
                    answering(A, 1000, 1000),
                ]),
                0,
                248,
                1,
                1,
            ),
            (
                "a returned node that takes the address back",
                seen(&[
                    answering(A, 0, 400),
                    answering(B, 650, 2000),
                    answering(A, 2002, 3000),
                ]),
                0,
                248,
                2,
                0,
            ),
        ];
        for (what, sightings, overlapped, silent, moved, twice) in rows {
            let interval = Duration::from_millis(INTERVAL);
            assert_eq!(
                overlap(&sightings),
                Duration::from_millis(overlapped),
                "{what}"
            );
            assert_eq!(
                silence(&sightings, interval),
                Duration::from_millis(silent),
                "{what}"
            );
            assert_eq!(moves(&sightings), moved, "{what}");
            assert_eq!(answered_twice(&sightings), twice, "{what}");
        }
    }

    #[test]
    fn a_late_answer_is_an_answer_and_one_that_never_comes_is_silence() {
        let mut late = answering(A, 0, 1000);
        for answer in &mut late[100..110] {
            answer.at = Moment::from_millis(250);
        }
        let interval = Duration::from_millis(INTERVAL);
        assert_eq!(
            (unanswered(&late), silence(&late, interval)),
            (0, Duration::ZERO)
        );
        let mut lost = answering(A, 0, 1000);
        lost.drain(100..110);
        let silent = Duration::from_millis(10 * INTERVAL);
        assert_eq!((unanswered(&lost), silence(&lost, interval)), (10, silent));
        assert_eq!(unanswered(&[]), 0);
    }

    #[test]
    fn an_announcement_counts_for_overlap_and_answers_nothing() {
        let announced = |at| Sighting {
            at: Moment::from_millis(at),
            mac: B,
            kind: Kind::Announcement,
            question: at / INTERVAL,
            asked_at: Moment::from_millis(at),
        };
        let rows = [
            (vec![announced(500)], 0),
            (vec![announced(500), announced(530)], 30),
        ];
        for (announcements, overlapped) in rows {
            let sightings = seen(&[answering(A, 0, 1000), announcements]);
            assert_eq!(overlap(&sightings), Duration::from_millis(overlapped));
            assert_eq!((answered_twice(&sightings), moves(&sightings)), (0, 0));
        }
    }

    #[test]
    fn the_announcer_is_the_one_station_that_is_heard() {
        let sightings = seen(&[answering(A, 0, 500), answering(B, 400, 1000)]);
        let since = |moment| sole_answerer(&sightings, Moment::from_millis(moment));
        assert_eq!(since(0), None, "two");
        assert_eq!(since(501), Some(B));
        assert_eq!(since(1001), None, "nobody");
    }
}
