//! The generated files in the repository are those that would be generated now.

use std::path::Path;

#[test]
fn what_is_generated_is_not_stale() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let files = bellwether_crds::manifest::generated(&root).expect("the manifests");
    assert!(files.len() >= 12, "CRDs twice, versions, install.yaml");
    for (name, content) in files {
        let found = std::fs::read_to_string(root.join(&name)).unwrap_or_default();
        let name = name.display();
        assert!(found == content, "{name} is stale; run `make generate`");
    }
}
