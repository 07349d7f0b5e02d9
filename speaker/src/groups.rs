//! Multicast groups that the node is in, held by sockets that receive nothing.
//!
//! A packet socket could have the link accept a group, but would not tell the switches. Joining by
//! an IPv6 socket makes the kernel report it by MLD, repeat the report, and answer queries (N7).

use std::collections::HashMap;
use std::io;
use std::net::Ipv6Addr;

use bellwether_core::link::LinkIndex;
use socket2::{Domain, Socket, Type};

/// The groups that were asked for. Ends all memberships when dropped.
#[derive(Debug, Default)]
pub struct Memberships {
    /// The kernel limits how many groups one socket can be in, so there is another when the last is
    /// full (N8).
    sockets: Vec<Socket>,
    /// In which socket each group is held; none where joining failed.
    held_by: HashMap<(LinkIndex, Ipv6Addr), Option<usize>>,
}

impl Memberships {
    /// Joins a group. If that fails, it is tried again by [`Self::retry`].
    pub fn join(&mut self, link: LinkIndex, group: Ipv6Addr) {
        let socket = match self.try_join(link, group) {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!(%link, %group, %error, "cannot join a multicast group");
                None
            }
        };
        self.held_by.insert((link, group), socket);
    }

    /// Leaves a group.
    pub fn leave(&mut self, link: LinkIndex, group: Ipv6Addr) {
        let Some(Some(socket)) = self.held_by.remove(&(link, group)) else {
            return;
        };
        if let Some(socket) = self.sockets.get(socket)
            && let Err(error) = socket.leave_multicast_v6(&group, link.0)
        {
            // Also when the link is gone, and its groups with it.
            tracing::debug!(%link, %group, %error, "cannot leave a multicast group");
        }
    }

    /// Tries again what failed: the links have changed, and IPv6 may be possible now.
    pub fn retry(&mut self) {
        let failed: Vec<_> = self
            .held_by
            .iter()
            .filter(|(_, socket)| socket.is_none())
            .map(|(&place, _)| place)
            .collect();
        for (link, group) in failed {
            if let Ok(socket) = self.try_join(link, group) {
                self.held_by.insert((link, group), Some(socket));
            }
        }
    }

    /// How many groups the node is in.
    #[must_use]
    pub fn count(&self) -> usize {
        self.held_by.values().flatten().count()
    }

    fn try_join(&mut self, link: LinkIndex, group: Ipv6Addr) -> io::Result<usize> {
        if let Some((last, socket)) = self.sockets.iter().enumerate().next_back() {
            match socket.join_multicast_v6(&group, link.0) {
                Ok(()) => return Ok(last),
                Err(error) if is_full(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, None)?;
        socket.join_multicast_v6(&group, link.0)?;
        self.sockets.push(socket);
        Ok(self.sockets.len() - 1)
    }
}

/// Whether a socket is in as many groups as the kernel lets it (`net.core.optmem_max`).
fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::ENOMEM))
}
