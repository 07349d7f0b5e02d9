//! Beacons as octets: a fixed header and type-length-value fields.
//!
//! ```text
//!  0      4       5        6        8         16         24     28        (16)
//!  +------+-------+--------+--------+---------+----------+------+ - - - +-----+
//!  | BWLB | least | newest | key id | session | sequence | zero | TLVs  | tag |
//!  +------+-------+--------+--------+---------+----------+------+ - - - +-----+
//! ```
//!
//! All numbers are big-endian. A field is a type (1 octet), a length (2 octets) and that many octets
//! of value. A reader skips fields of types that it does not know, so that a later version can add
//! some; it refuses a beacon whose least version is later than its own. The tag at the end is the
//! affair of [`super::keyring`], which reads nothing but types and lengths before it has checked it.
//! After the tag there may be padding, so the TLVs end with one of type 0 and length 0.

use std::net::IpAddr;
use std::time::Duration;

use super::{Beacon, Digest, Entry, Flags, Heard, Pulse, Session, Spares, Standing};
use crate::election::Term;
use crate::mac::MacAddr;
use crate::name::NodeName;

/// What every beacon starts with.
pub const MAGIC: [u8; 4] = *b"BWLB";

/// The version of the protocol that this is.
pub const VERSION: u8 = 1;

/// Octets before the first field.
pub(super) const HEADER: usize = 28;

/// The longest beacon that is read, with its tag: what an Ethernet frame can carry.
pub(super) const LONGEST_READ: usize = 1500;

/// The longest beacon that is written, without its tag. Both fit, also as a datagram, into the 1,280 octets that each
/// link takes which carries IPv6 (RFC 8200 section 5): links of overlays take less than 1,500.
pub const LONGEST: usize = 1280 - 40 - 8 - super::keyring::TAG;

/// The longest name of a node (RFC 1123 subdomain).
const LONGEST_NAME: usize = 253;

/// The most sessions in a list of those heard.
pub const MOST_HEARD: usize = 60;

/// Octets for statements in a beacon of `sender` that lists so many sessions; room for at least
/// four of the longest.
#[must_use]
pub fn room_for_entries(sender: &NodeName, heard: usize) -> usize {
    // All other fields, with their types and lengths, at their longest.
    const OTHERS: usize = HEADER + 9 + 12 + 4 + 3 + 11 + 37 + 3 + 3;
    let name = sender.as_str().len().min(LONGEST_NAME) + 3;
    LONGEST - OTHERS - name - 11 * heard.min(MOST_HEARD)
}

/// How many octets a statement takes.
#[must_use]
pub const fn entry_length(entry: &Entry) -> usize {
    let address = if entry.address.is_ipv4() { 5 } else { 17 };
    let standing = match entry.standing {
        Standing::Own | Standing::Released => 1,
        Standing::Offer { .. } => 9,
        Standing::Relayed { .. } => 17,
    };
    address + 8 + standing
}

mod field {
    pub(super) const END: u8 = 0;
    pub(super) const SENDER: u8 = 1;
    pub(super) const MAC: u8 = 2;
    pub(super) const PULSE: u8 = 3;
    pub(super) const FLAGS: u8 = 4;
    pub(super) const HEARD: u8 = 5;
    pub(super) const DIGEST: u8 = 6;
    pub(super) const RANGE: u8 = 7;
    pub(super) const ENTRIES: u8 = 8;
}

mod standing {
    pub(super) const OWN: u8 = 1;
    pub(super) const OFFER: u8 = 2;
    pub(super) const RELEASED: u8 = 3;
    pub(super) const RELAYED: u8 = 4;
}

/// Why octets are not a beacon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BeaconError {
    /// It ends too early.
    #[error("the beacon ends within {0}")]
    Short(&'static str),
    /// It is none.
    #[error("the frame does not start as a beacon does")]
    Magic,
    /// A later version is needed to read it.
    #[error("the beacon needs version {least}; this speaker reads up to {VERSION}")]
    Version {
        /// The least version that can read it.
        least: u8,
    },
    /// A field that must be there is not.
    #[error("the beacon has no {0}")]
    Missing(&'static str),
    /// A field makes no sense.
    #[error("the beacon has a wrong {0}")]
    Wrong(&'static str),
}

/// What is in the header of a beacon, which is readable without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which key it is signed with.
    pub key: u16,
    /// The start of its sender.
    pub session: Session,
    /// Its number.
    pub sequence: u64,
}

impl Header {
    /// Reads the header at the start of `octets`.
    pub fn parse(octets: &[u8]) -> Result<Self, BeaconError> {
        let mut reader = Reader(octets);
        if reader.take("its header")? != MAGIC {
            return Err(BeaconError::Magic);
        }
        let [least, _newest] = reader.take("its header")?;
        if least > VERSION {
            return Err(BeaconError::Version { least });
        }
        let key = u16::from_be_bytes(reader.take("its header")?);
        let session = Session(u64::from_be_bytes(reader.take("its header")?));
        let sequence = u64::from_be_bytes(reader.take("its header")?);
        reader.take::<4>("its header")?;
        Ok(Self {
            key,
            session,
            sequence,
        })
    }
}

/// Writes `beacon` without its tag behind `octets`, to be signed with the key of that number.
///
/// Statements for which there is no room are left out: the sender cuts its book into parts that fit.
pub fn encode(beacon: &Beacon, key: u16, octets: &mut Vec<u8>) {
    octets.reserve(LONGEST + super::keyring::TAG);
    octets.extend(MAGIC);
    octets.extend([VERSION, VERSION]);
    octets.extend(key.to_be_bytes());
    octets.extend(beacon.session.0.to_be_bytes());
    octets.extend(beacon.sequence.to_be_bytes());
    octets.extend([0; 4]);
    write(octets, field::SENDER, |value| {
        value.extend(beacon.sender.as_str().bytes().take(LONGEST_NAME));
    });
    if let Some(mac) = beacon.mac {
        write(octets, field::MAC, |value| value.extend(mac.0));
    }
    write(octets, field::PULSE, |value| {
        value.extend(micros(beacon.pulse.interval).to_be_bytes());
        value.push(beacon.pulse.misses);
        value.extend(micros(beacon.pulse.lateness).to_be_bytes());
    });
    write(octets, field::FLAGS, |value| {
        value.push(pack(beacon.flags));
    });
    write(octets, field::HEARD, |value| {
        for heard in beacon.heard.iter().take(MOST_HEARD) {
            value.extend(heard.session.0.to_be_bytes());
            value.extend(millis(heard.age).to_be_bytes());
            value.push(u8::from(heard.synced));
        }
    });
    write(octets, field::DIGEST, |value| {
        value.extend(beacon.part.digest.0.to_be_bytes());
    });
    if let Some((from, to)) = beacon.part.range {
        write(octets, field::RANGE, |value| {
            write_address(value, from);
            write_address(value, to);
        });
    }
    let mut room = room_for_entries(&beacon.sender, beacon.heard.len());
    write(octets, field::ENTRIES, |value| {
        for entry in &beacon.part.entries {
            let Some(left) = room.checked_sub(entry_length(entry)) else {
                break;
            };
            room = left;
            write_entry(value, entry);
        }
    });
    write(octets, field::END, |_| {});
}

/// Reads a beacon whose tag has been checked; `octets` may go on behind its last field.
pub fn decode(octets: &[u8], spares: &mut Spares) -> Result<Beacon, BeaconError> {
    let mut beacon = spares.take();
    match read(octets, &mut beacon, spares) {
        Ok(()) => Ok(beacon),
        Err(error) => {
            spares.put(beacon);
            Err(error)
        }
    }
}

fn read(octets: &[u8], beacon: &mut Beacon, spares: &mut Spares) -> Result<(), BeaconError> {
    let header = Header::parse(octets)?;
    let mut fields = Reader(octets.get(HEADER..).unwrap_or_default());
    let (mut sender, mut mac, mut pulse, mut flags) = (None, None, None, Flags::default());
    let (mut digest, mut range) = (None, None);
    loop {
        let (kind, mut value) = fields.field()?;
        match kind {
            field::END => break,
            field::SENDER => sender = Some(spares.name(read_name(value.0)?)),
            field::MAC => mac = Some(MacAddr(value.take("its MAC address")?)),
            field::PULSE => pulse = Some(read_pulse(&mut value)?),
            field::FLAGS => {
                let [bits] = value.take("its flags")?;
                flags = unpack(bits);
            }
            field::HEARD => read_heard(value, &mut beacon.heard)?,
            field::DIGEST => {
                digest = Some(Digest(u64::from_be_bytes(value.take("its digest")?)));
            }
            field::RANGE => range = Some((read_address(&mut value)?, read_address(&mut value)?)),
            field::ENTRIES => {
                while !value.0.is_empty() {
                    beacon.part.entries.push(read_entry(&mut value)?);
                }
            }
            _ => {}
        }
    }
    beacon.sender = sender.ok_or(BeaconError::Missing("sender"))?;
    beacon.session = header.session;
    beacon.sequence = header.sequence;
    beacon.mac = mac;
    beacon.pulse = pulse.ok_or(BeaconError::Missing("pulse"))?;
    beacon.flags = flags;
    beacon.part.digest = digest.ok_or(BeaconError::Missing("digest"))?;
    beacon.part.range = range;
    Ok(())
}

/// Where the fields of a beacon end: behind the field that ends them.
pub(super) fn end_of_fields(octets: &[u8]) -> Result<usize, BeaconError> {
    let fields = octets.get(HEADER..);
    let mut fields = Reader(fields.ok_or(BeaconError::Short("its header"))?);
    loop {
        let (kind, _) = fields.field()?;
        if kind == field::END {
            return Ok(octets.len() - fields.0.len());
        }
    }
}

fn write(octets: &mut Vec<u8>, kind: u8, value: impl FnOnce(&mut Vec<u8>)) {
    octets.push(kind);
    let at = octets.len();
    octets.extend([0; 2]);
    value(octets);
    let length = u16::try_from(octets.len() - at - 2).unwrap_or(u16::MAX);
    octets[at..at + 2].copy_from_slice(&length.to_be_bytes());
}

fn write_address(octets: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            octets.push(4);
            octets.extend(address.octets());
        }
        IpAddr::V6(address) => {
            octets.push(6);
            octets.extend(address.octets());
        }
    }
}

fn write_entry(octets: &mut Vec<u8>, entry: &Entry) {
    write_address(octets, entry.address);
    octets.extend(entry.term.0.to_be_bytes());
    match entry.standing {
        Standing::Own => octets.push(standing::OWN),
        Standing::Offer { to } => {
            octets.push(standing::OFFER);
            octets.extend(to.0.to_be_bytes());
        }
        Standing::Released => octets.push(standing::RELEASED),
        Standing::Relayed { holder, weight } => {
            octets.push(standing::RELAYED);
            octets.extend(holder.0.to_be_bytes());
            octets.extend(weight.to_be_bytes());
        }
    }
}

fn read_name(octets: &[u8]) -> Result<&str, BeaconError> {
    std::str::from_utf8(octets)
        .ok()
        .filter(|name| (1..=LONGEST_NAME).contains(&name.len()))
        .ok_or(BeaconError::Wrong("sender"))
}

fn read_pulse(value: &mut Reader<'_>) -> Result<Pulse, BeaconError> {
    let interval = u32::from_be_bytes(value.take("its pulse")?);
    let [misses] = value.take("its pulse")?;
    let lateness = u32::from_be_bytes(value.take("its pulse")?);
    // As in BFD: with zero of either, silence would be detected at once.
    if interval == 0 || misses == 0 {
        return Err(BeaconError::Wrong("pulse"));
    }
    Ok(Pulse {
        interval: Duration::from_micros(interval.into()),
        misses,
        lateness: Duration::from_micros(lateness.into()),
    })
}

fn read_heard(mut value: Reader<'_>, heard: &mut Vec<Heard>) -> Result<(), BeaconError> {
    heard.clear();
    while !value.0.is_empty() {
        let session = u64::from_be_bytes(value.take("what it hears")?);
        let age = u16::from_be_bytes(value.take("what it hears")?);
        let [synced] = value.take("what it hears")?;
        heard.push(Heard {
            session: Session(session),
            age: Duration::from_millis(age.into()),
            synced: synced & 1 == 1,
        });
    }
    Ok(())
}

fn read_address(value: &mut Reader<'_>) -> Result<IpAddr, BeaconError> {
    match value.take("an address")? {
        [4] => Ok(IpAddr::from(value.take::<4>("an address")?)),
        [6] => Ok(IpAddr::from(value.take::<16>("an address")?)),
        _ => Err(BeaconError::Wrong("address")),
    }
}

fn read_entry(value: &mut Reader<'_>) -> Result<Entry, BeaconError> {
    let address = read_address(value)?;
    let term = Term(u64::from_be_bytes(value.take("a claim")?));
    let [kind] = value.take("a claim")?;
    let mut number = || value.take("a claim").map(u64::from_be_bytes);
    let standing = match kind {
        standing::OWN => Standing::Own,
        standing::OFFER => Standing::Offer {
            to: Session(number()?),
        },
        standing::RELEASED => Standing::Released,
        standing::RELAYED => Standing::Relayed {
            holder: Session(number()?),
            weight: number()?,
        },
        _ => return Err(BeaconError::Wrong("claim")),
    };
    Ok(Entry {
        address,
        term,
        standing,
    })
}

fn pack(flags: Flags) -> u8 {
    u8::from(flags.leaving) | u8::from(flags.deaf) << 1 | u8::from(flags.young) << 2
}

fn unpack(bits: u8) -> Flags {
    Flags {
        leaving: bits & 1 != 0,
        deaf: bits & 2 != 0,
        young: bits & 4 != 0,
    }
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

fn millis(duration: Duration) -> u16 {
    u16::try_from(duration.as_millis()).unwrap_or(u16::MAX)
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The type and the value of a field.
    fn field(&mut self) -> Result<(u8, Reader<'a>), BeaconError> {
        let [kind] = self.take("a field")?;
        let length = usize::from(u16::from_be_bytes(self.take("a field")?));
        let split = self.0.split_at_checked(length);
        let (value, rest) = split.ok_or(BeaconError::Short("a field"))?;
        self.0 = rest;
        Ok((kind, Reader(value)))
    }

    fn take<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], BeaconError> {
        let split = self.0.split_first_chunk();
        let (head, rest) = split.ok_or(BeaconError::Short(what))?;
        self.0 = rest;
        Ok(*head)
    }
}
