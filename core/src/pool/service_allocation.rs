//! Which Services may get addresses of a pool.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::PoolError;
use crate::labels::Labels;
use crate::selector::{LabelSelector, SelectorSpec};

/// `serviceAllocation` as it is written in an `IPAddressPool`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceAllocationSpec {
    /// The order in which pools are tried: lower is earlier, 0 is last.
    pub priority: u32,
    /// Namespaces by name.
    pub namespaces: Vec<String>,
    /// Namespaces by label.
    pub namespace_selectors: Vec<SelectorSpec>,
    /// Services by label.
    pub service_selectors: Vec<SelectorSpec>,
}

/// Which Services may get addresses of a pool, and how early it is tried for them.
///
/// A Service may if its namespace is named or selected (or nothing is said about namespaces), and
/// its labels are selected (or nothing is said about labels). Selectors that match no namespace
/// allow none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAllocation {
    priority: u32,
    namespaces: BTreeSet<String>,
    namespace_selectors: Vec<LabelSelector>,
    service_selectors: Vec<LabelSelector>,
}

/// Why a pool is not for a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NotPermitted {
    /// Its namespace is neither named nor selected.
    Namespace,
    /// Its labels are not selected.
    Labels,
}

impl fmt::Display for NotPermitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespace => "its serviceAllocation does not allow the namespace",
            Self::Labels => "its serviceAllocation does not allow a Service with these labels",
        })
    }
}

impl ServiceAllocation {
    /// The order in which pools are tried: ascending.
    #[must_use]
    pub const fn rank(&self) -> u32 {
        match self.priority {
            0 => u32::MAX,
            priority => priority,
        }
    }

    /// The only namespaces that can be permitted, if that follows from their names alone.
    #[must_use]
    pub fn only_namespaces(&self) -> Option<impl Iterator<Item = &str>> {
        (self.namespace_selectors.is_empty() && !self.namespaces.is_empty())
            .then(|| self.namespaces.iter().map(String::as_str))
    }

    /// Whether a Service with `labels`, in a namespace of this name and labels, may get addresses.
    pub fn permits(
        &self,
        namespace: &str,
        namespace_labels: &Labels,
        labels: &Labels,
    ) -> Result<(), NotPermitted> {
        let any_namespace = self.namespaces.is_empty() && self.namespace_selectors.is_empty();
        let selects = |selectors: &[LabelSelector], labels| {
            selectors.iter().any(|selector| selector.matches(labels))
        };
        if !any_namespace
            && !self.namespaces.contains(namespace)
            && !selects(&self.namespace_selectors, namespace_labels)
        {
            return Err(NotPermitted::Namespace);
        }
        if !self.service_selectors.is_empty() && !selects(&self.service_selectors, labels) {
            return Err(NotPermitted::Labels);
        }
        Ok(())
    }
}

impl TryFrom<ServiceAllocationSpec> for ServiceAllocation {
    type Error = PoolError;

    fn try_from(spec: ServiceAllocationSpec) -> Result<Self, Self::Error> {
        let mut namespaces = BTreeSet::new();
        for (index, namespace) in spec.namespaces.into_iter().enumerate() {
            if !namespaces.insert(namespace.clone()) {
                return Err(PoolError::Duplicate {
                    field: format!("spec.serviceAllocation.namespaces[{index}]"),
                    value: namespace,
                });
            }
        }
        Ok(Self {
            priority: spec.priority,
            namespaces,
            namespace_selectors: parse_selectors("namespaceSelectors", &spec.namespace_selectors)?,
            service_selectors: parse_selectors("serviceSelectors", &spec.service_selectors)?,
        })
    }
}

fn parse_selectors(name: &str, specs: &[SelectorSpec]) -> Result<Vec<LabelSelector>, PoolError> {
    let mut selectors = Vec::with_capacity(specs.len());
    for (index, spec) in specs.iter().enumerate() {
        let field = format!("spec.serviceAllocation.{name}[{index}]");
        match LabelSelector::try_from(spec) {
            Ok(selector) if selectors.contains(&selector) => {
                let value = selector.to_string();
                return Err(PoolError::Duplicate { field, value });
            }
            Ok(selector) => selectors.push(selector),
            Err(error) => return Err(PoolError::Selector { field, error }),
        }
    }
    Ok(selectors)
}
