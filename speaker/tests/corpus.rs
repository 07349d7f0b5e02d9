//! Every input that fuzzing has kept, for the decoders of what only the speaker reads.

#[expect(clippy::expect_used, reason = "a test that cannot go on shall panic")]
#[path = "../../fuzz/src/corpus.rs"]
mod corpus;
#[path = "../../fuzz/src/speaker.rs"]
mod speaker;

#[test]
fn every_input_that_fuzzing_has_kept_is_decoded_or_refused() {
    corpus::feed(&[("keys", speaker::keys), ("status", speaker::status)]);
}

/// What the format has left behind would be refused, and exercise nothing.
#[test]
fn the_statuses_that_are_kept_are_of_this_version() {
    for name in ["all", "least"] {
        let path = format!(
            "{}/../fuzz/corpus/status/{name}",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = std::fs::read(path).expect("a status");
        let status = serde_json::from_slice::<bellwether_speaker::status::Status>(&text);
        assert!(status.is_ok(), "{name}: {status:?}");
    }
}
