//! What runs behind a ready pod: a process that answers TCP and UDP with the pod's name.
//!
//! Over UDP each datagram is answered with the name, a blank, and what was asked, so that a probe
//! can tell its answers apart. Over TCP each line is answered the same way, and an HTTP request with
//! the name alone, so that curl can be used.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;

use socket2::SockRef;

use crate::error::{Context, Result};

/// Octets of datagrams that wait to be read. A node that could not resolve an address for a while
/// sends hundreds at once when it can, and a server may wait for the processor: what probes miss shall
/// not be lost here. The kernel counts each datagram as some 800 octets.
const ROOM: usize = 2 << 20;

/// Serves `name` on every address and port, over TCP and UDP, until the process is killed.
///
/// Each socket is bound to its address: where there are several, one bound to the wildcard would
/// answer from the address of the route, and connection tracking would drop that. Without a name it
/// is the machine's, which in a container is the pod's.
///
/// As the first process of a container it hears no SIGTERM, and so serves to the end of the pod's
/// grace period, as a server should that others still send to.
pub fn serve(name: Option<&str>, addresses: &[IpAddr], ports: &[u16]) -> Result<()> {
    let name: Arc<str> = match name {
        Some(name) => name.into(),
        None => std::fs::read_to_string("/proc/sys/kernel/hostname")
            .context(|| "cannot read the name of the machine".to_owned())?
            .trim()
            .into(),
    };
    let mut threads = Vec::new();
    for socket in addresses.iter().flat_map(|&address| {
        ports
            .iter()
            .map(move |&port| SocketAddr::new(address, port))
    }) {
        let bind = || format!("cannot listen on {socket}");
        let udp = UdpSocket::bind(socket).context(bind)?;
        SockRef::from(&udp)
            .set_recv_buffer_size(ROOM)
            .context(bind)?;
        let tcp = TcpListener::bind(socket).context(bind)?;
        let (for_udp, for_tcp) = (name.clone(), name.clone());
        threads.push(thread::spawn(move || serve_udp(&for_udp, &udp)));
        threads.push(thread::spawn(move || serve_tcp(&for_tcp, &tcp)));
    }
    for thread in threads {
        // A socket that failed leaves the others serving.
        let _ended = thread.join();
    }
    Ok(())
}

fn serve_udp(name: &str, socket: &UdpSocket) {
    let mut buffer = [0; 2048];
    loop {
        // An ICMP error for an answer shows up as an error of the next call; it is not the end.
        if let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let asked = buffer.get(..length).unwrap_or_default();
            let answer = [name.as_bytes(), b" ", asked].concat();
            let _sent = socket.send_to(&answer, peer);
        }
    }
}

fn serve_tcp(name: &Arc<str>, listener: &TcpListener) {
    for stream in listener.incoming().flatten() {
        let name = name.clone();
        thread::spawn(move || answer_tcp(&name, stream));
    }
}

fn answer_tcp(name: &str, mut stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let asked = line.trim_end();
        if asked.contains(" HTTP/1.") {
            while reader.read_line(&mut line)? > 2 {}
            let length = name.len() + 1;
            return write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\
                 connection: close\r\n\r\n{name}\n"
            );
        }
        writeln!(stream, "{name} {asked}")?;
        line.clear();
    }
    Ok(())
}
