//! What is heard and sent on one channel: whether this node is blind or deaf there, and whether it
//! has lately said that it lives.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::timing::{BLIND, DEAF, FENCE, SUSPECT, tenths};
use crate::moment::Moment;

/// Who was heard within this time can prove by its silence that nothing arrives. Who has been silent
/// for longer is not there.
const WITNESS: Duration = Duration::from_mins(1);

/// Stations are asked again and again for so long after the last speaker has fallen silent, or after
/// it was needed to know that frames arrive.
const URGENT: Duration = Duration::from_secs(10);

/// How often stations are asked while all is well.
const STATION_CHECK: Duration = Duration::from_secs(10);

/// Whoever is heard when a link is back was not for at least so long, which is more than any limit: what
/// was announced meanwhile nobody has heard there.
const UNHEARD: Duration = Duration::from_secs(5);

/// More beacons than this are not lost in a row.
const PROMISES: usize = 5;

/// One channel, as this node hears and uses it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Hearing {
    /// When this node began to listen, or to listen anew after it was blind (R8).
    clear_since: Moment,
    /// The last frame of anybody.
    last: Option<Moment>,
    /// The last answer of a station that is not a speaker.
    station: Option<Moment>,
    /// The last beacon of a speaker.
    peer: Option<Moment>,
    asked: Option<Moment>,
    /// Since when stations are asked and nothing at all has arrived.
    unanswered: Option<Moment>,
    /// When a proof was needed last that frames arrive.
    needed: Option<Moment>,
    pub(crate) deaf: bool,
    /// It is deaf, and a station had answered in the last minute when that was noticed.
    pub(crate) ignored: bool,
    /// The last beacon of this node.
    sent: Option<Moment>,
    /// The silence that its last beacons allowed this node, the latest first.
    promises: [Option<Duration>; PROMISES],
    fenced_until: Moment,
}

impl Hearing {
    pub(crate) const fn new(now: Moment) -> Self {
        Self {
            clear_since: now,
            last: None,
            station: None,
            peer: None,
            asked: None,
            unanswered: None,
            needed: None,
            deaf: false,
            ignored: false,
            sent: None,
            promises: [None; PROMISES],
            fenced_until: Moment::ORIGIN,
        }
    }

    /// The link was away in between. Its stations, and the speakers on it, are as they were, so that
    /// their silence means what it would have meant then.
    pub(crate) fn after(self, gone: Moment, now: Moment) -> Self {
        let away = now.since(gone);
        let later = |moment: Option<Moment>| moment.map(|moment| moment + away);
        Self {
            clear_since: now,
            last: self.last.map(|_| now),
            station: later(self.station),
            peer: later(self.peer).map(|peer| peer.min(now - UNHEARD)),
            asked: None,
            unanswered: None,
            needed: later(self.needed),
            ..self
        }
    }

    /// Something was received at that time. Says whether that ends deafness.
    pub(crate) fn hear(&mut self, at: Moment, now: Moment, limit: Duration) -> bool {
        if self
            .last
            .is_some_and(|last| at.since(last) > tenths(limit, BLIND))
        {
            self.clear_since = self.clear_since.max(at);
        }
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        self.unanswered = None;
        let was_deaf = std::mem::replace(&mut self.deaf, false);
        self.ignored = false;
        if was_deaf {
            self.clear_since = now;
        }
        was_deaf
    }

    /// A speaker was heard. Says whether none had been for a while: this node was cut off from all,
    /// or alone.
    pub(crate) fn hear_peer(&mut self, at: Moment, limit: Duration) -> bool {
        let before = self.peer;
        self.peer = before.max(Some(at));
        before.is_none_or(|before| at.since(before) > tenths(limit, DEAF))
    }

    /// It is needed to know whether frames arrive.
    pub(crate) fn need_proof(&mut self, now: Moment) {
        self.needed = Some(now);
    }

    /// A station has answered.
    pub(crate) fn hear_station(&mut self, now: Moment) {
        self.station = Some(now);
    }

    /// The loop was away, and frames may have been lost meanwhile: listen anew.
    pub(crate) fn start_over(&mut self, now: Moment) {
        self.clear_since = now;
        self.last = self.last.map(|_| now);
        self.unanswered = None;
    }

    /// Since when nothing has been missed.
    pub(crate) const fn clear_since(&self) -> Moment {
        self.clear_since
    }

    /// R8: whether there is no proof that frames arrive, though there is somebody who could give it.
    pub(crate) fn is_blind(&self, now: Moment, limit: Duration) -> bool {
        self.silence(now)
            .is_some_and(|silence| silence > tenths(limit, BLIND))
            && self.has_witness(now)
    }

    /// Whether a station that is no speaker has answered lately.
    pub(crate) fn has_station(&self, now: Moment) -> bool {
        self.station
            .is_some_and(|station| now.since(station) <= WITNESS)
    }

    /// Whether anybody was heard lately whose silence means something.
    fn has_witness(&self, now: Moment) -> bool {
        self.has_station(now) || self.peer.is_some_and(|peer| now.since(peer) <= WITNESS)
    }

    /// For how long nothing has arrived; none, if nothing ever has.
    fn silence(&self, now: Moment) -> Option<Duration> {
        self.last.map(|last| now.since(last))
    }

    /// R12: notices that nothing arrives any more, or never has. Says whether that is new.
    ///
    /// A station speaks when it is asked: its silence means something only then. Who is alone with a
    /// gateway hears nothing most of the time. Without `only_asked` that rule is broken.
    pub(crate) fn notice_deafness(
        &mut self,
        now: Moment,
        limit: Duration,
        only_asked: bool,
    ) -> bool {
        let most = tenths(limit, DEAF);
        let is_ignored = self
            .unanswered
            .is_some_and(|since| now.since(since) > tenths(limit, DEAF - SUSPECT));
        let deaf = match self.silence(now) {
            Some(silence) => {
                silence > most
                    && self.has_witness(now)
                    && (is_ignored || !only_asked || !self.has_station(now))
            }
            None => now.since(self.clear_since) > most,
        };
        let news = deaf && !self.deaf;
        self.deaf |= deaf;
        self.ignored |= news && self.has_station(now);
        news
    }

    /// When to ask the stations of the link next: now and then, and at each interval while it
    /// matters.
    pub(crate) fn next_question(&self, now: Moment, interval: Duration, limit: Duration) -> Moment {
        let Some(asked) = self.asked else {
            return self.clear_since;
        };
        let recent = |moment: Option<Moment>| moment.is_some_and(|m| now.since(m) <= URGENT);
        let routine = asked + STATION_CHECK;
        if !recent(self.peer) && !recent(self.needed) && self.unanswered.is_none() {
            return routine;
        }
        let last = self.last.unwrap_or(self.clear_since);
        let urgent = (last + tenths(limit, SUSPECT)).max(asked + interval);
        routine.min(urgent)
    }

    /// The stations are asked.
    pub(crate) fn asked(&mut self, now: Moment) {
        self.asked = Some(now);
        self.unanswered.get_or_insert(now);
    }

    /// A beacon of this node has gone out, which allows it to be silent for `limit` from now on.
    /// After a pause in which others may have taken its place it listens before it answers again
    /// (R7): what this beacon allows did not count in that pause.
    pub(crate) fn send(&mut self, now: Moment, limit: Duration, listen: Duration) {
        if !self.is_alive(now) {
            self.fenced_until = now + listen;
        }
        // Of beacons that leave together all may be lost.
        if self.sent.replace(now) != Some(now) {
            self.promises.rotate_right(1);
        }
        self.promises[0] = Some(limit);
    }

    /// R6, R7: whether this node may speak for its addresses here.
    pub(crate) fn may_answer(&self, now: Moment) -> bool {
        now >= self.fenced_until() && self.is_alive(now)
    }

    /// R6: whether this node has said lately that it lives.
    pub(crate) fn is_alive(&self, now: Moment) -> bool {
        // Who has heard only one of the last beacons goes by that one.
        let limit = self.promises.iter().flatten().min();
        self.sent
            .zip(limit)
            .is_some_and(|(sent, &limit)| now.since(sent) <= tenths(limit, FENCE))
    }

    /// Until when this node listens before it answers again.
    pub(crate) const fn fenced_until(&self) -> Moment {
        self.fenced_until
    }
}
