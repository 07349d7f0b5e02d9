//! What is kept of a Service.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use bellwether_core::allocator::{FamilyPolicy, IpFamilyPolicy, Request};
use bellwether_core::labels::Labels;
use bellwether_core::name::{PoolName, ServiceName};
use bellwether_core::range::IpFamily;
use bellwether_core::sharing::{Backend, Port, Protocol, SharingKey, SharingTerms};
use bellwether_crds::annotation::{REALLOCATE, REALLOCATED, ServiceAnnotation};
use bellwether_crds::condition::{SERVICE_ALLOCATED, SERVICE_ANNOUNCED};
use k8s_openapi::api::core::v1::{LoadBalancerIngress, Service, ServiceSpec};

use super::{ConditionFacts, Version, created, labels};
use crate::reason::Problem;

/// A Service, as far as it concerns addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceFacts {
    /// Its namespace and name.
    pub name: ServiceName,
    /// Its version.
    pub version: Version,
    /// When it was created, in seconds since 1970.
    pub created: i64,
    /// Its labels.
    pub labels: Arc<Labels>,
    /// Whether it is of type LoadBalancer and not being deleted.
    pub is_load_balancer: bool,
    /// Its `spec.loadBalancerClass`.
    pub class: Option<String>,
    /// What it asks for, or why that cannot be told.
    pub wish: Result<Wish, Problem>,
    /// What it brings to an address that it may share; without a key, if that cannot be told.
    pub sharing: SharingTerms,
    /// What its annotation [`REALLOCATE`] says.
    pub reallocation: Reallocation,
    /// Where its traffic may enter.
    pub backend: Backend,
    /// The addresses in its status.
    pub ingress: Vec<IpAddr>,
    /// Whether its status has anything but plain addresses with `ipMode: VIP`.
    pub ingress_is_foreign: bool,
    /// Its condition `bellwether.dev/Allocated`.
    pub allocated: Option<ConditionFacts>,
    /// Its condition `bellwether.dev/Announced`.
    pub announced: Option<ConditionFacts>,
}

/// Whether a Service is to be moved to other addresses, as its annotation [`REALLOCATE`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reallocation {
    /// It stays.
    No,
    /// It is to be moved.
    Asked,
    /// It has been moved, and the annotation is to go.
    Done,
}

impl Reallocation {
    fn parse(annotation: Option<&str>) -> Self {
        match annotation.map(str::trim) {
            Some("true") => Self::Asked,
            Some(REALLOCATED) => Self::Done,
            _ => Self::No,
        }
    }
}

/// What a Service asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Its families.
    pub families: FamilyPolicy,
    /// The pool it names.
    pub pool: Option<PoolName>,
    /// The addresses it names.
    pub addresses: Vec<IpAddr>,
}

impl ServiceFacts {
    /// The request to the allocator, if it can be told.
    pub fn request(&self, namespace_labels: Arc<Labels>) -> Result<Request, Problem> {
        let wish = self.wish.clone()?;
        Ok(Request {
            service: self.name.clone(),
            created: self.created,
            labels: self.labels.clone(),
            namespace_labels,
            families: wish.families,
            pool: wish.pool,
            addresses: wish.addresses,
            sharing: self.sharing.clone(),
            reallocate: self.reallocation == Reallocation::Asked,
        })
    }

    /// Whether anything of ours is in its status.
    #[must_use]
    pub const fn has_our_conditions(&self) -> bool {
        self.allocated.is_some() || self.announced.is_some()
    }
}

impl From<Service> for ServiceFacts {
    fn from(service: Service) -> Self {
        let metadata = service.metadata;
        let spec = service.spec.unwrap_or_default();
        let status = service.status.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let ingress = status
            .load_balancer
            .and_then(|status| status.ingress)
            .unwrap_or_default();
        let nothing = BTreeMap::new();
        let annotations = metadata.annotations.as_ref().unwrap_or(&nothing);
        let key = ServiceAnnotation::AllowSharedIp.find(annotations);
        let backend = backend(&spec);
        Self {
            name: ServiceName::new(
                metadata.namespace.as_deref().unwrap_or_default(),
                metadata.name.as_deref().unwrap_or_default(),
            ),
            version: Version::of(&metadata),
            created: created(&metadata),
            labels: labels(&metadata),
            is_load_balancer: spec.type_.as_deref() == Some("LoadBalancer")
                && metadata.deletion_timestamp.is_none(),
            class: spec.load_balancer_class.clone(),
            wish: wish(annotations, &spec),
            sharing: SharingTerms {
                key: key.ok().flatten().and_then(SharingKey::new),
                ports: ports(&spec),
                backend: backend.clone(),
            },
            reallocation: Reallocation::parse(annotations.get(REALLOCATE).map(String::as_str)),
            backend,
            ingress_is_foreign: ingress.iter().any(is_foreign),
            ingress: ingress
                .iter()
                .filter_map(|entry| entry.ip.as_deref()?.parse().ok())
                .collect(),
            allocated: ConditionFacts::find(&conditions, SERVICE_ALLOCATED),
            announced: ConditionFacts::find(&conditions, SERVICE_ANNOUNCED),
        }
    }
}

/// Whether somebody else wrote the entry: a host name, no address, or another mode.
fn is_foreign(entry: &LoadBalancerIngress) -> bool {
    let is_address = entry
        .ip
        .as_deref()
        .is_some_and(|ip| ip.parse::<IpAddr>().is_ok());
    entry.hostname.is_some() || !is_address || entry.ip_mode.as_deref() != Some("VIP")
}

fn backend(spec: &ServiceSpec) -> Backend {
    if spec.external_traffic_policy.as_deref() == Some("Local") {
        Backend::Local {
            selector: Arc::new(spec.selector.clone().unwrap_or_default().into()),
        }
    } else {
        Backend::Cluster
    }
}

fn wish(annotations: &BTreeMap<String, String>, spec: &ServiceSpec) -> Result<Wish, Problem> {
    let pool = ServiceAnnotation::AddressPool.find(annotations)?;
    ServiceAnnotation::AllowSharedIp.find(annotations)?;
    let read = |text: &str| Request::parse_addresses(text);
    let annotated = ServiceAnnotation::LoadBalancerIps.find(annotations)?;
    let field = spec.load_balancer_ip.as_deref().filter(|ip| !ip.is_empty());
    let addresses = match (annotated, field) {
        (Some(annotated), Some(field)) => {
            let addresses = read(annotated)?;
            if addresses != read(field)? {
                return Err(Problem::AddressesTwice {
                    annotated: annotated.to_owned(),
                    field: field.to_owned(),
                });
            }
            addresses
        }
        (annotated, field) => annotated.or(field).map_or(Ok(Vec::new()), read)?,
    };
    Ok(Wish {
        families: families(spec)?,
        pool: pool.map(PoolName::from),
        addresses,
    })
}

fn ports(spec: &ServiceSpec) -> BTreeSet<Port> {
    let ports = spec.ports.iter().flatten().filter_map(|port| {
        Some(Port {
            protocol: match port.protocol.as_deref() {
                Some("UDP") => Protocol::Udp,
                Some("SCTP") => Protocol::Sctp,
                _ => Protocol::Tcp,
            },
            number: u16::try_from(port.port).ok()?,
        })
    });
    ports.collect()
}

fn families(spec: &ServiceSpec) -> Result<FamilyPolicy, Problem> {
    let cluster_ips: Vec<IpAddr> = spec
        .cluster_ips
        .iter()
        .flatten()
        .filter_map(|ip| ip.parse().ok())
        .collect();
    let families: Vec<IpFamily> = spec
        .ip_families
        .iter()
        .flatten()
        .map(|family| {
            if family == "IPv6" {
                IpFamily::V6
            } else {
                IpFamily::V4
            }
        })
        .collect();
    let policy = match spec.ip_family_policy.as_deref() {
        Some("PreferDualStack") => IpFamilyPolicy::PreferDualStack,
        Some("RequireDualStack") => IpFamilyPolicy::RequireDualStack,
        _ => IpFamilyPolicy::SingleStack,
    };
    Ok(FamilyPolicy::of_service(&cluster_ips, &families, policy)?)
}

#[cfg(test)]
mod tests;
