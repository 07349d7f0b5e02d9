//! What is read, and what is printed.

use std::net::IpAddr;

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
    ]);
    let after = Holdings::from([
        (name("a"), holding(&[(1, Some("x"))], None)),
        (name("b"), holding(&[(2, Some("y"))], None)),
        (name("c"), holding(&[(3, None)], None)),
        (
            name("d"),
            holding(&[(4, Some("x"))], Some("no pool has 192.0.2.4")),
        ),
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
IPAddressPool more:
  Overlap: pool lan has 192.0.2.0/28 too; it is older and gives them
Service default/b:
  keeps 192.0.2.2, moves from x to y
Service default/c:
  gains 192.0.2.3, on no node
  nothing is wrong any more
Service default/d:
  keeps 192.0.2.4
  no pool has 192.0.2.4
3 of 4 Services would change, 1 would not.
"
    );
    assert_eq!(compare(&after, &after), []);
}

#[test]
fn a_file_holds_pools_and_advertisements_and_nothing_else() {
    let path = Path::new("pools.yaml");
    let text = "\
apiVersion: bellwether.dev/v1beta1
kind: IPAddressPool
metadata: {name: lan}
---
apiVersion: bellwether.dev/v1beta1
kind: L2Advertisement
metadata: {name: all}
";
    let wishes = parse(path, text).expect("two objects");
    let names: Vec<&str> = wishes.iter().map(|wish| wish.name.as_str()).collect();
    assert_eq!(names, ["lan", "all"]);
    let other = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n";
    let error = parse(path, other).expect_err("another kind").to_string();
    assert!(
        error.starts_with("pools.yaml: Service web is not"),
        "{error}"
    );
    let error = parse(path, "{").expect_err("no YAML").to_string();
    assert!(error.starts_with("pools.yaml is no YAML"), "{error}");
}
