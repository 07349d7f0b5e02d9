//! Whatever happens, only what is owned is announced.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Tell(Input),
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let address = prop_oneof![
        (1u8..4).prop_map(|host| IpAddr::from([192, 0, 2, host])),
        // The first two share a group.
        prop_oneof![
            Just("2001:db8::1"),
            Just("2001:db8:1::1"),
            Just("2001:db8::2")
        ]
        .prop_map(|text| text.parse().expect("an address")),
    ];
    let interfaces = prop_oneof![
        Just(Interfaces::All),
        Just(Interfaces::Named(["eth1".into()].into())),
    ];
    let some_links = (any::<[bool; 2]>(), any::<[bool; 2]>(), any::<[bool; 2]>()).prop_map(
        |(present, carrier, link_local)| {
            let links = [ETH0, ETH1].into_iter().enumerate();
            let links = links.filter(|(n, _)| present[*n]).map(|(n, index)| {
                let (index, mut link) = link(index);
                link.carrier = carrier[n];
                link.link_local = link.link_local.filter(|_| link_local[n]);
                (index, link)
            });
            Input::Links(links.collect())
        },
    );
    prop_oneof![
        some_links.prop_map(Step::Tell),
        (address, interfaces, 0..6u8).prop_map(|(address, interfaces, kind)| {
            Step::Tell(match kind {
                0 => Input::Prepare {
                    address,
                    interfaces,
                },
                1 => Input::Own {
                    address,
                    interfaces,
                },
                2 => Input::Release { address },
                3 => Input::Again { address },
                4 => Input::Once { address },
                _ => Input::Forget { address },
            })
        }),
        any::<u16>().prop_map(Step::Wait),
    ]
}

proptest! {
    /// I8, and N7's joins and leaves balanced: whatever happens in whatever order.
    #[test]
    fn only_what_is_owned_is_announced(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new(Config { frames_per_second: 50, burst: 3, ..Config::default() });
        let mut owned: BTreeSet<IpAddr> = BTreeSet::new();
        let mut groups = BTreeSet::new();
        for step in steps {
            match step {
                Step::Wait(milliseconds) => world.run_until(world.now + u64::from(milliseconds)),
                Step::Tell(input) => {
                    match &input {
                        Input::Own { address, .. } => {
                            owned.insert(*address);
                        }
                        Input::Release { address } | Input::Forget { address } => {
                            owned.remove(address);
                        }
                        Input::Links(_)
                        | Input::Prepare { .. }
                        | Input::Again { .. }
                        | Input::Once { .. } => {}
                    }
                    world.tell(input);
                }
            }
            for output in world.outputs() {
                match output {
                    Output::Send { link, frame } => {
                        let address = announced(&frame);
                        prop_assert!(owned.contains(&address), "{address} on {link}");
                        prop_assert!(world.announcer.announces(address, link));
                        let mac = world.announcer.links().get(link).map(|link| link.mac);
                        prop_assert_eq!(mac, Some(frame.source));
                    }
                    Output::Join { link, group } => prop_assert!(groups.insert((link, group))),
                    Output::Leave { link, group } => prop_assert!(groups.remove(&(link, group))),
                }
            }
            prop_assert_eq!(&groups, &world.announcer.snapshot().groups);
        }
    }
}
