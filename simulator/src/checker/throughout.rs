//! What may happen in a run, without loss, in which a fault is there all the time, or one kind of it
//! alone comes again and again.

use std::collections::BTreeMap;

use bellwether_core::election::OwnReason;

use super::alone::{longest_silence, promised};
use super::{MILLISECOND, SECOND, SLACK, Violation, is_for_balance};
use crate::history::{Event, Time, What};
use crate::plan::{Fault, Nodes, Plan};

pub(super) fn check(plan: &Plan, history: &[Event]) -> Vec<Violation> {
    if plan.loss > 0 || !plan.gateway {
        return Vec::new();
    }
    [
        never_heard(plan, history),
        always_late(plan, history),
        crash_without_beacons(plan, history),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// R15: where no beacon ever passes between two nodes, and datagrams and all else do, a crash costs
/// little more than elsewhere.
fn crash_without_beacons(plan: &Plan, history: &[Event]) -> Option<Violation> {
    let filtered = |nodes: Nodes| {
        plan.faults.iter().any(|timed| {
            timed.fault == Fault::Filter(nodes) && timed.at == 0 && timed.lasts >= plan.length
        })
    };
    let kind = |fault| matches!(fault, Fault::Filter(_) | Fault::Crash(_));
    if !plan.faults.iter().all(|timed| kind(timed.fault))
        || !(0..plan.nodes).all(|node| filtered(1 << node))
    {
        return None;
    }
    let crashes = plan.faults.iter().filter_map(|timed| match timed.fault {
        Fault::Crash(nodes) => Some((nodes, timed)),
        _ => None,
    });
    for (nodes, timed) in crashes {
        let (began, lasts) = (timed.at * MILLISECOND, timed.lasts * MILLISECOND);
        let most = 2 * promised(plan, history, nodes, began) + SLACK;
        let window = (began, began + lasts);
        let silence = (0..plan.addresses)
            .map(|address| longest_silence(history, address, window, 0))
            .max()?;
        if silence > most {
            return Some(Violation {
                at: began,
                rule: "R15",
                message: format!(
                    "without beacons nobody announced an address for {} ms after a crash, and {} ms \
                     are allowed",
                    silence / MILLISECOND,
                    most / MILLISECOND
                ),
            });
        }
    }
    None
}

/// R5: where loops are late for long, all know, and nobody loses an address by it.
fn always_late(plan: &Plan, history: &[Event]) -> Option<Violation> {
    const LEARNED: Time = 10 * SECOND;
    let late = |fault: Fault| matches!(fault, Fault::Late(_, by) if by < 400);
    let from = plan.faults.iter().map(|timed| timed.at).max()? * MILLISECOND + LEARNED;
    if !plan.faults.iter().all(|timed| late(timed.fault)) {
        return None;
    }
    let until = plan
        .faults
        .iter()
        .map(|timed| timed.at + timed.lasts)
        .min()?
        * MILLISECOND;
    history
        .iter()
        .filter(|event| event.at > from && event.at < until)
        .filter(|event| !is_for_balance(plan, event))
        .find(|event| matches!(event.what, What::Owned { .. }))
        .map(|event| Violation {
            at: event.at,
            rule: "R5",
            message: format!(
                "an address moved though all are known to be late: {:?}",
                event.what
            ),
        })
}

/// R11: who starts and does not hear the beacons of an owner asks before it takes: while beacons are
/// filtered, and nothing else is wrong, a node that starts takes nothing that is announced.
fn never_heard(plan: &Plan, history: &[Event]) -> Option<Violation> {
    let kind = |fault: Fault| {
        matches!(
            fault,
            Fault::Filter(_) | Fault::Kill(_) | Fault::NoDatagrams
        )
    };
    if !plan.faults.iter().all(|timed| kind(timed.fault)) {
        return None;
    }
    let filtered = |at: Time| {
        plan.faults.iter().any(|timed| {
            matches!(timed.fault, Fault::Filter(_))
                && at > timed.at * MILLISECOND
                && at < (timed.at + timed.lasts) * MILLISECOND
        })
    };
    let mut owners = vec![BTreeMap::new(); plan.addresses];
    let mut started = vec![0; plan.nodes];
    for event in history {
        match event.what {
            What::Started(node) => started[node] = event.at,
            What::Ended(node) => owners.iter_mut().for_each(|owners| {
                owners.remove(&node);
            }),
            What::Released { node, address, .. } => {
                owners[address].remove(&node);
            }
            What::Owned {
                node,
                address,
                reason,
                ..
            } => {
                let other = owners[address].iter().find(|&(_, &since)| {
                    event.at > since + SECOND && since + SECOND / 2 < started[node]
                });
                if let Some((other, _)) = other
                    && filtered(event.at)
                    && event.at < started[node] + 5 * SECOND
                    && reason == OwnReason::Unclaimed
                {
                    return Some(Violation {
                        at: event.at,
                        rule: "R11",
                        message: format!(
                            "node {node} has started and takes address {address} from node {other}, \
                             which it does not hear"
                        ),
                    });
                }
                owners[address].insert(node, event.at);
            }
            _ => {}
        }
    }
    None
}
