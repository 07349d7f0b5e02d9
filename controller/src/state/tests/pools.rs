//! What the status of a pool says.

use super::world::World;

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
fn an_address_that_its_pool_does_not_give_any_more_is_said_on_both_until_it_is_moved() {
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

    world.change_service("web", |service| service.reallocate = true);
    world.settle();
    assert_eq!(world.pool_reasons("lan")[4], "NoStrays");
    assert_eq!(world.conditions("web")[0], "Allocated");
}
