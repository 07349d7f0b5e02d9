//! The decoder of traces, down to the election that is told what they say.

use bellwether_core::election::trace::{FORMAT, Line};
use bellwether_core::election::{Config, Election};
use bellwether_core::frame::beacon::Session;
use bellwether_core::membership::timing::Profile;
use bellwether_core::moment::Moment;
use bellwether_simulator::replay::replay;

/// A trace, and lines behind the state of an election that starts: a state is too long to be guessed.
pub fn trace(octets: &[u8]) {
    let says_why = |trace: &[u8]| {
        if let Err(error) = replay(trace, |_, _, _| {}) {
            assert!(!error.to_string().is_empty());
        }
    };
    says_why(octets);
    let config = Config {
        node: "a".into(),
        session: Session(7),
        profile: Profile::DEFAULT,
        rebalance: false,
    };
    let start = Line::start(Election::new(config, Moment::ORIGIN), 0, Moment::ORIGIN);
    let Ok(mut whole) = serde_json::to_vec(&start) else {
        panic!("the state of format {FORMAT} cannot be written");
    };
    whole.push(b'\n');
    whole.extend(octets);
    says_why(&whole);
}
