//! The condition types that the product writes.

/// On a Service: whether it has the addresses it asks for.
pub const SERVICE_ALLOCATED: &str = "bellwether.dev/Allocated";

/// On a Service: whether each of its addresses is announced by a node.
pub const SERVICE_ANNOUNCED: &str = "bellwether.dev/Announced";

/// On a pool, an advertisement or a speaker: whether it does what it is for.
pub const READY: &str = "Ready";

/// On a pool: another pool has some of its addresses.
pub const OVERLAPPING: &str = "Overlapping";

/// On a pool: at most a tenth of its addresses of a family is free, or none.
pub const NEARLY_FULL: &str = "NearlyFull";

/// On a pool: no address of a family is left.
pub const EXHAUSTED: &str = "Exhausted";

/// On a pool: Services have addresses from it that it does not give any more.
pub const HAS_STRAYS: &str = "HasStrays";

/// On a Speaker: other speakers are heard, but their beacons never came on a link.
pub const LINK_UNPROVEN: &str = "LinkUnproven";

/// On a Speaker: other speakers live, but their beacons do not come on a link any more.
pub const BEACON_PATH_DEGRADED: &str = "BeaconPathDegraded";

/// On an Announcement: whether a node announces the address.
pub const ANNOUNCED: &str = "Announced";

/// On an Announcement: another host uses the address.
pub const CONFLICT: &str = "Conflict";

/// On a Speaker: an `L2Advertisement` names links for its node that the node does not have.
pub const INTERFACES_MISSING: &str = "InterfacesMissing";

/// On a Speaker: the kernel of its node answers ARP for an address that Bellwether announces.
pub const KERNEL_ANSWERS: &str = "KernelAnswers";
