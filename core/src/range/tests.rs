use super::*;
use proptest::prelude::*;

fn range(text: &str) -> AddressRange {
    text.parse().expect("a range")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn metallb_1_1_what_is_a_network_or_a_range_is_read() {
    for (sentence, text, first, last, size) in [
        ("a network", "192.0.2.0/24", "192.0.2.0", "192.0.2.255", 256),
        (
            "a range",
            "192.0.2.10-192.0.2.20",
            "192.0.2.10",
            "192.0.2.20",
            11,
        ),
        (
            "a range with blanks around its ends",
            " 192.0.2.10 - 192.0.2.20 ",
            "192.0.2.10",
            "192.0.2.20",
            11,
        ),
        (
            "a range of one address",
            "192.0.2.10-192.0.2.10",
            "192.0.2.10",
            "192.0.2.10",
            1,
        ),
        (
            "a network of two",
            "192.0.2.10/31",
            "192.0.2.10",
            "192.0.2.11",
            2,
        ),
        (
            "a network of one",
            "192.0.2.10/32",
            "192.0.2.10",
            "192.0.2.10",
            1,
        ),
        (
            "the first of all of IPv4",
            "0.0.0.0/32",
            "0.0.0.0",
            "0.0.0.0",
            1,
        ),
        (
            "the last of all of IPv4",
            "255.255.255.255/32",
            "255.255.255.255",
            "255.255.255.255",
            1,
        ),
        (
            "all of IPv4",
            "0.0.0.0/0",
            "0.0.0.0",
            "255.255.255.255",
            1 << 32,
        ),
        (
            "two of IPv6",
            "2001:db8::/127",
            "2001:db8::",
            "2001:db8::1",
            2,
        ),
        (
            "one of IPv6",
            "2001:db8::1/128",
            "2001:db8::1",
            "2001:db8::1",
            1,
        ),
        ("the first of all of IPv6", "::/128", "::", "::", 1),
        (
            "a network of a link of IPv6",
            "2001:db8::/64",
            "2001:db8::",
            "2001:db8::ffff:ffff:ffff:ffff",
            1 << 64,
        ),
        (
            "all of IPv6, one less than there are, because more cannot be counted",
            "::/0",
            "::",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            u128::MAX,
        ),
    ] {
        let range = range(text);
        assert_eq!(
            (range.first(), range.last(), range.size()),
            (ip(first), ip(last), size),
            "{sentence}"
        );
        assert!(
            range.contains(ip(first)) && range.contains(ip(last)),
            "{sentence}"
        );
    }
}

#[test]
fn metallb_1_1_what_is_neither_is_refused_with_what_to_write_instead() {
    for (sentence, text, error) in [
        (
            "a single address of IPv4",
            "192.0.2.10",
            "192.0.2.10 is a single address: write 192.0.2.10/32",
        ),
        (
            "a single address of IPv6",
            "2001:db8::1",
            "2001:db8::1 is a single address: write 2001:db8::1/128",
        ),
        (
            "host bits, which MetalLB masks silently",
            "192.0.2.10/24",
            "192.0.2.10/24 has host bits set: write 192.0.2.0/24 for the whole network, \
             or a range such as 192.0.2.10-192.0.2.255",
        ),
        (
            "a range that is backwards",
            "192.0.2.20-192.0.2.10",
            "192.0.2.20-192.0.2.10 is backwards: write 192.0.2.10-192.0.2.20",
        ),
        (
            "a range of two families, which MetalLB takes for nothing",
            "192.0.2.1-2001:db8::5",
            "192.0.2.1-2001:db8::5 mixes IPv4 and IPv6: write one range for each family",
        ),
        (
            "a prefix that is too long for IPv4",
            "192.0.2.0/33",
            "\"192.0.2.0/33\" is no network: the prefix length of IPv4 is a number from 0 to 32",
        ),
        (
            "a prefix that is too long for IPv6",
            "2001:db8::/129",
            "\"2001:db8::/129\" is no network: the prefix length of IPv6 is a number from 0 to 128",
        ),
        (
            "no prefix",
            "192.0.2.0/",
            "\"192.0.2.0/\" is no network: the prefix length of IPv4 is a number from 0 to 32",
        ),
        (
            "an IPv4 address in the form of an IPv6 one",
            "::ffff:192.0.2.1/128",
            "::ffff:192.0.2.1 is an IPv4 address in the form of an IPv6 one: write 192.0.2.1",
        ),
        (
            "nothing",
            "",
            "\"\" is neither a network nor a range, because \"\" is not an IP address: write \
             192.0.2.0/24 or 192.0.2.10-192.0.2.20",
        ),
        (
            "the last number of an address for the end of a range",
            "192.0.2.10-20",
            "\"192.0.2.10-20\" is neither a network nor a range, because \"20\" is not an IP \
             address: write 192.0.2.0/24 or 192.0.2.10-192.0.2.20",
        ),
        (
            "an address of one link",
            "fe80::1%eth0/128",
            "\"fe80::1%eth0/128\" is neither a network nor a range, because \"fe80::1%eth0\" is \
             not an IP address: write 192.0.2.0/24 or 192.0.2.10-192.0.2.20",
        ),
    ] {
        let refused = text.parse::<AddressRange>().expect_err(sentence);
        assert_eq!(refused.to_string(), error, "{sentence}");
    }
}

#[test]
fn weakness_4_38_a_range_of_two_families_is_refused() {
    assert!("192.0.2.1-2001:db8::5".parse::<AddressRange>().is_err());
}

#[test]
fn weakness_4_38_host_bits_are_not_masked_silently() {
    assert!("192.168.10.100/24".parse::<AddressRange>().is_err());
}

#[test]
fn a_range_is_printed_as_a_network_where_it_is_one() {
    for (text, printed) in [
        ("192.0.2.0-192.0.2.255", "192.0.2.0/24"),
        ("192.0.2.1-192.0.2.2", "192.0.2.1-192.0.2.2"),
        ("192.0.2.7-192.0.2.7", "192.0.2.7/32"),
        ("0.0.0.0-255.255.255.255", "0.0.0.0/0"),
        ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"),
        ("2001:db8::-2001:db8::2", "2001:db8::-2001:db8::2"),
    ] {
        assert_eq!(range(text).to_string(), printed);
    }
}

#[test]
fn families_do_not_meet() {
    // The numbers of these two are the same.
    let (v4, v6) = (range("0.0.0.1/32"), range("::1/128"));
    assert_eq!(v4.intersection(&v6), None);
    assert!(!v4.contains(ip("::1")) && !v6.contains(ip("0.0.0.1")));
    let set: AddressSet = [v4].into_iter().collect();
    assert!(!set.contains(ip("::1")) && !set.overlaps(v6));
}

#[test]
fn a_set_knows_what_it_holds() {
    let set: AddressSet = [
        range("192.0.2.0/25"),
        range("192.0.2.128/25"),
        range("2001:db8::/64"),
    ]
    .into_iter()
    .collect();
    let without: AddressSet = [range("192.0.2.1/32"), range("2001:db8::/65")]
        .into_iter()
        .collect();
    let rest = set.difference(&without);
    let ranges: Vec<_> = rest.ranges().map(|range| range.to_string()).collect();
    assert_eq!(
        ranges,
        [
            "192.0.2.0/32",
            "192.0.2.2-192.0.2.255",
            "2001:db8:0:0:8000::/65"
        ]
    );
    assert_eq!(rest.size(IpFamily::V4), 255);
    assert_eq!(rest.size(IpFamily::V6), 1 << 63);
    assert!(!rest.contains(ip("192.0.2.1")) && rest.contains(ip("192.0.2.2")));
    assert!(!rest.overlaps(range("192.0.2.1/32")) && rest.overlaps(range("192.0.2.0/31")));
    assert!(!rest.is_empty() && AddressSet::default().is_empty());
}

proptest! {
    #[test]
    fn what_is_printed_can_be_read(first: u32, last: u32, high: u128, low: u128) {
        for (one, other) in [
            (IpAddr::from(first.to_be_bytes()), IpAddr::from(last.to_be_bytes())),
            (IpAddr::from(high.to_be_bytes()), IpAddr::from(low.to_be_bytes())),
        ] {
            let range = AddressRange::new(one.min(other), one.max(other)).expect("ordered");
            prop_assert_eq!(range.to_string().parse(), Ok(range));
        }
    }

    #[test]
    fn a_network_is_printed_as_it_was_written(start: u32, length in 0u8..=32) {
        let network = ipnet::Ipv4Net::new(start.into(), length).expect("a length").trunc();
        prop_assert_eq!(range(&network.to_string()).to_string(), network.to_string());
    }

    #[test]
    fn no_text_is_read_with_a_panic(text in "[0-9a-f:./ -]{0,40}") {
        let _ = text.parse::<AddressRange>();
    }
}
