//! What is read of a Service, a row each.

use serde_json::json;

use super::*;

/// A sentence, annotations, a spec, and the addresses that are asked for or why that cannot be told.
type Row<'a> = (
    &'a str,
    serde_json::Value,
    &'a serde_json::Value,
    Result<&'a [&'a str], &'a str>,
);

/// A Service with these annotations and this spec.
fn service(annotations: &serde_json::Value, spec: &serde_json::Value) -> ServiceFacts {
    let mut spec = spec.clone();
    for (field, value) in [
        ("type", json!("LoadBalancer")),
        ("clusterIPs", json!(["10.96.0.1"])),
    ] {
        if spec.get(field).is_none() {
            spec[field] = value;
        }
    }
    let object = json!({
        "metadata": { "namespace": "shop", "name": "web", "annotations": annotations },
        "spec": spec,
    });
    ServiceFacts::from(serde_json::from_value::<Service>(object).expect("a Service"))
}

#[test]
fn metallb_1_2_every_way_to_ask_for_addresses_is_understood_or_refused_with_a_reason() {
    let both = json!({ "clusterIPs": ["10.96.0.1", "fd00::1"],
        "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "PreferDualStack" });
    let field = json!({ "loadBalancerIP": "192.0.2.9" });
    let nothing = json!({});
    let rows: [Row; 11] = [
        ("nothing is asked for", json!({}), &nothing, Ok(&[])),
        (
            "spec.loadBalancerIP is one address",
            json!({}),
            &field,
            Ok(&["192.0.2.9"]),
        ),
        (
            "the annotation is one address",
            json!({ "bellwether.dev/loadBalancerIPs": "192.0.2.9" }),
            &nothing,
            Ok(&["192.0.2.9"]),
        ),
        (
            "the annotation is one of each family, with spaces",
            json!({ "metallb.io/loadBalancerIPs": " 2001:db8::9 , 192.0.2.9 " }),
            &both,
            Ok(&["2001:db8::9", "192.0.2.9"]),
        ),
        (
            "the deprecated prefix of MetalLB is understood too",
            json!({ "metallb.universe.tf/loadBalancerIPs": "192.0.2.9" }),
            &nothing,
            Ok(&["192.0.2.9"]),
        ),
        (
            "an empty annotation asks for nothing",
            json!({ "metallb.io/loadBalancerIPs": "" }),
            &nothing,
            Ok(&[]),
        ),
        (
            "an empty annotation does not contradict the field",
            json!({ "metallb.io/loadBalancerIPs": "", "bellwether.dev/loadBalancerIPs": " " }),
            &field,
            Ok(&["192.0.2.9"]),
        ),
        (
            "the annotation and the field name the same address in other letters",
            json!({ "metallb.io/loadBalancerIPs": "2001:DB8:0:0::9" }),
            &json!({ "loadBalancerIP": "2001:db8::9" }),
            Ok(&["2001:db8::9"]),
        ),
        (
            "the annotation and the field name different addresses",
            json!({ "metallb.io/loadBalancerIPs": "192.0.2.8" }),
            &field,
            Err("AddressesRequestedTwice"),
        ),
        (
            "two prefixes name different addresses",
            json!({ "metallb.io/loadBalancerIPs": "192.0.2.8",
                "metallb.universe.tf/loadBalancerIPs": "192.0.2.9" }),
            &nothing,
            Err("ContradictingAnnotations"),
        ),
        (
            "what is asked for is no address",
            json!({ "metallb.io/loadBalancerIPs": "192.0.2.0/24" }),
            &nothing,
            Err("NotAnAddress"),
        ),
    ];
    for (sentence, annotations, spec, expected) in rows {
        let wish = service(&annotations, spec).wish;
        let found = wish
            .as_ref()
            .map(|wish| wish.addresses.iter().map(ToString::to_string).collect());
        let expected = expected.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(found.map_err(Problem::reason), expected, "{sentence}");
    }
}

#[test]
fn metallb_1_2_a_pool_and_a_sharing_key_are_asked_for_under_three_prefixes() {
    let both = |prefix: &str| {
        json!({
            format!("{prefix}/address-pool"): "blue",
            format!("{prefix}/allow-shared-ip"): "web",
        })
    };
    for (sentence, annotations, pool, key) in [
        ("nothing is asked for", json!({}), Ok(None), None),
        (
            "ours",
            both("bellwether.dev"),
            Ok(Some("blue")),
            Some("web"),
        ),
        (
            "MetalLB's",
            both("metallb.io"),
            Ok(Some("blue")),
            Some("web"),
        ),
        (
            "MetalLB's deprecated ones",
            both("metallb.universe.tf"),
            Ok(Some("blue")),
            Some("web"),
        ),
        (
            "empty ones ask for nothing",
            json!({ "metallb.io/address-pool": "", "metallb.io/allow-shared-ip": "" }),
            Ok(None),
            None,
        ),
        (
            "two prefixes that agree",
            json!({ "metallb.io/address-pool": "blue", "metallb.universe.tf/address-pool": "blue" }),
            Ok(Some("blue")),
            None,
        ),
        (
            "two prefixes that differ are refused, where with MetalLB the new one wins",
            json!({ "metallb.io/address-pool": "blue", "metallb.universe.tf/address-pool": "red" }),
            Err("ContradictingAnnotations"),
            None,
        ),
        (
            "two keys that differ are refused too",
            json!({ "metallb.io/allow-shared-ip": "a", "bellwether.dev/allow-shared-ip": "b" }),
            Err("ContradictingAnnotations"),
            None,
        ),
        (
            "the pool that MetalLB gave the address from asks for nothing",
            json!({ "metallb.io/ip-allocated-from-pool": "blue" }),
            Ok(None),
            None,
        ),
    ] {
        let facts = service(&annotations, &json!({}));
        let found = facts.wish.map(|wish| wish.pool);
        assert_eq!(
            found.map_err(|problem| problem.reason()),
            pool.map(|pool| pool.map(Into::into)),
            "{sentence}"
        );
        assert_eq!(
            facts.sharing.key,
            key.and_then(SharingKey::new),
            "{sentence}"
        );
    }
}

#[test]
fn metallb_1_2_what_else_a_service_says_of_load_balancing_changes_nothing() {
    let plain = service(&json!({}), &json!({}));
    for (sentence, spec) in [
        (
            "no node ports",
            json!({ "allocateLoadBalancerNodePorts": false }),
        ),
        ("session affinity", json!({ "sessionAffinity": "ClientIP" })),
        (
            "a health check port",
            json!({ "healthCheckNodePort": 30123 }),
        ),
        (
            "source ranges",
            json!({ "loadBalancerSourceRanges": ["198.51.100.0/24"] }),
        ),
    ] {
        assert_eq!(service(&json!({}), &spec), plain, "{sentence}");
    }
}

#[test]
fn what_it_shares_by_is_known_also_if_what_it_asks_for_is_not() {
    let annotations = json!({
        "bellwether.dev/allow-shared-ip": "web",
        "bellwether.dev/loadBalancerIPs": "nonsense",
    });
    let spec = json!({ "ports": [{ "port": 53, "protocol": "UDP" }] });
    let facts = service(&annotations, &spec);
    assert!(facts.wish.is_err());
    assert_eq!(facts.sharing.key, SharingKey::new("web"));
    assert_eq!(facts.sharing.ports.len(), 1);
}

#[test]
fn an_annotation_says_true_to_ask_for_another_address() {
    for (value, says) in [
        ("true", Reallocation::Asked),
        (" true ", Reallocation::Asked),
        ("done", Reallocation::Done),
        ("false", Reallocation::No),
        ("", Reallocation::No),
    ] {
        let facts = service(&json!({ "bellwether.dev/reallocate": value }), &json!({}));
        assert_eq!(facts.reallocation, says, "{value:?}");
    }
}
