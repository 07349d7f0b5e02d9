//! The lines of `docs/metallb.md` take over what a cluster has for MetalLB.

use std::net::IpAddr;

use bellwether_e2e::cluster::{MOMENT, load_balancer};
use bellwether_e2e::documents::{lines, type_in_at};
use bellwether_e2e::error::Context;
use bellwether_e2e::{Lab, Result};

const LAB: &str = env!("CARGO_BIN_EXE_bellwether-lab");

/// The kinds of MetalLB by their names alone, and in them what its documentation shows: a pool, and an
/// advertisement of all pools, which has no `spec`.
const KINDS: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: metallb-system}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ipaddresspools.metallb.io}
spec:
  group: metallb.io
  names: {kind: IPAddressPool, listKind: IPAddressPoolList, plural: ipaddresspools, singular: ipaddresspool}
  scope: Namespaced
  versions:
  - {name: v1beta1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: l2advertisements.metallb.io}
spec:
  group: metallb.io
  names: {kind: L2Advertisement, listKind: L2AdvertisementList, plural: l2advertisements, singular: l2advertisement}
  scope: Namespaced
  versions:
  - {name: v1beta1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
";

const OBJECTS: &str = "\
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: first-pool, namespace: metallb-system, labels: {zone: east}}
spec:
  addresses: [192.0.2.128/28, 192.0.2.150-192.0.2.160]
  autoAssign: true
  avoidBuggyIPs: true
  serviceAllocation: {priority: 50, namespaces: [default]}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: example, namespace: metallb-system}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: some-nodes, namespace: metallb-system}
spec:
  ipAddressPools: [first-pool]
  nodeSelectors:
  - matchLabels: {kubernetes.io/hostname: node-a}
  interfaces: [lan]
";

#[tokio::test]
async fn pools_and_advertisements_of_metallb_are_taken_over_by_the_lines_of_its_page() -> Result<()>
{
    let lab = Lab::for_test(LAB, |options| options.nodes = 2).await?;
    lab.apply(KINDS).await?;
    let established = [
        "wait",
        "--for=condition=Established",
        "crd/ipaddresspools.metallb.io",
        "crd/l2advertisements.metallb.io",
        "--timeout=20s",
    ];
    lab.kubectl(&established, "").await?;
    lab.apply(OBJECTS).await?;

    let folder = std::env::temp_dir().join(format!("metallb-{}", std::process::id()));
    let failed = || format!("cannot create {}", folder.display());
    std::fs::create_dir_all(&folder).context(failed)?;
    let convert = lines("docs/metallb.md", "## How to")?;
    let apply = "kubectl apply --filename pools.json";
    let done = type_in_at(&lab, &folder, &format!("{convert}\n{apply}")).await;
    std::fs::remove_dir_all(&folder).context(failed)?;
    done?;

    let get = [
        "get",
        "pools,l2advertisements.bellwether.dev",
        "--output=name",
    ];
    let names = lab.kubectl(&get, "").await?;
    assert_eq!(
        names.lines().collect::<Vec<_>>(),
        [
            "ipaddresspool.bellwether.dev/first-pool",
            "l2advertisement.bellwether.dev/example",
            "l2advertisement.bellwether.dev/some-nodes",
        ]
    );
    lab.apply(&load_balancer(
        "web",
        "",
        "ipFamilies: [IPv4], ipFamilyPolicy: SingleStack",
    ))
    .await?;
    let address = lab.wait_addresses("web", 1).await?[0];
    let pool = IpAddr::from([192, 0, 2, 128])..=IpAddr::from([192, 0, 2, 160]);
    assert!(pool.contains(&address), "{address}");
    lab.wait_announcer(address, None, MOMENT).await.map(drop)
}
