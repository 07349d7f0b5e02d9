//! When the kernel received what is read from a socket.
//!
//! Silence counts from then (R5), and not from when the thread comes to read.

use std::io;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrLike, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;
use socket2::Socket;

/// What was read.
#[derive(Debug)]
pub struct Stamped<S> {
    /// How much.
    pub length: usize,
    /// Where it comes from.
    pub from: Option<S>,
    /// When the kernel received it by its wall clock, if it says so.
    pub at: Option<TimeSpec>,
}

/// Has the kernel stamp what it receives. Under qemu there is no such option: what is received
/// counts as having come when it is read.
pub fn enable(socket: &Socket) -> io::Result<()> {
    match setsockopt(socket, ReceiveTimestampns, &true) {
        Err(Errno::ENOPROTOOPT) => {
            tracing::warn!("the kernel does not say when frames came");
            Ok(())
        }
        result => Ok(result?),
    }
}

/// Room for the time that the kernel writes with a frame.
#[must_use]
pub fn control_space() -> Vec<u8> {
    nix::cmsg_space!(TimeSpec)
}

/// The next frame or datagram, or none if there is none now. One longer than `buffer` is cut.
///
/// `control` is where the kernel writes the time: see [`control_space`].
pub fn receive<S: SockaddrLike>(
    socket: &Socket,
    buffer: &mut [u8],
    control: &mut [u8],
) -> io::Result<Option<Stamped<S>>> {
    let wants_stamp = !control.is_empty();
    let mut pieces = [io::IoSliceMut::new(buffer)];
    let flags = MsgFlags::MSG_DONTWAIT;
    let received = match recvmsg::<S>(socket.as_raw_fd(), &mut pieces, Some(control), flags) {
        Ok(received) => received,
        Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut at = None;
    if wants_stamp {
        at = received.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp),
            _ => None,
        });
    }
    Ok(Some(Stamped {
        length: received.bytes,
        from: received.address,
        at,
    }))
}
