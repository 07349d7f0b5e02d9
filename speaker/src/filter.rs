//! Filters that the kernel runs on each frame, so that the L2 thread wakes up only for those that
//! may concern it: classic BPF, on the octets of the frame without its 802.1Q tag.
//!
//! They let through what is about an address in a few networks, which hold all addresses that the
//! node may announce and as little else as possible ([`cover_ipv4`], [`cover_ipv6`]). They are no
//! check: what passes is validated by `bellwether_core::frame`.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// How many networks a filter tells apart. Each costs some nanoseconds on each frame.
pub const MOST_NETWORKS: usize = 16;

/// An instruction of classic BPF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// How many instructions to skip if a comparison holds.
    pub if_true: u8,
    /// How many instructions to skip if it does not.
    pub if_false: u8,
    /// The operand.
    pub operand: u32,
}

const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_OCTET: u16 = 0x30;
const AND: u16 = 0x54;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// The whole frame passes.
const ACCEPT: u32 = u32::MAX;
/// Nothing of it does.
const DROP: u32 = 0;
/// Where the kernel shows the packet type (`SKF_AD_OFF + SKF_AD_PKTTYPE`).
const PACKET_TYPE: u32 = (-0x1000_i32 + 4).cast_unsigned();
const PACKET_OTHERHOST: u32 = 3;
const PACKET_OUTGOING: u32 = 4;

const fn instruction(code: u16, operand: u32) -> Instruction {
    Instruction {
        code,
        if_true: 0,
        if_false: 0,
        operand,
    }
}

const fn jump_if_equal(operand: u32, if_true: u8, if_false: u8) -> Instruction {
    Instruction {
        code: JUMP_IF_EQUAL,
        if_true,
        if_false,
        operand,
    }
}

/// A filter under construction. Every check ends in a return of its own, so that no jump gets long.
struct Program(Vec<Instruction>);

impl Program {
    /// Drops what is not for this node, or from it.
    fn new() -> Self {
        let mut program = Self(vec![instruction(LOAD_OCTET, PACKET_TYPE)]);
        for packet_type in [PACKET_OTHERHOST, PACKET_OUTGOING] {
            program.0.push(jump_if_equal(packet_type, 0, 1));
            program.0.push(instruction(RETURN, DROP));
        }
        program
    }

    /// Drops the frame unless what `load` reads at `offset` is one of two values.
    fn require(&mut self, load: u16, offset: u32, value: u32, or: u32) {
        self.0.extend([
            instruction(load, offset),
            jump_if_equal(value, 2, 0),
            jump_if_equal(or, 1, 0),
            instruction(RETURN, DROP),
        ]);
    }

    /// Accepts the frame if the address at `offset`, given in words, is in a network.
    fn accept(&mut self, offset: u32, network: &[u32], mask: &[u32]) {
        let words = network.iter().zip(mask).filter(|(_, mask)| **mask != 0);
        let checks: Vec<_> = (offset..).step_by(4).zip(words).collect();
        for (done, &(offset, (&word, &mask))) in checks.iter().enumerate() {
            // A network has at most four words: three instructions each, and the return.
            let left = 3 * u8::try_from(checks.len() - done - 1).unwrap_or(u8::MAX) + 1;
            self.0.extend([
                instruction(LOAD_WORD, offset),
                instruction(AND, mask),
                jump_if_equal(word & mask, 0, left),
            ]);
        }
        self.0.push(instruction(RETURN, ACCEPT));
    }

    fn finish(mut self) -> Vec<Instruction> {
        self.0.push(instruction(RETURN, DROP));
        self.0
    }
}

/// ARP for IPv4 over Ethernet whose sender or target is in one of `networks`.
#[must_use]
pub fn arp(networks: &[Ipv4Net]) -> Vec<Instruction> {
    let mut program = Program::new();
    program.require(LOAD_HALF, 14, 1, 6);
    program.require(LOAD_HALF, 16, 0x0800, 0x0800);
    program.require(LOAD_HALF, 18, 0x0604, 0x0604);
    program.require(LOAD_HALF, 20, 1, 2);
    for network in networks {
        let (word, mask) = (network.network().to_bits(), network.netmask().to_bits());
        for address in [28, 38] {
            program.accept(address, &[word], &[mask]);
        }
    }
    program.finish()
}

/// All beacons that are not this node's own: their `EtherType` is what tells them from other frames.
#[must_use]
pub fn beacons() -> Vec<Instruction> {
    let mut program = Program::new();
    program.0.push(instruction(RETURN, ACCEPT));
    program.0
}

/// Neighbor Solicitations and Advertisements whose source or target is in one of `networks`.
#[must_use]
pub fn ndp(networks: &[Ipv6Net]) -> Vec<Instruction> {
    let mut program = Program::new();
    program.require(LOAD_OCTET, 20, 58, 58);
    program.require(LOAD_OCTET, 54, 135, 136);
    for network in networks {
        let (words, mask) = (words(network.network()), words(network.netmask()));
        for address in [22, 62] {
            program.accept(address, &words, &mask);
        }
    }
    program.finish()
}

fn words(address: Ipv6Addr) -> [u32; 4] {
    let bits = address.to_bits();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "each shift leaves the word that is wanted as the lowest"
    )]
    [96, 64, 32, 0].map(|shift| (bits >> shift) as u32)
}

/// At most [`MOST_NETWORKS`] networks of one length that hold all `addresses`, as narrow as that
/// allows.
#[must_use]
pub fn cover_ipv4(addresses: &BTreeSet<Ipv4Addr>) -> Vec<Ipv4Net> {
    cover(addresses, 32, |&address, length| {
        Ipv4Net::new_assert(address, length).trunc()
    })
}

/// Like [`cover_ipv4`].
#[must_use]
pub fn cover_ipv6(addresses: &BTreeSet<Ipv6Addr>) -> Vec<Ipv6Net> {
    cover(addresses, 128, |&address, length| {
        Ipv6Net::new_assert(address, length).trunc()
    })
}

fn cover<A, N: Ord>(addresses: &BTreeSet<A>, longest: u8, network: impl Fn(&A, u8) -> N) -> Vec<N> {
    let of_length = |length: u8| {
        // Addresses come in order, so those of one network stand together.
        let mut networks: Vec<N> = addresses
            .iter()
            .map(|address| network(address, length))
            .collect();
        networks.dedup();
        networks
    };
    // The number of networks grows with their length, so the longest one that fits is where a
    // binary search ends.
    let (mut fits, mut too_long) = (0, longest + 1);
    while too_long - fits > 1 {
        let length = fits.midpoint(too_long);
        if of_length(length).len() <= MOST_NETWORKS {
            fits = length;
        } else {
            too_long = length;
        }
    }
    of_length(fits)
}

#[cfg(test)]
mod tests;
