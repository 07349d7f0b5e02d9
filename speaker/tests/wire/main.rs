//! The speaker against the kernel: real frames between network namespaces, asked of the kernel's own
//! neighbour table and of taps that see every frame.
//!
//! Each test is one rule; rules are named as in the modules of `bellwether_core`. They need the
//! right to make network namespaces: root's, or that of a user namespace, and iproute2.

#![expect(
    clippy::expect_used,
    reason = "what a test cannot do without ends it, also in a function that several tests share"
)]

mod announce;
mod arp;
mod beacons;
mod lan;
mod links;
mod moves;
mod namespace;
mod ndp;
mod scale;
mod speaker;
mod tap;
