//! The manifests in the repository are those that the types make.

use std::path::Path;

#[test]
fn the_crds_in_the_repository_are_not_stale() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/crds");
    for (name, content) in bellwether_crds::manifest::manifests().expect("the manifests") {
        let path = folder.join(&name);
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == content, "{name} is stale; run `make generate`");
    }
}
