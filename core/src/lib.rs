//! What decides.
//!
//! Everything in this crate is a plain value or a plain struct: it does no IO, holds no lock,
//! starts no thread and reads no clock. Time comes in as an argument ([`moment::Moment`]). So each
//! decision can be tested as a function, simulated with a seed and replayed from a file.
//!
//! The way from a Service to a frame, in the order in which the modules meet it:
//!
//! 1. [`range`], [`pool`]: addresses, and which Services may get them.
//! 2. [`allocator`], with [`sharing`] and [`selector`]: which Service gets which address.
//! 3. [`placement`]: which nodes may announce an address, in which order.
//! 4. [`election`], with [`membership`]: which of them does.
//! 5. [`announcer`]: what goes out for an address that this node announces, and when.
//! 6. [`responder`]: what to answer to a frame that asks for an announced address.
//!
//! Beside that way, [`lease`] says which replica of the controller leads. The vocabulary that the
//! modules share is in [`name`], [`labels`], [`few`], [`mac`], [`link`], [`frame`], [`reason`] and [`moment`].

pub mod allocator;
pub mod announcer;
pub mod election;
pub mod few;
pub mod frame;
pub mod labels;
pub mod lease;
pub mod link;
pub mod mac;
pub mod membership;
pub mod moment;
pub mod mutation;
pub mod name;
pub mod placement;
pub mod pool;
pub mod range;
pub mod reason;
pub mod responder;
mod seconds;
pub mod selector;
pub mod sharing;
