//! Channel B: beacons as datagrams between the nodes' own addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::stamp;

/// The socket of channel B.
#[derive(Debug)]
pub(super) struct Datagrams {
    socket: Socket,
    port: u16,
    ipv6: bool,
}

impl Datagrams {
    /// Listens on all addresses of the node, of both families if the kernel has both.
    pub(super) fn open(port: u16) -> io::Result<Self> {
        match Self::bind(
            Domain::IPV6,
            SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
        ) {
            Ok(socket) => Ok(Self {
                socket,
                port,
                ipv6: true,
            }),
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => Ok(Self {
                socket: Self::bind(
                    Domain::IPV4,
                    SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
                )?,
                port,
                ipv6: false,
            }),
            Err(error) => Err(error),
        }
    }

    fn bind(domain: Domain, address: SocketAddr) -> io::Result<Socket> {
        let kind = Type::DGRAM.nonblocking().cloexec();
        let socket = Socket::new(domain, kind, Some(Protocol::UDP))?;
        if domain == Domain::IPV6 {
            socket.set_only_v6(false)?;
        }
        stamp::enable(&socket)?;
        socket.bind(&SockAddr::from(address))?;
        Ok(socket)
    }

    /// The next datagram, or none if there is none now: its length, and when the kernel received it.
    pub(super) fn receive(
        &self,
        buffer: &mut [u8],
        control: &mut [u8],
    ) -> io::Result<Option<(usize, Option<TimeSpec>)>> {
        let stamped = stamp::receive::<()>(&self.socket, buffer, control)?;
        Ok(stamped.map(|stamped| (stamped.length, stamped.at)))
    }

    /// Sends a datagram to the speaker at that address.
    pub(super) fn send(&self, to: IpAddr, octets: &[u8]) -> io::Result<()> {
        let to = match to {
            IpAddr::V4(address) if self.ipv6 => address.to_ipv6_mapped().into(),
            other => other,
        };
        let to = SockAddr::from(SocketAddr::from((to, self.port)));
        self.socket.send_to(octets, &to).map(|_| ())
    }
}

impl std::os::fd::AsFd for Datagrams {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;
    use crate::clock;

    /// The thread may come to read it late. The kernel begins to stamp a moment after it was asked to, and
    /// says of what came before that it came when it was read.
    #[test]
    fn a_datagram_came_when_the_kernel_received_it() {
        let datagrams = Datagrams::open(0).expect("a socket");
        let to = datagrams.socket.local_addr().expect("an address");
        let port = to.as_socket().expect("an IP address").port();
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        let came_before_it_was_read = || {
            let octets = sender.send_to(b"beacon", (Ipv4Addr::LOCALHOST, port));
            assert_eq!(octets.expect("to send"), 6);
            let late = clock::now() + Duration::from_millis(50);
            while clock::now() < late {
                std::thread::sleep(Duration::from_millis(5));
            }
            let (mut buffer, mut control) = ([0; 100], stamp::control_space());
            let received = datagrams.receive(&mut buffer, &mut control);
            let (length, stamp) = received.expect("it works").expect("a datagram");
            assert_eq!(&buffer[..length], b"beacon");
            clock::arrival(stamp) < late
        };
        assert!((0..100).any(|_| came_before_it_was_read()));
    }
}
