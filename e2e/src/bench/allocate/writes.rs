//! What the benchmark writes by itself: Services, and what the controller would write for them.

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr};

use bellwether_crds::Announcement;
use bellwether_crds::announcement::{AnnouncementSpec, ServiceReference, name_of};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Service;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::error::{Context, Error, Result};

/// How many writes are in flight at once: as many as the controller's, unless it is told otherwise.
pub(super) const IN_FLIGHT: usize = 32;

/// The first of the addresses that the benchmark gives by itself. 198.18.0.0/15 is for benchmarks
/// (RFC 2544).
const FIRST: u32 = u32::from_be_bytes([198, 19, 0, 0]);

/// The label by which the Services of a series are found.
const SERIES: &str = "bench";

/// The series that a Service is of, by its name.
pub(super) fn series_of(name: &str) -> &str {
    name.rsplit_once('-').map_or(name, |(series, _)| series)
}

/// The name of a Service.
pub(super) fn name_in(series: &str, number: u32) -> String {
    format!("{series}-{number}")
}

/// Writes to the API server.
pub(super) struct Writer {
    services: Api<Service>,
    announcements: Api<Announcement>,
}

impl Writer {
    pub(super) fn new(client: Client) -> Self {
        Self {
            services: Api::namespaced(client.clone(), "default"),
            announcements: Api::all(client),
        }
    }

    /// A Service that kube-proxy leaves alone and that has no node ports, of which there are few.
    pub(super) async fn create(&self, series: &str, number: u32, pool: &str) -> Result<Service> {
        let service = json!({
            "metadata": {
                "name": name_in(series, number),
                "labels": {"service.kubernetes.io/service-proxy-name": "none", SERIES: series},
                "annotations": {"bellwether.dev/address-pool": pool},
            },
            "spec": {
                "type": "LoadBalancer", "allocateLoadBalancerNodePorts": false,
                "ports": [{"port": 80}],
            },
        });
        let service = serde_json::from_value(service)
            .map_err(|error| Error::Unexpected(error.to_string()))?;
        self.services
            .create(&PostParams::default(), &service)
            .await
            .context(|| "cannot create a Service".to_owned())
    }

    /// A series, as fast as the API server takes it.
    pub(super) async fn create_all(&self, series: &str, count: u32) -> Result<Vec<Service>> {
        futures::stream::iter(0..count)
            .map(|number| self.create(series, number, "bench"))
            .buffer_unordered(IN_FLIGHT)
            .try_collect()
            .await
    }

    /// What the controller writes to give a Service its address.
    pub(super) async fn serve(&self, service: &Service, number: u32) -> Result<()> {
        let address = IpAddr::from(Ipv4Addr::from(FIRST + number));
        let name = service.name_any();
        let spec = AnnouncementSpec {
            address,
            pool: "bench".to_owned(),
            services: vec![ServiceReference {
                namespace: "default".to_owned(),
                name: name.clone(),
            }],
            advertisements: Vec::new(),
            only_nodes: None,
        };
        let announcement = Announcement::new(&name_of(address), spec);
        self.announcements
            .create(&PostParams::default(), &announcement)
            .await
            .context(|| "cannot create an Announcement".to_owned())?;
        let condition = |kind: &str, holds: bool, reason: &str, message: String| {
            json!({
                "type": kind, "status": if holds { "True" } else { "False" }, "reason": reason,
                "message": message, "observedGeneration": 1,
                "lastTransitionTime": service.metadata.creation_timestamp,
            })
        };
        let allocated = format!("{address} from pool bench");
        let announced = format!("no L2Advertisement covers {address} of pool bench");
        let patch = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"resourceVersion": service.metadata.resource_version},
            "status": {
                "loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"}]},
                "conditions": [
                    condition("bellwether.dev/Allocated", true, "Allocated", allocated),
                    condition("bellwether.dev/Announced", false, "NoAdvertisement", announced),
                ],
            },
        });
        let params = PatchParams::apply("bellwether-bench").force();
        self.services
            .patch_status(&name, &params, &Patch::Apply(patch))
            .await
            .context(|| "cannot write a status".to_owned())
            .map(drop)
    }

    /// The same for many at once.
    pub(super) async fn serve_all(&self, services: &[Service]) -> Result<()> {
        futures::stream::iter((0..).zip(services))
            .map(|(number, service)| self.serve(service, number))
            .buffer_unordered(IN_FLIGHT)
            .try_collect()
            .await
    }

    pub(super) async fn delete(&self, name: &str) -> Result<()> {
        self.services
            .delete(name, &DeleteParams::default())
            .await
            .context(|| format!("cannot delete Service {name}"))
            .map(drop)
    }

    /// One by one, many at once: a request that deletes a whole collection takes too long at 10,000, and
    /// the API server ends it half way.
    pub(super) async fn delete_series(&self, series: &str) -> Result<()> {
        let some = ListParams::default().labels(&format!("{SERIES}={series}"));
        let names = names_of(&self.services, &some).await?;
        futures::stream::iter(names)
            .map(async |name| self.delete(&name).await)
            .buffer_unordered(IN_FLIGHT)
            .try_collect()
            .await
    }

    /// Only while no controller runs, which would make them anew.
    pub(super) async fn delete_announcements(&self) -> Result<()> {
        let names = names_of(&self.announcements, &ListParams::default()).await?;
        futures::stream::iter(names)
            .map(async |name| {
                self.announcements
                    .delete(&name, &DeleteParams::default())
                    .await
                    .context(|| format!("cannot delete Announcement {name}"))
                    .map(drop)
            })
            .buffer_unordered(IN_FLIGHT)
            .try_collect()
            .await
    }
}

/// The names of all of a kind that `some` selects.
async fn names_of<K>(api: &Api<K>, some: &ListParams) -> Result<Vec<String>>
where
    K: Clone + DeserializeOwned + Debug + Resource,
{
    let found = api
        .list_metadata(some)
        .await
        .context(|| "cannot list what the benchmark made".to_owned())?;
    Ok(found.iter().map(ResourceExt::name_any).collect())
}
