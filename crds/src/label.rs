//! Labels that the product reads on other people's objects.

/// On a Node: it takes no traffic from outside, so its speaker announces nothing (a well-known
/// label of Kubernetes; any value counts).
pub const EXCLUDE_FROM_LOAD_BALANCERS: &str =
    "node.kubernetes.io/exclude-from-external-load-balancers";
