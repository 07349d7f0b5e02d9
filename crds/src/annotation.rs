//! Annotations on Services.
//!
//! Each can be written with the product's own prefix, and with both prefixes of MetalLB, so that a
//! Service need not be changed when a cluster moves from one to the other. Two that say different
//! things are a contradiction, not a precedence.

use std::collections::BTreeMap;

/// An annotation by which a Service asks for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceAnnotation {
    /// The name of the pool that the address shall be from.
    AddressPool,
    /// The wanted addresses: one, or one of each family, with a comma between.
    LoadBalancerIps,
    /// The sharing key: Services with equal keys may share an address.
    AllowSharedIp,
}

impl ServiceAnnotation {
    /// The names under which it is understood, the product's own first.
    #[must_use]
    pub const fn names(self) -> [&'static str; 3] {
        match self {
            Self::AddressPool => [
                "bellwether.dev/address-pool",
                "metallb.io/address-pool",
                "metallb.universe.tf/address-pool",
            ],
            Self::LoadBalancerIps => [
                "bellwether.dev/loadBalancerIPs",
                "metallb.io/loadBalancerIPs",
                "metallb.universe.tf/loadBalancerIPs",
            ],
            Self::AllowSharedIp => [
                "bellwether.dev/allow-shared-ip",
                "metallb.io/allow-shared-ip",
                "metallb.universe.tf/allow-shared-ip",
            ],
        }
    }

    /// Its value among `annotations`; `None` if it is not there, or empty.
    pub fn find(
        self,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Option<&str>, Contradiction> {
        let mut found: Option<(&'static str, &str)> = None;
        for name in self.names() {
            let value = annotations.get(name).map(|value| value.trim());
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                continue;
            };
            match found {
                None => found = Some((name, value)),
                Some((_, first)) if first == value => {}
                Some((first, _)) => {
                    return Err(Contradiction {
                        first,
                        second: name,
                    });
                }
            }
        }
        Ok(found.map(|(_, value)| value))
    }
}

/// Two annotations that mean the same thing and say different things.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the annotations {first} and {second} contradict each other; remove one of them")]
pub struct Contradiction {
    /// The one with the name that is looked at first.
    pub first: &'static str,
    /// The other.
    pub second: &'static str,
}

/// Asks the controller to move the Service to another address; the controller removes it when done.
pub const REALLOCATE: &str = "bellwether.dev/reallocate";

/// The value of [`REALLOCATE`] that the controller writes together with the new addresses, so that the
/// Service is not moved again if the controller ends before it has removed the annotation.
pub const REALLOCATED: &str = "done";

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn every_prefix_is_understood() {
        for name in ServiceAnnotation::AddressPool.names() {
            let given = annotations(&[(name, " blue ")]);
            assert_eq!(
                ServiceAnnotation::AddressPool.find(&given),
                Ok(Some("blue"))
            );
        }
    }

    #[test]
    fn two_prefixes_that_agree_are_one_wish() {
        let given = annotations(&[
            ("bellwether.dev/address-pool", "blue"),
            ("metallb.io/address-pool", "blue"),
        ]);
        assert_eq!(
            ServiceAnnotation::AddressPool.find(&given),
            Ok(Some("blue"))
        );
    }

    #[test]
    fn two_prefixes_that_differ_are_a_contradiction() {
        let given = annotations(&[
            ("metallb.io/address-pool", "blue"),
            ("metallb.universe.tf/address-pool", "green"),
        ]);
        let error = ServiceAnnotation::AddressPool.find(&given).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the annotations metallb.io/address-pool and metallb.universe.tf/address-pool \
             contradict each other; remove one of them"
        );
    }
}
