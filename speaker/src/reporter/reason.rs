//! The reasons that the speaker writes into conditions: a closed list for each object. Each is
//! explained to operators in `docs/troubleshooting.md`.

use bellwether_core::election::{OwnReason, ReleaseReason};

bellwether_core::reasons! {
    /// Reasons of the conditions of an Announcement, and its `status.reason`.
    pub enum AnnouncementReason {
        /// Nobody announced it before.
        Unclaimed,
        /// The node that announced it before is silent.
        OwnerSilent,
        /// The node that announced it before hears nobody.
        OwnerDeaf,
        /// The node that announced it before has released it.
        OwnerReleased,
        /// It goes from one node to another without a gap.
        HandedOver,
        /// It is used no more.
        Unassigned,
        /// No node may announce it.
        NoCandidate,
        /// Another node has a higher claim.
        Outclaimed,
        /// No link that it can be announced on is usable.
        LinkDown,
        /// The node hears nothing on its links.
        Deaf,
        /// The speaker has stopped.
        Stopping,
        /// The node does not announce it any more; why, its speaker does not know, because it was
        /// started anew.
        NotAnnounced,
        /// The node has no link that it could be announced on.
        NoLink,
        /// The link has nothing at its other end.
        NoCarrier,
        /// The link has no IPv6 address to announce from.
        NoLinkLocalAddress,
        /// The speaker cannot open its sockets on the link.
        CannotListen,
        /// Another station uses the address too.
        ForeignStation,
    }
}

bellwether_core::reasons! {
    /// Reasons of the conditions of a Speaker.
    pub enum SpeakerReason {
        /// It listens on at least one link.
        Listening,
        /// The node has no link that can carry announcements.
        NoLink,
        /// It cannot open its sockets on a link.
        CannotListen,
        /// It has stopped.
        Stopping,
        /// An `L2Advertisement` names links that the node does not have.
        InterfaceNotFound,
        /// An address to announce is on a link of the node for which the kernel answers ARP.
        AddressOnOtherLink,
    }
}

bellwether_core::reasons! {
    /// Reasons of the conditions `LinkUnproven` and `BeaconPathDegraded` of a Speaker.
    pub enum PathReason {
        /// The beacons of other speakers come in as they should.
        BeaconsHeard,
        /// The beacons of a speaker never came on a link.
        NeverHeard,
        /// The beacons of a speaker do not come any more on a link.
        BeaconsLost,
    }
}

impl From<OwnReason> for AnnouncementReason {
    fn from(reason: OwnReason) -> Self {
        match reason {
            OwnReason::Unclaimed => Self::Unclaimed,
            OwnReason::OwnerSilent => Self::OwnerSilent,
            OwnReason::OwnerDeaf => Self::OwnerDeaf,
            OwnReason::OwnerReleased => Self::OwnerReleased,
            OwnReason::HandedOver => Self::HandedOver,
        }
    }
}

impl From<ReleaseReason> for AnnouncementReason {
    fn from(reason: ReleaseReason) -> Self {
        match reason {
            ReleaseReason::Unassigned => Self::Unassigned,
            ReleaseReason::NoCandidate => Self::NoCandidate,
            ReleaseReason::HandedOver => Self::HandedOver,
            ReleaseReason::Outclaimed => Self::Outclaimed,
            ReleaseReason::LinkDown => Self::LinkDown,
            ReleaseReason::Deaf => Self::Deaf,
            ReleaseReason::Stopping => Self::Stopping,
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::reason::entries;

    use super::*;

    const GUIDE: &str = include_str!("../../../docs/troubleshooting.md");

    #[test]
    fn every_reason_is_explained_to_operators_and_no_other() {
        let words: Vec<&str> = AnnouncementReason::ALL
            .iter()
            .map(|it| it.as_str())
            .collect();
        assert_eq!(entries(GUIDE, "Announcement"), words);
        let words: Vec<&str> = SpeakerReason::ALL.iter().map(|it| it.as_str()).collect();
        assert_eq!(entries(GUIDE, "Speaker: conditions"), words);
        let words: Vec<&str> = PathReason::ALL.iter().map(|it| it.as_str()).collect();
        let chapter = "Speaker: LinkUnproven and BeaconPathDegraded";
        assert_eq!(entries(GUIDE, chapter), words);
    }
}
