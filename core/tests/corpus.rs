//! Every input that fuzzing has kept, for the decoders of frames, beacons and ranges.

#[expect(clippy::expect_used, reason = "a test that cannot go on shall panic")]
#[path = "../../fuzz/src/corpus.rs"]
mod corpus;
#[path = "../../fuzz/src/wire.rs"]
mod wire;

#[test]
fn every_input_that_fuzzing_has_kept_is_decoded_or_refused() {
    corpus::feed(&[
        ("arp", wire::arp),
        ("beacon", wire::beacon),
        ("ethernet", wire::ethernet),
        ("ndp", wire::ndp),
        ("range", wire::range),
    ]);
}
