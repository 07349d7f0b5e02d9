//! What it costs to allocate and release an address, in pools that are large and nearly full.
//!
//! `cargo bench -p bellwether-core` prints the time of a million allocations and as many releases
//! in pools of 95 % fill, and of the cases that a search from the first address on would be slow
//! in.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot go on shall panic"
)]

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::allocator::{Allocation, Allocator, Decision, FamilyPolicy, Found, Request};
use bellwether_core::moment::Moment;
use bellwether_core::name::ServiceName;
use bellwether_core::pool::{Pool, PoolSpec, Strategy};
use bellwether_core::range::IpFamily;
use bellwether_core::sharing::SharingTerms;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};

/// Services that have an address: 95 % of a /16.
const HELD: usize = 62_259;
/// Allocations and releases in one iteration; there are ten at least, which makes a million.
const PAIRS: usize = 100_000;
const NOW: Moment = Moment::from_millis(1);

fn request(number: usize, family: IpFamily) -> Request {
    let service = ServiceName::new("shop", &format!("web-{number}"));
    Request::new(service, FamilyPolicy::SingleStack(family))
}

fn with(pools: Vec<PoolSpec>) -> Allocator {
    let mut allocator = Allocator::new(0);
    let pools = pools
        .into_iter()
        .map(|spec| Arc::new(Pool::try_from(spec).expect("a pool that makes sense")))
        .collect();
    allocator.set_pools(pools, NOW);
    allocator
}

fn allocate(allocator: &mut Allocator, request: &Request) {
    let decision = allocator.request(request, NOW);
    assert!(matches!(black_box(decision), Decision::Allocated { .. }));
}

/// A pool of 2^64 addresses, 95 % of which are taken out, in 1,024 pieces.
fn holey_64() -> PoolSpec {
    let exclude = (0..1024u128).map(|piece| {
        let first = (0x2001_0db8 << 96) | (piece << 54);
        let last = first + (1 << 54) / 20 * 19;
        format!(
            "{}-{}",
            IpAddr::from(first.to_be_bytes()),
            IpAddr::from(last.to_be_bytes())
        )
    });
    PoolSpec {
        exclude: exclude.collect(),
        ..PoolSpec::new("pool", &["2001:db8::/64"])
    }
}

fn nearly_full(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("95 % full");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(1))
        .measurement_time(Duration::from_secs(5))
        .sampling_mode(SamplingMode::Flat)
        .throughput(Throughput::Elements(2 * PAIRS as u64));
    for (name, spec, family) in [
        (
            "IPv4 of 16 bits",
            PoolSpec::new("pool", &["10.0.0.0/16"]),
            IpFamily::V4,
        ),
        ("IPv6 of 64 bits", holey_64(), IpFamily::V6),
    ] {
        for strategy in [Strategy::Sticky, Strategy::First, Strategy::Random] {
            let mut allocator = with(vec![PoolSpec {
                strategy,
                ..spec.clone()
            }]);
            let requests: Vec<Request> = (0..2 * HELD)
                .map(|number| request(number, family))
                .collect();
            for request in &requests[..HELD] {
                allocate(&mut allocator, request);
            }
            // The Service that has its address for the longest time leaves, a new one comes.
            let mut next = 0;
            group.bench_function(format!("{name}, {strategy:?}"), |bencher| {
                bencher.iter(|| {
                    for _ in 0..PAIRS {
                        allocator.release(&requests[next % requests.len()].service, NOW);
                        allocate(&mut allocator, &requests[(next + HELD) % requests.len()]);
                        next += 1;
                    }
                });
            });
        }
    }
    group.finish();
}

fn hard_to_find(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hard to find");
    let web = request(0, IpFamily::V4);

    let mut allocator = with(vec![PoolSpec::new("pool", &["10.0.0.0/16"])]);
    let found = (0..=u16::MAX)
        .filter(|&number| number != 54_321)
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            Found {
                service: ServiceName::new("lab", &number.to_string()),
                created: 0,
                sharing: SharingTerms::alone(),
                addresses: vec![Allocation {
                    address: IpAddr::from([10, 0, high, low]),
                    pool: None,
                }],
            }
        });
    allocator.adopt(found.collect(), NOW);
    group.bench_function("the last free address of a /16, and back", |bencher| {
        bencher.iter(|| {
            allocate(&mut allocator, &web);
            allocator.release(&web.service, NOW);
        });
    });

    let pools = (0..10_000u32).map(|number| {
        let [_, a, b, c] = number.to_be_bytes();
        PoolSpec::new(&format!("pool-{number}"), &[&format!("10.{a}.{b}.{c}/32")])
    });
    let mut allocator = with(pools.collect());
    for number in 1..10_000 {
        allocate(&mut allocator, &request(number, IpFamily::V4));
    }
    group.bench_function(
        "the last of 10,000 pools of one address, and back",
        |bencher| {
            bencher.iter(|| {
                allocate(&mut allocator, &web);
                allocator.release(&web.service, NOW);
            });
        },
    );
    allocate(&mut allocator, &request(10_000, IpFamily::V4));
    group.bench_function("nothing in 10,000 pools", |bencher| {
        bencher.iter(|| black_box(allocator.request(&web, NOW)));
    });
    group.finish();
}

criterion_group!(benches, nearly_full, hard_to_find);
criterion_main!(benches);
