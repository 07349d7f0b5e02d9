//! Decoders of objects of the API, down to what the allocator uses.

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwether_controller::facts::{PoolFacts, ServiceFacts};
use bellwether_core::pool::{NotGiven, Pool};
use bellwether_crds::pool::IPAddressPool;
use k8s_openapi::api::core::v1::{Service, ServiceSpec};

/// A Service's annotations, one on a line: `name=value`; a line without a name is
/// `spec.loadBalancerIP`.
pub fn annotations(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let mut service = Service::default();
    let mut spec = ServiceSpec::default();
    let mut annotations = BTreeMap::new();
    for line in text.lines() {
        match line.split_once('=') {
            Some((name, value)) => {
                annotations.insert(name.to_owned(), value.to_owned());
            }
            None => spec.load_balancer_ip = Some(line.to_owned()),
        }
    }
    spec.ip_families = Some(vec!["IPv4".to_owned()]);
    spec.cluster_ips = Some(vec!["10.96.0.9".to_owned()]);
    service.metadata.annotations = Some(annotations);
    service.spec = Some(spec);
    let facts = ServiceFacts::from(service);
    if let Err(problem) = facts.request(Arc::default()) {
        assert!(!problem.to_string().is_empty());
    }
}

/// An `IPAddressPool` as YAML, down to the pool that the allocator uses.
pub fn pool(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let Ok(object) = serde_saphyr::from_str::<IPAddressPool>(&text) else {
        return;
    };
    match PoolFacts::from(object).pool {
        Ok(pool) => covers_what_it_gives(&pool),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn covers_what_it_gives(pool: &Pool) {
    for range in pool.offered().ranges() {
        for address in [range.first(), range.last()] {
            let given = pool.gives(address);
            assert!(
                matches!(given, Ok(()) | Err(NotGiven::Buggy)),
                "{address}: {given:?}"
            );
            assert!(pool.addresses().contains(address));
        }
    }
}
