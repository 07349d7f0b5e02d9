//! A probe: a UDP datagram every millisecond, and which of them were answered, by whom.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Error, Result};

/// How long is waited for answers after the last datagram.
const PATIENCE: Duration = Duration::from_millis(300);

/// What a probe saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams that were not answered.
    pub lost: u64,
    /// The longest time between two datagrams that were answered, in milliseconds: the outage, plus
    /// the interval.
    pub longest_gap_ms: f64,
    /// The longest time in which no datagram was answered, in milliseconds: the gap around those that
    /// were not, less the interval. Zero if all were.
    pub outage_ms: f64,
    /// How many answers came from each pod.
    pub answers: BTreeMap<String, u64>,
    /// Where datagrams were lost, the first [`MOST_GAPS`].
    pub gaps: Vec<Gap>,
}

/// How many gaps a report tells of.
const MOST_GAPS: usize = 20;

/// Datagrams that were lost one after the other. By the time it is found in the logs of nodes and pods,
/// and by who answered before and after one sees what changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// When the first of them was sent, in universal time.
    pub at: String,
    /// How many they are.
    pub lost: u64,
    /// Who answered the one before; nobody if there is none.
    pub before: Option<String>,
    /// Who answered the one after; nobody if there is none.
    pub after: Option<String>,
}

/// Sends one datagram, so that the kernel asks who has the address.
pub fn knock(target: SocketAddr) -> Result<()> {
    let socket = open(target)?;
    socket
        .send_to(b"knock", target)
        .context(|| format!("cannot send to {target}"))?;
    Ok(())
}

fn open(target: SocketAddr) -> Result<UdpSocket> {
    let any: SocketAddr = if target.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0u16; 8], 0).into()
    };
    UdpSocket::bind(any).context(|| "cannot open a socket".to_owned())
}

/// Sends a datagram to `target` each `interval` until `stop`, and reports.
pub fn probe(target: SocketAddr, interval: Duration, stop: &AtomicBool) -> Result<Report> {
    let socket = open(target)?;
    socket
        .set_read_timeout(Some(Duration::from_millis(50)))
        .context(|| "cannot set a time limit".to_owned())?;
    let receiving = socket
        .try_clone()
        .context(|| "cannot share a socket".to_owned())?;
    let ended = Arc::new(AtomicBool::new(false));
    let receiver = {
        let ended = ended.clone();
        thread::spawn(move || receive(&receiving, &ended))
    };
    let mut sent_at = Vec::new();
    let (start, started) = (Instant::now(), Timestamp::now());
    while !stop.load(Ordering::Relaxed) {
        // An unreachable target is what is measured, not an error.
        let _lost = socket.send_to(sent_at.len().to_string().as_bytes(), target);
        sent_at.push(start.elapsed());
        let ticks = u32::try_from(sent_at.len()).unwrap_or(u32::MAX);
        thread::sleep((interval * ticks).saturating_sub(start.elapsed()));
    }
    thread::sleep(PATIENCE);
    ended.store(true, Ordering::Relaxed);
    let answered = receiver
        .join()
        .map_err(|_| Error::Unexpected("the receiving thread panicked".to_owned()))?;
    let gaps = gaps(&sent_at, &answered, started);
    Ok(Report {
        gaps,
        ..evaluate(&sent_at, &answered, interval)
    })
}

/// Who answered which datagram.
fn receive(socket: &UdpSocket, ended: &AtomicBool) -> BTreeMap<usize, String> {
    let mut answered = BTreeMap::new();
    let mut buffer = [0; 2048];
    while !ended.load(Ordering::Relaxed) {
        let Ok((length, _)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let text = String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned();
        if let Some((name, number)) = text.rsplit_once(' ')
            && let Ok(number) = number.parse()
        {
            answered.entry(number).or_insert_with(|| name.to_owned());
        }
    }
    answered
}

fn evaluate(
    sent_at: &[Duration],
    answered: &BTreeMap<usize, String>,
    interval: Duration,
) -> Report {
    let mut answers = BTreeMap::new();
    for name in answered.values() {
        *answers.entry(name.clone()).or_insert(0) += 1;
    }
    // From the first datagram to the last: silence at either end is an outage too.
    let last = sent_at.len().saturating_sub(1);
    let numbers = answered.keys().copied().filter(|&number| number <= last);
    let numbers: Vec<usize> = [0].into_iter().chain(numbers).chain([last]).collect();
    let time_of = |number: usize| sent_at.get(number).copied().unwrap_or_default();
    let (mut longest, mut outage) = (Duration::ZERO, Duration::ZERO);
    for pair in numbers.windows(2) {
        let gap = time_of(pair[1]).saturating_sub(time_of(pair[0]));
        longest = longest.max(gap);
        // Between two that were answered a prober that was held up sent nothing, and lost nothing.
        let unanswered =
            pair[1] - pair[0] > 1 || pair.iter().any(|number| !answered.contains_key(number));
        if unanswered {
            outage = outage.max(gap.saturating_sub(interval));
        }
    }
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    Report {
        sent: sent_at.len() as u64,
        lost: (sent_at.len() - answered.len().min(sent_at.len())) as u64,
        longest_gap_ms: ms(longest),
        outage_ms: ms(outage),
        answers,
        gaps: Vec::new(),
    }
}

fn gaps(sent_at: &[Duration], answered: &BTreeMap<usize, String>, started: Timestamp) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut number = 0;
    while number < sent_at.len() && gaps.len() < MOST_GAPS {
        let next = answered.range(number..).next();
        let end = next.map_or(sent_at.len(), |(&next, _)| next.min(sent_at.len()));
        if end > number {
            let at = sent_at.get(number).copied().unwrap_or_default();
            gaps.push(Gap {
                at: format!("{:.3}", started + at),
                lost: (end - number) as u64,
                before: number
                    .checked_sub(1)
                    .and_then(|before| answered.get(&before).cloned()),
                after: next.map(|(_, pod)| pod.clone()),
            });
        }
        number = end + 1;
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(answered: &[usize]) -> Report {
        let sent_at: Vec<Duration> = (0..10).map(Duration::from_millis).collect();
        let answered = answered
            .iter()
            .map(|&number| (number, "web-1".to_owned()))
            .collect();
        evaluate(&sent_at, &answered, Duration::from_millis(1))
    }

    #[test]
    fn the_longest_gap_is_between_answered_datagrams() {
        let seen = report(&[0, 1, 2, 7, 8, 9]);
        assert_eq!((seen.sent, seen.lost), (10, 4));
        assert!((seen.longest_gap_ms - 5.0).abs() < 1e-9, "{seen:?}");
        assert_eq!(seen.answers["web-1"], 6);
    }

    #[test]
    fn each_gap_is_told_with_its_time_and_who_answered_on_either_side() {
        let sent_at: Vec<Duration> = (0..10).map(Duration::from_millis).collect();
        let pod = |number: usize| format!("web-{number}");
        let gap = |ms: u32, lost, before: Option<usize>, after: Option<usize>| Gap {
            at: format!("1970-01-01T00:00:00.{ms:03}Z"),
            lost,
            before: before.map(pod),
            after: after.map(pod),
        };
        let rows: [(&[usize], Vec<Gap>); 4] = [
            (&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], Vec::new()),
            (
                &[0, 1, 4, 5, 6, 8, 9],
                vec![gap(2, 2, Some(1), Some(4)), gap(7, 1, Some(6), Some(8))],
            ),
            (
                &[2, 3, 4, 5, 6, 7],
                vec![gap(0, 2, None, Some(2)), gap(8, 2, Some(7), None)],
            ),
            (&[], vec![gap(0, 10, None, None)]),
        ];
        for (numbers, expected) in rows {
            let answered = numbers
                .iter()
                .map(|&number| (number, pod(number)))
                .collect();
            let seen = gaps(&sent_at, &answered, Timestamp::UNIX_EPOCH);
            assert_eq!(seen, expected, "{numbers:?}");
        }
    }

    #[test]
    fn silence_at_the_end_is_a_gap() {
        assert!((report(&[0, 1]).longest_gap_ms - 8.0).abs() < 1e-9);
        assert!((report(&[]).longest_gap_ms - 9.0).abs() < 1e-9);
    }

    #[test]
    fn an_outage_is_the_time_between_answers_less_the_interval() {
        let rows: [(&[usize], f64); 4] = [
            (&[0, 1, 2, 7, 8, 9], 4.0),
            (&[0, 1, 3, 4, 5, 6, 7, 8, 9], 1.0),
            (&[0, 1, 2, 3, 4], 4.0),
            (&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 0.0),
        ];
        for (answered, outage) in rows {
            let seen = report(answered).outage_ms;
            assert!((seen - outage).abs() < 1e-9, "{answered:?}: {seen}");
        }
    }

    #[test]
    fn a_prober_that_was_held_up_has_seen_no_outage() {
        let sent_at = [0, 1, 40, 41].map(Duration::from_millis);
        let answered = (0..4).map(|number| (number, "web-1".to_owned())).collect();
        let seen = evaluate(&sent_at, &answered, Duration::from_millis(1));
        assert!((seen.longest_gap_ms - 39.0).abs() < 1e-9, "{seen:?}");
        assert!(seen.outage_ms.abs() < 1e-9, "{seen:?}");
    }
}
