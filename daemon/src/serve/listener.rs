//! A listening socket, which at `[::]` takes connections of both families: pods and nodes have
//! addresses of one or the other or of both, and one default has to be right for all of them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// How many connections may wait to be taken, as in the standard library.
const BACKLOG: i32 = 128;

/// Listens on `address`, without blocking. Where the kernel has no IPv6, `[::]` is `0.0.0.0`.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    bind_by(address, open)
}

/// `open` makes a listening socket of the family of the address.
fn bind_by<L>(address: SocketAddr, open: impl Fn(SocketAddr) -> io::Result<L>) -> io::Result<L> {
    match open(address) {
        Err(error) if is_any_of_both(address) && has_no_ipv6(&error) => {
            open((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        opened => opened,
    }
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // The default is the node's (net.ipv6.bindv6only).
        socket.set_only_v6(false)?;
    }
    // What the last process has closed and the kernel has not forgotten keeps nobody from listening.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn is_any_of_both(address: SocketAddr) -> bool {
    address.is_ipv6() && address.ip().is_unspecified()
}

/// Without IPv6 in the kernel (`ipv6.disable=1`, or not built) there is no such socket. Where
/// `net.ipv6.conf.all.disable_ipv6` is set there is, and IPv4 arrives at it.
fn has_no_ipv6(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, TcpStream};

    use super::*;

    #[test]
    fn any_address_takes_connections_of_both_families() {
        let listener = bind((Ipv6Addr::UNSPECIFIED, 0).into()).expect("a listener");
        let port = listener.local_addr().expect("its address").port();
        for host in ["127.0.0.1", "::1"] {
            TcpStream::connect((host, port)).expect(host);
        }
    }

    /// Which addresses are tried where the kernel has no IPv6, and what comes of it.
    fn without_ipv6(address: &str) -> (Vec<String>, Result<(), Option<i32>>) {
        let tried = std::cell::RefCell::new(Vec::new());
        let opened = bind_by(address.parse().expect(address), |address| {
            tried.borrow_mut().push(address.to_string());
            if address.is_ipv4() {
                Ok(())
            } else {
                Err(io::Error::from_raw_os_error(libc::EAFNOSUPPORT))
            }
        });
        let opened = opened.map_err(|error| error.raw_os_error());
        (tried.into_inner(), opened)
    }

    #[test]
    fn without_ipv6_in_the_kernel_any_address_is_any_of_ipv4() {
        let (tried, opened) = without_ipv6("[::]:7472");
        assert_eq!(tried, ["[::]:7472", "0.0.0.0:7472"]);
        assert_eq!(opened, Ok(()));
        let (tried, opened) = without_ipv6("[2001:db8::1]:7472");
        assert_eq!(tried, ["[2001:db8::1]:7472"]);
        assert_eq!(opened, Err(Some(libc::EAFNOSUPPORT)));
    }

    #[test]
    fn a_port_that_is_taken_is_not_looked_for_elsewhere() {
        let tried = std::cell::Cell::new(0);
        let opened: io::Result<()> = bind_by((Ipv6Addr::UNSPECIFIED, 7472).into(), |_| {
            tried.set(tried.get() + 1);
            Err(io::Error::from_raw_os_error(libc::EADDRINUSE))
        });
        assert!(opened.is_err());
        assert_eq!(tried.get(), 1);
    }
}
