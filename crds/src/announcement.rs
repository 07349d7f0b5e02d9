//! `Announcement`: one per address; who may announce it, and who does.

use std::net::IpAddr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, MicroTime};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// One address: the Services that use it, and the node that announces it.
///
/// The controller writes the spec: it says who MAY announce the address. The speaker that announces
/// it writes the status: it says who DOES. The name is the address ([`name_of`]), so that creating
/// the object is what reserves the address.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "bellwether.dev",
    version = "v1beta1",
    kind = "Announcement",
    plural = "announcements",
    shortname = "ann",
    category = "bellwether",
    status = "AnnouncementStatus",
    derive = "PartialEq",
    doc = "An address in use: who may announce it, and who does, since when and why.",
    printcolumn(name = "Address", type_ = "string", json_path = ".spec.address"),
    printcolumn(name = "Pool", type_ = "string", json_path = ".spec.pool"),
    printcolumn(
        name = "Service",
        type_ = "string",
        json_path = ".spec.services[0].name"
    ),
    printcolumn(name = "Node", type_ = "string", json_path = ".status.node"),
    printcolumn(name = "Since", type_ = "date", json_path = ".status.since"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.reason"),
    printcolumn(
        name = "Previous",
        type_ = "string",
        json_path = ".status.previousNode",
        priority = 1
    ),
    printcolumn(
        name = "Term",
        type_ = "integer",
        json_path = ".status.term",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct AnnouncementSpec {
    /// The address.
    #[schemars(with = "String")]
    pub address: IpAddr,

    /// The pool that it is from.
    pub pool: String,

    /// The Services that use it.
    pub services: Vec<ServiceReference>,

    /// The names of the L2Advertisements that serve it. Their nodes may announce it.
    #[serde(default)]
    pub advertisements: Vec<String>,

    /// If given, only these nodes may announce the address: those with a ready endpoint of a
    /// Service with externalTrafficPolicy Local.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_nodes: Option<Vec<String>>,
}

/// A Service that uses an address.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct ServiceReference {
    /// Its namespace.
    pub namespace: String,

    /// Its name.
    pub name: String,
}

/// What the speaker that announces the address says of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnnouncementStatus {
    /// The node that announces the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,

    /// The links on which it does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub interfaces: Vec<AnnouncedInterface>,

    /// The term of its claim. Each claim of the address has a higher one than the claim before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<i64>,

    /// Since when the node announces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<MicroTime>,

    /// The node that announced it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_node: Option<String>,

    /// How long it had to be without an owner, in milliseconds, where that is known: from the last sign
    /// of life of the node before, or from its word that it has released the address or hears nothing,
    /// to the claim of this node; 0 where it was handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takeover_milliseconds: Option<i64>,

    /// Why the node announces it, in one word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,

    /// `Announced`, and `Conflict` while another host uses the address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// A link on which an address is announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnnouncedInterface {
    /// The name of the link.
    pub name: String,

    /// The MAC address that is announced.
    pub mac: String,
}

/// The annotation by which an operator says which node is to announce the address: it moves there
/// without a gap, if that node is a candidate and its speaker is heard.
pub const MOVE_TO: &str = "bellwether.dev/move-to";

/// The name of the Announcement of an address: IPv4 as it is usually written; IPv6 in full, with
/// `-` for `:`, because an object's name can hold neither `:` nor two dashes' worth of zeros.
#[must_use]
pub fn name_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address
            .segments()
            .map(|segment| format!("{segment:04x}"))
            .join("-"),
    }
}

/// The address whose Announcement has this name; `None` if no address has.
#[must_use]
pub fn address_of(name: &str) -> Option<IpAddr> {
    let address = name.replace('-', ":").parse().ok()?;
    (name_of(address) == name).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weakness_4_23_a_name_leads_back_to_its_address() {
        for text in ["192.0.2.10", "2001:db8::a"] {
            let address = text.parse().expect("an address");
            assert_eq!(address_of(&name_of(address)), Some(address));
        }
        for name in ["2001-db8--a", "web", "192.0.2"] {
            assert_eq!(address_of(name), None, "{name}");
        }
    }

    #[test]
    fn weakness_4_24_the_name_of_an_address_is_a_legal_object_name() {
        let name = |address: &str| name_of(address.parse().expect("an address"));
        assert_eq!(name("192.0.2.10"), "192.0.2.10");
        assert_eq!(
            name("2001:db8::a"),
            "2001-0db8-0000-0000-0000-0000-0000-000a"
        );
    }
}
