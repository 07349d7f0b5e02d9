//! An address that is freed, in whichever way, is offered at once to those who wait, in a fair and
//! fixed order.

use std::collections::BTreeSet;

use bellwether_core::range::IpFamily;
use proptest::prelude::*;

use crate::world::{Ask, REQUIRE_V4, V4, V6, World, by_hand, pool, service};

/// A way in which a Service that has an address of both families frees some of them, or lets others
/// have them too.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// It is deleted, or its type or class changes: for the allocator it is gone.
    Gone,
    /// It asks for another pool.
    OtherPool,
    /// It asks for other addresses.
    OtherAddresses,
    /// It needs one family only.
    OneFamily(IpFamily),
    /// Its sharing key changes to that of some who wait.
    OtherKey,
}

impl Way {
    /// The families of which it frees an address.
    fn frees(self) -> &'static [IpFamily] {
        match self {
            Self::Gone | Self::OtherPool | Self::OtherAddresses => &[IpFamily::V4, IpFamily::V6],
            Self::OneFamily(IpFamily::V4) => &[IpFamily::V6],
            Self::OneFamily(IpFamily::V6) => &[IpFamily::V4],
            Self::OtherKey => &[],
        }
    }

    /// What the `number`th holder asks for afterwards; nothing, if it is gone.
    fn asks(self, number: usize) -> Option<Ask> {
        let both = holder(number);
        Some(match self {
            Self::Gone => return None,
            Self::OtherPool => both.from("green"),
            Self::OtherAddresses => both.from("green").wants(&[
                &format!("198.51.100.10{number}"),
                &format!("2001:db8:1::10{number}"),
            ]),
            Self::OneFamily(IpFamily::V4) => both.families(V4),
            Self::OneFamily(IpFamily::V6) => both.families(V6),
            Self::OtherKey => both.key("k"),
        })
    }
}

fn any_way() -> impl Strategy<Value = Way> {
    prop::sample::select(vec![
        Way::Gone,
        Way::OtherPool,
        Way::OtherAddresses,
        Way::OneFamily(IpFamily::V4),
        Way::OneFamily(IpFamily::V6),
        Way::OtherKey,
    ])
}

/// One that has an address of each family.
fn holder(number: usize) -> Ask {
    service(&format!("holder-{number}"))
        .families(REQUIRE_V4)
        .from("blue")
        .port(80)
}

/// One that waits for an address of one family.
#[derive(Clone, Debug)]
struct Waiter {
    created: i64,
    name: String,
    family: IpFamily,
    /// Whether it would share with those who have the same key.
    has_key: bool,
    ask: Ask,
}

fn any_waiters() -> impl Strategy<Value = Vec<Waiter>> {
    let one = (0i64..4, any::<bool>(), prop::bool::weighted(0.3));
    prop::collection::vec(one, 1..9).prop_map(|all| {
        let waiters = all.into_iter().enumerate();
        waiters
            .map(|(number, (created, is_v4, has_key))| {
                let (family, families) = if is_v4 {
                    (IpFamily::V4, V4)
                } else {
                    (IpFamily::V6, V6)
                };
                // The names are not in the order of the numbers.
                let name = format!("waiter-{}", number * 5 % 9);
                let port = 1000 + u16::try_from(number).expect("few");
                let ask = service(&name)
                    .created(created)
                    .families(families)
                    .from("blue")
                    .port(port)
                    .key(if has_key { "k" } else { "" });
                Waiter {
                    created,
                    name,
                    family,
                    has_key,
                    ask,
                }
            })
            .collect()
    })
}

/// Those who wait, the oldest first, then by name.
struct Queue(Vec<Waiter>);

impl Queue {
    fn new(mut waiters: Vec<Waiter>) -> Self {
        waiters.sort_by(|one, other| (one.created, &one.name).cmp(&(other.created, &other.name)));
        Self(waiters)
    }

    /// Who is served when this happens.
    fn served_by(&mut self, way: Way) -> BTreeSet<String> {
        let mut served = BTreeSet::new();
        let mut shared: Vec<IpFamily> = Vec::new();
        for &family in way.frees() {
            let first = self.0.iter().position(|waiter| waiter.family == family);
            if let Some(first) = first {
                let first = self.0.remove(first);
                if first.has_key {
                    shared.push(family);
                }
                served.insert(first.name);
            }
        }
        if matches!(way, Way::OtherKey) {
            shared.extend(IpFamily::ALL);
        }
        // Who has the key can go where one with that key is.
        self.0.retain(|waiter| {
            let joins = waiter.has_key && shared.contains(&waiter.family);
            if joins {
                served.insert(waiter.name.clone());
            }
            !joins
        });
        served
    }
}

proptest! {
    #[test]
    fn whatever_frees_an_address_the_first_who_waits_for_it_has_it_at_once(
        ways in prop::collection::vec(any_way(), 1..5),
        order in Just((1..5usize).collect::<Vec<_>>()).prop_shuffle(),
        waiters in any_waiters(),
    ) {
        let count = ways.len();
        let mut world = World::with(&[
            pool("blue", &[
                &format!("192.0.2.1-192.0.2.{count}"),
                &format!("2001:db8::1-2001:db8::{count}"),
            ]),
            by_hand(pool("green", &["198.51.100.0/24", "2001:db8:1::/64"])),
        ]);
        for number in 1..=count {
            prop_assert!(world.decide(&holder(number)).refusal().is_none());
        }
        let asks: Vec<Ask> = waiters.iter().map(|waiter| waiter.ask.clone()).collect();
        for ask in &asks {
            prop_assert_eq!(world.ask(ask), "waits: Exhausted");
        }
        let mut queue = Queue::new(waiters);
        let holders = order.into_iter().filter(|number| *number <= count);
        for (number, way) in holders.zip(ways) {
            match way.asks(number) {
                None => world.release(&format!("holder-{number}")),
                Some(ask) => prop_assert!(world.decide(&ask).refusal().is_none()),
            }
            let settled = world.settle(&asks);
            let served: BTreeSet<String> = settled
                .iter()
                .filter_map(|line| {
                    let (name, decided) = line.split_once(": ")?;
                    (!decided.starts_with("waits")).then(|| name.to_owned())
                })
                .collect();
            prop_assert_eq!(served, queue.served_by(way), "{:?}: {:?}", way, settled);
        }
    }
}
