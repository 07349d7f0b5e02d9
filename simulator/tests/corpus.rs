//! Every input that fuzzing has kept, for the decoders of traces.

#[expect(clippy::expect_used, reason = "a test that cannot go on shall panic")]
#[path = "../../fuzz/src/corpus.rs"]
mod corpus;
#[path = "../../fuzz/src/trace.rs"]
mod trace;

#[test]
fn every_input_that_fuzzing_has_kept_is_decoded_or_refused() {
    corpus::feed(&[("trace", trace::trace)]);
}
