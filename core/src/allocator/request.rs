//! What a Service asks for.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::families::FamilyPolicy;
use super::refusal::Refusal;
use crate::labels::Labels;
use crate::name::{PoolName, ServiceName};
use crate::range::IpFamily;
use crate::sharing::SharingTerms;

/// All that the allocator needs to know of a Service of type LoadBalancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The Service.
    pub service: ServiceName,
    /// When it was created, in seconds since 1970. Of two Services that wait, the older is first.
    pub created: i64,
    /// Its labels.
    pub labels: Arc<Labels>,
    /// The labels of its namespace.
    pub namespace_labels: Arc<Labels>,
    /// The families it gets addresses of.
    pub families: FamilyPolicy,
    /// The pool it asks for.
    pub pool: Option<PoolName>,
    /// The addresses it asks for: none, or exactly one of each of its families.
    pub addresses: Vec<IpAddr>,
    /// What it brings to an address that it may share.
    pub sharing: SharingTerms,
    /// Whether it asks to be moved away from the addresses it has.
    pub reallocate: bool,
}

impl Request {
    /// A request for any address of one family, by a Service that shares with none.
    #[must_use]
    pub fn new(service: ServiceName, families: FamilyPolicy) -> Self {
        Self {
            service,
            created: 0,
            labels: Arc::default(),
            namespace_labels: Arc::default(),
            families,
            pool: None,
            addresses: Vec::new(),
            sharing: SharingTerms::alone(),
            reallocate: false,
        }
    }

    /// Reads wanted addresses: one, or several with commas between; spaces are allowed.
    pub fn parse_addresses(text: &str) -> Result<Vec<IpAddr>, Refusal> {
        text.split(',')
            .map(|part| {
                part.trim().parse().map_err(|_| Refusal::NotAnAddress {
                    text: part.trim().to_owned(),
                })
            })
            .collect()
    }

    /// Whether the wanted addresses fit the families: none at all, or one of each.
    pub(super) fn check_families(&self) -> Result<(), Refusal> {
        for (index, &second) in self.addresses.iter().enumerate() {
            let earlier = self.addresses.iter().take(index);
            for &first in earlier {
                if IpFamily::of(first) == IpFamily::of(second) {
                    return Err(Refusal::RepeatedFamily { first, second });
                }
            }
        }
        let families = self.families.families();
        let fits = self.addresses.len() == families.len()
            && self
                .addresses
                .iter()
                .all(|&address| families.contains(&IpFamily::of(address)));
        if self.addresses.is_empty() || fits {
            Ok(())
        } else {
            Err(Refusal::FamilyMismatch {
                addresses: self.addresses.clone(),
                families,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn wanted_addresses_are_read() {
        assert_eq!(
            Request::parse_addresses(" 192.0.2.1 , 2001:db8::1"),
            Ok(vec![ip("192.0.2.1"), ip("2001:db8::1")])
        );
        for text in ["", "192.0.2.1,", "192.0.2.0/24", "web"] {
            assert!(Request::parse_addresses(text).is_err(), "{text}");
        }
    }

    #[test]
    fn wanted_addresses_must_be_one_of_each_family_of_the_service() {
        use IpFamily::{V4, V6};
        let single = FamilyPolicy::SingleStack;
        let prefer = FamilyPolicy::PreferDualStack { primary: V4 };
        let require = FamilyPolicy::RequireDualStack { primary: V6 };
        for (sentence, families, wanted, reason) in [
            ("none is wanted", require, &[][..], None),
            ("the family fits", single(V4), &["192.0.2.1"], None),
            (
                "a family that the Service lacks",
                single(V4),
                &["2001:db8::1"],
                Some("FamilyMismatch"),
            ),
            (
                "one too many",
                single(V6),
                &["192.0.2.1", "2001:db8::1"],
                Some("FamilyMismatch"),
            ),
            ("one of each", require, &["192.0.2.1", "2001:db8::1"], None),
            (
                "one missing of two",
                prefer,
                &["192.0.2.1"],
                Some("FamilyMismatch"),
            ),
            (
                "two of one family",
                prefer,
                &["192.0.2.1", "192.0.2.2"],
                Some("RepeatedFamily"),
            ),
        ] {
            let mut request = Request::new(ServiceName::new("shop", "web"), families);
            request.addresses = wanted.iter().map(|&text| ip(text)).collect();
            let refused = request
                .check_families()
                .err()
                .map(|refusal| refusal.reason());
            assert_eq!(refused, reason, "{sentence}");
        }
    }
}
