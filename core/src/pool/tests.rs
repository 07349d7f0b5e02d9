use super::*;
use crate::labels::Labels;
use crate::selector::{ExpressionSpec, SelectorSpec};

fn pool(spec: PoolSpec) -> Pool {
    Pool::try_from(spec).expect("a pool that makes sense")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn selector(pairs: &[(&str, &str)]) -> SelectorSpec {
    SelectorSpec {
        match_labels: labels(pairs).into(),
        ..SelectorSpec::default()
    }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn a_pool_holds_networks_and_ranges_of_both_families() {
    let pool = pool(PoolSpec::new(
        "blue",
        &[
            "192.0.2.0/24",
            "198.51.100.10 - 198.51.100.20",
            "2001:db8::/64",
        ],
    ));
    assert_eq!(pool.offered().size(IpFamily::V4), 256 + 11);
    assert_eq!(pool.offered().size(IpFamily::V6), 1 << 64);
    assert_eq!(pool.gives(ip("198.51.100.20")), Ok(()));
    assert_eq!(pool.gives(ip("198.51.100.21")), Err(NotGiven::Outside));
    assert!(pool.auto_assign());
    assert_eq!(pool.strategy(), Strategy::Sticky);
    assert_eq!(pool.cooldown(), Duration::ZERO);
}

#[test]
fn what_is_excluded_is_not_given() {
    let mut spec = PoolSpec::new("blue", &["192.0.2.0/24"]);
    spec.exclude = texts(&["192.0.2.1/32", "192.0.2.250-192.0.3.10"]);
    let pool = pool(spec);
    assert_eq!(pool.offered().size(IpFamily::V4), 249);
    assert_eq!(pool.gives(ip("192.0.2.1")), Err(NotGiven::Excluded));
    assert_eq!(pool.gives(ip("192.0.2.255")), Err(NotGiven::Excluded));
    assert_eq!(pool.gives(ip("192.0.3.1")), Err(NotGiven::Outside));
}

#[test]
fn metallb_1_1_avoid_buggy_ips_leaves_out_0_and_255_of_ipv4_only() {
    let mut spec = PoolSpec::new("blue", &["192.0.2.0/23", "2001:db8::/120"]);
    spec.avoid_buggy_ips = true;
    let pool = pool(spec);
    let buggy = Err(NotGiven::Buggy);
    for (sentence, address, given) in [
        ("the first, which ends in .0", "192.0.2.0", buggy),
        ("the second", "192.0.2.1", Ok(())),
        ("the one before .255", "192.0.2.254", Ok(())),
        ("one that ends in .255 in the middle", "192.0.2.255", buggy),
        ("one that ends in .0 in the middle", "192.0.3.0", buggy),
        ("the last, which ends in .255", "192.0.3.255", buggy),
        ("one of IPv6 that ends in 0", "2001:db8::", Ok(())),
        ("one of IPv6 that ends in 255", "2001:db8::ff", Ok(())),
    ] {
        assert_eq!(pool.gives(ip(address)), given, "{sentence}");
    }
}

#[test]
fn metallb_1_1_a_pool_that_makes_no_sense_is_refused_with_field_value_and_fix() {
    let blue = |addresses: &[&str]| PoolSpec::new("blue", addresses);
    let good = || blue(&["192.0.2.0/24"]);
    let allocation = |change: fn(&mut ServiceAllocationSpec)| {
        let mut allocation = ServiceAllocationSpec::default();
        change(&mut allocation);
        PoolSpec {
            service_allocation: Some(allocation),
            ..good()
        }
    };
    for (sentence, spec, error) in [
        (
            "no addresses",
            blue(&[]),
            "spec.addresses is empty: write at least one network or range, such as 192.0.2.0/24",
        ),
        (
            "a single address",
            blue(&["192.0.2.0/24", "192.0.3.1"]),
            "spec.addresses[1]: 192.0.3.1 is a single address: write 192.0.3.1/32",
        ),
        (
            "a range that overlaps a network of the same pool",
            blue(&["192.0.2.0/24", "2001:db8::/64", "192.0.2.255-192.0.3.1"]),
            "spec.addresses[2]: 192.0.2.255-192.0.3.1 overlaps 192.0.2.0/24 in spec.addresses[0]: \
             remove one of them",
        ),
        (
            "addresses of no host in IPv4",
            blue(&["224.0.0.0/24"]),
            "spec.addresses[0]: 224.0.0.0/24 holds 224.0.0.0/24, which no host can have \
             (multicast): leave it out",
        ),
        (
            "an address of no host in IPv6",
            blue(&["::/64"]),
            "spec.addresses[0]: ::/64 holds ::/128, which no host can have (unspecified): leave \
             it out",
        ),
        (
            "an exclusion of what it does not have",
            PoolSpec {
                exclude: texts(&["192.0.3.1/32"]),
                ..good()
            },
            "spec.exclude[0]: 192.0.3.1/32 is outside spec.addresses: remove it, or write what \
             you meant",
        ),
        (
            "an exclusion of a single address",
            PoolSpec {
                exclude: texts(&["192.0.2.1"]),
                ..good()
            },
            "spec.exclude[0]: 192.0.2.1 is a single address: write 192.0.2.1/32",
        ),
        (
            "a cooldown that is no duration",
            PoolSpec {
                cooldown: Some("soon".to_owned()),
                ..good()
            },
            "spec.cooldown: \"soon\" is no duration: write for example 30s, 10m or 1h30m",
        ),
        (
            "a namespace twice",
            allocation(|a| a.namespaces = texts(&["shop", "lab", "shop"])),
            "spec.serviceAllocation.namespaces[2]: shop is there twice: remove one of them",
        ),
        (
            "a selector of Services twice",
            allocation(|a| a.service_selectors = vec![selector(&[("app", "web")]); 2]),
            "spec.serviceAllocation.serviceSelectors[1]: app=web is there twice: remove one of them",
        ),
        (
            "a selector of namespaces with an operator that does not exist",
            allocation(|a| {
                a.namespace_selectors = vec![SelectorSpec {
                    match_expressions: vec![ExpressionSpec {
                        key: "team".to_owned(),
                        operator: "Like".to_owned(),
                        values: Vec::new(),
                    }],
                    ..SelectorSpec::default()
                }];
            }),
            "spec.serviceAllocation.namespaceSelectors[0]: the requirement on team has the \
             operator \"Like\": write In, NotIn, Exists or DoesNotExist",
        ),
    ] {
        let refused = Pool::try_from(spec).expect_err(sentence);
        assert_eq!(refused.to_string(), error, "{sentence}");
    }
}

#[test]
fn addresses_that_no_host_can_have_are_refused() {
    for text in [
        "0.0.0.0/32",
        "127.0.0.1/32",
        "239.255.255.255/32",
        "255.255.255.255/32",
        "0.0.0.0/0",
        "::/128",
        "::1/128",
        "ff02::1/128",
        "::/0",
    ] {
        let refused = Pool::try_from(PoolSpec::new("blue", &[text])).expect_err(text);
        assert!(
            matches!(refused, PoolError::NotForHosts { .. }),
            "{text}: {refused}"
        );
    }
}

#[test]
fn metallb_1_1_service_allocation_says_which_services_may() {
    let namespaces = |namespaces: &[&str], selectors: Vec<SelectorSpec>| ServiceAllocationSpec {
        namespaces: texts(namespaces),
        namespace_selectors: selectors,
        ..ServiceAllocationSpec::default()
    };
    let services =
        |spec: ServiceAllocationSpec, selectors: Vec<SelectorSpec>| ServiceAllocationSpec {
            service_selectors: selectors,
            ..spec
        };
    let team = |name| selector(&[("team", name)]);
    let app = |name| selector(&[("app", name)]);
    let any = ServiceAllocationSpec::default;
    let (namespace, label) = (Err(NotPermitted::Namespace), Err(NotPermitted::Labels));
    // The Service is in the namespace shop of team a, and has the label app=web.
    for (sentence, spec, permitted) in [
        ("empty: every Service", any(), Ok(())),
        (
            "only a priority: every Service",
            ServiceAllocationSpec {
                priority: 10,
                ..any()
            },
            Ok(()),
        ),
        (
            "its namespace is named",
            namespaces(&["lab", "shop"], vec![]),
            Ok(()),
        ),
        (
            "another namespace is named",
            namespaces(&["lab"], vec![]),
            namespace,
        ),
        (
            "its namespace is selected",
            namespaces(&[], vec![team("b"), team("a")]),
            Ok(()),
        ),
        (
            "no namespace is selected",
            namespaces(&[], vec![team("b")]),
            namespace,
        ),
        (
            "named or selected is enough",
            namespaces(&["shop"], vec![team("b")]),
            Ok(()),
        ),
        (
            "selected or named is enough",
            namespaces(&["lab"], vec![team("a")]),
            Ok(()),
        ),
        (
            "its labels are selected",
            services(any(), vec![app("db"), app("web")]),
            Ok(()),
        ),
        (
            "its labels are not selected",
            services(any(), vec![app("db")]),
            label,
        ),
        (
            "the namespace and the labels must both be allowed: labels are not",
            services(namespaces(&["shop"], vec![]), vec![app("db")]),
            label,
        ),
        (
            "the namespace and the labels must both be allowed: the namespace is not",
            services(namespaces(&["lab"], vec![]), vec![app("web")]),
            namespace,
        ),
    ] {
        let allocation = ServiceAllocation::try_from(spec).expect(sentence);
        let (team, app) = (labels(&[("team", "a")]), labels(&[("app", "web")]));
        assert_eq!(
            allocation.permits("shop", &team, &app),
            permitted,
            "{sentence}"
        );
    }
}

#[test]
fn a_lower_priority_is_earlier_and_none_is_last() {
    let rank = |priority| {
        let spec = ServiceAllocationSpec {
            priority,
            ..ServiceAllocationSpec::default()
        };
        ServiceAllocation::try_from(spec).expect("valid").rank()
    };
    assert!(rank(1) < rank(2) && rank(2) < rank(0));
}

#[test]
fn the_older_pool_comes_first_then_the_name() {
    let aged = |name, created| {
        pool(PoolSpec {
            created,
            ..PoolSpec::new(name, &["192.0.2.0/24"])
        })
    };
    assert!(aged("b", 1).age() < aged("a", 2).age());
    assert!(aged("a", 1).age() < aged("b", 1).age());
}
