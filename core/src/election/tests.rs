use super::*;

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 10));

fn candidates(names: &[&str]) -> Vec<Candidate> {
    names
        .iter()
        .map(|&name| Candidate {
            node: name.into(),
            interfaces: Interfaces::All,
            preference: 0,
        })
        .collect()
}

fn assign(names: &[&str]) -> Input {
    Input::Assign {
        address: ADDRESS,
        candidates: candidates(names),
        recorded: None,
    }
}

fn recorded(names: &[&str], node: &str, term: u64) -> Input {
    Input::Assign {
        address: ADDRESS,
        candidates: candidates(names),
        recorded: Some(Recorded {
            node: Some(node.into()),
            term: Term(term),
            stands: true,
        }),
    }
}

fn released(names: &[&str], node: Option<&str>, term: u64) -> Input {
    Input::Assign {
        address: ADDRESS,
        candidates: candidates(names),
        recorded: Some(Recorded {
            node: node.map(Into::into),
            term: Term(term),
            stands: false,
        }),
    }
}

fn owned(term: u64, previous: Option<&str>) -> Output {
    Output::Own(Owned {
        address: ADDRESS,
        interfaces: Interfaces::All,
        term: Term(term),
        previous: previous.map(Into::into),
        reason: OwnReason::FirstCandidate,
    })
}

fn release(reason: ReleaseReason) -> Output {
    Output::Release {
        address: ADDRESS,
        reason,
    }
}

/// What node `a` decides on each of `inputs`, one after the other.
fn decisions(inputs: impl IntoIterator<Item = Input>) -> Vec<Output> {
    let mut election = FirstCandidate::new("a".into());
    let mut outputs = Vec::new();
    for input in inputs {
        election.handle(input, Moment::ORIGIN);
        outputs.extend(std::iter::from_fn(|| election.poll_output()));
    }
    outputs
}

#[test]
fn the_first_candidate_owns_the_address() {
    assert_eq!(decisions([assign(&["a", "b"])]), [owned(1, None)]);
    assert_eq!(decisions([assign(&["b", "a"])]), []);
    assert_eq!(decisions([assign(&[])]), []);
}

#[test]
fn nothing_is_decided_twice() {
    let same = [assign(&["a", "b"]), recorded(&["a", "c"], "a", 1)];
    assert_eq!(decisions(same), [owned(1, None)]);
}

#[test]
fn an_address_is_released_for_the_reason_that_applies() {
    for (then, reason) in [
        (assign(&["b", "a"]), ReleaseReason::NotFirstCandidate),
        (assign(&["b"]), ReleaseReason::NotCandidate),
        (assign(&[]), ReleaseReason::NotCandidate),
        (
            Input::Unassign { address: ADDRESS },
            ReleaseReason::Unassigned,
        ),
        (Input::Stop, ReleaseReason::Stopping),
    ] {
        assert_eq!(
            decisions([assign(&["a"]), then]),
            [owned(1, None), release(reason)]
        );
    }
}

#[test]
fn a_claim_comes_after_the_recorded_one() {
    assert_eq!(decisions([recorded(&["a"], "b", 4)]), [owned(5, Some("b"))]);
}

#[test]
fn a_later_claim_of_a_node_that_goes_behind_is_answered_by_a_later_one() {
    let inputs = [assign(&["a", "b"]), recorded(&["a", "b"], "b", 1)];
    assert_eq!(decisions(inputs), [owned(1, None), owned(2, Some("b"))]);
    // An earlier one is what was there before.
    let inputs = [recorded(&["a"], "b", 4), recorded(&["a"], "b", 4)];
    assert_eq!(decisions(inputs), [owned(5, Some("b"))]);
}

#[test]
fn a_node_that_restarts_goes_on_with_its_claim() {
    assert_eq!(decisions([recorded(&["a"], "a", 4)]), [owned(4, None)]);
}

#[test]
fn a_claim_that_does_not_stand_is_followed_by_a_new_one_and_outdoes_none() {
    assert_eq!(
        decisions([released(&["a"], Some("a"), 4)]),
        [owned(5, Some("a"))]
    );
    assert_eq!(decisions([released(&["a"], None, 4)]), [owned(5, None)]);
    let inputs = [assign(&["a"]), released(&["a"], Some("b"), 9)];
    assert_eq!(decisions(inputs), [owned(1, None)]);
}

#[test]
fn other_links_are_the_same_claim() {
    let named = Interfaces::Named(["eth1".into()].into());
    let mut moved = candidates(&["a"]);
    moved[0].interfaces = named.clone();
    let outputs = decisions([
        recorded(&["a"], "b", 4),
        Input::Assign {
            address: ADDRESS,
            candidates: moved,
            recorded: None,
        },
    ]);
    let Output::Own(second) = &outputs[1] else {
        panic!("{outputs:?}");
    };
    assert_eq!((&second.interfaces, second.term), (&named, Term(5)));
}

#[test]
fn a_speaker_that_stops_takes_nothing_more() {
    assert_eq!(decisions([Input::Stop, assign(&["a"])]), []);
}

#[test]
fn the_snapshot_is_what_is_owned() {
    let mut election = FirstCandidate::new("a".into());
    election.handle(assign(&["a"]), Moment::ORIGIN);
    let addresses: Vec<_> = election.snapshot().map(|owned| owned.address).collect();
    assert_eq!(addresses, [ADDRESS]);
    election.handle(Input::Stop, Moment::ORIGIN);
    assert_eq!(election.snapshot().count(), 0);
}
