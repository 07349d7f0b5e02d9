//! Random histories against the model.

use std::time::Duration;

use bellwether_core::name::ServiceName;
use bellwether_core::pool::{PoolSpec, ServiceAllocationSpec, Strategy as PoolStrategy};
use proptest::prelude::*;

use crate::model::{Event, History};
use crate::world::{
    Ask, PREFER_V4, PREFER_V6, REQUIRE_V4, REQUIRE_V6, V4, V6, ip, selector, service, to_namespace,
};

fn any_pool(name: &'static str) -> impl Strategy<Value = PoolSpec> {
    // Addresses, and what is excluded of them.
    let ranges = prop::sample::select(vec![
        (&["192.0.2.0/31"][..], None),
        (&["192.0.2.0/30"], None),
        (&["192.0.2.0/30"], Some("192.0.2.2/32")),
        (&["192.0.2.2-192.0.2.5"], Some("192.0.2.2/31")),
        (&["192.0.2.2-192.0.2.5"], None),
        (&["192.0.2.254-192.0.3.1"], None),
        (&["2001:db8::/127"], None),
        (&["192.0.2.4/31", "2001:db8::/126"], None),
        (&["192.0.2.4/31", "2001:db8::/126"], Some("2001:db8::/128")),
        (&["192.0.2.6/32", "2001:db8::2/127"], None),
        (&["198.51.100.0/32", "2001:db8::8/128"], None),
    ]);
    let allocation = prop::sample::select(vec![
        None,
        None,
        None,
        Some(ServiceAllocationSpec::default()),
        Some(to_namespace("shop", 5)),
        Some(to_namespace("lab", 1)),
        Some(ServiceAllocationSpec {
            service_selectors: vec![selector(&[("app", "web")])],
            ..ServiceAllocationSpec::default()
        }),
    ]);
    let strategies = vec![
        PoolStrategy::Sticky,
        PoolStrategy::First,
        PoolStrategy::Random,
    ];
    (
        ranges,
        allocation,
        prop::sample::select(strategies),
        0i64..2,
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.3),
    )
        .prop_map(
            move |(ranges, service_allocation, strategy, created, auto_assign, avoid, cooldown)| {
                let (addresses, exclude) = ranges;
                PoolSpec {
                    created,
                    auto_assign,
                    avoid_buggy_ips: avoid,
                    cooldown: cooldown.then(|| "10s".to_owned()),
                    exclude: exclude.into_iter().map(ToOwned::to_owned).collect(),
                    strategy,
                    service_allocation,
                    ..PoolSpec::new(name, addresses)
                }
            },
        )
}

fn any_pools() -> impl Strategy<Value = Vec<PoolSpec>> {
    (any_pool("a"), any_pool("b"), any_pool("c"), 0u8..8).prop_map(|(a, b, c, which)| {
        [a, b, c]
            .into_iter()
            .enumerate()
            .filter(|(index, _)| which & (1 << index) != 0 || which == 0)
            .map(|(_, spec)| spec)
            .collect()
    })
}

const NAMES: [&str; 7] = ["s0", "s1", "s2", "s3", "s4", "s5", "s6"];

fn any_request() -> impl Strategy<Value = Ask> {
    let families = vec![V4, V4, V6, PREFER_V4, PREFER_V6, REQUIRE_V4, REQUIRE_V6];
    let wanted: Vec<&[&str]> = vec![
        &[],
        &[],
        &[],
        &[],
        &["192.0.2.0"],
        &["192.0.2.2"],
        &["192.0.2.255"],
        &["2001:db8::1"],
        &["192.0.2.4", "2001:db8::1"],
        &["2001:db8::2", "192.0.2.6"],
        &["203.0.113.1"],
    ];
    (
        0..NAMES.len(),
        prop::sample::select(families),
        prop::sample::select(vec![None, None, None, Some("a"), Some("b"), Some("none")]),
        prop::sample::select(wanted),
        prop::sample::select(vec!["", "", "k", "k", "l"]),
        1u8..4,
        prop::sample::select(vec!["", "", "x", "y"]),
        prop::sample::select(vec!["web", "db"]),
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(name, families, pool, wanted, key, ports, local, app, reallocate)| {
                let mut ask = service(NAMES[name])
                    .created(i64::try_from(name % 3).expect("small"))
                    .families(families)
                    .with_labels(&[("app", app)])
                    .key(key)
                    .reallocate(reallocate);
                if let Some(pool) = pool {
                    ask = ask.from(pool);
                }
                if !wanted.is_empty() {
                    ask = ask.wants(wanted);
                }
                for (bit, port) in [(1, 80), (2, 443)] {
                    if ports & bit != 0 {
                        ask = ask.port(port);
                    }
                }
                if local.is_empty() {
                    ask
                } else {
                    ask.local(local)
                }
            },
        )
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        10 => any_request().prop_map(Event::Request),
        4 => prop::sample::select(NAMES.to_vec())
            .prop_map(|name| Event::Release(ServiceName::new("shop", name))),
        2 => any_pools().prop_map(Event::SetPools),
        2 => (0u64..8).prop_map(|seconds| Event::Pass(Duration::from_secs(seconds))),
        1 => Just(Event::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    /// No address twice unless sharing allows it in all respects; a refusal is true, and heals as
    /// soon as it is not; both families or neither; edits of pools and restarts move nothing; the
    /// numbers are right.
    #[test]
    fn whatever_happens_the_books_are_right(
        pools in any_pools(),
        events in prop::collection::vec(any_event(), 1..40),
    ) {
        let mut history = History::new();
        history.happen(Event::SetPools(pools));
        for event in events {
            history.happen(event);
            history.check();
        }
    }

    /// The order in which Services appear changes nothing about how many are served.
    #[test]
    fn any_order_of_creation_serves_all_and_none_twice(
        order in Just((0..40u32).collect::<Vec<_>>()).prop_shuffle(),
        strategy in prop::sample::select(vec![
            PoolStrategy::Sticky,
            PoolStrategy::First,
            PoolStrategy::Random,
        ]),
    ) {
        let spec = PoolSpec { strategy, ..PoolSpec::new("blue", &["192.0.2.0/27"]) };
        let mut history = History::new();
        history.happen(Event::SetPools(vec![spec]));
        for number in order {
            let ask = service(&format!("web-{number}")).created(i64::from(number));
            history.happen(Event::Request(ask));
        }
        let served = history.decisions.values().filter(|it| it.refusal().is_none());
        prop_assert_eq!(served.count(), 32);
        history.check();
    }
}

/// A thousand at once, as after an outage: each has its own.
#[test]
fn a_thousand_creations_give_no_address_twice() {
    let mut history = History::new();
    history.happen(Event::SetPools(vec![PoolSpec::new(
        "blue",
        &["10.0.0.0/21", "2001:db8::/64"],
    )]));
    for number in 0..1000 {
        let ask = service(&format!("web-{number}")).families(REQUIRE_V6);
        history.allocator.request(&ask.0, history.now);
        let [six, four] = history.allocator.allocations(&ask.0.service) else {
            panic!("both or neither");
        };
        for allocation in [six, four] {
            assert_eq!(history.allocator.users(allocation.address).count(), 1);
        }
        assert!(six.address > ip("2001:db8::") && four.address < ip("10.0.8.0"));
    }
}
