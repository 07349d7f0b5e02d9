//! What the API server refuses at `kubectl apply`, and with which sentence.

use bellwether_e2e::Lab;

/// What is refused: why in our words, the spec, and a part of the sentence.
const REFUSED_POOLS: &[(&str, &str, &str)] = &[
    (
        "no addresses",
        "addresses: []",
        "should have at least 1 items",
    ),
    (
        "a word",
        "addresses: [lan]",
        "\"lan\" is neither a network nor a range: write for example 192.0.2.0/24",
    ),
    (
        "a lone IPv4 address",
        "addresses: [192.0.2.10]",
        "192.0.2.10 is a single address: write 192.0.2.10/32",
    ),
    (
        "a lone IPv6 address",
        "addresses: ['2001:db8::a']",
        "2001:db8::a is a single address: write 2001:db8::a/128",
    ),
    (
        "a network with host bits",
        "addresses: [192.168.10.100/24]",
        "192.168.10.100/24 has host bits set: write the first address of the /24 network, or a range",
    ),
    (
        "a range of two families",
        "addresses: ['192.0.2.1-2001:db8::5']",
        "192.0.2.1-2001:db8::5 mixes IPv4 and IPv6: write a range of each",
    ),
    (
        "a backwards range",
        "addresses: [192.0.2.20-192.0.2.10]",
        "192.0.2.20-192.0.2.10 is backwards: write 192.0.2.10-192.0.2.20",
    ),
    (
        "a network inside another",
        "addresses: [192.0.2.0/24, 192.0.2.64/26]",
        "a network of the list is inside another: remove it",
    ),
    (
        "the same network twice",
        "addresses: [192.0.2.0/24, 192.0.2.0/24]",
        "Duplicate value",
    ),
    (
        "a wrong exclude",
        "addresses: [192.0.2.0/24]\n  exclude: [192.0.2.1]",
        "192.0.2.1 is a single address: write 192.0.2.1/32",
    ),
    (
        "a cooldown without a unit",
        "addresses: [192.0.2.0/24]\n  cooldown: '30'",
        "\"30\" is no duration: write for example 30s, 10m or 1h30m",
    ),
    (
        "an unknown strategy",
        "addresses: [192.0.2.0/24]\n  strategy: Last",
        "supported values: \"Sticky\", \"First\", \"Random\"",
    ),
    (
        "an operator that does not exist",
        "addresses: [192.0.2.0/24]\n  serviceAllocation: {serviceSelectors: \
         [{matchExpressions: [{key: a, operator: Is, values: [b]}]}]}",
        "supported values: \"In\", \"NotIn\", \"Exists\", \"DoesNotExist\"",
    ),
    (
        "an operator without its values",
        "addresses: [192.0.2.0/24]\n  serviceAllocation: {namespaceSelectors: \
         [{matchExpressions: [{key: a, operator: In}]}]}",
        "In and NotIn take at least one value",
    ),
    (
        "a field that does not exist",
        "addresses: [192.0.2.0/24]\n  adresses: []",
        "unknown field \"spec.adresses\"",
    ),
];

const REFUSED_ADVERTISEMENTS: &[(&str, &str, &str)] = &[
    (
        "a path for a link",
        "interfaces: [/dev/eth0]",
        "\"/dev/eth0\" cannot be the name of a link: write 1 to 15 characters",
    ),
    (
        "a link twice",
        "interfaces: [eth0, eth0]",
        "Duplicate value",
    ),
    (
        "a weight of zero",
        "preferredNodeSelectors: [{weight: 0, preference: {}}]",
        "should be greater than or equal to 1",
    ),
    (
        "a selector with a wrong operator",
        "nodeSelectors: [{matchExpressions: [{key: a, operator: Equals, values: [b]}]}]",
        "supported values: \"In\", \"NotIn\", \"Exists\", \"DoesNotExist\"",
    ),
];

const ACCEPTED_POOLS: &[(&str, &str)] = &[
    (
        "a network of each family",
        "addresses: [192.0.2.0/24, '2001:db8::/64']",
    ),
    (
        "a range with blanks",
        "addresses: ['192.0.2.10 - 192.0.2.20']",
    ),
    ("an IPv6 range", "addresses: ['2001:db8::1-2001:db8::ff']"),
    ("a range of one", "addresses: [192.0.2.10-192.0.2.10]"),
    (
        "every field",
        "addresses: [192.0.2.0/24]\n  autoAssign: false\n  avoidBuggyIPs: true\n  \
         exclude: [192.0.2.1/32]\n  cooldown: 1h30m\n  strategy: Random\n  \
         serviceAllocation: {priority: 5, namespaces: [a], namespaceSelectors: \
         [{matchLabels: {a: b}}], serviceSelectors: [{matchExpressions: [{key: a, operator: Exists}]}]}",
    ),
];

fn object(kind: &str, spec: &str) -> String {
    format!(
        "apiVersion: bellwether.dev/v1beta1\nkind: {kind}\nmetadata: {{name: test}}\nspec:\n  {spec}\n"
    )
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_what_to_write_instead() {
    let lab = Lab::for_test(env!("CARGO_BIN_EXE_bellwether-lab"), |options| {
        options.nodes = 1;
        options.bare = true;
    })
    .await
    .expect("a lab");
    let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/../manifests/base/crds");
    lab.kubectl(&["apply", "--server-side", "--filename", crds], "")
        .await
        .expect("the CRDs");
    let established = [
        "wait",
        "--for=condition=Established",
        "crd",
        "--all",
        "--timeout=20s",
    ];
    lab.kubectl(&established, "")
        .await
        .expect("the CRDs in force");

    let apply = async |yaml: String| {
        let strict = [
            "apply",
            "--dry-run=server",
            "--validate=strict",
            "--filename",
            "-",
        ];
        lab.kubectl(&strict, &yaml)
            .await
            .map_err(|error| error.to_string())
    };
    let mut wrong = Vec::new();
    let pools = REFUSED_POOLS.iter().map(|row| ("IPAddressPool", row));
    let advertisements = REFUSED_ADVERTISEMENTS
        .iter()
        .map(|row| ("L2Advertisement", row));
    for (kind, (why, spec, sentence)) in pools.chain(advertisements) {
        match apply(object(kind, spec)).await {
            Ok(_) => wrong.push(format!("{why}: accepted")),
            Err(error) if error.contains(sentence) => {}
            Err(error) => wrong.push(format!("{why}: {error}")),
        }
    }
    for (what, spec) in ACCEPTED_POOLS {
        if let Err(error) = apply(object("IPAddressPool", spec)).await {
            wrong.push(format!("{what}: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
