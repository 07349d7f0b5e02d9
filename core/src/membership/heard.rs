//! Whom this node says that it hears, in a beacon that has not room for all.

use super::{Channel, Membership};
use crate::frame::beacon::Heard;
use crate::frame::beacon::wire::MOST_HEARD;
use crate::moment::Moment;

impl Membership {
    /// What to say in beacons on `channel` of those that are heard there, those who need it most
    /// first: who does not know yet that it is heard, whose book is not known, who is silent.
    ///
    /// Those who need it are all listed, up to [`MOST_HEARD`]; of the others some, `turn` by turn.
    /// They are written to `urgent`, which is empty, with the help of `others`.
    pub(crate) fn heard(
        &self,
        channel: Channel,
        now: Moment,
        turn: usize,
        urgent: &mut Vec<Heard>,
        others: &mut Vec<Heard>,
    ) {
        // Few enough that fifty speakers cost each other two megabits per second.
        const LISTED: usize = 12;
        others.clear();
        for peer in self.peers.values() {
            let Some(path) = peer.path(channel) else {
                continue;
            };
            let heard = Heard {
                session: peer.session,
                age: now.since(path.last),
                synced: peer.book.is_synced(),
            };
            let silent = heard.age > path.suspect;
            let knows = path.report(self.session).is_some();
            if heard.age > path.limit * 10 {
                continue;
            }
            if silent || !knows || !heard.synced {
                urgent.push(heard);
            } else {
                others.push(heard);
            }
        }
        let newcomers = self.newcomers.iter().filter(|(_, (on, _))| *on == channel);
        urgent.extend(newcomers.map(|(&session, &(_, at))| Heard {
            session,
            age: now.since(at),
            synced: false,
        }));
        take_turn(urgent, MOST_HEARD, turn);
        take_turn(others, LISTED.saturating_sub(urgent.len()), turn);
        urgent.append(others);
    }
}

/// Keeps `most` of them, other ones at the next turn.
fn take_turn(list: &mut Vec<Heard>, most: usize, turn: usize) {
    if list.len() > most {
        let start = turn.wrapping_mul(most) % list.len();
        list.rotate_left(start);
        list.truncate(most);
    }
}
