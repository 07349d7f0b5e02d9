//! What is read, and what is printed.

use super::*;

fn address(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

fn holding(addresses: &[(u8, Option<&str>)], problem: Option<&str>) -> Holding {
    Holding {
        addresses: addresses
            .iter()
            .map(|&(last, node)| (address(last), node.map(Into::into)))
            .collect(),
        unannounced: addresses
            .iter()
            .filter(|(_, node)| node.is_none())
            .map(|&(last, _)| (address(last), "no L2Advertisement covers it".to_owned()))
            .collect(),
        problem: problem.map(ToOwned::to_owned),
    }
}

#[test]
fn only_what_changes_is_printed_in_words() {
    let name = |name: &str| ServiceName::new("default", name);
    let before = Holdings::from([
        (name("a"), holding(&[(1, Some("x"))], None)),
        (name("b"), holding(&[(2, Some("x"))], None)),
        (name("c"), holding(&[], Some("no pool has a free address"))),
        (name("d"), holding(&[(4, Some("x"))], None)),
        (name("e"), holding(&[(5, Some("x"))], None)),
        (name("f"), holding(&[(6, None)], None)),
    ]);
    let after = Holdings::from([
        (name("a"), holding(&[(1, Some("x"))], None)),
        (name("b"), holding(&[(2, Some("y"))], None)),
        (name("c"), holding(&[(3, None)], None)),
        (
            name("d"),
            holding(&[(4, Some("x"))], Some("no pool has 192.0.2.4")),
        ),
        (name("e"), holding(&[(5, None)], None)),
        (name("f"), holding(&[(6, Some("y"))], None)),
    ]);
    let overlap = "Overlap: pool lan has 192.0.2.0/28 too; it is older and gives them";
    let known = "NothingFree: no IPv4 address is free; add addresses";
    let wrong = |sentences: &[&str]| {
        let sentences = sentences.iter().map(|&sentence| sentence.to_owned());
        Findings::from([("IPAddressPool more".to_owned(), sentences.collect())])
    };
    let answer = Answer {
        services: compare(&before, &after),
        total: after.len(),
        warnings: new_findings(&wrong(&[known]), wrong(&[known, overlap])),
    };
    assert_eq!(
        render(&answer),
        "\
5 of 6 Services would change, 1 would not; something would be wrong with one object.
IPAddressPool more:
  Overlap: pool lan has 192.0.2.0/28 too; it is older and gives them
Service default/b:
  keeps 192.0.2.2, which moves from x to y
Service default/c:
  gains 192.0.2.3, which no node would announce: no L2Advertisement covers it
  nothing is wrong any more
Service default/d:
  keeps 192.0.2.4
  no pool has 192.0.2.4
Service default/e:
  keeps 192.0.2.5, which no node would announce: no L2Advertisement covers it
Service default/f:
  keeps 192.0.2.6, which y would announce
"
    );
    assert_eq!(compare(&after, &after), []);
}

#[test]
fn what_the_api_server_refuses_is_said_once_and_without_its_own_words() {
    let invalid = |text: &str| said(&CallError::Invalid(text.to_owned()));
    for (sentence, text, expected) in [
        (
            "a rule of the schema",
            "IPAddressPool.bellwether.dev \"new\" is invalid: spec.addresses[0]: Invalid value: \
             \"192.0.2.10\": 192.0.2.10 is a single address: write 192.0.2.10/32",
            "spec.addresses[0]: Invalid value: \"192.0.2.10\": 192.0.2.10 is a single address: write \
             192.0.2.10/32",
        ),
        (
            "a field that there is not",
            "IPAddressPool in version \"v1beta1\" cannot be handled as a IPAddressPool: strict \
             decoding error: unknown field \"spec.adresses\"",
            "unknown field \"spec.adresses\"",
        ),
        (
            "a field that is missing",
            "IPAddressPool.bellwether.dev \"new\" is invalid: [spec: Required value, <nil>: Invalid \
             value: null: some validation rules were not checked because the object was invalid; \
             correct the existing errors to complete validation]",
            "spec: Required value",
        ),
        ("anything else", "no, thanks", "no, thanks"),
    ] {
        assert_eq!(invalid(text), expected, "{sentence}");
    }
}
