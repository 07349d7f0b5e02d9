//! Every input that fuzzing has kept, for the decoders of frames, beacons and ranges.

#[path = "../../fuzz/src/wire.rs"]
mod wire;

/// What is done with an input.
type Target = fn(&[u8]);

#[test]
fn every_input_that_fuzzing_has_kept_is_decoded_or_refused() {
    let targets: &[(&str, Target)] = &[
        ("arp", wire::arp),
        ("beacon", wire::beacon),
        ("ethernet", wire::ethernet),
        ("ndp", wire::ndp),
        ("range", wire::range),
    ];
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
