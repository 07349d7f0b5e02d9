//! What `kubectl get` shows.

use bellwether_crds::IPAddressPool;
use kube::CustomResourceExt;

#[test]
fn metallb_1_1_kubectl_shows_of_a_pool_what_is_used_free_and_wrong() {
    let crd = IPAddressPool::crd();
    let columns = crd.spec.versions[0].additional_printer_columns.clone();
    let columns = columns.expect("columns");
    for (sentence, path, at_a_glance) in [
        ("its addresses", ".spec.addresses", true),
        (
            "how many IPv4 addresses are used",
            ".status.assignedIPv4",
            true,
        ),
        ("and free", ".status.availableIPv4", true),
        (
            "how many IPv6 addresses are used",
            ".status.assignedIPv6",
            true,
        ),
        ("and free", ".status.availableIPv6", true),
        (
            "whether it can be used",
            ".status.conditions[?(@.type==\"Ready\")].status",
            true,
        ),
        (
            "whether another has its addresses",
            ".status.conditions[?(@.type==\"Overlapping\")].status",
            true,
        ),
        (
            "whether it is about time to add some",
            ".status.conditions[?(@.type==\"NearlyFull\")].status",
            true,
        ),
        (
            "with --output wide, whether it gives by itself",
            ".spec.autoAssign",
            false,
        ),
        (
            "with --output wide, whether Services have what it does not give",
            ".status.conditions[?(@.type==\"HasStrays\")].status",
            false,
        ),
    ] {
        let column = columns.iter().find(|column| column.json_path == path);
        let column = column.expect(sentence);
        let priority = column.priority.unwrap_or_default();
        assert_eq!(priority == 0, at_a_glance, "{sentence}");
    }
}
