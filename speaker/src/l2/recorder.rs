//! Records what the election is told and decides, while somebody asks for it.
//!
//! The L2 thread never waits for whoever writes the trace down. When the channel is full lines are
//! lost and counted; when there is room again the trace begins anew with the whole state, so that
//! what follows can be replayed.

use bellwether_core::election::trace::{Decision, Line};
use bellwether_core::election::{Election, Input, Output};
use bellwether_core::moment::Moment;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// Records into a channel. Without one it does nothing.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    channel: Option<mpsc::Sender<Line>>,
    /// Lines that are lost since the trace began or went on.
    lost: u64,
}

impl Recorder {
    /// Begins a trace; one that is going on ends.
    pub(super) fn begin(&mut self, channel: mpsc::Sender<Line>, election: &Election, now: Moment) {
        self.channel = Some(channel);
        self.lost = 0;
        self.start(election, now);
    }

    /// The election is going to be told this.
    pub(super) fn input(&mut self, input: &Input, election: &Election, now: Moment) {
        if self.is_recording(election, now) {
            self.send(Line::Input {
                at: now,
                input: input.clone(),
            });
        }
    }

    /// The election is going to do what is due.
    pub(super) fn deadline(&mut self, election: &Election, now: Moment) {
        if self.is_recording(election, now) {
            self.send(Line::Deadline { at: now });
        }
    }

    /// The election has decided this.
    pub(super) fn output(&mut self, output: &Output, now: Moment) {
        if self.channel.is_some()
            && self.lost == 0
            && let Some(decision) = Decision::of(output)
        {
            self.send(Line::Decision { at: now, decision });
        }
    }

    /// Whether there is anybody to record for. After a gap the state goes first, if there is room.
    fn is_recording(&mut self, election: &Election, now: Moment) -> bool {
        let Some(channel) = &self.channel else {
            return false;
        };
        if self.lost > 0 {
            if channel.capacity() < channel.max_capacity() / 2 {
                self.lost += 1;
                return false;
            }
            self.start(election, now);
        }
        true
    }

    fn start(&mut self, election: &Election, now: Moment) {
        let lost = std::mem::take(&mut self.lost);
        self.send(Line::start(election.clone(), lost, now));
    }

    fn send(&mut self, line: Line) {
        let Some(channel) = &self.channel else {
            return;
        };
        match channel.try_send(line) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => self.lost += 1,
            Err(TrySendError::Closed(_)) => self.channel = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::election::Config;
    use bellwether_core::election::trace::Replay;
    use bellwether_core::frame::beacon::Session;
    use bellwether_core::membership::timing::Profile;

    use super::*;

    fn election() -> Election {
        let config = Config {
            node: "a".into(),
            session: Session(1),
            profile: Profile::DEFAULT,
            rebalance: false,
        };
        Election::new(config, Moment::ORIGIN)
    }

    fn lines(receiver: &mut mpsc::Receiver<Line>) -> Vec<Line> {
        std::iter::from_fn(|| receiver.try_recv().ok()).collect()
    }

    #[test]
    fn what_does_not_fit_is_counted_and_the_trace_begins_anew_when_there_is_room() {
        let (sender, mut receiver) = mpsc::channel(4);
        let mut recorder = Recorder::default();
        let election = election();
        let at = Moment::from_millis;
        recorder.begin(sender, &election, at(0));
        for number in 1..=6 {
            recorder.deadline(&election, at(number));
        }
        assert_eq!(lines(&mut receiver).len(), 4, "the state, and three turns");
        recorder.deadline(&election, at(7));
        let after = lines(&mut receiver);
        assert!(
            matches!(
                after[..],
                [Line::Start { lost: 3, .. }, Line::Deadline { .. }]
            ),
            "{after:?}"
        );
    }

    #[test]
    fn it_ends_when_nobody_writes_it_down_any_more() {
        let (sender, receiver) = mpsc::channel(4);
        let mut recorder = Recorder::default();
        recorder.begin(sender, &election(), Moment::ORIGIN);
        drop(receiver);
        recorder.deadline(&election(), Moment::ORIGIN);
        assert!(recorder.channel.is_none());
    }

    #[test]
    fn a_trace_can_be_read_from_json_and_replayed() {
        let (sender, mut receiver) = mpsc::channel(100);
        let mut recorder = Recorder::default();
        let mut election = election();
        recorder.begin(sender, &election, Moment::ORIGIN);
        for number in 1..=20 {
            let now = Moment::from_millis(50 * number);
            recorder.deadline(&election, now);
            election.on_deadline(now);
        }
        let mut replay = Replay::default();
        for line in lines(&mut receiver) {
            let text = serde_json::to_string(&line).expect("JSON");
            let line = serde_json::from_str(&text).expect("a line");
            replay.take(line).expect("the same");
        }
        assert_eq!(replay.node().map(ToString::to_string).as_deref(), Some("a"));
    }
}
