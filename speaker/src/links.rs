//! The links of the node, as the kernel tells of them by netlink.
//!
//! [`follow`] keeps a [`table::LinkTable`] by the kernel's events and hands out what comes of it.
//! Events can be lost, when many come at once, and can be of a kind that cannot be read; so all is
//! read anew at the start, when the kernel says that events were lost, and every few minutes.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::pin::pin;
use std::time::Duration;

use bellwether_core::link::Links;
use bellwether_core::moment::Moment;
use futures::channel::mpsc::UnboundedReceiver;
use futures::{FutureExt, StreamExt, TryStreamExt};
use regex::RegexSet;
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::{RouteMessage, RouteProtocol, RouteScope, RouteType};
use rtnetlink::sys::{AsyncSocket, SocketAddr};
use rtnetlink::{Handle, MulticastGroup, RouteMessageBuilder};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::metrics::Metrics;

mod answers;
mod kernel;
pub mod table;

pub use answers::KernelAnswers;

use answers::{Holders, arp_ignore};
use table::{Dump, LinkTable};

/// How often all is read anew.
const FULL_READ: Duration = Duration::from_mins(5);

/// How long after a change all is read anew, for what no event tells: routes.
const SETTLED: Duration = Duration::from_secs(1);

/// How long reading all may take.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// How long to wait before beginning again after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Room for events that come faster than they are read. The kernel grants what
/// `net.core.rmem_max` allows.
const EVENT_BUFFER: usize = 4 << 20;

/// The main routing table.
const MAIN_TABLE: u32 = 254;

/// Why links cannot be followed for the moment.
#[derive(Debug, thiserror::Error)]
enum LinksError {
    #[error("cannot open a netlink socket: {0}")]
    Socket(#[from] std::io::Error),
    #[error("cannot read links, addresses and routes: {0}")]
    Read(#[from] rtnetlink::Error),
    #[error("the kernel did not answer within {READ_TIMEOUT:?}")]
    TimedOut,
    #[error("the kernel sends no more events")]
    Ended,
}

type Events = UnboundedReceiver<(NetlinkMessage<RouteNetlinkMessage>, SocketAddr)>;

/// Calls `publish` with the links that can carry announcements, and when the kernel told of them, now
/// and whenever they change, until `shutdown`; what the kernel answers ARP for goes to `answers`.
pub async fn follow(
    excluded: RegexSet,
    metrics: Metrics,
    mut publish: impl FnMut(Links, Moment),
    answers: watch::Sender<KernelAnswers>,
    shutdown: CancellationToken,
) {
    let mut follower = Follower {
        table: LinkTable::new(excluded),
        holders: Holders::default(),
        published: None,
        answers,
        metrics,
    };
    loop {
        let session = follower.session(&mut publish);
        let error = tokio::select! {
            Err(error) = session => error,
            () = shutdown.cancelled() => return,
        };
        tracing::warn!(%error, again_in = ?RETRY, "cannot follow the node's links");
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

struct Follower {
    table: LinkTable,
    holders: Holders,
    published: Option<Links>,
    answers: watch::Sender<KernelAnswers>,
    metrics: Metrics,
}

impl Follower {
    /// Follows until something fails.
    async fn session(
        &mut self,
        publish: &mut impl FnMut(Links, Moment),
    ) -> Result<std::convert::Infallible, LinksError> {
        // The events come first, so that none is missed between the reading and them.
        let (mut connection, _, mut events) = rtnetlink::new_multicast_connection(&[
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv6Ifaddr,
        ])?;
        connection
            .socket_mut()
            .socket_mut()
            .set_rx_buf_sz(EVENT_BUFFER)?;
        let _events_io = AbortOnDrop(tokio::spawn(connection));
        // Another socket for reading, because an answer can be lost like an event.
        let (connection, handle, _) = rtnetlink::new_connection_with_strict_check()?;
        let _read_io = AbortOnDrop(tokio::spawn(connection));
        loop {
            let began = clock::now();
            let dump = timeout(READ_TIMEOUT, read(&handle));
            let dump = dump.await.map_err(|_| LinksError::TimedOut)??;
            self.holders.replace(&dump);
            self.table.replace(dump);
            self.publish(publish, began);
            self.follow_events(&mut events, publish).await?;
        }
    }

    /// Follows events until it is time to read all anew.
    async fn follow_events(
        &mut self,
        events: &mut Events,
        publish: &mut impl FnMut(Links, Moment),
    ) -> Result<(), LinksError> {
        let mut read_at = pin!(sleep_until(Instant::now() + FULL_READ));
        loop {
            let first = tokio::select! {
                event = events.next() => event,
                () = &mut read_at => return Ok(()),
            };
            let told = clock::now();
            let mut matters = false;
            let mut lost = false;
            // What is there already is taken in as one change. The channel has no bound of its own:
            // it is drained here each time, and nothing in this loop waits.
            let mut next = Some(first);
            while let Some(event) = next {
                let (message, _) = event.ok_or(LinksError::Ended)?;
                match message.payload {
                    NetlinkPayload::InnerMessage(message) => matters |= self.apply(&message),
                    NetlinkPayload::Overrun(_) => lost = true,
                    _ => {}
                }
                next = events.next().now_or_never();
            }
            if lost {
                self.metrics.link_overruns.inc();
                tracing::debug!("events about links were lost; reading all anew");
                return Ok(());
            }
            if matters && self.publish(publish, told) {
                read_at.as_mut().reset(Instant::now() + SETTLED);
            }
        }
    }

    fn apply(&mut self, message: &RouteNetlinkMessage) -> bool {
        let Some(change) = kernel::change(message) else {
            return false;
        };
        let held = self.holders.apply(&change);
        self.table.apply(change) || held
    }

    /// Publishes what the kernel answers for, and the links if they are not as they were published
    /// last. Returns whether those were published.
    fn publish(&mut self, publish: &mut impl FnMut(Links, Moment), at: Moment) -> bool {
        let links = self.table.links();
        self.publish_answers(&links);
        if self.published.as_ref() == Some(&links) {
            return false;
        }
        let count = i64::try_from(links.iter().count()).unwrap_or(i64::MAX);
        self.metrics.links.set(count);
        self.published = Some(links.clone());
        publish(links, at);
        true
    }

    fn publish_answers(&self, links: &Links) {
        let name = |index| self.table.name(index);
        let new = KernelAnswers::new(&self.holders, links, name, arp_ignore);
        self.answers.send_if_modified(|answers| {
            let differs = *answers != new;
            *answers = new;
            differs
        });
    }
}

/// Reads all links, addresses and default routes.
async fn read(handle: &Handle) -> Result<Dump, rtnetlink::Error> {
    let mut dump = Dump::default();
    let mut links = pin!(handle.link().get().execute());
    while let Some(message) = links.try_next().await? {
        dump.links.extend(kernel::link(&message));
    }
    let mut addresses = pin!(handle.address().get().execute());
    while let Some(message) = addresses.try_next().await? {
        dump.addresses.extend(kernel::address(&message));
    }
    let ipv4 = main_table(RouteMessageBuilder::<Ipv4Addr>::new());
    let ipv6 = main_table(RouteMessageBuilder::<Ipv6Addr>::new());
    for request in [ipv4, ipv6] {
        let mut routes = pin!(handle.route().get(request).execute());
        while let Some(message) = routes.try_next().await? {
            dump.gateways.extend(kernel::gateways(&message));
        }
    }
    Ok(dump)
}

/// A request for the routes of the main table; what else the builder presets would filter them.
fn main_table<T>(builder: RouteMessageBuilder<T>) -> RouteMessage {
    builder
        .table_id(MAIN_TABLE)
        .protocol(RouteProtocol::Unspec)
        .scope(RouteScope::Universe)
        .kind(RouteType::Unspec)
        .build()
}

/// Ends a task when its owner is dropped.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
