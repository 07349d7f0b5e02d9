//! Why a Service gets what it gets: every pool, and what came of it.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Allocator;
use super::decision::Decision;
use super::directory::{PoolId, permits};
use super::refusal::{Refusal, list};
use super::request::Request;
use super::search::Search;
use crate::name::PoolName;
use crate::pool::{NotPermitted, Pool};
use crate::range::IpFamily;

/// What would be decided for a Service now, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// What would be decided.
    pub decision: Decision,
    /// Every pool, in the order in which they are looked at for the Service; last those that it
    /// gets no address of by itself.
    pub pools: Vec<Considered>,
}

/// A pool, and what came of it for a Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    /// The pool.
    pub pool: PoolName,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a pool for a Service. The text completes the sentence "the pool …".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The Service has these addresses of it, or would get them.
    Gives(Vec<IpAddr>),
    /// It could give an address too, but another pool came first.
    CouldGive,
    /// The Service asks for another pool.
    NotAskedFor,
    /// The Service asks for addresses that it does not have.
    HasNotTheAddresses,
    /// It has an address that the Service asks for, but does not give it.
    Refuses(Refusal),
    /// It is not for this Service.
    NotPermitted(NotPermitted),
    /// It gives addresses only to Services that ask for it.
    NotAutoAssign,
    /// It has no addresses of this family.
    LacksFamily(IpFamily),
    /// None of its addresses of these families is free.
    NoneFree(Vec<IpFamily>),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gives(addresses) => write!(f, "gives {}", list(addresses)),
            Self::CouldGive => f.write_str("has free addresses, but another came first"),
            Self::NotAskedFor => f.write_str("is not the one that the Service asks for"),
            Self::HasNotTheAddresses => f.write_str("has no address that the Service asks for"),
            Self::Refuses(refusal) => write!(f, "refuses: {refusal}"),
            Self::NotPermitted(why) => write!(f, "is not for this Service: {why}"),
            Self::NotAutoAssign => f.write_str(
                "has autoAssign: false, and the Service does not ask for it or its addresses",
            ),
            Self::LacksFamily(family) => write!(f, "has no {family} addresses"),
            Self::NoneFree(families) => write!(f, "has no free address of {}", list(families)),
        }
    }
}

impl Allocator {
    /// Why the Service gets what it gets. Changes nothing.
    #[must_use]
    pub fn explain(&self, request: &Request) -> Explanation {
        let decision = self.decide(request).decision;
        let directory = &self.directory;
        let mut order = directory.pinned_for(request);
        order.extend(directory.fallback());
        let others: Vec<PoolId> = directory
            .pools()
            .map(|(id, _)| id)
            .filter(|id| directory.place(*id, request).is_none())
            .collect();
        let search = Search::new(self, request, &[], 1);
        let pools = order
            .into_iter()
            .chain(others)
            .filter_map(|id| {
                let pool = directory.get(id)?;
                Some(Considered {
                    pool: pool.name().clone(),
                    verdict: verdict(id, pool, request, &decision, &search),
                })
            })
            .collect();
        Explanation { decision, pools }
    }
}

fn verdict(
    id: PoolId,
    pool: &Pool,
    request: &Request,
    decision: &Decision,
    search: &Search<'_>,
) -> Verdict {
    let given: Vec<IpAddr> = decision
        .addresses()
        .iter()
        .filter(|allocation| allocation.pool.as_ref() == Some(pool.name()))
        .map(|allocation| allocation.address)
        .collect();
    if !given.is_empty() {
        return Verdict::Gives(given);
    }
    if !request.addresses.is_empty() {
        let mut wanted = request.addresses.iter().copied();
        return match wanted.find(|&address| pool.addresses().contains(address)) {
            None => Verdict::HasNotTheAddresses,
            Some(address) => search
                .wanted(address)
                .map_or_else(Verdict::Refuses, |_| Verdict::CouldGive),
        };
    }
    if request
        .pool
        .as_ref()
        .is_some_and(|wanted| wanted != pool.name())
    {
        return Verdict::NotAskedFor;
    }
    if let Err(why) = permits(pool, request) {
        return Verdict::NotPermitted(why);
    }
    if request.pool.is_none() && !pool.auto_assign() {
        return Verdict::NotAutoAssign;
    }
    let choices = request.families.choices();
    if choices
        .iter()
        .any(|families| search.in_pool(id, families).is_some())
    {
        return Verdict::CouldGive;
    }
    // If it has all families of one choice, that it has none free is what stands in the way.
    let lacking: Vec<Option<IpFamily>> = choices
        .iter()
        .map(|families| search.lacking(id, families))
        .collect();
    match lacking.first() {
        Some(&Some(family)) if lacking.iter().all(Option::is_some) => Verdict::LacksFamily(family),
        _ => Verdict::NoneFree(request.families.families()),
    }
}
