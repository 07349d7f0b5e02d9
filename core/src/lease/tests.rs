use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const fn at(seconds: u64) -> Moment {
    Moment::from_millis(seconds * 1000)
}

fn lease(version: u64, holder: &str, times: &str) -> Observed {
    Observed {
        record: Record {
            holder: (!holder.is_empty()).then(|| holder.to_owned()),
            duration: Duration::from_secs(15),
            transitions: 3,
            times: times.to_owned(),
        },
        version: version.to_string(),
    }
}

/// The outputs as text: `read`, `write a at 7 (4)`, with ` anew` if it acquires, `gained`,
/// `lost: …`.
fn outputs(contender: &mut Contender) -> Vec<String> {
    std::iter::from_fn(|| contender.poll_output())
        .map(|output| match output {
            Output::Read => "read".to_owned(),
            Output::Write(write) => {
                let holder = write.holder.as_deref().unwrap_or("nobody");
                let version = write.version.as_deref().unwrap_or("none");
                let anew = if write.acquires { " anew" } else { "" };
                format!("write {holder} at {version} ({}){anew}", write.transitions)
            }
            Output::Gained => "gained".to_owned(),
            Output::Lost(loss) => format!("lost: {loss}"),
        })
        .collect()
}

fn contender(now: u64) -> Contender {
    let mut contender = Contender::new("a", Timing::DEFAULT, at(now));
    assert_eq!(outputs(&mut contender), ["read"]);
    contender
}

/// One that leads since second 0, by version 8 of the Lease.
fn leader() -> Contender {
    let mut contender = contender(0);
    contender.handle(Input::Read(Some(lease(7, "", ""))), at(0));
    assert_eq!(outputs(&mut contender), ["write a at 7 (4) anew"]);
    contender.handle(Input::Written(lease(8, "a", "0")), at(0));
    assert_eq!(outputs(&mut contender), ["gained"]);
    contender
}

fn handled(contender: &mut Contender, input: Input, now: u64) -> Vec<String> {
    contender.handle(input, at(now));
    outputs(contender)
}

fn due(contender: &mut Contender, now: u64) -> Vec<String> {
    assert_eq!(contender.next_deadline(), Some(at(now)));
    contender.on_deadline(at(now));
    outputs(contender)
}

#[test]
fn what_is_read_at_first_decides_what_is_done() {
    for (sentence, read, done) in [
        (
            "there is no Lease: it is created",
            None,
            &["write a at none (0) anew"][..],
        ),
        (
            "it was given back: it is taken",
            Some(lease(7, "", "")),
            &["write a at 7 (4) anew"],
        ),
        ("it is held by another: wait", Some(lease(7, "b", "")), &[]),
        (
            "it is its own, from before a restart",
            Some(lease(7, "a", "")),
            &["write a at 7 (3)"],
        ),
    ] {
        assert_eq!(
            handled(&mut contender(0), Input::Read(read), 0),
            done,
            "{sentence}"
        );
    }
}

#[test]
fn it_takes_over_when_it_has_seen_no_change_for_the_duration() {
    let mut contender = contender(100);
    let unchanged = || Input::Read(Some(lease(7, "b", "2001-01-01")));
    for second in (100..114).step_by(2) {
        assert_eq!(
            handled(&mut contender, unchanged(), second),
            [""; 0],
            "second {second}"
        );
        assert_eq!(due(&mut contender, second + 2), ["read"]);
    }
    assert_eq!(handled(&mut contender, unchanged(), 114), [""; 0]);
    assert_eq!(
        due(&mut contender, 115),
        ["read"],
        "not later than it expires"
    );
    assert_eq!(
        handled(&mut contender, unchanged(), 115),
        ["write a at 7 (4) anew"]
    );
}

#[test]
fn every_renewal_that_it_sees_starts_the_time_anew() {
    let mut contender = contender(0);
    for (read, times) in [(0, "0"), (14, "1"), (28, "2"), (42, "3")] {
        let seen = Input::Read(Some(lease(read, "b", times)));
        assert_eq!(handled(&mut contender, seen, read), [""; 0]);
        due(&mut contender, read + 2);
    }
    let seen = Input::Read(Some(lease(42, "b", "3")));
    assert_eq!(
        handled(&mut contender, seen, 57),
        ["write a at 42 (4) anew"]
    );
}

#[test]
fn a_label_on_the_lease_is_no_renewal() {
    let mut contender = contender(0);
    handled(&mut contender, Input::Read(Some(lease(7, "b", "0"))), 0);
    due(&mut contender, 2);
    let labelled = Input::Read(Some(lease(8, "b", "0")));
    assert_eq!(handled(&mut contender, labelled.clone(), 14), [""; 0]);
    due(&mut contender, 15);
    assert_eq!(
        handled(&mut contender, labelled, 15),
        ["write a at 8 (4) anew"]
    );
}

#[test]
fn what_the_clock_of_another_says_is_only_compared() {
    // One of the times is in the past, one in the future, one is no time at all.
    for times in ["1970-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "soon"] {
        let mut contender = contender(0);
        let read = || Input::Read(Some(lease(7, "b", times)));
        assert_eq!(
            handled(&mut contender, read(), 0),
            [""; 0],
            "{times}: not at once"
        );
        due(&mut contender, 2);
        assert_eq!(
            handled(&mut contender, read(), 15),
            ["write a at 7 (4) anew"],
            "{times}"
        );
    }
}

#[test]
fn the_duration_is_that_of_the_holder() {
    let mut contender = contender(0);
    let mut long = lease(7, "b", "0");
    long.record.duration = Duration::from_mins(1);
    assert_eq!(
        handled(&mut contender, Input::Read(Some(long.clone())), 0),
        [""; 0]
    );
    due(&mut contender, 2);
    assert_eq!(
        handled(&mut contender, Input::Read(Some(long.clone())), 59),
        [""; 0]
    );
    due(&mut contender, 60);
    assert_eq!(
        handled(&mut contender, Input::Read(Some(long)), 60),
        ["write a at 7 (4) anew"]
    );
}

#[test]
fn of_two_that_take_over_at_once_one_is_refused_and_reads_again() {
    let mut loser = contender(0);
    handled(&mut loser, Input::Read(Some(lease(7, "", ""))), 0);
    assert_eq!(handled(&mut loser, Input::Refused, 0), ["read"]);
    let taken = Input::Read(Some(lease(8, "b", "0")));
    assert_eq!(handled(&mut loser, taken, 0), [""; 0]);
    assert!(!loser.snapshot().leads);
    assert_eq!(loser.snapshot().holder.as_deref(), Some("b"));
}

#[test]
fn a_leader_renews_in_every_retry_period() {
    let mut leader = leader();
    for second in [2, 4, 6] {
        let version = second / 2 + 7;
        assert_eq!(
            due(&mut leader, second),
            [format!("write a at {version} (3)")]
        );
        let written = lease(version + 1, "a", &second.to_string());
        assert_eq!(
            handled(&mut leader, Input::Written(written), second),
            [""; 0]
        );
    }
    assert!(leader.snapshot().leads);
}

#[test]
fn a_leader_that_cannot_renew_stops_before_others_may_start() {
    let mut leader = leader();
    for second in [2, 4, 6, 8] {
        assert_eq!(due(&mut leader, second), ["write a at 8 (3)"]);
        assert_eq!(handled(&mut leader, Input::WriteFailed, second), [""; 0]);
    }
    assert_eq!(
        due(&mut leader, 10),
        ["lost: the Lease could not be renewed within 10s"]
    );
    assert_eq!(due(&mut leader, 12), ["read"], "and competes again");
}

#[test]
fn a_write_without_an_answer_does_not_keep_it_leading() {
    let mut leader = leader();
    assert_eq!(due(&mut leader, 2), ["write a at 8 (3)"]);
    assert_eq!(
        due(&mut leader, 10),
        ["lost: the Lease could not be renewed within 10s"],
        "counted from the renewal before"
    );
    // The answer comes, but was sent at second 2: until second 12 it may lead by it.
    let written = Input::Written(lease(9, "a", "2"));
    assert_eq!(
        handled(&mut leader.clone(), written.clone(), 11),
        ["gained"]
    );
    assert_eq!(handled(&mut leader, written, 12), [""; 0]);
    assert_eq!(due(&mut leader, 14), ["read"]);
}

#[test]
fn the_time_to_stop_counts_from_before_the_renewal_was_sent() {
    let mut leader = leader();
    due(&mut leader, 2);
    handled(&mut leader, Input::Written(lease(9, "a", "2")), 5);
    due(&mut leader, 7);
    assert_eq!(
        due(&mut leader, 12),
        ["lost: the Lease could not be renewed within 10s"],
        "10 s after second 2"
    );
}

#[test]
fn the_time_to_stop_counts_from_before_the_lease_was_acquired() {
    let mut contender = contender(0);
    handled(&mut contender, Input::Read(None), 0);
    let written = Input::Written(lease(1, "a", "0"));
    assert_eq!(handled(&mut contender, written, 4), ["gained"]);
    due(&mut contender, 6);
    assert_eq!(
        due(&mut contender, 10),
        ["lost: the Lease could not be renewed within 10s"]
    );
}

#[test]
fn a_leader_that_finds_another_in_its_place_stops_at_once() {
    for (sentence, found, done) in [
        (
            "another took it",
            Some(lease(9, "b", "1")),
            &["lost: the Lease is held by b"][..],
        ),
        (
            "somebody cleared it",
            Some(lease(9, "", "1")),
            &["lost: the Lease was deleted or cleared by somebody else"],
        ),
        (
            "somebody deleted it",
            None,
            &["lost: the Lease was deleted or cleared by somebody else"],
        ),
        (
            "somebody put a label on it",
            Some(lease(9, "a", "0")),
            &["write a at 9 (3)"],
        ),
    ] {
        let mut leader = leader();
        due(&mut leader, 2);
        assert_eq!(handled(&mut leader, Input::Refused, 2), ["read"]);
        assert_eq!(
            handled(&mut leader, Input::Read(found), 2),
            done,
            "{sentence}"
        );
    }
}

#[test]
fn a_watch_makes_those_who_follow_read_at_once() {
    let mut follower = contender(0);
    assert_eq!(
        handled(&mut follower, Input::Changed, 0),
        [""; 0],
        "it reads already"
    );
    handled(&mut follower, Input::Read(Some(lease(7, "b", "0"))), 0);
    assert_eq!(handled(&mut follower, Input::Changed, 1), ["read"]);
    let given_back = Input::Read(Some(lease(8, "", "0")));
    assert_eq!(
        handled(&mut follower, given_back, 1),
        ["write a at 8 (4) anew"]
    );
    let mut leader = leader();
    assert_eq!(
        handled(&mut leader, Input::Changed, 1),
        [""; 0],
        "a leader knows"
    );
}

#[test]
fn at_the_end_a_leader_stops_and_then_gives_the_lease_back() {
    let mut leader = leader();
    assert_eq!(
        handled(&mut leader, Input::Stop, 1),
        ["lost: the Lease is given back", "write nobody at 8 (3)"]
    );
    assert!(!leader.is_finished());
    assert_eq!(
        handled(&mut leader, Input::Written(lease(9, "", "1")), 1),
        [""; 0]
    );
    assert!(leader.is_finished());
    assert_eq!(leader.next_deadline(), None);
    assert_eq!(handled(&mut leader, Input::Stop, 2), [""; 0]);
}

#[test]
fn at_the_end_a_renewal_under_way_is_waited_for() {
    let mut leader = leader();
    due(&mut leader, 2);
    assert_eq!(
        handled(&mut leader, Input::Stop, 2),
        ["lost: the Lease is given back"]
    );
    let written = Input::Written(lease(9, "a", "2"));
    assert_eq!(handled(&mut leader, written, 3), ["write nobody at 9 (3)"]);
    assert_eq!(handled(&mut leader, Input::WriteFailed, 4), [""; 0]);
    assert!(leader.is_finished(), "the others wait until it expires");
}

#[test]
fn at_the_end_a_lease_just_acquired_is_given_back() {
    let mut contender = contender(0);
    handled(&mut contender, Input::Read(None), 0);
    assert_eq!(handled(&mut contender, Input::Stop, 0), [""; 0]);
    let written = Input::Written(lease(1, "a", "0"));
    assert_eq!(
        handled(&mut contender, written, 0),
        ["write nobody at 1 (3)"]
    );
    assert_eq!(handled(&mut contender, Input::Refused, 0), [""; 0]);
    assert!(contender.is_finished());
}

#[test]
fn at_the_end_a_follower_has_nothing_to_give_back() {
    let mut follower = contender(0);
    assert_eq!(handled(&mut follower, Input::Stop, 0), [""; 0]);
    assert!(!follower.is_finished(), "it reads");
    assert_eq!(
        handled(&mut follower, Input::Read(Some(lease(7, "", ""))), 0),
        [""; 0]
    );
    assert!(follower.is_finished());
}

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
