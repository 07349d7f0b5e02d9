//! `IPAddressPool`: the addresses that Services may get.

use std::net::IpAddr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::rule;

/// The addresses that Services of type LoadBalancer may get, and which Services may get them.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "bellwether.dev",
    version = "v1beta1",
    kind = "IPAddressPool",
    plural = "ipaddresspools",
    shortname = "pool",
    shortname = "pools",
    category = "bellwether",
    status = "IPAddressPoolStatus",
    derive = "PartialEq",
    doc = "A set of IP addresses from which Services of type LoadBalancer get theirs.",
    printcolumn(
        name = "Auto Assign",
        type_ = "boolean",
        json_path = ".spec.autoAssign",
        priority = 1
    ),
    printcolumn(
        name = "IPv4 Used",
        type_ = "integer",
        json_path = ".status.assignedIPv4"
    ),
    printcolumn(
        name = "IPv4 Free",
        type_ = "integer",
        json_path = ".status.availableIPv4"
    ),
    printcolumn(
        name = "IPv6 Used",
        type_ = "integer",
        json_path = ".status.assignedIPv6"
    ),
    printcolumn(
        name = "IPv6 Free",
        type_ = "integer",
        json_path = ".status.availableIPv6"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(
        name = "Overlaps",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Overlapping\")].status"
    ),
    printcolumn(
        name = "Nearly Full",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"NearlyFull\")].status"
    ),
    printcolumn(
        name = "Strays",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"HasStrays\")].status",
        priority = 1
    ),
    printcolumn(
        name = "IPv4 Resting",
        type_ = "integer",
        json_path = ".status.restingIPv4",
        priority = 1
    ),
    printcolumn(
        name = "IPv6 Resting",
        type_ = "integer",
        json_path = ".status.restingIPv6",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(name = "Addresses", type_ = "string", json_path = ".spec.addresses")
)]
#[serde(rename_all = "camelCase")]
pub struct IPAddressPoolSpec {
    /// The addresses of the pool: networks such as `192.0.2.0/24` or `2001:db8::/64`, and ranges
    /// such as `192.0.2.10-192.0.2.20`. A single address is written `192.0.2.10/32`. IPv4 and IPv6
    /// may be mixed.
    #[schemars(schema_with = "rule::addresses")]
    pub addresses: Vec<String>,

    /// Whether Services that ask for no pool may get an address of this one. With `false` only
    /// those get one that name the pool or ask for one of its addresses.
    #[serde(default = "yes")]
    #[schemars(default = "yes")]
    pub auto_assign: bool,

    /// Whether IPv4 addresses that end in .0 or .255 are never given out, because some old
    /// equipment takes them for network and broadcast addresses.
    #[serde(default, rename = "avoidBuggyIPs")]
    pub avoid_buggy_ips: bool,

    /// Networks and ranges inside `addresses` that are never given out, such as the address of a
    /// router.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "rule::exclude")]
    pub exclude: Vec<String>,

    /// How long a freed address rests before another Service may get it, such as `30s` or `10m`.
    /// Its last owner may have it back at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rule::duration())]
    pub cooldown: Option<String>,

    /// Which free address a Service gets.
    #[serde(default)]
    #[schemars(default)]
    pub strategy: Strategy,

    /// Which Services may get addresses of this pool. Without it: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_allocation: Option<ServiceAllocation>,
}

/// Which free address a Service gets.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub enum Strategy {
    /// A Service that is deleted and created again under the same name gets the same address while
    /// it is free.
    #[default]
    Sticky,
    /// The lowest free address.
    First,
    /// Any free address.
    Random,
}

/// Which Services may get addresses of a pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAllocation {
    /// The order in which pools are tried: lower is earlier; 0 is last.
    #[serde(default)]
    pub priority: u32,

    /// The namespaces whose Services may use the pool, in addition to those that
    /// `namespaceSelectors` match. With neither: all namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63)))]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub namespaces: Vec<String>,

    /// Selectors over namespace labels; one that matches is enough. Selectors that match no
    /// namespace allow none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "rule::selectors")]
    pub namespace_selectors: Vec<LabelSelector>,

    /// Selectors over Service labels; one that matches is enough. Without any: all Services of the
    /// namespaces above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "rule::selectors")]
    pub service_selectors: Vec<LabelSelector>,
}

/// What the controller says of a pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IPAddressPoolStatus {
    /// IPv4 addresses that the pool gives, used or not: without those excluded, and without those
    /// that an older pool has. At most 9223372036854775807 is shown.
    #[serde(default, rename = "totalIPv4")]
    pub total_ipv4: i64,

    /// IPv6 addresses that the pool gives, used or not: without those excluded, and without those
    /// that an older pool has. At most 9223372036854775807 is shown.
    #[serde(default, rename = "totalIPv6")]
    pub total_ipv6: i64,

    /// IPv4 addresses in use. One that several Services share counts once.
    #[serde(default, rename = "assignedIPv4")]
    pub assigned_ipv4: i64,

    /// IPv6 addresses in use. One that several Services share counts once.
    #[serde(default, rename = "assignedIPv6")]
    pub assigned_ipv6: i64,

    /// IPv4 addresses that could be given out now; at most 9223372036854775807 is shown.
    #[serde(default, rename = "availableIPv4")]
    pub available_ipv4: i64,

    /// IPv6 addresses that could be given out now; at most 9223372036854775807 is shown.
    #[serde(default, rename = "availableIPv6")]
    pub available_ipv6: i64,

    /// IPv4 addresses that only the Services that had them last may get, for the time of `cooldown`.
    #[serde(default, rename = "restingIPv4")]
    pub resting_ipv4: i64,

    /// IPv6 addresses that only the Services that had them last may get, for the time of `cooldown`.
    #[serde(default, rename = "restingIPv6")]
    pub resting_ipv6: i64,

    /// The addresses that rest, those that rest longest if there are more than 1024. The controller
    /// reads them again when it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["address"]))]
    pub resting: Vec<RestingAddress>,

    /// `Ready`, `Overlapping`, `NearlyFull`, `Exhausted` and `HasStrays`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// How many resting addresses a pool's status lists.
pub const MOST_RESTING: usize = 1024;

/// An address that rests: only the Service that had it last may get it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestingAddress {
    /// The address.
    #[schemars(with = "String")]
    pub address: IpAddr,

    /// The namespace of the Service that had it last.
    pub namespace: String,

    /// The name of the Service that had it last.
    pub name: String,

    /// Until when it rests.
    pub until: Time,
}

fn yes() -> bool {
    true
}
