//! `L2Advertisement`: which pools are announced by which nodes on which links.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::rule;

/// Which addresses are announced on the local network, by which nodes, on which links.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "bellwether.dev",
    version = "v1beta1",
    kind = "L2Advertisement",
    plural = "l2advertisements",
    shortname = "l2adv",
    category = "bellwether",
    status = "L2AdvertisementStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "Announces the addresses of pools on the local network by ARP and NDP.",
    printcolumn(name = "Pools", type_ = "string", json_path = ".spec.ipAddressPools"),
    printcolumn(name = "Interfaces", type_ = "string", json_path = ".spec.interfaces"),
    printcolumn(name = "Addresses", type_ = "integer", json_path = ".status.addresses"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct L2AdvertisementSpec {
    /// The names of the pools whose addresses are announced, in addition to those that
    /// `ipAddressPoolSelectors` match. With neither: all pools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 253)))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub ip_address_pools: Vec<String>,

    /// Selectors over pool labels; one that matches is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "rule::selectors")]
    pub ip_address_pool_selectors: Vec<LabelSelector>,

    /// Selectors over the labels of the nodes that may announce; one that matches is enough.
    /// Without any: all nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "rule::selectors")]
    pub node_selectors: Vec<LabelSelector>,

    /// The links on which is announced, by name (`eth0`). Without any: all links that can carry
    /// announcements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = rule::MOST_ENTRIES), inner(length(max = 64)))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = rule::link_names())]
    pub interfaces: Vec<String>,

    /// Selectors over the labels of the Services whose addresses are announced; one that matches is
    /// enough. Without any: all Services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "rule::selectors")]
    pub service_selectors: Vec<LabelSelector>,

    /// Nodes that are preferred, as far as `nodeSelectors` allow them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = rule::MOST_ENTRIES))]
    pub preferred_node_selectors: Vec<PreferredNodes>,

    /// Withdraw an address while none of its Services has an endpoint that is ready or still serves.
    /// Without it, a missing endpoint withdraws no address with externalTrafficPolicy Cluster: the
    /// node that announces it refuses connections until there is an endpoint again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdraw_without_endpoints: bool,
}

/// Nodes that are preferred over others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreferredNodes {
    /// How much the nodes are preferred, from 1 to 100. The weights of all entries that match a
    /// node are summed.
    #[schemars(range(min = 1, max = 100))]
    pub weight: u32,

    /// The labels of the nodes.
    #[schemars(schema_with = "rule::selector")]
    pub preference: LabelSelector,
}

/// What the controller says of an advertisement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct L2AdvertisementStatus {
    /// The nodes that may announce by this advertisement: the selectors, evaluated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub nodes: Vec<AdvertisementNode>,

    /// How many addresses the advertisement serves.
    #[serde(default)]
    pub addresses: i64,

    /// `Ready`: `False` when the advertisement matches no pool or no node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A node that may announce by an advertisement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdvertisementNode {
    /// The name of the node.
    pub name: String,

    /// The links on which it may announce; none means all that can carry announcements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<String>,

    /// The summed weights of the preferences that match it.
    #[serde(default)]
    pub preference: u32,
}
