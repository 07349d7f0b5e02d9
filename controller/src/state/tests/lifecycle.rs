//! What becomes of a Service's address, and what is told, when something changes.

use bellwether_daemon::watch::{Event, Key};

use super::world::{World, named};
use crate::facts::{Reallocation, ServiceFacts};
use crate::state::Input;

type Change = fn(&mut World);

/// A Service `web` that node `a` announces, with the first address of the pool `lan`.
fn announced() -> World {
    let mut world = World::new();
    world.pool_with("lan", &["192.0.2.0/30"], |spec| {
        spec.strategy = bellwether_core::pool::Strategy::First;
    });
    world.advertise("lan");
    world.node("a");
    world.service("web");
    world.settle();
    world.announce_all("a");
    world.settle();
    world.events.clear();
    world
}

fn delete_pool(world: &mut World, name: &str) {
    world.server.borrow_mut().pools.remove(name);
    let key = Key {
        namespace: String::new(),
        name: name.to_owned(),
    };
    world.handle(Input::Pool(Event::Deleted(key)));
}

fn ask_for_pool(world: &mut World, pool: &str) {
    world.change_service("web", |service| {
        if let Ok(wish) = &mut service.wish {
            wish.pool = Some(pool.into());
        }
    });
}

fn becomes_cluster_ip(service: &mut ServiceFacts) {
    service.is_load_balancer = false;
    // The API server clears the addresses when the type changes.
    service.ingress.clear();
}

/// What the Service shows, what is announced, and the reasons of its conditions.
fn seen(world: &World) -> String {
    let shows = match world.addresses().get("web") {
        None => "gone".to_owned(),
        Some(addresses) => format!("{addresses:?} {:?}", world.conditions("web")),
    };
    format!("{shows}, reserved {:?}", world.announced_addresses())
}

/// The Service has what it had.
const KEPT: &str = r#"[192.0.2.0] ["Allocated", "Announced"], reserved [192.0.2.0]"#;

/// The Service has what it had, and hears that no pool has it.
const STRAY: &str = r#"[192.0.2.0] ["AddressOutsidePools", "Announced"], reserved [192.0.2.0]"#;

/// After the change the Service shows what is expected, and nothing more happens.
fn check(sentence: &str, change: Change, expected: &str) {
    let mut world = announced();
    change(&mut world);
    world.settle();
    assert_eq!(seen(&world), expected, "{sentence}");
    assert_eq!(
        world.settle_for(60),
        [""; 0],
        "{sentence}: then it is quiet"
    );
}

#[test]
fn metallb_1_5_what_becomes_of_the_address_of_a_service() {
    let rows: [(&str, Change, &str); 8] = [
        (
            "its type changes: the address is free",
            |world| world.change_service("web", becomes_cluster_ip),
            "[] [], reserved []",
        ),
        (
            "its type changes to and fro: it has an address again",
            |world| {
                world.change_service("web", becomes_cluster_ip);
                world.settle();
                world.change_service("web", |service| service.is_load_balancer = true);
                world.settle();
                world.announce_all("a");
            },
            KEPT,
        ),
        (
            "it is deleted: the address is free",
            |world| world.delete_service("web"),
            "gone, reserved []",
        ),
        (
            "its status is cleared by hand: it is put right",
            |world| world.change_service("web", |service| service.ingress.clear()),
            KEPT,
        ),
        (
            "somebody writes a host name instead: it is put right",
            |world| {
                world.change_service("web", |service| {
                    service.ingress.clear();
                    service.ingress_is_foreign = true;
                });
            },
            KEPT,
        ),
        (
            "somebody writes another address of the pool: it is put right",
            |world| {
                world.change_service("web", |service| {
                    service.ingress = vec![[192, 0, 2, 3].into()];
                });
            },
            KEPT,
        ),
        (
            "the controller starts anew: it is kept",
            World::restart,
            KEPT,
        ),
        (
            "it asks for a pool that there is not: MetalLB takes it away, here it is kept and said",
            |world| ask_for_pool(world, "blue"),
            r#"[192.0.2.0] ["PoolNotFound", "Announced"], reserved [192.0.2.0]"#,
        ),
    ];
    for (sentence, change, expected) in rows {
        check(sentence, change, expected);
    }
}

#[test]
fn metallb_1_5_what_becomes_of_the_address_when_pools_change() {
    let rows: [(&str, Change, &str); 6] = [
        (
            "its pool is narrowed: MetalLB takes it away, here it is kept and said",
            |world| world.pool("lan", &["192.0.2.2/31"]),
            STRAY,
        ),
        (
            "its pool is deleted: MetalLB takes it away, here it is kept and said",
            |world| {
                world.pool("other", &["198.51.100.0/24"]);
                delete_pool(world, "lan");
            },
            STRAY,
        ),
        (
            "all pools are deleted: MetalLB clears every Service, here it is kept and said",
            |world| delete_pool(world, "lan"),
            STRAY,
        ),
        (
            "all pools are deleted while no controller runs: the same",
            |world| {
                world.server.borrow_mut().pools.clear();
                world.restart();
            },
            STRAY,
        ),
        (
            "its pool is renamed: it is kept",
            |world| {
                delete_pool(world, "lan");
                world.pool("new", &["192.0.2.0/30"]);
            },
            KEPT,
        ),
        (
            "its pool makes no sense any more: it is kept",
            |world| world.pool("lan", &["nonsense"]),
            KEPT,
        ),
    ];
    for (sentence, change, expected) in rows {
        check(sentence, change, expected);
    }
}

/// What is changed of a Service.
type Edit = fn(&mut ServiceFacts);

#[test]
fn metallb_1_5_what_a_service_shows_when_it_is_first_seen_is_adopted() {
    let rows: [(&str, Edit, &str); 4] = [
        ("nothing", |_| {}, "192.0.2.0 Allocated"),
        (
            "an address of the pool",
            |service| service.ingress = vec![[192, 0, 2, 3].into()],
            "192.0.2.3 Allocated",
        ),
        (
            "a host name and no address",
            |service| service.ingress_is_foreign = true,
            "192.0.2.0 Allocated",
        ),
        (
            "an address of no pool: MetalLB replaces it, here it is kept and said",
            |service| service.ingress = vec![[203, 0, 113, 9].into()],
            "203.0.113.9 AddressOutsidePools",
        ),
    ];
    for (sentence, shows, expected) in rows {
        let mut world = announced();
        world.delete_service("web");
        world.settle();
        world.change_service("web", shows);
        world.settle();
        let shown = world.addresses()["web"][0];
        let reason = &world.conditions("web")[0];
        assert_eq!(format!("{shown} {reason}"), expected, "{sentence}");
        let server = world.server.borrow();
        assert!(
            !server.services[&named("web")].ingress_is_foreign,
            "{sentence}"
        );
    }
}

/// Whatever frees an address, of those who wait the one that was created first has it at once. What
/// the allocator hears of it is told in its own tests.
#[test]
fn metallb_1_5_a_freed_address_goes_at_once_to_the_one_that_waits_longest() {
    let rows: [(&str, Change); 6] = [
        ("its Service is deleted", |world| {
            world.delete_service("web");
        }),
        ("its Service is gone from a list", |world| {
            world.lose_service("web");
            world.list_everything();
        }),
        ("the type of its Service changes", |world| {
            world.change_service("web", becomes_cluster_ip);
        }),
        ("the class of its Service changes", |world| {
            world.change_service("web", |service| {
                service.class = Some("other.example/lb".to_owned());
                service.ingress.clear();
            });
        }),
        ("its Service moves to another pool", |world| {
            world.pool("other", &["198.51.100.0/32"]);
            ask_for_pool(world, "other");
        }),
        ("its Service asks for another address", |world| {
            world.pool("other", &["198.51.100.0/32"]);
            world.change_service("web", |service| {
                if let Ok(wish) = &mut service.wish {
                    wish.addresses = vec![[198, 51, 100, 0].into()];
                }
            });
        }),
    ];
    for (sentence, change) in rows {
        let mut world = announced();
        world.pool("lan", &["192.0.2.0/32"]);
        // Not in the order of their names.
        for name in ["second", "first", "third"] {
            world.change_service(name, |service| {
                if let Ok(wish) = &mut service.wish {
                    wish.pool = Some("lan".into());
                }
            });
            world.settle();
        }
        change(&mut world);
        world.settle();
        let addresses = world.addresses();
        let address = std::net::IpAddr::from([192, 0, 2, 0]);
        assert_eq!(addresses["second"], [address], "{sentence}");
        for waits in ["first", "third"] {
            assert!(addresses[waits].is_empty(), "{sentence}: {waits}");
        }
    }
}

#[test]
fn metallb_1_11_each_change_of_what_a_service_has_is_one_event() {
    let rows: [(&str, Change, &[&str]); 8] = [
        ("nothing changes", World::list_everything, &[]),
        ("the controller starts anew", World::restart, &[]),
        (
            "another Service is given an address",
            |world| world.service("mail"),
            &["mail Allocated"],
        ),
        (
            "it asks for what it cannot have",
            |world| ask_for_pool(world, "blue"),
            &["web PoolNotFound"],
        ),
        (
            "it asks for what it cannot have, and gets it later",
            |world| {
                ask_for_pool(world, "blue");
                world.settle();
                world.pool("blue", &["198.51.100.0/32"]);
            },
            &["web PoolNotFound", "web Allocated"],
        ),
        (
            "its pool goes",
            |world| delete_pool(world, "lan"),
            &["web AddressOutsidePools"],
        ),
        (
            "it is moved because it asks for it",
            |world| {
                world.change_service("web", |service| service.reallocation = Reallocation::Asked);
            },
            &["web Allocated"],
        ),
        ("it is deleted", |world| world.delete_service("web"), &[]),
    ];
    for (sentence, change, told) in rows {
        let mut world = announced();
        change(&mut world);
        for _ in 0..10 {
            world.settle();
            world.list_everything();
        }
        assert_eq!(world.events, told, "{sentence}");
    }
}
