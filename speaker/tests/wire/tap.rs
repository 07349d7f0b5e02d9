//! A station on a link that sees every frame and says whatever it is told to.

use std::cell::Cell;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use bellwether_core::frame::Frame;
use bellwether_core::frame::ethernet::EtherType;
use bellwether_core::link::LinkIndex;
use bellwether_core::moment::Moment;
use bellwether_speaker::clock;
use bellwether_speaker::filter::Instruction;
use bellwether_speaker::socket::PacketSocket;
use bellwether_speaker::stamp::control_space;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::namespace::Namespace;

/// How long to wait for a frame that has to come.
const PATIENCE: Duration = Duration::from_mins(1);

/// Lets everything through.
const EVERYTHING: [Instruction; 1] = [Instruction {
    code: 0x06,
    if_true: 0,
    if_false: 0,
    operand: u32::MAX,
}];

/// Lets frames to groups, so to all, pass by: their first octet is odd.
const TO_ONE: [Instruction; 4] = [
    Instruction {
        code: 0x30, // ldb [0]
        if_true: 0,
        if_false: 0,
        operand: 0,
    },
    Instruction {
        code: 0x45, // jset #1
        if_true: 0,
        if_false: 1,
        operand: 1,
    },
    Instruction {
        code: 0x06,
        if_true: 0,
        if_false: 0,
        operand: 0,
    },
    EVERYTHING[0],
];

/// A tap on a link.
pub struct Tap {
    out: PacketSocket,
    frames: Receiver<(Moment, Frame)>,
    /// What came before is of no interest any more.
    since: Cell<Moment>,
}

impl Tap {
    /// Taps `link` of `host`. The kernel keeps some 250 frames for a tap whose thread does not run,
    /// and drops what comes then: where more may come at a time, see [`Self::for_answers`].
    pub fn on(host: &Namespace, link: &str) -> Self {
        Self::through(host, link, &EVERYTHING)
    }

    /// Taps what goes to one station on `link` of `host`. Announcements, which go to all, cannot
    /// crowd that out.
    pub fn for_answers(host: &Namespace, link: &str) -> Self {
        Self::through(host, link, &TO_ONE)
    }

    fn through(host: &Namespace, link: &str, filter: &[Instruction]) -> Self {
        let (sender, frames) = channel();
        let open = || {
            let index = nix::net::if_::if_nametoindex(link).expect("a link");
            let open = |ether_type| {
                let socket = PacketSocket::open(LinkIndex(index), ether_type, filter);
                let socket = socket.expect("a socket");
                socket.stamp().expect("stamps");
                socket
            };
            (
                open(EtherType::ARP),
                open(EtherType::IPV6),
                open(EtherType::ARP),
            )
        };
        let (arp, ndp, out) = host.run(open);
        std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            let mut control = control_space();
            loop {
                let mut ready = [&arp, &ndp].map(|socket| {
                    use std::os::fd::AsFd;
                    PollFd::new(socket.as_fd(), PollFlags::POLLIN)
                });
                // Wakes up now and then to notice that nobody listens any more.
                let _ = poll(&mut ready, PollTimeout::from(100_u16));
                for socket in [&arp, &ndp] {
                    while let Ok(Some((received, stamp))) =
                        socket.receive_stamped(&mut buffer, &mut control)
                    {
                        // Not when it is read here: on a busy machine that is late.
                        let came = clock::arrival(stamp);
                        if let Ok(frame) = Frame::parse(received.octets)
                            && sender.send((came, frame)).is_err()
                        {
                            return;
                        }
                    }
                }
            }
        });
        let since = Cell::new(Moment::ORIGIN);
        Self { out, frames, since }
    }

    /// Sends octets as they are.
    pub fn say_octets(&self, octets: &[u8]) {
        self.out.send(octets).expect("to send");
    }

    /// Sends a frame.
    pub fn say(&self, frame: &Frame) {
        self.say_octets(frame.encode().as_octets());
    }

    /// The next frame that `wanted` is about, and when it came. Others are passed over.
    pub fn next<T>(&self, wanted: impl Fn(&Frame) -> Option<T>) -> (Moment, T) {
        self.find(PATIENCE, wanted).expect("a frame")
    }

    /// Like [`Self::next`], but gives up after a while.
    pub fn find<T>(
        &self,
        patience: Duration,
        wanted: impl Fn(&Frame) -> Option<T>,
    ) -> Option<(Moment, T)> {
        let end = Instant::now() + patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.frames.recv_timeout(left) {
                Ok((came, frame)) => {
                    if came >= self.since.get()
                        && let Some(found) = wanted(&frame)
                    {
                        return Some((came, found));
                    }
                }
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => panic!("the tap has ended"),
            }
        }
    }

    /// Forgets what has come in, also what has not been read yet.
    pub fn clear(&self) {
        self.since.set(clock::now());
    }
}
