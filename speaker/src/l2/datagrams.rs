//! Channel B: beacons as datagrams between the nodes' own addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

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
        socket.bind(&SockAddr::from(address))?;
        Ok(socket)
    }

    /// The next datagram, or none if there is none now.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match io::Read::read(&mut &self.socket, buffer) {
            Ok(length) => Ok(Some(length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
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
