//! The rules of allocation, by topic: each test reads as one.
//!
//! `weakness_4_N` and `complaint_3_N` in a test's name: what is asserted here is what another
//! load balancer was found to do wrong (`docs/complaints.md`).

#![expect(clippy::expect_used, reason = "a test that cannot go on shall panic")]

mod adoption;
mod counters;
mod edges;
mod explaining;
mod families;
mod freed;
mod histories;
mod lifecycle;
mod model;
mod overlap;
mod pools;
mod requests;
mod resting;
mod sharing;
mod strategy;
mod waiting;
mod world;
