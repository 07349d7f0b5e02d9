//! What a fault may do that comes alone, in a network without loss, after calm.
//!
//! | fault | nobody announces for at most | owners that change |
//! |---|---|---|
//! | crash of one node | T of it (R5) + 10 ms, and the jitter of a loop | its own addresses, once |
//! | crash of several | 2 I more for each | theirs, once |
//! | one node is mute, or its port is blocked | as after its crash | its own, once |
//! | one node is deaf | 1.2 T + 30 ms, if it was the owner | its own, once |
//! | all nodes but one crash | as after the crash of several, for as long as it lasts | theirs, once |
//! | one direction between two of three or more, beacons filtered, late loops, duplicates, no API | | none |
//! | forgetful switch, an exchange of keys, an API that repeats itself | | none |
//! | stop, exclusion | 0 | its own, once |
//!
//! Who is deaf, or whose port is blocked, owns nothing after 1.2 T + 30 ms.

use std::collections::BTreeMap;

use crate::history::{Event, Time, What};
use crate::plan::{Fault, Nodes, Plan};

use super::{MILLISECOND, SECOND, SLACK, Violation, allowed_silence, interval_of, is_for_balance};

pub(super) fn check(plan: &Plan, history: &[Event]) -> Vec<Violation> {
    let mut violations = Vec::new();
    if plan.loss > 0 || !plan.gateway {
        return violations;
    }
    for (index, timed) in plan.faults.iter().enumerate() {
        let began = timed.at * MILLISECOND;
        let ended = (timed.at + timed.lasts) * MILLISECOND;
        let calm_before = began.saturating_sub(5 * SECOND);
        let until = ended + SECOND;
        let others = plan.faults.iter().enumerate().any(|(other, timed)| {
            other != index
                && timed.at * MILLISECOND < until
                && (timed.at + timed.lasts) * MILLISECOND > calm_before
        });
        let strange = plan
            .faults
            .iter()
            .any(|timed| matches!(timed.fault, Fault::Stranger(_)));
        if others
            || strange
            || has_flapped(plan, history, began)
            || calm_before == 0
            || timed.lasts < 600
        {
            continue;
        }
        if let Some(violation) = judge(plan, history, timed.fault, began, ended) {
            violations.push(violation);
        }
    }
    violations
}

/// Whether an address has moved so often lately that its owner is given more time (R13).
fn has_flapped(plan: &Plan, history: &[Event], began: Time) -> bool {
    (0..plan.addresses).any(|address| {
        let moves: Vec<Time> = history
            .iter()
            .filter(|event| event.at < began && event.at + 80 * SECOND > began)
            .filter(|event| match event.what {
                What::Owned { address: of, .. } | What::Released { address: of, .. } => {
                    of == address
                }
                _ => false,
            })
            .map(|event| event.at)
            .collect();
        moves.windows(4).any(|four| four[3] - four[0] < 16 * SECOND)
    })
}

/// The time in which nobody announced the address, at most, within the window; counting a node in
/// `useless` as nobody.
pub(super) fn longest_silence(
    history: &[Event],
    address: usize,
    window: (Time, Time),
    useless: u32,
) -> Time {
    let mut owners = 0u32;
    let mut since: Option<Time> = None;
    let mut longest = 0;
    let mut owned_at_start = false;
    let mut started = false;
    for event in history {
        if event.at > window.1 {
            break;
        }
        if event.at >= window.0 && !started {
            started = true;
            owned_at_start = owners != 0;
            owners &= !useless;
            if owners == 0 {
                since = Some(window.0);
            }
        }
        match event.what {
            What::Owned {
                node, address: of, ..
            } if of == address => owners |= 1 << node,
            What::Released {
                node, address: of, ..
            } if of == address => owners &= !(1 << node),
            What::Ended(node) => owners &= !(1 << node),
            _ => {}
        }
        if started {
            owners &= !useless;
            if owners == 0 {
                since.get_or_insert(event.at);
            } else if let Some(begin) = since.take() {
                longest = longest.max(event.at - begin);
            }
        }
    }
    if let Some(begin) = since {
        longest = longest.max(window.1.saturating_sub(begin));
    }
    if owned_at_start { longest } else { 0 }
}

/// R5: the longest silence that one of `nodes` has allowed itself in its last beacons by then. Who was
/// late at times is given more time, also after that.
pub(super) fn promised(plan: &Plan, history: &[Event], nodes: Nodes, by: Time) -> Time {
    const HEARD_LAST: Time = SECOND;
    let lateness = history
        .iter()
        .filter(|event| event.at < by && event.at + HEARD_LAST > by)
        .filter_map(|event| match event.what {
            What::Beacon { node, lateness } if nodes & (1 << node) != 0 => Some(lateness),
            _ => None,
        });
    allowed_silence(plan, lateness.max().unwrap_or(0))
}

fn judge(
    plan: &Plan,
    history: &[Event],
    fault: Fault,
    began: Time,
    ended: Time,
) -> Option<Violation> {
    let interval = interval_of(plan);
    let limit = allowed_silence(plan, 0);
    let promised = |nodes| promised(plan, history, nodes, began);
    let window = (began, ended);
    let silence = |useless: u32| {
        (0..plan.addresses)
            .map(|address| longest_silence(history, address, window, useless))
            .max()
            .unwrap_or(0)
    };
    let within = |rule: &'static str, useless: u32, most: Time| {
        let silence = silence(useless);
        (silence > most).then(|| Violation {
            at: began,
            rule,
            message: format!(
                "{fault:?}: nobody announced an address for {} ms, and {} ms are allowed",
                silence / MILLISECOND,
                most / MILLISECOND
            ),
        })
    };
    let moves = |until: Time| {
        history
            .iter()
            .filter(|event| event.at > began && event.at <= until)
            .filter(|event| !is_for_balance(plan, event))
            .find(|event| matches!(event.what, What::Owned { .. } | What::Released { .. }))
    };
    let no_moves = |rule: &'static str, until: Time| {
        moves(until).map(|event| Violation {
            at: event.at,
            rule,
            message: format!("{fault:?} alone moved an address: {:?}", event.what),
        })
    };
    let alone = plan.nodes - 1;
    match fault {
        Fault::Crash(nodes) => {
            let dead = u64::from(nodes.count_ones());
            let left = plan.nodes - usize::try_from(dead).ok()?;
            let most = promised(nodes) + (dead - 1) * 2 * interval + 10 * MILLISECOND + SLACK;
            let crashed = (left > 0).then(|| within("I2", 0, most)).flatten();
            crashed
                .or_else(|| one_each(plan, history, fault, window))
                .or_else(|| moved_later(plan, history, fault, began + most + SECOND, ended))
                .or_else(|| taken_back(plan, history, fault, ended))
        }
        Fault::Mute(node) | Fault::Blocked(node) => {
            let most = promised(1 << node) + 10 * MILLISECOND + SLACK;
            let deaf = matches!(fault, Fault::Blocked(_));
            within("I2", 1 << node, most)
                .or_else(|| deaf.then(|| owned_by_deaf(plan, history, node, began, ended))?)
        }
        Fault::Deaf(node) => {
            let most = limit * 12 / 10 + 30 * MILLISECOND + SLACK;
            within("I2", 1 << node, most)
                .or_else(|| owned_by_deaf(plan, history, node, began, ended))
                .or_else(|| claims_of_deaf(history, node, began, ended, limit))
        }
        Fault::Exclude(node) if alone > 0 => {
            within("3.7", 0, 0).or_else(|| owned_by_outsider(history, node, began, ended))
        }
        Fault::Leave(_) if alone > 0 => within("3.7", 0, 0),
        Fault::OneWay(..) if plan.nodes >= 3 => no_moves("R10", ended + SECOND),
        Fault::Filter(_) => no_moves("R9", ended + SECOND),
        Fault::NoApi(_) => no_moves("I6", ended + SECOND),
        Fault::Rotate => no_moves("keys", ended + SECOND),
        Fault::Disorder(_) if always_the_same(plan, history) => no_moves("I6", ended + SECOND),
        Fault::Duplicates | Fault::FlushForwarding | Fault::Ageing(_) | Fault::NoDatagrams => {
            no_moves("calm", ended + SECOND)
        }
        Fault::Late(node, late) => late_moves(plan, history, node, late, began + 3 * SECOND, ended),
        _ => None,
    }
}

/// R12: a while after it hears nothing any more a node owns nothing.
fn owned_by_deaf(
    plan: &Plan,
    history: &[Event],
    deaf: usize,
    began: Time,
    ended: Time,
) -> Option<Violation> {
    let most = allowed_silence(plan, 0) * 12 / 10 + 30 * MILLISECOND + SLACK;
    let (address, at) = owned_since(history, deaf, began + most, ended)?;
    Some(Violation {
        at,
        rule: "R12",
        message: format!("node {deaf} owns address {address}, and hears nothing"),
    })
}

/// R1: a while after it was taken out of the candidates a node owns nothing, and takes nothing.
fn owned_by_outsider(
    history: &[Event],
    outsider: usize,
    began: Time,
    ended: Time,
) -> Option<Violation> {
    // Until all have learned it, and an offer or two have been made.
    const GIVEN_AWAY: Time = 3 * SECOND;
    let (address, at) = owned_since(history, outsider, began + GIVEN_AWAY, ended)?;
    Some(Violation {
        at,
        rule: "R1",
        message: format!("node {outsider} owns address {address}, and is no candidate"),
    })
}

/// What the node owns after that time and before the end, and when that is seen first.
fn owned_since(history: &[Event], node: usize, from: Time, end: Time) -> Option<(usize, Time)> {
    let mut owners = BTreeMap::new();
    for event in history.iter().take_while(|event| event.at < end) {
        follow(&mut owners, event);
        let mut owned = owners.iter().filter(|&(_, nodes)| nodes & (1 << node) != 0);
        if event.at > from
            && let Some((&address, _)) = owned.next()
        {
            return Some((address, event.at));
        }
    }
    None
}

/// Which nodes own each address, after an event.
fn follow(owners: &mut BTreeMap<usize, Nodes>, event: &Event) {
    match event.what {
        What::Owned { node, address, .. } => *owners.entry(address).or_default() |= 1 << node,
        What::Released { node, address, .. } => *owners.entry(address).or_default() &= !(1 << node),
        What::Ended(node) => owners.values_mut().for_each(|nodes| *nodes &= !(1 << node)),
        _ => {}
    }
}

/// Whether the candidates of no address ever changed, and nobody ever wished it elsewhere: an old state
/// that is told again is then the same.
fn always_the_same(plan: &Plan, history: &[Event]) -> bool {
    let wish = |fault| matches!(fault, Fault::MoveTo(..));
    if plan.faults.iter().any(|timed| wish(timed.fault)) {
        return false;
    }
    let mut candidates = BTreeMap::new();
    history.iter().all(|event| match event.what {
        What::Candidates(address, now) => {
            candidates.insert(address, now).is_none_or(|was| was == now)
        }
        _ => true,
    })
}

/// After a crash each address is taken once.
fn one_each(
    plan: &Plan,
    history: &[Event],
    fault: Fault,
    window: (Time, Time),
) -> Option<Violation> {
    let end = window.1.min(window.0 + SECOND);
    (0..plan.addresses).find_map(|address| {
        let taken = history.iter().filter(|event| {
            event.at > window.0
                && event.at < end
                && !is_for_balance(plan, event)
                && matches!(event.what, What::Owned { address: of, .. } if of == address)
        });
        (taken.count() > 1).then(|| Violation {
            at: window.0,
            rule: "R3",
            message: format!("{fault:?}: address {address} was taken more than once"),
        })
    })
}

/// R12: who is left keeps what it has taken, for as long as it is alone with a gateway.
fn moved_later(
    plan: &Plan,
    history: &[Event],
    fault: Fault,
    from: Time,
    ended: Time,
) -> Option<Violation> {
    history
        .iter()
        .filter(|event| !is_for_balance(plan, event))
        .filter(|event| event.at > from && event.at < ended)
        .find(|event| matches!(event.what, What::Owned { .. } | What::Released { .. }))
        .map(|event| Violation {
            at: event.at,
            rule: "R12",
            message: format!(
                "{fault:?}: an address moved again after it had been taken over: {:?}",
                event.what
            ),
        })
}

/// R2: who returns takes nothing away.
fn taken_back(plan: &Plan, history: &[Event], fault: Fault, ended: Time) -> Option<Violation> {
    let mut owners = BTreeMap::new();
    for event in history.iter().take_while(|event| event.at <= ended) {
        follow(&mut owners, event);
    }
    history
        .iter()
        .filter(|event| event.at > ended && event.at < ended + SECOND)
        .filter(|event| !is_for_balance(plan, event))
        .find(|event| match event.what {
            // Who was back before it counted as down has lost what it owned all the same.
            What::Owned { address, .. } => owners.get(&address).is_some_and(|&nodes| nodes != 0),
            _ => false,
        })
        .map(|event| Violation {
            at: event.at,
            rule: "R2",
            message: format!("{fault:?}: its end moved an address: {:?}", event.what),
        })
}

/// I5: a node that hears nothing takes nothing.
fn claims_of_deaf(
    history: &[Event],
    deaf: usize,
    began: Time,
    ended: Time,
    limit: Time,
) -> Option<Violation> {
    let blind = began + limit * 6 / 10 + SLACK;
    history
        .iter()
        .filter(|event| event.at > blind && event.at < ended)
        .find(|event| matches!(event.what, What::Owned { node, .. } if node == deaf))
        .map(|event| Violation {
            at: event.at,
            rule: "I5",
            message: format!("node {deaf} took an address while it heard nothing"),
        })
}

/// R5: a node that says that it is late keeps its addresses.
fn late_moves(
    plan: &Plan,
    history: &[Event],
    late: usize,
    by: u64,
    from: Time,
    ended: Time,
) -> Option<Violation> {
    history
        .iter()
        .filter(|event| event.at > from && event.at < ended && by < 400)
        .filter(|event| !is_for_balance(plan, event))
        .find(|event| matches!(event.what, What::Owned { node, .. } if node != late))
        .map(|event| Violation {
            at: event.at,
            rule: "R5",
            message: format!("node {late}, which is late by up to {by} ms, lost an address"),
        })
}
