//! That each test that `docs/complaints.md` and `docs/metallb.md` name exists, and that each test that
//! is named after a complaint or a rule is in them, and each number.

#![expect(clippy::expect_used, reason = "a test that cannot go on shall panic")]

use std::collections::BTreeSet;
use std::path::Path;

const COMPLAINTS: &str = include_str!("../../docs/complaints.md");
const RULES: &str = include_str!("../../docs/metallb.md");

/// How many complaints users have, and how many weaknesses the source.
const NUMBERS: [(&str, u32); 2] = [("complaint", 30), ("weakness", 51)];

/// The names of all functions in the sources below `folder`.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source");
            let names = text.lines().filter_map(|line| {
                let name = line.split_once("fn ")?.1.split('(').next()?;
                Some(name.to_owned())
            });
            found.extend(names);
        }
    }
}

/// All functions of the sources.
fn all_functions() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut all = BTreeSet::new();
    for part in ["core", "crds", "daemon", "controller", "speaker", "e2e"] {
        for folder in ["src", "tests"] {
            let folder = root.join(part).join(folder);
            if folder.is_dir() {
                functions(&folder, &mut all);
            }
        }
    }
    all
}

/// What a text names that looks like a test.
fn named(text: &str) -> BTreeSet<String> {
    let is_test = |word: &&str| {
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        word.chars().all(is_name) && word.matches('_').count() >= 3
    };
    let words = text.split('`').skip(1).step_by(2);
    words.filter(is_test).map(str::to_owned).collect()
}

#[test]
fn each_complaint_and_rule_has_the_test_that_it_names() {
    let all = all_functions();
    for text in [COMPLAINTS, RULES] {
        let named = named(text);
        assert!(named.len() > 20, "{named:?}");
        let missing: Vec<_> = named.difference(&all).collect();
        assert!(missing.is_empty(), "named and not there: {missing:?}");
    }
    for (text, prefixes) in [
        (COMPLAINTS, &["weakness_4_", "complaint_3_"][..]),
        (RULES, &["metallb_1_"]),
    ] {
        let named = named(text);
        let not_named: Vec<_> = all
            .iter()
            .filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
            .filter(|name| !named.contains(*name))
            .collect();
        assert!(not_named.is_empty(), "there and not named: {not_named:?}");
    }
}

#[test]
fn no_number_is_left_out() {
    for (kind, count) in NUMBERS {
        let rows = COMPLAINTS.lines().filter_map(|line| {
            let about = line.strip_prefix("| ")?.split(" | ").next()?;
            about.strip_prefix(kind)
        });
        let numbers: BTreeSet<u32> = rows
            .flat_map(|numbers| numbers.split(','))
            .filter_map(|number| number.trim().parse().ok())
            .collect();
        assert_eq!(numbers, (1..=count).collect(), "{kind}");
    }
}
