//! ARP for IPv4 over Ethernet (RFC 826).

use std::net::Ipv4Addr;

use pnet::packet::arp::{ArpHardwareTypes, ArpOperations, ArpPacket, MutableArpPacket};
use pnet::packet::ethernet::EtherTypes;
use serde::{Deserialize, Serialize};

use super::ethernet::fits;
use crate::mac::MacAddr;

const LENGTH: usize = ArpPacket::minimum_packet_size();
const IPV4_ADDRESS_LENGTH: u8 = 4;
const MAC_ADDRESS_LENGTH: u8 = 6;
/// IEEE 802 networks: what some stations write instead of Ethernet's 1. Linux takes both (A1).
const IEEE_802: u16 = 6;

/// Whether a packet asks or tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Who has the target address?
    Request,
    /// The sender has the sender's address.
    Reply,
}

/// An ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arp {
    /// Whether it asks or tells.
    pub operation: Operation,
    /// The MAC address of the sender (SHA).
    pub sender_mac: MacAddr,
    /// The IPv4 address of the sender (SPA). Unspecified in a probe (RFC 5227 section 2.1.1).
    pub sender_ip: Ipv4Addr,
    /// The MAC address of the target (THA). Means nothing in a request.
    pub target_mac: MacAddr,
    /// The IPv4 address of the target (TPA).
    pub target_ip: Ipv4Addr,
}

/// Why octets are not an ARP packet for IPv4 over Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArpError {
    /// Fewer than 28 octets.
    #[error("the ARP packet ends after {0} octets, and needs 28")]
    Short(usize),
    /// Not Ethernet.
    #[error("ARP hardware type {0} is neither Ethernet (1) nor IEEE 802 (6)")]
    HardwareType(u16),
    /// Not IPv4.
    #[error("ARP protocol type 0x{0:04x} is not IPv4 (0x0800)")]
    ProtocolType(u16),
    /// Addresses of other lengths than those of Ethernet and IPv4.
    #[error("ARP addresses of {hardware} and {protocol} octets are not those of Ethernet and IPv4")]
    AddressLengths {
        /// Octets of a hardware address.
        hardware: u8,
        /// Octets of a protocol address.
        protocol: u8,
    },
    /// Neither a request nor a reply.
    #[error("ARP operation {0} is neither a request (1) nor a reply (2)")]
    Operation(u16),
}

impl Arp {
    /// Reads the packet at the start of `octets`, which are the payload of a frame (A1).
    pub fn parse(octets: &[u8]) -> Result<Self, ArpError> {
        let packet = ArpPacket::new(octets).ok_or(ArpError::Short(octets.len()))?;
        let hardware_type = packet.get_hardware_type().0;
        if hardware_type != ArpHardwareTypes::Ethernet.0 && hardware_type != IEEE_802 {
            return Err(ArpError::HardwareType(hardware_type));
        }
        let protocol_type = packet.get_protocol_type();
        if protocol_type != EtherTypes::Ipv4 {
            return Err(ArpError::ProtocolType(protocol_type.0));
        }
        let (hardware, protocol) = (packet.get_hw_addr_len(), packet.get_proto_addr_len());
        if (hardware, protocol) != (MAC_ADDRESS_LENGTH, IPV4_ADDRESS_LENGTH) {
            return Err(ArpError::AddressLengths { hardware, protocol });
        }
        let operation = match packet.get_operation() {
            ArpOperations::Request => Operation::Request,
            ArpOperations::Reply => Operation::Reply,
            other => return Err(ArpError::Operation(other.0)),
        };
        Ok(Self {
            operation,
            sender_mac: packet.get_sender_hw_addr().into(),
            sender_ip: packet.get_sender_proto_addr(),
            target_mac: packet.get_target_hw_addr().into(),
            target_ip: packet.get_target_proto_addr(),
        })
    }

    /// Writes the packet to the start of `octets` and returns its length.
    pub(super) fn write(&self, octets: &mut [u8]) -> usize {
        let mut packet = fits(MutableArpPacket::new(octets));
        packet.set_hardware_type(ArpHardwareTypes::Ethernet);
        packet.set_protocol_type(EtherTypes::Ipv4);
        packet.set_hw_addr_len(MAC_ADDRESS_LENGTH);
        packet.set_proto_addr_len(IPV4_ADDRESS_LENGTH);
        packet.set_operation(match self.operation {
            Operation::Request => ArpOperations::Request,
            Operation::Reply => ArpOperations::Reply,
        });
        packet.set_sender_hw_addr(self.sender_mac.into());
        packet.set_sender_proto_addr(self.sender_ip);
        packet.set_target_hw_addr(self.target_mac.into());
        packet.set_target_proto_addr(self.target_ip);
        LENGTH
    }
}

#[cfg(test)]
mod tests;
