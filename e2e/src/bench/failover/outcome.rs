//! What a run came to, what all of them did, and how both are printed.

use std::time::Duration;

use serde::Serialize;

use super::sightings::{self, Sighting};
use super::{observer, strike, traffic};

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Its number, from 1 on.
    pub run: u32,
    /// The node that announced before.
    pub from: String,
    /// The node that announces after.
    pub to: String,
    /// What chance decided.
    pub detail: String,
    /// How long no datagram was answered.
    pub outage_ms: f64,
    /// How many datagrams were not answered.
    pub lost_probes: u64,
    /// How many new connections were tried.
    pub connections: u64,
    /// How many of them were not answered within 3 s.
    pub connections_failed: u64,
    /// How long the slowest of the others took.
    pub connection_slowest_ms: f64,
    /// How many times the connection that lasts broke.
    pub long_broken: u64,
    /// The longest time between two answers on it.
    pub long_slowest_ms: f64,
    /// How long nobody answered who has the address.
    pub silence_ms: f64,
    /// How many questions who has the address nobody answered.
    pub unanswered: u64,
    /// How many questions who has the address two stations answered.
    pub answered_twice: usize,
    /// How long two stations said at once that they have it.
    pub overlap_ms: f64,
    /// How many times the announcer changed.
    pub moves: usize,
}

impl Outcome {
    /// What the client and the observer saw of a run from one node to another.
    #[must_use]
    pub fn new(
        run: u32,
        [from, to]: [String; 2],
        detail: String,
        seen: &traffic::Report,
        sightings: &[Sighting],
    ) -> Self {
        Self {
            run,
            from,
            to,
            detail,
            outage_ms: tenths(seen.udp.outage_ms),
            lost_probes: seen.udp.lost,
            connections: seen.connections.tried,
            connections_failed: seen.connections.failed,
            connection_slowest_ms: tenths(seen.connections.slowest_ms),
            long_broken: seen.long.broken,
            long_slowest_ms: tenths(seen.long.slowest_ms),
            silence_ms: ms(sightings::silence(sightings, observer::INTERVAL)),
            unanswered: sightings::unanswered(sightings),
            answered_twice: sightings::answered_twice(sightings),
            overlap_ms: ms(sightings::overlap(sightings)),
            moves: sightings::moves(sightings),
        }
    }

    /// A row below [`HEADER`].
    #[must_use]
    pub fn row(&self) -> String {
        let moved = if self.from == self.to {
            self.from.clone()
        } else {
            format!("{} > {}", self.from, self.to)
        };
        format!(
            "{:>3} {moved:15} {:>8.1} {:>5} {:>4} {:>5} {:>8.1} {:>6} {:>8.1} {:>5}  {}",
            self.run,
            self.outage_ms,
            self.lost_probes,
            self.connections_failed,
            self.long_broken,
            self.silence_ms,
            self.answered_twice,
            self.overlap_ms,
            self.moves,
            self.detail,
        )
    }
}

/// What the columns of [`Outcome::row`] are.
pub const HEADER: &str = "\
RUN ANNOUNCER         OUTAGE  LOST  TCP  LONG  SILENCE  TWICE  OVERLAP MOVES  DETAIL\n                          ms       lost broke       ms              ms";

/// What all runs came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// What happened in each.
    pub fault: strike::Kind,
    /// The timers of the speakers.
    pub profile: String,
    /// How many there were.
    pub runs: usize,
    /// The outage that half of the runs did not exceed.
    pub p50_ms: f64,
    /// The outage that 95 of 100 runs did not exceed.
    pub p95_ms: f64,
    /// The outage that 99 of 100 runs did not exceed.
    pub p99_ms: f64,
    /// The longest outage.
    pub max_ms: f64,
    /// Datagrams that were not answered, in all runs together.
    pub lost_probes: u64,
    /// New connections that failed, in all runs together.
    pub connections_failed: u64,
    /// How often the connection that lasts broke, in all runs together.
    pub long_broken: u64,
    /// The longest time in which nobody answered who has the address.
    pub silence_ms_max: f64,
    /// Questions who has the address that nobody answered, in all runs together.
    pub unanswered: u64,
    /// Questions who has the address that two stations answered, in all runs together.
    pub answered_twice: usize,
    /// The longest time in which two stations said at once that they have it.
    pub overlap_ms_max: f64,
    /// Changes of the announcer, in all runs together.
    pub moves: usize,
}

impl Summary {
    /// Of `outcomes`.
    #[must_use]
    pub fn of(fault: strike::Kind, profile: &str, outcomes: &[Outcome]) -> Self {
        let mut outages: Vec<f64> = outcomes.iter().map(|outcome| outcome.outage_ms).collect();
        outages.sort_by(f64::total_cmp);
        let longest = |value: fn(&Outcome) -> f64| outcomes.iter().map(value).fold(0.0, f64::max);
        Self {
            fault,
            profile: profile.to_owned(),
            runs: outcomes.len(),
            p50_ms: percentile(&outages, 50),
            p95_ms: percentile(&outages, 95),
            p99_ms: percentile(&outages, 99),
            max_ms: percentile(&outages, 100),
            lost_probes: outcomes.iter().map(|outcome| outcome.lost_probes).sum(),
            connections_failed: outcomes.iter().map(|one| one.connections_failed).sum(),
            long_broken: outcomes.iter().map(|outcome| outcome.long_broken).sum(),
            silence_ms_max: longest(|outcome| outcome.silence_ms),
            unanswered: outcomes.iter().map(|outcome| outcome.unanswered).sum(),
            answered_twice: outcomes.iter().map(|outcome| outcome.answered_twice).sum(),
            overlap_ms_max: longest(|outcome| outcome.overlap_ms),
            moves: outcomes.iter().map(|outcome| outcome.moves).sum(),
        }
    }

    /// For people.
    #[must_use]
    pub fn table(&self) -> String {
        let Self {
            p50_ms,
            p95_ms,
            p99_ms,
            max_ms,
            ..
        } = self;
        format!(
            "outage         p50 {p50_ms:.1} ms, p95 {p95_ms:.1} ms, p99 {p99_ms:.1} ms, max {max_ms:.1} ms \
             ({} runs)\n\
             lost           {} datagrams, {} new connections; a lasting one broke {} times\n\
             nobody answers {:.1} ms at most, {} questions in all\n\
             two answer     {:.1} ms at most, {} questions in all\n\
             moves          {}",
            self.runs,
            self.lost_probes,
            self.connections_failed,
            self.long_broken,
            self.silence_ms_max,
            self.unanswered,
            self.overlap_ms_max,
            self.answered_twice,
            self.moves,
        )
    }
}

/// The least value that `percent` of 100 do not exceed; zero of none.
pub(in crate::bench) fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

/// In milliseconds, as finely as is printed.
pub(in crate::bench) fn ms(time: Duration) -> f64 {
    tenths(time.as_secs_f64() * 1000.0)
}

/// Finer than that nothing here is measured.
pub(in crate::bench) fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_seen() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        let of = |values: &[f64], percent| format!("{:.0}", percentile(values, percent));
        assert_eq!(of(&hundred, 50), "50");
        assert_eq!(of(&hundred, 99), "99");
        assert_eq!(of(&hundred, 100), "100");
        assert_eq!(of(&hundred[..3], 50), "2");
        assert_eq!(of(&hundred[..3], 99), "3");
        assert_eq!(of(&[], 50), "0");
    }

    fn outcome() -> Outcome {
        let seen = traffic::Report {
            udp: crate::probe::Report {
                sent: 9999,
                lost: 231,
                outage_ms: 231.26,
                ..crate::probe::Report::default()
            },
            ..traffic::Report::default()
        };
        let nodes = ["node-a", "node-b"].map(str::to_owned);
        Outcome::new(7, nodes, "off: node-a node-c".to_owned(), &seen, &[])
    }

    #[test]
    fn a_summary_names_what_is_asked_of_it() {
        let summary = Summary::of(strike::Kind::Crash, "default", &[outcome(), outcome()]);
        let text = serde_json::to_string(&summary).expect("JSON");
        for part in [
            "\"fault\":\"crash\"",
            "\"runs\":2",
            "\"p50_ms\":231.3",
            "\"p99_ms\":231.3",
            "\"max_ms\":231.3",
            "\"lost_probes\":462",
            "\"overlap_ms_max\":0.0",
            "\"moves\":0",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn what_people_read_fits_their_screens() {
        let summary = Summary::of(strike::Kind::Crash, "default", &[outcome()]);
        let text = format!("{HEADER}\n{}\n{}", outcome().row(), summary.table());
        for line in text.lines() {
            assert!(line.len() <= 100, "{} columns: {line}", line.len());
        }
    }
}
