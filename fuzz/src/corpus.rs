//! What fuzzing has kept. Only `tests/corpus.rs` of the crates read it: each feeds its own targets with it.

/// What is done with an input.
pub type Target = fn(&[u8]);

/// Gives each target, by its name, every input that is kept for it.
pub fn feed(targets: &[(&str, Target)]) {
    for &(name, target) in targets {
        let folder = format!("{}/../fuzz/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
        let files = std::fs::read_dir(&folder).expect("a corpus");
        let mut count = 0;
        for file in files {
            let path = file.expect("a file").path();
            target(&std::fs::read(&path).expect("an input"));
            count += 1;
        }
        assert!(count > 3, "{folder} holds {count} inputs");
    }
}
