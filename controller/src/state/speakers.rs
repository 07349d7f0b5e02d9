//! Speakers: whether each node may announce addresses.

use bellwether_core::moment::Moment;
use bellwether_core::name::NodeName;
use bellwether_crds::label::EXCLUDE_FROM_LOAD_BALANCERS;
use bellwether_crds::speaker::SpeakerSpec;

use super::State;
use crate::change::Change;
use crate::facts::{NodeFacts, Target};
use crate::reason::EligibilityReason;

impl State {
    /// What is to be written of a node's Speaker.
    pub(super) fn speaker_change(&mut self, name: &NodeName) -> Option<Change> {
        let known = self.speakers.get(name);
        let Some(node) = self.nodes.get(name) else {
            return known.map(|known| Change::DeleteSpeaker {
                node: name.clone(),
                version: known.version.clone(),
            });
        };
        let spec = self.eligibility(node);
        let is_same = known
            .is_some_and(|known| known.spec == spec && known.owner.as_deref() == Some(&*node.uid));
        (!is_same).then(|| Change::ApplySpeaker {
            node: name.clone(),
            owner: node.uid.to_string(),
            spec,
        })
    }

    fn eligibility(&self, node: &NodeFacts) -> SpeakerSpec {
        let reasons = [
            (
                node.labels.get(EXCLUDE_FROM_LOAD_BALANCERS).is_some(),
                EligibilityReason::Excluded,
                format!("the Node has the label {EXCLUDE_FROM_LOAD_BALANCERS}"),
            ),
            (
                node.network_unavailable,
                EligibilityReason::NetworkUnavailable,
                "the Node's condition NetworkUnavailable is True".to_owned(),
            ),
            (
                !node.is_ready && !self.grace.covers(&node.name),
                EligibilityReason::NotReady,
                "the Node's condition Ready is not True".to_owned(),
            ),
            (
                node.is_cordoned && !self.settings.cordoned_may_announce,
                EligibilityReason::Cordoned,
                "the Node is cordoned".to_owned(),
            ),
        ];
        let obstacle = reasons.into_iter().find(|(applies, _, _)| *applies);
        SpeakerSpec {
            eligible: obstacle.is_none(),
            reason: obstacle
                .as_ref()
                .map(|(_, reason, _)| reason.as_str().to_owned()),
            message: obstacle.map(|(_, _, message)| message),
        }
    }

    /// After a start: nodes that may announce and are not ready may have turned so just now.
    pub(super) fn begin_graces(&mut self, now: Moment) {
        for node in self.nodes.values().filter(|node| !node.is_ready) {
            let known = self.speakers.get(&node.name);
            if known.is_some_and(|known| known.spec.eligible) {
                self.grace.begin(node.name.clone(), now);
            }
        }
    }

    /// Withdraws nodes that have been not ready for too long, unless most are.
    pub(super) fn end_graces(&mut self, now: Moment) {
        if self.has_lost_sight() {
            return;
        }
        for node in self.grace.expire(now) {
            self.schedule.mark(Target::Speaker(node));
        }
    }

    /// When [`State::end_graces`] has something to do.
    pub(super) fn next_end_of_grace(&self) -> Option<Moment> {
        let deadline = self.grace.next_deadline()?;
        (!self.has_lost_sight()).then_some(deadline)
    }

    /// Whether most nodes are not ready, so that it is more likely that the control plane cannot see
    /// them. Nothing is withdrawn then: the speakers know better how the nodes are.
    pub(super) fn has_lost_sight(&self) -> bool {
        let ready = self.nodes.values().filter(|node| node.is_ready).count();
        ready * 2 < self.nodes.len()
    }
}
