//! When two Services may share an address.
//!
//! All of this must hold: both have a sharing key, the same one; no port of one protocol is a port
//! of both; and the traffic of both may enter at the same nodes: both have externalTrafficPolicy
//! Cluster, or both have Local and the same pods behind them. The last rule is there because one
//! node announces an address for all Services that share it.
//!
//! The key is known to the whole cluster: Services of different namespaces may share, and to know
//! the key is what permits it.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::labels::Labels;

/// What a Service brings to an address that it may share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SharingTerms {
    /// The sharing key; without one, or with an empty one, the Service shares with none.
    pub key: Option<SharingKey>,
    /// Its ports.
    pub ports: BTreeSet<Port>,
    /// Where its traffic may enter.
    pub backend: Backend,
}

/// A sharing key that is not empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SharingKey(Arc<str>);

impl SharingKey {
    /// The key of an annotation's `value`; an empty one is none.
    #[must_use]
    pub fn new(value: &str) -> Option<Self> {
        (!value.is_empty()).then(|| Self(Arc::from(value)))
    }
}

impl fmt::Display for SharingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A port of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Port {
    /// The protocol; the same number may be used once in each.
    pub protocol: Protocol,
    /// The number.
    pub number: u16,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol)
    }
}

/// The protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP.
    #[serde(rename = "TCP")]
    Tcp,
    /// UDP.
    #[serde(rename = "UDP")]
    Udp,
    /// SCTP.
    #[serde(rename = "SCTP")]
    Sctp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        })
    }
}

/// Where the traffic of a Service may enter the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Backend {
    /// externalTrafficPolicy Cluster: at any node.
    Cluster,
    /// externalTrafficPolicy Local: at the nodes that run one of its pods.
    Local {
        /// `spec.selector`. Empty if somebody else writes the endpoints: nobody knows then that
        /// two Services have the same ones.
        selector: Arc<Labels>,
    },
}

/// Why two Services may not share an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharingConflict {
    /// One of them or both have no key.
    NoKey,
    /// The keys differ.
    Key,
    /// Both have this port.
    Port(Port),
    /// One has externalTrafficPolicy Cluster, the other Local.
    Policy,
    /// Both have Local, but not the same selector, or none.
    Selector,
}

impl SharingTerms {
    /// The terms of a Service that shares with none.
    #[must_use]
    pub const fn alone() -> Self {
        Self {
            key: None,
            ports: BTreeSet::new(),
            backend: Backend::Cluster,
        }
    }

    /// Whether a Service with these terms and one with `other` may use the same address.
    pub fn compatible(&self, other: &Self) -> Result<(), SharingConflict> {
        match (&self.key, &other.key) {
            (Some(mine), Some(theirs)) if mine == theirs => {}
            (Some(_), Some(_)) => return Err(SharingConflict::Key),
            _ => return Err(SharingConflict::NoKey),
        }
        if let Some(port) = self.ports.intersection(&other.ports).next() {
            return Err(SharingConflict::Port(*port));
        }
        match (&self.backend, &other.backend) {
            (Backend::Cluster, Backend::Cluster) => Ok(()),
            (Backend::Local { selector: mine }, Backend::Local { selector: theirs }) => {
                if mine == theirs && !mine.is_empty() {
                    Ok(())
                } else {
                    Err(SharingConflict::Selector)
                }
            }
            _ => Err(SharingConflict::Policy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HTTP: Port = Port {
        protocol: Protocol::Tcp,
        number: 80,
    };
    const HTTPS: Port = Port {
        protocol: Protocol::Tcp,
        number: 443,
    };
    const HTTP3: Port = Port {
        protocol: Protocol::Udp,
        number: 443,
    };

    fn local(app: &str) -> Backend {
        let labels = (!app.is_empty()).then(|| ("app".to_owned(), app.to_owned()));
        Backend::Local {
            selector: Arc::new(labels.into_iter().collect()),
        }
    }

    fn terms(key: &str, ports: &[Port], backend: Backend) -> SharingTerms {
        SharingTerms {
            key: SharingKey::new(key),
            ports: ports.iter().copied().collect(),
            backend,
        }
    }

    #[test]
    fn metallb_1_3_two_services_share_only_if_everything_allows_it() {
        let cluster = || Backend::Cluster;
        let http = |key, backend| terms(key, &[HTTP], backend);
        let https = |key, backend| terms(key, &[HTTPS], backend);
        for (sentence, one, other, expected) in [
            (
                "both Cluster",
                http("k", cluster()),
                https("k", cluster()),
                Ok(()),
            ),
            (
                "both Local, same selector",
                http("k", local("a")),
                https("k", local("a")),
                Ok(()),
            ),
            (
                "both Local, different selectors",
                http("k", local("a")),
                https("k", local("b")),
                Err(SharingConflict::Selector),
            ),
            (
                "Cluster and Local",
                http("k", cluster()),
                https("k", local("a")),
                Err(SharingConflict::Policy),
            ),
            (
                "weakness 4.40: Cluster and Local with an empty selector",
                http("k", cluster()),
                https("k", local("")),
                Err(SharingConflict::Policy),
            ),
            (
                "both Local with an empty selector: their endpoints may differ",
                http("k", local("")),
                https("k", local("")),
                Err(SharingConflict::Selector),
            ),
            (
                "the same number in TCP and UDP",
                terms("k", &[HTTPS], cluster()),
                terms("k", &[HTTP3], cluster()),
                Ok(()),
            ),
            (
                "one port in common",
                terms("k", &[HTTP, HTTPS], cluster()),
                terms("k", &[HTTPS, HTTP3], cluster()),
                Err(SharingConflict::Port(HTTPS)),
            ),
            (
                "different keys",
                http("k", cluster()),
                https("l", cluster()),
                Err(SharingConflict::Key),
            ),
            (
                "one without a key",
                http("k", cluster()),
                https("", cluster()),
                Err(SharingConflict::NoKey),
            ),
            (
                "both without a key",
                http("", cluster()),
                https("", cluster()),
                Err(SharingConflict::NoKey),
            ),
        ] {
            assert_eq!(one.compatible(&other), expected, "{sentence}");
        }
    }

    #[test]
    fn a_service_without_terms_shares_with_none() {
        let alone = SharingTerms::alone();
        assert_eq!(alone.compatible(&alone), Err(SharingConflict::NoKey));
    }

    fn any_terms() -> impl Strategy<Value = SharingTerms> {
        (
            prop::sample::select(vec!["", "k", "l"]),
            prop::sample::subsequence(vec![HTTP, HTTPS, HTTP3], 0..=3),
            prop::sample::select(vec![Backend::Cluster, local(""), local("a"), local("b")]),
        )
            .prop_map(|(key, ports, backend)| terms(key, &ports, backend))
    }

    proptest! {
        #[test]
        fn it_does_not_matter_who_asks(one in any_terms(), other in any_terms()) {
            prop_assert_eq!(one.compatible(&other).is_ok(), other.compatible(&one).is_ok());
        }
    }
}
