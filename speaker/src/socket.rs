//! Packet sockets: frames in and out of one link (packet(7)).
//!
//! This is the one file of the product with `unsafe` in it, for what no crate wraps: the address of
//! a link, and an option. It decides nothing. It needs `CAP_NET_RAW`.
//!
//! Sockets that ask for one `EtherType`, as these do, get frames after the kernel has looked at their
//! 802.1Q tags: a tag is gone then, and what belongs to a VLAN that the node does not have is marked
//! as being for another station. `PACKET_AUXDATA`, which tells of tags, says nothing to them.

#![expect(
    unsafe_code,
    reason = "neither sockaddr_ll nor the options of packet(7) have a safe wrapper"
)]

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;

use bellwether_core::frame::ethernet::EtherType;
use bellwether_core::link::LinkIndex;
use bellwether_core::mac::MacAddr;
use bellwether_core::responder::{Delivery, Received};
use nix::sys::socket::LinkAddr;
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, SockAddr, SockFilter, Socket, Type};

use crate::filter::Instruction;
use crate::stamp;

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
        this.ignore_outgoing()?;
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
        let received = self.receive_stamped(buffer, &mut [])?;
        Ok(received.map(|(received, _)| received))
    }

    /// Like [`Self::receive`], and when the kernel received it by its wall clock, if it says so.
    ///
    /// `control` is where the kernel writes the time: see [`stamp::control_space`].
    pub fn receive_stamped<'a>(
        &self,
        buffer: &'a mut [u8],
        control: &mut [u8],
    ) -> io::Result<Option<(Received<'a>, Option<TimeSpec>)>> {
        let Some(stamped) = stamp::receive(&self.socket, buffer, control)? else {
            return Ok(None);
        };
        let received = Received {
            octets: &buffer[..stamped.length],
            delivery: self.delivery(stamped.from),
        };
        Ok(Some((received, stamped.at)))
    }

    /// Has the kernel stamp what it receives.
    pub fn stamp(&self) -> io::Result<()> {
        stamp::enable(&self.socket)
    }

    /// Has the network card let a group's frames through, for as long as the socket is open. Under
    /// qemu there is no such option; links between namespaces let all frames through.
    pub fn join(&self, group: MacAddr) -> io::Result<()> {
        // SAFETY: it is a plain C structure for which all zeros are a valid value.
        let mut membership: libc::packet_mreq = unsafe { zeroed() };
        membership.mr_ifindex = self.link;
        membership.mr_type = libc::PACKET_MR_MULTICAST.try_into().unwrap_or(0);
        membership.mr_alen = 6;
        membership.mr_address[..6].copy_from_slice(&group.0);
        if self.set_option(libc::PACKET_ADD_MEMBERSHIP, &membership)? == Setting::Unknown {
            tracing::warn!(%group, "the kernel cannot be asked for the frames of a group");
        }
        Ok(())
    }

    /// Sends a frame. Fails with `WouldBlock` if the link's queue is full.
    pub fn send(&self, octets: &[u8]) -> io::Result<()> {
        self.socket.send(octets).map(|_| ())
    }

    /// A frame that the kernel has given to a VLAN or macvlan on top of this link arrives here too;
    /// it is for that link, and has the index of that link.
    fn delivery(&self, from: Option<LinkAddr>) -> Delivery {
        let Some(from) = from.filter(|from| libc::c_int::try_from(from.ifindex()) == Ok(self.link))
        else {
            return Delivery::Other;
        };
        match from.pkttype() {
            libc::PACKET_HOST => Delivery::Host,
            libc::PACKET_BROADCAST => Delivery::Broadcast,
            libc::PACKET_MULTICAST => Delivery::Multicast,
            libc::PACKET_OUTGOING => Delivery::Outgoing,
            _ => Delivery::Other,
        }
    }

    /// Keeps what this node sends from coming back. Under qemu there is no such option: the filter
    /// and the check of sender addresses do as well.
    fn ignore_outgoing(&self) -> io::Result<()> {
        let on: libc::c_int = 1;
        if self.set_option(libc::PACKET_IGNORE_OUTGOING, &on)? == Setting::Unknown {
            tracing::warn!("the kernel shows the speaker its own frames");
        }
        Ok(())
    }

    /// Sets an option of packet(7), whose C type is `T`.
    fn set_option<T>(&self, option: libc::c_int, value: &T) -> io::Result<Setting> {
        // SAFETY: `value` is valid for reads of the length given beside it.
        let result = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                option,
                ptr::from_ref(value).cast(),
                length_of::<T>(),
            )
        };
        if result == 0 {
            return Ok(Setting::Made);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::ENOPROTOOPT) => Ok(Setting::Unknown),
            _ => Err(error),
        }
    }
}

/// What has become of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Setting {
    /// It is in force.
    Made,
    /// The kernel, or what stands in for it, does not know it.
    Unknown,
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

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

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}
