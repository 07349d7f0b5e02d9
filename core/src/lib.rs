//! What decides.
//!
//! Everything in this crate is a plain value or a plain struct: it does no IO, holds no lock,
//! starts no thread and reads no clock. Time comes in as an argument ([`moment::Moment`]). So each
//! decision can be tested as a function, simulated with a seed and replayed from a file.
//!
//! The way from a Service to a frame, in the order in which the modules meet it:
//!
//! 1. [`pool`]: addresses that Services may get, written in [`range`]s and [`selector`]s.
//! 2. [`allocator`]: which Service gets which address ([`sharing`]: and with whom).
//! 3. [`placement`]: which nodes may announce an address, in which order.
//! 4. [`placement`]: which nodes may announce an address, in which order.
//! 5. [`election`]: which of them does.
//! 6. [`announcer`]: what goes out for an address that this node announces, and when.
//! 7. [`responder`]: what to answer to a frame that asks for an announced address.
//!
//! The vocabulary that the modules share is in [`name`], [`mac`], [`link`], [`frame`] and [`moment`].

pub mod allocator;
pub mod announcer;
pub mod election;
pub mod frame;
pub mod link;
pub mod mac;
pub mod moment;
pub mod name;
pub mod placement;
pub mod pool;
pub mod range;
pub mod responder;
pub mod selector;
pub mod sharing;
//! 1. [`placement`]: which nodes may announce an address, in which order.
//!
//! 2. [`election`]: which of them does.
//! 3. [`responder`]: what to answer to a frame that asks for an announced address.
//!
//! The vocabulary that the modules share is in [`name`], [`mac`], [`link`], [`frame`] and [`moment`].

