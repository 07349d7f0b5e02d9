//! Taking addresses that Services already have into the books.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Allocator;
use super::assignments::Assignment;
use super::decision::Allocation;
use super::refusal::Refusal;
use crate::moment::Moment;
use crate::name::ServiceName;
use crate::range::IpFamily;
use crate::sharing::SharingTerms;

/// A Service that has addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The Service.
    pub service: ServiceName,
    /// When it was created, in seconds since 1970. Of two Services that cannot share an address
    /// that both have, the older keeps it.
    pub created: i64,
    /// What it brings to addresses that it may share.
    pub sharing: SharingTerms,
    /// Its addresses, with the pool that its Announcement names, if there is one.
    pub addresses: Vec<Allocation>,
}

/// An address that a Service has in its status and does not keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// The Service.
    pub service: ServiceName,
    /// The address.
    pub address: IpAddr,
    /// Why it does not keep it.
    pub refusal: Refusal,
}

impl Allocator {
    /// Takes addresses that Services have into the books, and says which could not be.
    ///
    /// To be called after a start with all Services at once and before the first
    /// [request](Allocator::request), so that nothing is given to one that another has; and later
    /// for a Service that appears with an address. An address is adopted whether a pool has it or
    /// not: what somebody uses is not taken away. A Service that is in the books already keeps what
    /// it has there.
    pub fn adopt(&mut self, mut found: Vec<Found>, now: Moment) -> Vec<Lost> {
        self.on_deadline(now);
        found.sort_by(|one, other| {
            (one.created, &one.service).cmp(&(other.created, &other.service))
        });
        let mut lost = Vec::new();
        for found in found {
            if self.assignments.get(&found.service).is_none() {
                self.adopt_one(found, &mut lost, now);
            }
        }
        lost
    }

    fn adopt_one(&mut self, found: Found, lost: &mut Vec<Lost>, now: Moment) {
        let Found {
            service,
            created,
            sharing,
            addresses,
        } = found;
        let mut adopted: Vec<Allocation> = Vec::with_capacity(addresses.len());
        for Allocation { address, pool } in addresses {
            if let Some(refusal) = self.not_adopted(address, &adopted, &service, &sharing) {
                lost.push(Lost {
                    service: service.clone(),
                    address,
                    refusal,
                });
            } else {
                let given_by = self.directory.locate(address);
                let pool = pool.or_else(|| given_by.map(|(_, pool)| pool.name().clone()));
                adopted.push(Allocation { address, pool });
            }
        }
        if !adopted.is_empty() {
            let assignment = Assignment {
                created,
                addresses: adopted,
                sharing,
                reallocated: false,
            };
            self.assign(&service, Some(assignment), now);
        }
    }

    fn not_adopted(
        &self,
        address: IpAddr,
        adopted: &[Allocation],
        service: &ServiceName,
        sharing: &SharingTerms,
    ) -> Option<Refusal> {
        let same_family = adopted
            .iter()
            .find(|first| IpFamily::of(first.address) == IpFamily::of(address));
        if let Some(first) = same_family {
            return Some(Refusal::RepeatedFamily {
                first: first.address,
                second: address,
            });
        }
        let (by, conflict) = self.assignments.conflict(address, service, sharing)?;
        Some(Refusal::not_shared(address, by.clone(), &conflict))
    }
}
