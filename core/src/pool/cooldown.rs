//! Durations, as Kubernetes objects write them.

use std::time::Duration;

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no duration: write for example 30s, 10m or 1h30m")]
pub struct DurationError(String);

/// Reads a duration such as `30s`, `10m` or `1h30m`: whole numbers, each with one of the units
/// `ms`, `s`, `m` and `h`. Up to 100 years.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let error = || DurationError(text.to_owned());
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(error());
    }
    let mut milliseconds: u64 = 0;
    while !rest.is_empty() {
        let (number, after) = split_where(rest, |c| !c.is_ascii_digit());
        let (unit, after) = split_where(after, |c| c.is_ascii_digit());
        let scale: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(error()),
        };
        milliseconds = number
            .parse()
            .ok()
            .and_then(|number: u64| number.checked_mul(scale))
            .and_then(|more| milliseconds.checked_add(more))
            .ok_or_else(error)?;
        rest = after;
    }
    let longest = Duration::from_hours(100 * 366 * 24);
    Some(Duration::from_millis(milliseconds))
        .filter(|duration| *duration <= longest)
        .ok_or_else(error)
}

fn split_where(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, seconds) in [
            ("0s", 0.0),
            ("30s", 30.0),
            ("10m", 600.0),
            ("1h30m", 5400.0),
            ("1h1m1s500ms", 3661.5),
            (" 5s ", 5.0),
        ] {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_secs_f64(seconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "30",
            "s",
            "-5s",
            "1.5h",
            "5 m",
            "5d",
            "5µs",
            "99999999999999999999s",
            "9999999h",
        ] {
            assert_eq!(
                parse_duration(text).map_err(|error| error.to_string()),
                Err(format!(
                    "{text:?} is no duration: write for example 30s, 10m or 1h30m"
                )),
            );
        }
    }
}
