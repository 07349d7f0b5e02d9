//! One contender: what it reads, writes and says.

use super::*;

mod simulation;

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
