//! What daemons of the lab count, read from their `/metrics`.

use crate::error::Result;
use crate::lab::Lab;

/// The text of a `/metrics`.
#[derive(Clone, Debug)]
pub struct Metrics(String);

impl Metrics {
    /// The values of a metric, whatever its labels.
    pub fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = f64> + 'a {
        self.0.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with(['{', ' ']).then_some(())?;
            rest.rsplit_once(' ')?.1.parse().ok()
        })
    }

    /// The sum of a counter, whatever its labels.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counters are whole numbers, far below 2^53"
    )]
    pub fn count(&self, name: &str) -> u64 {
        self.of(name).sum::<f64>() as u64
    }
}

impl Lab {
    /// What the speaker of a node counts.
    pub async fn speaker_metrics(&self, node: &str) -> Result<Metrics> {
        let executable = self.executable().display().to_string();
        let fetch = [&executable, "fetch", "127.0.0.1:7472", "/metrics"];
        self.exec(node, &fetch).await.map(Metrics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_read_with_all_its_labels_and_no_other() {
        let metrics = Metrics(
            "# HELP claims Claims\nclaims_total{reason=\"silent\"} 2\nclaims_total{reason=\"a b\"} 3\n\
             claims_total_more 9\nup 1\n"
                .to_owned(),
        );
        assert_eq!(metrics.count("claims_total"), 5);
        assert_eq!(metrics.of("up").collect::<Vec<_>>(), [1.0]);
        assert_eq!(metrics.count("nothing"), 0);
    }
}
