//! No reason lacks its entry in the guide for operators, and the guide names no other.

use bellwether_core::allocator::RefusalReason;
use bellwether_core::reason::entries;

use super::*;

const GUIDE: &str = include_str!("../../../docs/troubleshooting.md");

#[test]
fn every_reason_is_explained_to_operators_and_no_other() {
    let refusals = RefusalReason::ALL.iter().map(|it| it.as_str());
    let own = AllocatedReason::ALL.iter().map(|it| it.as_str());
    let chapters: [(&str, Vec<&str>); 6] = [
        (
            "Service: bellwether.dev/Allocated",
            own.chain(refusals).collect(),
        ),
        (
            "Service: bellwether.dev/Announced",
            AnnouncedReason::ALL.iter().map(|it| it.as_str()).collect(),
        ),
        (
            "Service: events",
            EventReason::ALL.iter().map(|it| it.as_str()).collect(),
        ),
        (
            "IPAddressPool",
            PoolReason::ALL.iter().map(|it| it.as_str()).collect(),
        ),
        (
            "L2Advertisement",
            AdvertisementReason::ALL
                .iter()
                .map(|it| it.as_str())
                .collect(),
        ),
        (
            "Speaker: eligible",
            EligibilityReason::ALL
                .iter()
                .map(|it| it.as_str())
                .collect(),
        ),
    ];
    for (chapter, words) in chapters {
        assert_eq!(entries(GUIDE, chapter), words, "{chapter}");
    }
}

#[test]
fn every_entry_says_what_it_means_and_what_to_do() {
    for entry in GUIDE.split("\n### ").skip(1) {
        let (word, rest) = entry.split_once('\n').unwrap_or((entry, ""));
        let text = rest.split("\n## ").next().unwrap_or_default();
        for part in ["**Means:**", "**Do:**"] {
            assert!(text.contains(part), "{word} lacks {part}");
        }
    }
}
