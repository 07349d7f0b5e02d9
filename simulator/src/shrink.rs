//! The smallest plan that still breaks a rule.

use bellwether_core::mutation::Mutation;

use crate::checker::Violation;
use crate::plan::Plan;
use crate::run::run;

/// Takes away what is not needed for `violation`: faults, then nodes, addresses and time.
#[must_use]
pub fn shrink(plan: &Plan, mutation: Option<Mutation>, violation: &Violation) -> Plan {
    let fails = |plan: &Plan| {
        run(plan, mutation)
            .violations
            .iter()
            .any(|found| found.rule == violation.rule)
    };
    let mut smallest = plan.clone();
    loop {
        let before = smallest.faults.len();
        let mut index = 0;
        while index < smallest.faults.len() {
            let mut smaller = smallest.clone();
            smaller.faults.remove(index);
            if fails(&smaller) {
                smallest = smaller;
            } else {
                index += 1;
            }
        }
        if smallest.faults.len() == before {
            break;
        }
    }
    let simpler: [fn(&mut Plan); 6] = [
        |plan| plan.rebalance = false,
        |plan| plan.newer = 0,
        |plan| plan.addresses = plan.addresses.min(1),
        |plan| plan.loss = 0,
        |plan| plan.gateway = true,
        |plan| plan.separate = false,
    ];
    for simplify in simpler {
        let mut smaller = smallest.clone();
        simplify(&mut smaller);
        let fits = smaller.faults.iter().all(|timed| match timed.fault {
            crate::plan::Fault::Unassign(address)
            | crate::plan::Fault::Stranger(address)
            | crate::plan::Fault::MoveTo(address, _) => address < smaller.addresses,
            _ => true,
        });
        if fits && fails(&smaller) {
            smallest = smaller;
        }
    }
    smallest
}
