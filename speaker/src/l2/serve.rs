//! The L2 thread answers who asks, and notices who uses an address of this node.

use bellwether_core::election;
use bellwether_core::frame::Frame;
use bellwether_core::link::LinkIndex;
use bellwether_core::moment::Moment;
use bellwether_core::responder::{ForeignClaim, Verdict, respond};

use super::L2;
use super::poller::Channel;
use crate::clock;
use crate::metrics::PerProtocol;

/// How many frames of one socket are taken before others have their turn.
const FRAMES_PER_TURN: usize = 64;

impl L2 {
    /// Answers what has come in on a socket.
    pub(super) fn serve(
        &mut self,
        index: LinkIndex,
        channel: Channel,
        now: Moment,
        buffer: &mut [u8],
    ) {
        for _ in 0..FRAMES_PER_TURN {
            // The link may have gone, and its socket with it, since the event was taken.
            let Some(socket) = self.sockets.get(index, channel) else {
                return;
            };
            let Some(link) = self.links.get(index) else {
                return;
            };
            let (received, stamp) = match socket.receive_stamped(buffer, &mut self.control) {
                Ok(Some(received)) => received,
                Ok(None) => return,
                Err(error) => {
                    // ENETDOWN, once, when the link goes down.
                    tracing::debug!(link = %link.name, %error, "cannot receive");
                    return;
                }
            };
            channel.of(&self.metrics.received).inc();
            let claim = Frame::parse(received.octets)
                .ok()
                .and_then(|frame| frame.claim());
            if let Some((address, mac)) = claim
                && self.keyring.is_some()
            {
                let link = index;
                self.tell(election::Input::Seen { link, address, mac }, now);
            }
            let Some(link) = self.links.get(index) else {
                return;
            };
            // Asked right before the answer leaves (R6, A9). Of an address that is handed over each
            // question is answered by the one whose it was when it came.
            let may = self.election.may_answer(index, now);
            let asked_at = clock::arrival(stamp);
            let announces = |address| {
                may && if self.announcer.announces(address, index) {
                    !self.election.was_others(address, asked_at)
                } else {
                    self.election.was_owner(address, index, asked_at)
                }
            };
            match respond(&received, link, &self.links, announces) {
                Verdict::Answer(frame) => self.send(index, &frame, &self.metrics.replies),
                Verdict::Foreign(claim) => {
                    // While an address moves, two nodes announce it for a moment; that is no conflict.
                    if self.election.speaker_with(index, claim.mac).is_none() {
                        self.stranger(claim, now);
                    }
                }
                Verdict::Ignore(cause) => {
                    channel.of(&self.metrics.ignored).inc();
                    tracing::trace!(link = %link.name, %cause, "a frame is ignored");
                }
            }
        }
    }

    /// A station that is no speaker uses an address of this node.
    pub(super) fn stranger(&mut self, claim: ForeignClaim, now: Moment) {
        self.metrics.foreign_claims.inc();
        self.reports.foreign(claim, now);
    }

    pub(super) fn send(&self, link: LinkIndex, frame: &Frame, sent: &PerProtocol) {
        match self.sockets.send(link, frame) {
            Ok(()) => {
                sent.of(&frame.packet).inc();
            }
            Err(error) => {
                self.metrics.send_errors.inc();
                tracing::debug!(%link, %error, "cannot send");
            }
        }
    }
}
