//! What the status of a pool says.

use bellwether_core::pool::Strategy;
use bellwether_core::sharing::{Port, Protocol, SharingKey};
use bellwether_crds::pool::IPAddressPoolStatus;
use bellwether_daemon::watch::Event;

use super::world::World;
use crate::facts::Reallocation;
use crate::state::Input;

fn ready_world() -> World {
    let mut world = World::new();
    world.advertise("lan");
    world.node("a");
    world
}

#[test]
fn numbers_say_what_becomes_of_each_address() {
    let mut world = ready_world();
    world.pool_with("lan", &["192.0.2.0/28"], |spec| {
        spec.cooldown = Some("1h".to_owned());
        spec.exclude = vec!["192.0.2.0/30".to_owned()];
    });
    for name in ["web", "mail", "dns"] {
        world.service(name);
    }
    world.settle_for(60);
    assert_eq!(world.pool_numbers("lan"), [12, 3, 9, 0]);
    world.delete_service("web");
    world.settle_for(60);
    assert_eq!(world.pool_numbers("lan"), [12, 2, 9, 1]);
    assert_eq!(
        world.pool_reasons("lan"),
        [
            "Valid",
            "NoOverlap",
            "EnoughFree",
            "SomethingFree",
            "NoStrays"
        ]
    );
}

#[test]
fn a_pool_says_that_it_is_nearly_full_before_it_is() {
    let mut world = ready_world();
    world.pool("lan", &["192.0.2.1-192.0.2.10"]);
    let expected = |used: usize| match used {
        0..9 => ["EnoughFree", "SomethingFree"],
        9 => ["FewFree", "SomethingFree"],
        _ => ["FewFree", "NothingFree"],
    };
    for used in 1..=10 {
        world.service(&format!("web-{used}"));
        world.settle();
        assert_eq!(world.pool_reasons("lan")[2..4], expected(used), "{used}");
    }
}

#[test]
fn a_pool_of_which_nothing_is_left_is_not_ready() {
    let mut world = ready_world();
    world.pool("old", &["192.0.2.0/28"]);
    world.pool("young", &["192.0.2.0/29"]);
    world.settle();
    assert_eq!(
        world.pool_reasons("young")[..2],
        ["GivesNothing", "Overlap"]
    );
    assert_eq!(world.pool_reasons("old")[..2], ["Valid", "Overlap"]);
}

#[test]
fn weakness_4_17_an_address_that_its_pool_does_not_give_any_more_is_said_on_both_until_it_is_moved()
{
    let mut world = ready_world();
    world.pool("lan", &["192.0.2.0/29"]);
    world.service("web");
    world.settle();
    let before = world.addresses()["web"].clone();
    world.pool("lan", &["198.51.100.0/29"]);
    world.settle();
    assert_eq!(world.addresses()["web"], before);
    assert_eq!(world.pool_reasons("lan")[4], "Strays");
    let message = world.pool_message("lan", "HasStrays");
    let stray = format!("{} of Service default/web", before[0]);
    assert!(message.contains(&stray), "{message}");
    assert_eq!(world.conditions("web")[0], "AddressOutsidePools");

    world.change_service("web", |service| service.reallocation = Reallocation::Asked);
    world.settle();
    assert_eq!(world.pool_reasons("lan")[4], "NoStrays");
    assert_eq!(world.conditions("web")[0], "Allocated");
}

/// Somebody writes into the status of a pool.
fn edit_status(world: &mut World, edit: fn(&mut IPAddressPoolStatus)) {
    let mut server = world.server.borrow_mut();
    let version = server.version("lan");
    let facts = server.pools.get_mut("lan").expect("the pool");
    facts.version = version;
    edit(&mut facts.status);
    let facts = facts.clone();
    drop(server);
    world.handle(Input::Pool(Event::Applied(facts)));
}

/// A sentence, what happens, and the four counters then.
type Row<'a> = (&'a str, &'a dyn Fn(&mut World), [i64; 4]);

#[test]
fn metallb_1_1_the_status_of_a_pool_says_what_is_in_use_whoever_wrote_into_it() {
    let share = |world: &mut World, name: &str, port: u16| {
        world.change_service(name, |service| {
            service.sharing.key = SharingKey::new("k");
            let protocol = Protocol::Tcp;
            service.sharing.ports = [Port {
                protocol,
                number: port,
            }]
            .into();
        });
    };
    let rows: [Row; 7] = [
        ("nothing is used", &|_| {}, [8, 0, 8, 0]),
        (
            "two Services have an address each",
            &|world| {
                world.service("web");
                world.service("mail");
            },
            [8, 2, 6, 0],
        ),
        (
            "one of them is deleted",
            &|world| {
                world.service("web");
                world.service("mail");
                world.settle();
                world.delete_service("web");
            },
            [8, 1, 7, 0],
        ),
        (
            "two share one, and it counts once",
            &|world| {
                share(world, "web", 80);
                share(world, "mail", 25);
            },
            [8, 1, 7, 0],
        ),
        (
            "what is excluded is not there",
            &|world| {
                world.service("web");
                world.settle();
                world.pool_with("lan", &["192.0.2.0/29"], |spec| {
                    spec.exclude = vec!["192.0.2.4/30".to_owned()];
                });
            },
            [4, 1, 3, 0],
        ),
        (
            "somebody has written another number: it is put right",
            &|world| {
                world.service("web");
                world.settle_for(60);
                edit_status(world, |status| status.assigned_ipv4 = 99);
            },
            [8, 1, 7, 0],
        ),
        (
            "somebody has cleared it: it is put right",
            &|world| {
                world.service("web");
                world.settle_for(60);
                edit_status(world, |status| *status = IPAddressPoolStatus::default());
            },
            [8, 1, 7, 0],
        ),
    ];
    for (sentence, change, numbers) in rows {
        let mut world = ready_world();
        world.pool_with("lan", &["192.0.2.0/29"], |spec| {
            spec.strategy = Strategy::First;
        });
        world.settle_for(60);
        change(&mut world);
        world.settle_for(60);
        assert_eq!(world.pool_numbers("lan"), numbers, "{sentence}");
        assert_eq!(
            world.settle_for(60),
            [""; 0],
            "{sentence}: then it is quiet"
        );
    }
}

fn cooldown(spec: &mut bellwether_core::pool::PoolSpec) {
    spec.cooldown = Some("1h".to_owned());
}

#[test]
fn a_freed_address_goes_on_resting_after_a_restart_until_its_time_is_over() {
    let mut world = ready_world();
    world.pool_with("lan", &["192.0.2.1-192.0.2.1"], cooldown);
    world.service("web");
    world.settle_for(60);
    world.delete_service("web");
    world.settle_for(1800);
    world.restart();
    world.service("mail");
    world.settle_for(1700);
    assert_eq!(world.conditions("mail")[0], "Exhausted");
    assert_eq!(world.pool_numbers("lan"), [1, 0, 0, 1]);
    // Its time is not longer for the restart.
    world.settle_for(200);
    assert_eq!(world.conditions("mail")[0], "Allocated");
    assert_eq!(world.pool_numbers("lan"), [1, 1, 0, 0]);
}

#[test]
fn the_service_that_had_a_resting_address_may_have_it_back_after_a_restart() {
    let mut world = ready_world();
    world.pool_with("lan", &["192.0.2.0/24"], cooldown);
    world.service("web");
    world.settle_for(60);
    let before = world.addresses()["web"].clone();
    world.delete_service("web");
    world.settle_for(60);
    world.restart();
    world.service("web");
    world.settle_for(60);
    assert_eq!(world.addresses()["web"], before);
}

#[test]
fn a_service_made_again_under_its_name_gets_its_address_back_after_a_restart() {
    let mut world = ready_world();
    world.pool("lan", &["192.0.2.0/24"]);
    for name in ["web", "mail", "dns"] {
        world.service(name);
    }
    world.settle();
    let before = world.addresses();
    world.delete_service("mail");
    world.settle();
    world.restart();
    world.service("mail");
    world.settle();
    assert_eq!(world.addresses(), before);
}

#[test]
fn a_pool_of_which_addresses_rest_is_not_written_at_rest_nor_by_a_restart() {
    let mut world = ready_world();
    world.pool_with("lan", &["192.0.2.0/24"], cooldown);
    world.service("web");
    world.settle_for(60);
    world.delete_service("web");
    world.settle_for(60);
    assert_eq!(world.settle_for(600), [""; 0]);
    world.restart();
    assert_eq!(world.settle_for(600), [""; 0]);
    // When the rest ends, the numbers say so.
    world.settle_for(3600);
    assert_eq!(world.pool_numbers("lan"), [256, 0, 256, 0]);
}
