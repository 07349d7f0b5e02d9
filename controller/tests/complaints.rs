//! That each test that `docs/complaints.md` names exists, and each test that is named after a
//! complaint is in it.

#![expect(clippy::expect_used, reason = "a test that cannot go on shall panic")]

use std::collections::BTreeSet;
use std::path::Path;

const COMPLAINTS: &str = include_str!("../../docs/complaints.md");

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

#[test]
fn each_complaint_has_the_test_that_it_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut all = BTreeSet::new();
    for part in ["core", "crds", "controller", "speaker", "e2e"] {
        for folder in ["src", "tests"] {
            let folder = root.join(part).join(folder);
            if folder.is_dir() {
                functions(&folder, &mut all);
            }
        }
    }
    let named: BTreeSet<String> = COMPLAINTS
        .split('`')
        .filter(|word| word.contains("_3_") || word.contains("_4_") || word.contains("_1_3_"))
        .map(str::to_owned)
        .collect();
    let missing: Vec<_> = named.difference(&all).collect();
    assert!(missing.is_empty(), "named and not there: {missing:?}");
    let not_named: Vec<_> = all
        .iter()
        .filter(|name| name.starts_with("weakness_4_") || name.starts_with("complaint_3_"))
        .filter(|name| !named.contains(*name))
        .collect();
    assert!(not_named.is_empty(), "there and not named: {not_named:?}");
}
