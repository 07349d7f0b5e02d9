//! Which beacons are genuine, and which may be read by others.
//!
//! On a link a beacon is signed: its tag is a keyed BLAKE3 hash over all its octets before the tag,
//! cut to 128 bits. Its key is derived from the shared secret for this cluster, this key number and
//! the session of the sender, so a tag of one cluster or session says nothing in another. That a
//! genuine beacon is not a recording is not checked here: see [`crate::membership`].
//!
//! As a datagram between nodes, which may cross other networks, it is encrypted too: all behind the
//! header, by XChaCha20-Poly1305 with the header as associated data. Its key is derived likewise, for
//! another purpose; its nonce is the session and the number of the beacon, which never repeat.
//!
//! Keys are exchanged without a moment in which two speakers cannot read each other, in three
//! sweeps over all speakers: the new key is added (everyone can read it), then it is made the one
//! to sign with, then the old one is dropped.

use std::collections::BTreeMap;
use std::fmt;

use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};

use super::wire::{self, BeaconError, Header};
use super::{Beacon, Session, Spares};

/// Octets of a tag.
pub const TAG: usize = 16;

/// What keys are derived for; part of the protocol.
const SIGNING: &str = "bellwether.dev 2026 beacon of a speaker";
const ENCRYPTING: &str = "bellwether.dev 2026 datagram of a speaker";

/// Shorter secrets can be guessed.
const SHORTEST_SECRET: usize = 16;

/// The keys of a cluster, each known by a number.
#[derive(Clone, PartialEq, Eq)]
pub struct Keyring {
    cluster: Vec<u8>,
    secrets: BTreeMap<u16, Vec<u8>>,
    signing: u16,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.secrets.keys().collect();
        f.debug_struct("Keyring")
            .field("keys", &keys)
            .field("signing", &self.signing)
            .finish_non_exhaustive()
    }
}

/// Why a key ring cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// There is no key of that number to sign with.
    #[error("key {0} is to sign with and is not in the ring: add it, or sign with another")]
    NoSuchKey(u16),
    /// A secret that can be guessed.
    #[error("the secret of key {key} has {octets} octets: use at least 16, drawn at random")]
    Weak {
        /// The key.
        key: u16,
        /// How long its secret is.
        octets: usize,
    },
}

/// Why a frame is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// It is not a beacon.
    #[error(transparent)]
    Malformed(#[from] BeaconError),
    /// It is longer than any beacon.
    #[error("the frame has {0} octets, more than any beacon")]
    Oversized(usize),
    /// It is signed with a key that is not in the ring.
    #[error("the beacon is signed with key {0}, which this speaker does not have")]
    UnknownKey(u16),
    /// There is no ring yet: the speaker has not read its keys.
    #[error("this speaker does not have any key yet")]
    NoKeys,
    /// It is not what was signed, or another cluster's.
    #[error("the tag of the beacon is wrong")]
    Forged,
}

impl Keyring {
    /// The keys of the cluster of that UID. New beacons are signed with the key `signing`.
    pub fn new(
        cluster: &str,
        secrets: BTreeMap<u16, Vec<u8>>,
        signing: u16,
    ) -> Result<Self, KeyringError> {
        if !secrets.contains_key(&signing) {
            return Err(KeyringError::NoSuchKey(signing));
        }
        let weak = secrets
            .iter()
            .find(|(_, secret)| secret.len() < SHORTEST_SECRET);
        if let Some((&key, secret)) = weak {
            let octets = secret.len();
            return Err(KeyringError::Weak { key, octets });
        }
        Ok(Self {
            cluster: cluster.as_bytes().to_vec(),
            secrets,
            signing,
        })
    }

    /// Writes a signed beacon behind `octets`.
    pub fn seal(&self, beacon: &Beacon, octets: &mut Vec<u8>) {
        let start = octets.len();
        wire::encode(beacon, self.signing, octets);
        self.sign(octets, start, beacon.session);
    }

    /// Appends the tag to what a speaker of that session says from `start` on, of whatever version.
    pub fn sign(&self, octets: &mut Vec<u8>, start: usize, session: Session) {
        let key = self.signing_key(SIGNING, session);
        let tag = tag_of(&key, octets.get(start..).unwrap_or_default());
        octets.extend(tag);
    }

    /// The number of the key that new beacons are signed with.
    #[must_use]
    pub const fn signing(&self) -> u16 {
        self.signing
    }

    /// The beacon at the start of `octets`, if it is genuine. Padding may follow it.
    pub fn open(&self, octets: &[u8], spares: &mut Spares) -> Result<Beacon, Rejected> {
        if octets.len() > wire::LONGEST_READ {
            return Err(Rejected::Oversized(octets.len()));
        }
        let header = Header::parse(octets)?;
        let secret = self.secrets.get(&header.key);
        let secret = secret.ok_or(Rejected::UnknownKey(header.key))?;
        let end = wire::end_of_fields(octets)?;
        let (signed, rest) = octets.split_at(end);
        let tag = rest.first_chunk::<TAG>();
        let tag = tag.ok_or(BeaconError::Short("its tag"))?;
        let key = self.key(SIGNING, secret, header.key, header.session);
        let expected = tag_of(&key, signed);
        // Compared as hashes, because that takes the same time whatever differs.
        if widen(expected) != widen(*tag) {
            return Err(Rejected::Forged);
        }
        Ok(wire::decode(signed, spares)?)
    }

    /// Writes a beacon as a datagram, which nobody else can read, behind `octets`.
    pub fn seal_datagram(&self, beacon: &Beacon, octets: &mut Vec<u8>) {
        let start = octets.len();
        wire::encode(beacon, self.signing, octets);
        self.encrypt(octets, start, beacon.session, beacon.sequence);
    }

    /// Makes a datagram of what a speaker of that session says from `start` on, of whatever version,
    /// in the beacon of that number. What is shorter than a header is left out.
    pub fn encrypt(&self, octets: &mut Vec<u8>, start: usize, session: Session, sequence: u64) {
        let beacon = octets.get_mut(start..).unwrap_or_default();
        let Some((header, fields)) = beacon.split_at_mut_checked(wire::HEADER) else {
            octets.truncate(start);
            return;
        };
        let key = self.signing_key(ENCRYPTING, session);
        let nonce = nonce(session, sequence);
        let cipher = XChaCha20Poly1305::new(&key.into());
        match cipher.encrypt_in_place_detached(&nonce.into(), header, fields) {
            Ok(tag) => octets.extend(tag),
            // It fails for lengths beyond 256 GiB only.
            Err(_) => octets.truncate(start),
        }
    }

    /// The beacon in a datagram, if it is genuine.
    pub fn open_datagram(&self, octets: &[u8], spares: &mut Spares) -> Result<Beacon, Rejected> {
        if octets.len() > wire::LONGEST_READ {
            return Err(Rejected::Oversized(octets.len()));
        }
        let header = Header::parse(octets)?;
        let secret = self.secrets.get(&header.key);
        let secret = secret.ok_or(Rejected::UnknownKey(header.key))?;
        let mut plain = std::mem::take(&mut spares.octets);
        plain.clear();
        plain.extend(octets);
        let opened = self.decrypt(secret, header, &mut plain).and_then(|()| {
            let beacon = wire::decode(&plain, spares)?;
            Ok(beacon)
        });
        spares.octets = plain;
        opened
    }

    /// Turns a datagram into the beacon that it was, without a tag.
    fn decrypt(&self, secret: &[u8], header: Header, octets: &mut Vec<u8>) -> Result<(), Rejected> {
        let (aad, sealed) = octets
            .split_at_mut_checked(wire::HEADER)
            .ok_or(BeaconError::Short("its header"))?;
        let (fields, tag) = sealed
            .split_last_chunk_mut::<TAG>()
            .ok_or(Rejected::Forged)?;
        let key = self.key(ENCRYPTING, secret, header.key, header.session);
        let nonce = nonce(header.session, header.sequence);
        XChaCha20Poly1305::new(&key.into())
            .decrypt_in_place_detached(&nonce.into(), aad, fields, (&*tag).into())
            .map_err(|_| Rejected::Forged)?;
        octets.truncate(octets.len() - TAG);
        Ok(())
    }

    /// The key of one session for one purpose, to write with.
    fn signing_key(&self, purpose: &str, session: Session) -> [u8; 32] {
        // The ring has the key that it signs with: `new` refuses another.
        let secret = self.secrets.get(&self.signing);
        let secret = secret.map_or(&[][..], Vec::as_slice);
        self.key(purpose, secret, self.signing, session)
    }

    /// The key of one session for one purpose.
    fn key(&self, purpose: &str, secret: &[u8], key: u16, session: Session) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(purpose);
        // What has a fixed length first, so that no two inputs are the same octets.
        hasher.update(&key.to_be_bytes());
        hasher.update(&session.0.to_be_bytes());
        hasher.update(&(secret.len() as u64).to_be_bytes());
        hasher.update(secret);
        hasher.update(&self.cluster);
        *hasher.finalize().as_bytes()
    }
}

fn tag_of(key: &[u8; 32], octets: &[u8]) -> [u8; TAG] {
    let hash = blake3::keyed_hash(key, octets);
    let mut tag = [0; TAG];
    tag.copy_from_slice(&hash.as_bytes()[..TAG]);
    tag
}

fn nonce(session: Session, sequence: u64) -> [u8; 24] {
    let mut nonce = [0; 24];
    nonce[..8].copy_from_slice(&session.0.to_be_bytes());
    nonce[8..16].copy_from_slice(&sequence.to_be_bytes());
    nonce
}

fn widen(tag: [u8; TAG]) -> blake3::Hash {
    let mut octets = [0; 32];
    octets[..TAG].copy_from_slice(&tag);
    blake3::Hash::from_bytes(octets)
}
