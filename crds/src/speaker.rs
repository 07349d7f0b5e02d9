//! `Speaker`: one per node; whether it may announce, and which links it has.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// The speaker of a node. Its name is the node's.
///
/// The controller creates it for each Node, owned by the Node, and writes the spec; the speaker on
/// that node writes the status.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "bellwether.dev",
    version = "v1beta1",
    kind = "Speaker",
    plural = "speakers",
    category = "bellwether",
    status = "SpeakerStatus",
    derive = "PartialEq",
    doc = "The speaker of a node: whether it may announce addresses, and on which links it can.",
    printcolumn(name = "Eligible", type_ = "boolean", json_path = ".spec.eligible"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".spec.reason"),
    printcolumn(name = "Links", type_ = "string", json_path = ".status.links[*].name"),
    printcolumn(
        name = "Addresses",
        type_ = "string",
        json_path = ".status.addresses[*]",
        priority = 1
    ),
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
pub struct SpeakerSpec {
    /// Whether the node may announce addresses.
    pub eligible: bool,

    /// Why it may not, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,

    /// Why it may not, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What the speaker of a node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpeakerStatus {
    /// The links that can carry announcements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub links: Vec<SpeakerLink>,

    /// The addresses of the node, at which the speakers of other nodes reach this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,

    /// The session of the speaker, as 16 hexadecimal digits: each start makes a new one, which its
    /// beacons name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,

    /// The version of the speaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,

    /// `Ready`; `LinkUnproven` and `BeaconPathDegraded`, which tell of other speakers that live, though
    /// their beacons never came on any link, or come on a link no more; `InterfacesMissing` while an
    /// L2Advertisement names links that are not there; and `KernelAnswers` while the node's kernel
    /// answers ARP for an address that Bellwether announces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A link of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpeakerLink {
    /// Its name.
    pub name: String,

    /// Its MAC address.
    pub mac: String,

    /// Whether it has a carrier, so that frames can leave and arrive.
    pub carrier: bool,

    /// The networks of its addresses, such as `192.0.2.0/24`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<String>,
}
