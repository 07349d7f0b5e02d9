//! What each fuzz target does with its input: it decodes it, and checks what must hold whatever it is.
//!
//! No input may make a decoder panic, and what it accepts it must write and read back the same. The
//! targets in `fuzz_targets` call the functions of these modules, and are named like them. So do
//! `tests/corpus.rs` of `core`, `controller`, `speaker` and `simulator`, with every input that is kept
//! in `corpus`: what was found once is tested with everything else.

#[cfg(feature = "objects")]
pub mod objects;
#[cfg(feature = "objects")]
pub mod speaker;
#[cfg(feature = "objects")]
pub mod trace;
pub mod wire;
