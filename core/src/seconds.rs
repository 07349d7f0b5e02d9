//! Durations as people write them: a number of seconds, with a fraction.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};
use serde_with::{DeserializeAs, SerializeAs};

/// Reads and writes a duration as a number of seconds. What is written is read as the same, to the
/// nanosecond, up to ten days: `DurationSecondsWithFrac` cuts off where this rounds, so that 8.001
/// became a nanosecond less each time.
pub(crate) struct Seconds;

impl SerializeAs<Duration> for Seconds {
    fn serialize_as<S: Serializer>(source: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(source.as_secs_f64())
    }
}

impl<'de> DeserializeAs<'de, Duration> for Seconds {
    fn deserialize_as<D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Serialize;
    use serde_with::serde_as;

    use super::*;

    #[serde_as]
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Told(#[serde_as(as = "Option<Seconds>")] Option<Duration>);

    fn read(text: &str) -> Result<Told, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_number_of_seconds_is_read() {
        assert_eq!(read("8.001"), Ok(Told(Some(Duration::from_millis(8_001)))));
        assert_eq!(read("5"), Ok(Told(Some(Duration::from_secs(5)))));
        for text in ["-1", "1e300", "\"1\""] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same(nanos in 0..10 * 86_400 * 1_000_000_000_u64) {
            let told = Told(Some(Duration::from_nanos(nanos)));
            let text = serde_json::to_string(&told).expect("JSON");
            prop_assert_eq!(read(&text), Ok(told));
        }
    }
}
