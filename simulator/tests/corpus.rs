//! Every input that fuzzing has kept, for the decoders of traces.

#[path = "../../fuzz/src/trace.rs"]
mod trace;

/// What is done with an input.
type Target = fn(&[u8]);

#[test]
fn every_input_that_fuzzing_has_kept_is_decoded_or_refused() {
    let targets: &[(&str, Target)] = &[("trace", trace::trace)];
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
