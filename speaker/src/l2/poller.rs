//! What the L2 thread waits on: its sockets, a bell, and a timer, by epoll.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use bellwether_core::link::LinkIndex;
use bellwether_core::moment::Moment;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use prometheus_client::metrics::counter::Counter;

use crate::metrics::PerProtocol;

/// The most events that are taken in one turn; the rest comes in the next.
const EVENTS_PER_TURN: usize = 64;

/// Which socket of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    Beacon,
    Arp,
    Ndp,
}

impl Channel {
    /// The counter of `metric` that counts for it; those of beacons are others.
    pub(super) fn of(self, metric: &PerProtocol) -> &Counter {
        match self {
            Self::Beacon | Self::Arp => &metric.arp,
            Self::Ndp => &metric.ndp,
        }
    }
}

/// What there is something to do for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// The bell was rung.
    Wake,
    /// The timer has run out. There is nothing to read: it is set anew at the end of each turn.
    Timer,
    /// Datagrams of other speakers have come in.
    Datagrams,
    /// Frames have come in.
    Socket(LinkIndex, Channel),
}

impl Source {
    /// The number that the kernel hands back with an event: the link above eight bits of kind.
    fn token(self) -> u64 {
        match self {
            Self::Wake => 0,
            Self::Timer => 1,
            Self::Datagrams => 2,
            Self::Socket(link, Channel::Beacon) => u64::from(link.0) << 8 | 3,
            Self::Socket(link, Channel::Arp) => u64::from(link.0) << 8 | 4,
            Self::Socket(link, Channel::Ndp) => u64::from(link.0) << 8 | 5,
        }
    }

    fn of(token: u64) -> Self {
        let link = LinkIndex(u32::try_from(token >> 8).unwrap_or(0));
        match token & 0xff {
            0 => Self::Wake,
            1 => Self::Timer,
            2 => Self::Datagrams,
            3 => Self::Socket(link, Channel::Beacon),
            4 => Self::Socket(link, Channel::Arp),
            _ => Self::Socket(link, Channel::Ndp),
        }
    }
}

/// A bell by which other threads wake this one.
#[derive(Debug)]
pub(super) struct Wake(EventFd);

impl Wake {
    pub(super) fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC;
        Ok(Self(EventFd::from_value_and_flags(0, flags)?))
    }

    /// Rings. Ringing again before the thread has turned round changes nothing.
    pub(super) fn ring(&self) {
        // Fails only when it has been rung 2^64 - 2 times, and then it rings anyway.
        let _ = self.0.write(1);
    }

    /// Silences the bell.
    pub(super) fn silence(&self) {
        // Fails only when it was not rung.
        let _ = self.0.read();
    }
}

/// Waits. Takes no memory after it is made.
pub(super) struct Poller {
    epoll: Epoll,
    timer: TimerFd,
    /// When the timer runs out, so that it is not set to the same moment twice.
    alarm: Option<Moment>,
    events: [EpollEvent; EVENTS_PER_TURN],
}

impl Poller {
    pub(super) fn new(wake: &Wake) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = TimerFd::new(
            ClockId::CLOCK_BOOTTIME,
            TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC,
        )?;
        let poller = Self {
            epoll,
            timer,
            alarm: None,
            events: [EpollEvent::empty(); EVENTS_PER_TURN],
        };
        poller.add(wake.0.as_fd(), Source::Wake)?;
        poller.add(poller.timer.as_fd(), Source::Timer)?;
        Ok(poller)
    }

    /// Waits on `descriptor` too, until it is removed or closed.
    pub(super) fn add(&self, descriptor: BorrowedFd<'_>, source: Source) -> io::Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, source.token());
        Ok(self.epoll.add(descriptor, event)?)
    }

    /// Waits on `descriptor` no more.
    pub(super) fn remove(&self, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        Ok(self.epoll.delete(descriptor)?)
    }

    /// Waits until there is something to do, and returns how many things: see [`Self::source`].
    pub(super) fn wait(&mut self) -> io::Result<usize> {
        let count = match self.epoll.wait(&mut self.events, EpollTimeout::NONE) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        if self.sources(count).any(|source| source == Source::Timer) {
            self.alarm = None;
        }
        Ok(count)
    }

    /// Thing number `index` to do.
    pub(super) fn source(&self, index: usize) -> Option<Source> {
        self.events.get(index).map(|event| Source::of(event.data()))
    }

    /// The first `count` things to do.
    pub(super) fn sources(&self, count: usize) -> impl Iterator<Item = Source> {
        self.events
            .iter()
            .take(count)
            .map(|event| Source::of(event.data()))
    }

    /// Ends the next wait at `moment` at the latest.
    pub(super) fn wake_at(&mut self, moment: Moment) -> io::Result<()> {
        if self.alarm == Some(moment) {
            return Ok(());
        }
        // All zeros would turn the timer off.
        let nanoseconds = moment.as_nanos().max(1);
        let time = TimeSpec::new(
            (nanoseconds / 1_000_000_000).try_into().unwrap_or(i64::MAX),
            (nanoseconds % 1_000_000_000).try_into().unwrap_or(0),
        );
        let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
        self.timer.set(Expiration::OneShot(time), flags)?;
        self.alarm = Some(moment);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_known_by_its_token() {
        let link = LinkIndex(u32::MAX);
        for source in [
            Source::Wake,
            Source::Timer,
            Source::Datagrams,
            Source::Socket(link, Channel::Beacon),
            Source::Socket(link, Channel::Arp),
            Source::Socket(LinkIndex(1), Channel::Ndp),
        ] {
            assert_eq!(Source::of(source.token()), source);
        }
    }

    #[test]
    fn the_bell_and_the_timer_end_a_wait() {
        let wake = Wake::new().expect("a bell");
        let mut poller = Poller::new(&wake).expect("a poller");
        wake.ring();
        wake.ring();
        let count = poller.wait().expect("no error");
        assert_eq!(poller.sources(count).collect::<Vec<_>>(), [Source::Wake]);
        wake.silence();
        poller.wake_at(Moment::ORIGIN).expect("a timer");
        let count = poller.wait().expect("no error");
        assert_eq!(poller.sources(count).collect::<Vec<_>>(), [Source::Timer]);
    }
}
