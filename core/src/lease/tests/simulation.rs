//! Several contenders, and whatever may happen between them and the API server.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Contenders, an API server that is slow, fails, or does a write and loses the answer, and clocks
/// that agree on nothing but how long a second is.
struct Simulation {
    contenders: Vec<Contender>,
    /// What each clock shows at the start.
    clocks: Vec<Moment>,
    leading: Vec<bool>,
    now: Duration,
    stored: Option<Observed>,
    version: u64,
    /// When and in which order; who and what.
    events: BTreeMap<(Duration, u64), (usize, Event)>,
    sequence: u64,
    /// How calls go, one after the other and then again.
    calls: Vec<Call>,
    called: usize,
}

#[derive(Clone, Debug)]
enum Event {
    /// A read, or else this write, arrives at the server; the answer takes this long to come back.
    Arrives(Option<Write>, Option<Duration>),
    Answered(Input),
    Deadline,
}

/// How a call goes.
#[derive(Clone, Copy, Debug)]
struct Call {
    /// How long it takes to the server, if it gets there; perhaps longer than anybody waits.
    there: Option<Duration>,
    /// How long the answer takes, if it comes back.
    back: Option<Duration>,
}

impl Call {
    const TIMEOUT: Duration = Duration::from_secs(5);
    const HEALTHY: Self = Self {
        there: Some(Duration::from_millis(2)),
        back: Some(Duration::from_millis(2)),
    };
}

impl Simulation {
    fn new(clocks: &[u64], calls: Vec<Call>) -> Self {
        let clocks: Vec<Moment> = clocks.iter().map(|&shows| at(shows)).collect();
        let contenders = clocks
            .iter()
            .enumerate()
            .map(|(who, &now)| Contender::new(&format!("c{who}"), Timing::DEFAULT, now))
            .collect();
        let mut simulation = Self {
            contenders,
            leading: vec![false; clocks.len()],
            clocks,
            now: Duration::ZERO,
            stored: None,
            version: 0,
            events: BTreeMap::new(),
            sequence: 0,
            calls,
            called: 0,
        };
        for who in 0..simulation.contenders.len() {
            simulation.act(who);
        }
        simulation
    }

    fn schedule(&mut self, after: Duration, who: usize, event: Event) {
        self.sequence += 1;
        self.events
            .insert((self.now + after, self.sequence), (who, event));
    }

    fn call(&mut self, who: usize, write: Option<Write>) {
        let Call { there, back } = self.calls[self.called % self.calls.len()];
        self.called += 1;
        let in_time = there
            .zip(back)
            .is_some_and(|(there, back)| there + back < Call::TIMEOUT);
        let failed = match write {
            None => Input::ReadFailed,
            Some(_) => Input::WriteFailed,
        };
        if let Some(there) = there {
            let back = back.filter(|_| in_time);
            self.schedule(there, who, Event::Arrives(write, back));
        }
        if !in_time {
            self.schedule(Call::TIMEOUT, who, Event::Answered(failed));
        }
    }

    /// Does what the contender wants done.
    fn act(&mut self, who: usize) {
        while let Some(output) = self.contenders[who].poll_output() {
            match output {
                Output::Read => self.call(who, None),
                Output::Write(write) => self.call(who, Some(write)),
                Output::Gained => self.leading[who] = true,
                Output::Lost(_) => self.leading[who] = false,
            }
        }
        assert_eq!(self.leading[who], self.contenders[who].snapshot().leads);
        let leaders = self.leading.iter().filter(|leads| **leads).count();
        assert!(leaders <= 1, "{leaders} lead at {:?}", self.now);
        if let Some(deadline) = self.contenders[who].next_deadline() {
            let after = deadline.since(self.clocks[who] + self.now);
            self.schedule(after, who, Event::Deadline);
        }
    }

    /// What the server answers.
    fn serve(&mut self, write: Option<Write>) -> Input {
        let Some(write) = write else {
            return Input::Read(self.stored.clone());
        };
        if self.stored.as_ref().map(|stored| &stored.version) != write.version.as_ref() {
            return Input::Refused;
        }
        self.version += 1;
        let stored = Observed {
            record: Record {
                holder: write.holder.as_deref().map(ToOwned::to_owned),
                duration: write.duration,
                transitions: write.transitions,
                times: self.version.to_string(),
            },
            version: self.version.to_string(),
        };
        self.stored = Some(stored.clone());
        Input::Written(stored)
    }

    fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(next) = self.events.first_entry()
            && next.key().0 <= end
        {
            let ((when, _), (who, event)) = next.remove_entry();
            self.now = when;
            let clock = self.clocks[who] + when;
            match event {
                Event::Arrives(write, back) => {
                    let answer = self.serve(write);
                    if let Some(back) = back {
                        self.schedule(back, who, Event::Answered(answer));
                    }
                    continue;
                }
                Event::Answered(input) => self.contenders[who].handle(input, clock),
                Event::Deadline => self.contenders[who].on_deadline(clock),
            }
            self.act(who);
        }
        self.now = end;
    }

    fn leader(&self) -> Option<usize> {
        self.leading.iter().position(|leads| *leads)
    }

    fn stop(&mut self, who: usize) {
        let clock = self.clocks[who] + self.now;
        self.contenders[who].handle(Input::Stop, clock);
        self.act(who);
    }
}

fn any_call() -> impl Strategy<Value = Call> {
    let way = || {
        prop_oneof![
            6 => (0u64..50).prop_map(Some),
            2 => (0u64..6_000).prop_map(Some),
            1 => (0u64..20_000).prop_map(Some),
            2 => Just(None),
        ]
        .prop_map(|way| way.map(Duration::from_millis))
    };
    (way(), way()).prop_map(|(there, back)| Call { there, back })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever the API server does and the clocks say, never do two lead; and when the server is
    /// well again, one does.
    #[test]
    fn never_do_two_lead_and_soon_one_does(
        clocks in prop::collection::vec(0u64..4_000_000_000, 2..4),
        calls in prop::collection::vec(any_call(), 1..60),
    ) {
        let mut simulation = Simulation::new(&clocks, calls);
        simulation.run_for(Duration::from_mins(5));
        simulation.calls = vec![Call::HEALTHY];
        // What is under way may land late, and each landing starts the time anew.
        simulation.run_for(Duration::from_mins(1));
        let leader = simulation.leader();
        prop_assert!(leader.is_some());
        simulation.run_for(Duration::from_mins(5));
        prop_assert_eq!(simulation.leader(), leader, "a leader that is well goes on");
    }

    /// A leader that stops in order is followed within a retry period; one that just vanishes,
    /// within the duration and a retry period.
    #[test]
    fn the_next_follows(clocks in prop::collection::vec(0u64..4_000_000_000, 2..4), orderly: bool) {
        let mut simulation = Simulation::new(&clocks, vec![Call::HEALTHY]);
        simulation.run_for(Duration::from_secs(100));
        let first = simulation.leader().expect("one leads");
        let (soon, late) = if orderly {
            simulation.stop(first);
            (Duration::ZERO, Duration::from_millis(2_100))
        } else {
            simulation.events.retain(|_, (who, _)| *who != first);
            simulation.leading[first] = false;
            (Duration::from_millis(12_900), Duration::from_millis(2_200))
        };
        simulation.run_for(soon);
        prop_assert_eq!(simulation.leader(), None);
        simulation.run_for(late);
        prop_assert!(simulation.leader().is_some_and(|leader| leader != first));
    }
}
