//! The channels that there are, and what was heard on links that are away.

use super::hearing::Hearing;
use super::{Channel, Membership};
use crate::moment::Moment;

/// Of more links than this that are away nobody needs to know what was heard on them.
const MOST_AWAY: usize = 16;

impl Membership {
    pub(crate) fn hearing(&self, channel: Channel) -> Option<&Hearing> {
        self.hearing.get(&channel)
    }

    pub(crate) fn hearing_mut(&mut self, channel: Channel) -> Option<&mut Hearing> {
        self.hearing.get_mut(&channel)
    }

    pub(crate) fn hearings_mut(&mut self) -> impl Iterator<Item = (Channel, &mut Hearing)> {
        self.hearing
            .iter_mut()
            .map(|(&channel, hearing)| (channel, hearing))
    }

    /// R12: whether nothing arrives on any link.
    pub(crate) fn is_deaf(&self) -> bool {
        let links = self
            .hearing
            .iter()
            .filter(|(channel, _)| matches!(channel, Channel::Link(_)));
        let mut deaf = links.map(|(_, hearing)| hearing.deaf);
        deaf.next() == Some(true) && deaf.all(|deaf| deaf)
    }

    /// How many links this node has.
    pub(crate) fn links(&self) -> usize {
        let links = self
            .channels()
            .filter(|channel| *channel != Channel::Unicast);
        links.count()
    }

    pub(crate) fn channels(&self) -> impl Iterator<Item = Channel> {
        self.hearing.keys().copied()
    }

    /// R15: a link may be heard again: the wire is to be asked at once whether those are there who are
    /// met by datagrams.
    pub(crate) fn ask_for_witnesses(&mut self) {
        for peer in self.peers.values_mut() {
            peer.ask_for_witness();
        }
        self.plan_silence();
    }

    /// These are the channels from now on.
    pub(crate) fn set_channels(&mut self, channels: &[Channel], now: Moment) {
        let gone = |channel: &Channel, _: &mut Hearing| !channels.contains(channel);
        let gone = self.hearing.extract_if(.., gone);
        self.away
            .extend(gone.map(|(channel, hearing)| (channel, hearing, now)));
        for &channel in channels {
            if self.hearing.contains_key(&channel) {
                continue;
            }
            let away = self.away.iter().position(|(was, ..)| *was == channel);
            let before = away.and_then(|place| self.away.remove(place));
            let hearing = before.map_or(Hearing::new(now), |(_, hearing, since)| {
                hearing.after(since, now)
            });
            self.hearing.insert(channel, hearing);
            self.ask_for_witnesses();
        }
        let surplus = self.away.len().saturating_sub(MOST_AWAY);
        self.away.drain(..surplus);
        for peer in self.peers.values_mut() {
            peer.keep_paths(channels);
        }
        self.plan_silence();
    }
}
