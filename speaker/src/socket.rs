//! Packet sockets: frames in and out of one link (packet(7)).
//!
//! This is the one file of the product with `unsafe` in it, for what no crate wraps: the address of
//! a link, two options, and the control message that carries a VLAN. It decides nothing. It needs
//! `CAP_NET_RAW`.

#![expect(
    unsafe_code,
    reason = "sockaddr_ll, packet(7) options and control messages have no safe wrapper"
)]

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;

use bellwether_core::frame::ethernet::{EtherType, VlanId};
use bellwether_core::link::LinkIndex;
use bellwether_core::responder::{Delivery, Received};
use socket2::{Domain, Protocol, SockAddr, SockFilter, Socket, Type};

use crate::filter::Instruction;

/// The speaker must not use packet sockets.
#[derive(Debug, thiserror::Error)]
pub enum PermissionError {
    /// For want of the capability.
    #[error(
        "frames cannot be sent without the capability NET_RAW: run as root, or add NET_RAW to \
         securityContext.capabilities of the container"
    )]
    Missing,
    /// For another reason.
    #[error("packet sockets cannot be opened: {0}")]
    Other(io::Error),
}

/// Whether packet sockets can be opened.
pub fn check_permission() -> Result<(), PermissionError> {
    match Socket::new_raw(Domain::PACKET, Type::RAW.cloexec(), Some(Protocol::from(0))) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(PermissionError::Missing)
        }
        Err(error) => Err(PermissionError::Other(error)),
    }
}

/// A socket for the frames of one `EtherType` on one link.
#[derive(Debug)]
pub struct PacketSocket {
    socket: Socket,
    link: libc::c_int,
}

impl PacketSocket {
    /// Opens a socket that receives what `filter` lets through, and never what this node sends.
    pub fn open(
        link: LinkIndex,
        ether_type: EtherType,
        filter: &[Instruction],
    ) -> io::Result<Self> {
        let kind = Type::RAW.nonblocking().cloexec();
        // With protocol 0 nothing arrives before the socket is bound, when the filter is in place.
        let socket = Socket::new_raw(Domain::PACKET, kind, Some(Protocol::from(0)))?;
        let index = libc::c_int::try_from(link.0).map_err(io::Error::other)?;
        let this = Self {
            socket,
            link: index,
        };
        this.set_filter(filter)?;
        this.enable(libc::PACKET_IGNORE_OUTGOING)?;
        this.enable(libc::PACKET_AUXDATA)?;
        this.socket.bind(&address(index, ether_type)?)?;
        Ok(this)
    }

    /// Puts another filter in the place of the one in force, with no gap in between.
    pub fn set_filter(&self, filter: &[Instruction]) -> io::Result<()> {
        let filter: Vec<_> = filter
            .iter()
            .map(|step| SockFilter::new(step.code, step.if_true, step.if_false, step.operand))
            .collect();
        self.socket.attach_filter(&filter)
    }

    /// The next frame, or none if there is none now. A frame longer than `buffer` is cut.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<Received<'a>>> {
        let mut control = Control([0; 64]);
        let mut vector = libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        // SAFETY: both are plain C structures for which all zeros are a valid value.
        let (mut from, mut message): (libc::sockaddr_ll, libc::msghdr) =
            unsafe { (zeroed(), zeroed()) };
        message.msg_name = ptr::from_mut(&mut from).cast();
        message.msg_namelen = length_of::<libc::sockaddr_ll>();
        message.msg_iov = &raw mut vector;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len();
        // SAFETY: the name, the one vector and the control buffer are valid for writes of the
        // lengths given beside them, and outlive the call.
        let length = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, 0) };
        let Ok(length) = usize::try_from(length) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock => Ok(None),
                _ => Err(error),
            };
        };
        Ok(Some(Received {
            octets: &buffer[..length],
            delivery: self.delivery(&from),
            vlan: vlan(&message),
        }))
    }

    /// Sends a frame. Fails with `WouldBlock` if the link's queue is full.
    pub fn send(&self, octets: &[u8]) -> io::Result<()> {
        self.socket.send(octets).map(|_| ())
    }

    /// A frame that the kernel has given to a VLAN or macvlan on top of this link arrives here too;
    /// it is for that link, and has the index of that link.
    fn delivery(&self, from: &libc::sockaddr_ll) -> Delivery {
        if from.sll_ifindex != self.link {
            return Delivery::Other;
        }
        match from.sll_pkttype {
            libc::PACKET_HOST => Delivery::Host,
            libc::PACKET_BROADCAST => Delivery::Broadcast,
            libc::PACKET_MULTICAST => Delivery::Multicast,
            libc::PACKET_OUTGOING => Delivery::Outgoing,
            _ => Delivery::Other,
        }
    }

    /// Turns an option of packet(7) on. Under qemu there are none: the filter and the check of
    /// sender addresses do for the first, the tag that stays in the frame for the second.
    fn enable(&self, option: libc::c_int) -> io::Result<()> {
        let on: libc::c_int = 1;
        // SAFETY: `on` is valid for reads of the length given beside it.
        let result = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                option,
                ptr::from_ref(&on).cast(),
                length_of::<libc::c_int>(),
            )
        };
        if result == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::ENOPROTOOPT) => {
                tracing::warn!(option, "the kernel lacks an option of packet sockets");
                Ok(())
            }
            _ => Err(error),
        }
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Room for control messages, aligned as their headers have to be.
#[repr(align(8))]
struct Control([u8; 64]);

fn address(link: libc::c_int, ether_type: EtherType) -> io::Result<SockAddr> {
    // SAFETY: the storage is larger than a `sockaddr_ll` and aligned for every kind of address, and
    // the length written is that of what was written.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            let mut address: libc::sockaddr_ll = zeroed();
            address.sll_family = libc::AF_PACKET.unsigned_abs().try_into().unwrap_or(0);
            address.sll_protocol = ether_type.0.to_be();
            address.sll_ifindex = link;
            storage.cast::<libc::sockaddr_ll>().write(address);
            *length = length_of::<libc::sockaddr_ll>();
            Ok(())
        })?
    };
    Ok(address)
}

/// The VLAN of the tag that the kernel has taken out of a frame.
fn vlan(message: &libc::msghdr) -> Option<VlanId> {
    // SAFETY: `message` was filled in by `recvmsg`, so its control buffer holds `msg_controllen`
    // octets of well-formed control messages.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !next.is_null() {
        // SAFETY: not null, so it points to a whole header within the control buffer.
        let header = unsafe { &*next };
        if header.cmsg_level == libc::SOL_PACKET && header.cmsg_type == libc::PACKET_AUXDATA {
            // SAFETY: the data of this control message is a `tpacket_auxdata`; its alignment is
            // that of the header, which need not be enough.
            let data: libc::tpacket_auxdata = unsafe {
                libc::CMSG_DATA(next)
                    .cast::<libc::tpacket_auxdata>()
                    .read_unaligned()
            };
            let tagged = data.tp_status & libc::TP_STATUS_VLAN_VALID != 0;
            return tagged.then(|| VlanId::from_tag(data.tp_vlan_tci));
        }
        // SAFETY: `next` points to a header within the control buffer of `message`.
        next = unsafe { libc::CMSG_NXTHDR(message, next) };
    }
    None
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}
